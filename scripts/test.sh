#!/usr/bin/env bash
# Installs what the tests need, builds, and runs every suite; the last line reads "N passed, N failed".
#
# What needs processors runs first, as much at a time as there are, and gives way to the netns tests beside it, which
# mostly wait. Then, each alone on the machine, what measures time. The output of a suite comes in one piece, when it is
# over.
#
# usage: scripts/test.sh [--no-install] [suite...]
#   --no-install  no Debian package is touched; a missing tool then fails the tests that need it
#   suite         native, fuzz, perf, unit, contract, sim, cli, netns, portable; default: all
#   perf          instructions and system calls per packet against bench/baseline.json
#   fuzz          every fuzz target for 20 s from its committed corpus
#   portable      the addon built without libipsec-mb: native and contract again, and two hosts with it
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

# netns tests that wait for things to be so and measure no time; the longest first, since they are dealt to two lanes. A
# new file is not one of them unless it is named here.
patient=(fall-backs families walk-throughs many-attachments names networks attach mesh-discovery guard mesh-nat
  mesh-tcp expose mesh-churn removal meshes-joined pool process topology names-clocks clones hostile-member
  tunnel-inside-itself host-interface start-order ecn address-probe)
readonly lanes=2

passed=0 failed=0 skipped=0
failures=()
work=$(mktemp -d)
trap 'end_jobs; rm -rf "$work"' EXIT

# Ends what runs, with all that it started: an interrupted run leaves nothing going on.
end_jobs() {
  local job
  for job in $(jobs -p); do end_tree "$job" 2>/dev/null; done
}
end_tree() {
  local child children=()
  read -ra children <"/proc/$1/task/$1/children" || true
  for child in "${children[@]}"; do end_tree "$child"; done
  kill "$1" 2>/dev/null || true
}

# sum <log> <sed expression that prints one number a line>
sum() { sed -nE "$2" "$1" | awk '{ n += $1 } END { print n + 0 }'; }

# In a job: what a suite came to, for the one who counts.
record() { printf '%s %s %s %s %s\n' "$@" >>"$counts"; }

# run_mocha <suite> <directory> <seconds> <mocha option or test file>...
run_mocha() {
  local name=$1 directory=$2 limit=$3 status=0 log
  log=$counts.$name
  (cd "$directory" && timeout --kill-after=10 "$limit" node "$root/node_modules/mocha/bin/mocha.js" --config "$root/.mocharc.json" \
    "${@:4}") >"$log" 2>&1 || status=$?
  cat "$log"
  record "$name" "$status" "$(sum "$log" 's/^  ([0-9]+) passing .*/\1/p')" \
    "$(sum "$log" 's/^  ([0-9]+) failing$/\1/p')" "$(sum "$log" 's/^  ([0-9]+) pending$/\1/p')"
}

# netns_files <lane>: the patient ones of a lane, from 1; with 0, all others.
netns_files() {
  local file at
  for file in dist/test/netns/*.test.js; do
    [[ $1 != 0 || " ${patient[*]} " == *" $(basename "$file" .test.js) "* ]] || printf '%s\n' "$file"
  done
  for ((at = $1 - 1; $1 > 0 && at < ${#patient[@]}; at += lanes)); do
    printf '%s\n' "dist/test/netns/${patient[at]}.test.js"
  done
}

# Real time on a machine that others may use: one second chance, which a broken product does not pass either.
run_netns() {
  local files
  mapfile -t files < <(netns_files "$2")
  run_mocha "$1" . 900 --retries 1 "${files[@]}"
}

# GoogleTest programs, built and run by native/test/Makefile; each prints its own summary.
run_native() {
  local name=$1 status=0 log
  log=$counts.$name
  timeout --kill-after=10 2400 make -s --no-print-directory -k -C native/test -j "$width" check >"$log" 2>&1 || status=$?
  grep -vE '^(\[( RUN|       OK|-----).*)?$' "$log" || true
  record "$name" "$status" "$(sum "$log" 's/^\[  PASSED  \] ([0-9]+) tests?\.$/\1/p')" \
    "$(sum "$log" 's/^\[  FAILED  \] ([0-9]+) tests?, listed below:$/\1/p')" \
    "$(sum "$log" 's/^\[  SKIPPED \] ([0-9]+) tests?, listed below:$/\1/p')"
}

# run_lines <suite> <seconds> <command...>, which prints "ok ..." or "FAIL ..." a test
run_lines() {
  local name=$1 limit=$2 status=0 log
  log=$counts.$name
  timeout --kill-after=10 "$limit" "${@:3}" >"$log" 2>&1 || status=$?
  cat "$log"
  record "$name" "$status" "$(grep -c '^ok ' "$log" || true)" "$(grep -c '^FAIL ' "$log" || true)" 0
}

# A tree of its own, so that the build of this one stays as it is.
build_portable() {
  mkdir -p build-portable/build
  # Removed and copied with their times: nothing stale is compiled, and nothing that is up to date again.
  (cd build-portable && rm -rf scripts src native test bench dist)
  cp -a package.json tsconfig.json binding.gyp scripts src native test bench dist build-portable/
  ln -sfn ../node_modules build-portable/node_modules
  # Nearly all objects are the same (binding.gyp).
  [[ -d build-portable/build/Release ]] || cp -a build/Release build-portable/build/
  OVERLAYD_NO_IPSEC_MB=1 build-portable/scripts/build.sh --quiet --addon
}

# What a job is.
run_job() {
  case $1 in
    native) run_native native ;;
    native-portable) OVERLAYD_NO_IPSEC_MB=1 run_native native-portable ;;
    native-both) run_native native && OVERLAYD_NO_IPSEC_MB=1 run_native native-portable ;;
    fuzz) run_lines fuzz 2400 scripts/fuzz.sh --jobs "$width" ;;
    perf) run_lines perf 900 scripts/perf-check.sh --built ;;
    netns-beside-*) OVERLAYD_TEST_PATIENCE=4 run_netns "$1" "${1##*-}" ;;
    netns) run_netns netns 0 ;;
    contract-portable)
      build_portable
      OVERLAYD_NO_IPSEC_MB=1 run_mocha "$1" build-portable 900 'dist/test/contract/**/*.test.js'
      ;;
    netns-portable)
      # What two hosts carry; that they start, restart and refuse each other is the same with any cipher.
      OVERLAYD_NO_IPSEC_MB=1 run_mocha "$1" build-portable 900 --retries 1 --grep 'over both|MTU 1500' \
        dist/test/netns/two-hosts.test.js
      ;;
    *) run_mocha "$1" . 1200 "dist/test/$1/**/*.test.js" ;;
  esac
}

