#!/usr/bin/env bash
# Fuzzes the native parsers and the joiner, two at a time, each from its committed corpus; one line a target:
# "ok <target> <inputs tried>", or "FAIL <target>" with what libFuzzer said and the input that did it.
#
# usage: scripts/fuzz.sh [--seconds n] [--jobs n] [--keep] [target...]
#   --seconds n  for each target; default 20
#   --jobs n     targets at a time; default 2
#   --keep       adds what was found on the way to the corpus, and drops what became superfluous
#   target       fragment, gate, joiner, mss, relay, rx, ...; default: all of native/test/fuzz
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

seconds=20 jobs=2 keep=no targets=()
while (($#)); do
  case $1 in
    --seconds) seconds=${2:?--seconds needs a number} && shift ;;
    --jobs) jobs=${2:?--jobs needs a number} && shift ;;
    --keep) keep=yes ;;
    -h | --help) usage && exit 0 ;;
    -*) say "error: unknown option $1" && usage >&2 && exit 2 ;;
    *) targets+=("$1") ;;
  esac
  shift
done
programs=build/native-test/fuzz
if ((${#targets[@]} == 0)); then
  for source in native/test/fuzz/*_fuzz.cc; do
    targets+=("$(basename "$source" _fuzz.cc)")
  done
fi

# The longest input worth trying: a few datagrams. Longer ones only make each try slower.
readonly longest=4096

fuzz_one() {
  local target=$1 scratch log status=0
  local corpus=native/test/corpus/$target findings=build/fuzz-findings/$target-
  [[ -d $corpus ]] || { printf 'FAIL %s: %s is missing\n' "$target" "$corpus" && return 1; }
  scratch=$(mktemp -d)
  log=$scratch/log
  mkdir "$scratch/found"
  # A target that hangs beyond libFuzzer's own limits is a finding too.
  timeout --kill-after=5 $((seconds + 60)) "$programs/${target}_fuzz" -max_total_time="$seconds" -max_len="$longest" \
    -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$findings" \
    "$scratch/found" "$corpus" >"$log" 2>&1 || status=$?
  if ((status == 0)); then
    printf 'ok %s %s inputs\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    [[ $keep == no ]] || merge "$target" "$scratch/found" "$corpus"
  else
    printf 'FAIL %s: status %s\n' "$target" "$status"
    tail -n 60 "$log"
  fi
  rm -rf "$scratch"
  return "$status"
}

# The smallest inputs that still reach all that is reached.
merge() {
  local target=$1 found=$2 corpus=$3 merged
  merged=$(mktemp -d)
  "$programs/${target}_fuzz" -merge=1 -max_len="$longest" "$merged" "$corpus" "$found" 2>/dev/null
  find "$corpus" -type f -delete
  cp "$merged"/* "$corpus"/
  rm -rf "$merged"
}

mkdir -p build/fuzz-findings
make -s --no-print-directory -C native/test -j "$jobs" fuzz
export -f fuzz_one merge
export programs seconds keep longest
printf '%s\0' "${targets[@]}" | xargs -0 -I {} -P "$jobs" bash -euo pipefail -c 'fuzz_one {}'
