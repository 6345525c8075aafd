#!/usr/bin/env bash
# Installs what the tests need, builds, and runs every suite; the last line reads "N passed, N failed".
#
# usage: scripts/test.sh [--no-install] [suite...]
#   --no-install  no Debian package is touched; a missing tool then fails the tests that need it
#   suite         native, fuzz, perf, unit, contract, sim, cli, netns, portable; default: all
#   perf          instructions and system calls per packet against bench/baseline.json
#   fuzz          every fuzz target for 20 s from its committed corpus
#   portable      the addon built without libipsec-mb: native, contract and the two-host tests again
#   OVERLAYD_TEST_LONG=1  with the long transfers (1 GB instead of 64 MB)
#
# Needs root: the netns suite makes network namespaces. Nothing it installs starts a service.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

setup_options=(--no-link --test) suites=()
while (($#)); do
  case $1 in
    --no-install) setup_options+=(--no-install) ;;
    -h | --help) usage && exit 0 ;;
    native | fuzz | perf | unit | contract | sim | cli | netns | portable) suites+=("$1") ;;
    *) say "error: unknown option or suite $1" && usage >&2 && exit 2 ;;
  esac
  shift
done
((${#suites[@]})) || suites=(native fuzz perf unit contract sim cli netns portable)

passed=0 failed=0 skipped=0
failures=()
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# sum <log> <sed expression that prints one number a line>
sum() { sed -nE "$2" "$1" | awk '{ n += $1 } END { print n + 0 }'; }

# One suite: its output goes through, its counts are added. Ending badly without a failed test, or well without
# a single passed one, is a failure of its own: a crash must not look like success.
record() {
  local name=$1 status=$2 pass=$3 fail=$4 skip=$5
  if ((fail == 0 && (status != 0 || pass == 0))); then
    say "suite $name ended with status $status and $pass passed tests"
    fail=1
  fi
  ((fail == 0)) || failures+=("$name")
  passed=$((passed + pass)) failed=$((failed + fail)) skipped=$((skipped + skip))
}

# run_mocha <suite> <directory> <seconds> [file pattern [mocha option...]]
run_mocha() {
  local name=$1 directory=$2 limit=$3 pattern=${4:-**/*} status=0
  printf '\n== %s\n' "$name"
  (cd "$directory" && timeout --kill-after=10 "$limit" node "$root/node_modules/mocha/bin/mocha.js" --config "$root/.mocharc.json" \
    "${@:5}" "dist/test/${name%%-*}/$pattern.test.js") >"$log" 2>&1 || status=$?
  cat "$log"
  record "$name" "$status" "$(sum "$log" 's/^  ([0-9]+) passing .*/\1/p')" \
    "$(sum "$log" 's/^  ([0-9]+) failing$/\1/p')" "$(sum "$log" 's/^  ([0-9]+) pending$/\1/p')"
}

# GoogleTest programs, built and run by native/test/Makefile; each prints its own summary.
run_native() {
  local name=$1 directory=$2 status=0
  printf '\n== %s\n' "$name"
  make -s --no-print-directory -k -C "$directory/native/test" -j "$(nproc)" check >"$log" 2>&1 || status=$?
  grep -vE '^(\[( RUN|       OK|-----).*)?$' "$log" || true
  record "$name" "$status" "$(sum "$log" 's/^\[  PASSED  \] ([0-9]+) tests?\.$/\1/p')" \
    "$(sum "$log" 's/^\[  FAILED  \] ([0-9]+) tests?, listed below:$/\1/p')" \
    "$(sum "$log" 's/^\[  SKIPPED \] ([0-9]+) tests?, listed below:$/\1/p')"
}

# A target is a test.
run_fuzz() {
  local status=0
  printf '\n== fuzz\n'
  timeout --kill-after=10 300 scripts/fuzz.sh >"$log" 2>&1 || status=$?
  cat "$log"
  record fuzz "$status" "$(grep -c '^ok ' "$log" || true)" "$(grep -c '^FAIL ' "$log" || true)" 0
}

run_perf() {
  local status=0
  printf '\n== perf\n'
  timeout --kill-after=10 120 scripts/perf-check.sh --no-install >"$log" 2>&1 || status=$?
  cat "$log"
  record perf "$status" "$(grep -c '^ok ' "$log" || true)" "$(grep -c '^FAIL ' "$log" || true)" 0
}

# A tree of its own, so that the build of this one stays as it is.
build_portable() {
  mkdir -p build-portable
  # Removed and copied with their times: nothing stale is compiled, and nothing that is up to date again.
  (cd build-portable && rm -rf scripts src native test bench dist)
  cp -a package.json tsconfig.json binding.gyp scripts src native test bench dist build-portable/
  ln -sfn ../node_modules build-portable/node_modules
  OVERLAYD_NO_IPSEC_MB=1 build-portable/scripts/build.sh --quiet
}

run_portable() {
  export OVERLAYD_NO_IPSEC_MB=1
  run_native native-portable build-portable
  run_mocha contract-portable build-portable 300
  run_mocha netns-portable build-portable 600 two-hosts --retries 1
  unset OVERLAYD_NO_IPSEC_MB
}

scripts/setup.sh "${setup_options[@]}"

for suite in "${suites[@]}"; do
  case $suite in
    native) run_native native . ;;
    fuzz) run_fuzz ;;
    perf) run_perf ;;
    # Real time on a machine that others may use: one second chance, which a broken product does not pass either.
    netns) run_mocha netns . 900 '**/*' --retries 1 ;;
    portable) build_portable && run_portable ;;
    *) run_mocha "$suite" . 300 ;;
  esac
done

printf '\n'
((${#failures[@]} == 0)) || printf 'failed suites: %s\n' "${failures[*]}"
summary="$passed passed, $failed failed"
((skipped == 0)) || summary+=", $skipped skipped"
printf '%s\n' "$summary"
((failed == 0 && passed > 0))