# start <job> [gives-way]: in the background; its output and its counts are kept until it is collected. One that gives
# way has a processor when the others leave it one.
start() {
  say "begins: $1"
  (
    trap - EXIT
    counts=$work/$1
    [[ -z ${2:-} ]] || renice -n 10 -p "$BASHPID" >/dev/null
    run_job "$1"
  ) >"$work/$1.log" 2>&1 </dev/null &
  running[$!]=$1
  began[$!]=$SECONDS
}

# collect <pid> <status>: shows a job that has ended and adds its counts. Ending badly without a failed test, or well
# without a single passed one, is a failure of its own: a crash must not look like success.
collect() {
  local job=${running[$1]} name status pass fail skip records=0
  printf '\n== %s, %s s\n' "$job" "$((SECONDS - began[$1]))"
  cat "$work/$job.log"
  unset "running[$1]"
  while read -r name status pass fail skip; do
    records=$((records + 1))
    if ((fail == 0 && (status != 0 || pass == 0))); then
      say "suite $name ended with status $status and $pass passed tests"
      fail=1
    fi
    ((fail == 0)) || failures+=("$name")
    passed=$((passed + pass)) failed=$((failed + fail)) skipped=$((skipped + skip))
  done < <(cat "$work/$job" 2>/dev/null)
  if (($2 != 0 || records == 0)); then
    say "job $job ended with status $2 after $records suites"
    failures+=("$job") failed=$((failed + 1))
  fi
}

collect_next() {
  local pid='' status=0
  wait -n -p pid || status=$?
  # The shell may have forgotten one that a signal ended.
  if [[ -z ${pid:-} ]]; then
    for pid in "${!running[@]}"; do [[ -d /proc/$pid ]] || break; done
  fi
  collect "$pid" "$status"
}

# run_all <at once> <gives-way or nothing> <job>...
run_all() {
  local at_once=$1 how=$2 job
  shift 2
  for job in "$@"; do
    while ((${#running[@]} >= at_once)); do collect_next; done
    start "$job" "$how"
  done
}

declare -A running=() began=()
has() { [[ " ${suites[*]} " == *" $1 "* ]]; }

# The longest first.
busy=() timed=()
if has native && has portable; then
  busy+=(native-both)
else
  ! has native || busy+=(native)
  ! has portable || busy+=(native-portable)
fi
for suite in fuzz sim unit perf; do
  ! has "$suite" || busy+=("$suite")
done
! has portable || busy+=(contract-portable)
for suite in contract cli; do
  ! has "$suite" || busy+=("$suite")
done
! has netns || timed+=(netns)
! has portable || timed+=(netns-portable)

scripts/setup.sh "${setup_options[@]}"

processors=$(nproc)
at_once=$((processors < ${#busy[@]} ? processors : ${#busy[@]}))
width=$((at_once > 0 ? processors / at_once : 1))
if has netns; then
  for ((lane = 1; lane <= lanes; lane++)); do start "netns-beside-$lane"; done
  at_once=$((at_once + lanes))
fi
run_all "$at_once" gives-way "${busy[@]}"
while ((${#running[@]})); do collect_next; done
run_all 1 '' "${timed[@]}"
while ((${#running[@]})); do collect_next; done

printf '\n'
((${#failures[@]} == 0)) || printf 'failed suites: %s\n' "${failures[*]}"
summary="$passed passed, $failed failed"
((skipped == 0)) || summary+=", $skipped skipped"
printf '%s\n' "$summary"
((failed == 0 && passed > 0))
