#!/usr/bin/env bash
# Runs the C++ tests under ASan + UBSan, then under TSan. Fails when a test fails or a sanitizer reports anything.
#
# usage: scripts/sanitize.sh [asan|tsan]...   default: both
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

kinds=()
while (($#)); do
  case $1 in
    asan | tsan) kinds+=("$1") ;;
    -h | --help) usage && exit 0 ;;
    *) say "error: unknown option $1" && usage >&2 && exit 2 ;;
  esac
  shift
done
((${#kinds[@]})) || kinds=(asan tsan)

install_packages g++ make libsodium-dev libgtest-dev
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Reports must end the program, and reach us also from a test that expects to die.
export ASAN_OPTIONS=halt_on_error=1:detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1

failed=()
for kind in "${kinds[@]}"; do
  status=0
  # The sanitizers' shadow memory does not go with full address randomisation (TSan of GCC 12 refuses to start).
  setarch -R make -s --no-print-directory -k -C native/test -j "$(nproc)" SANITIZE="$kind" check >"$log" 2>&1 || status=$?
  grep -vE '^(\[( RUN|       OK|-----).*)?$' "$log" || true
  if ((status != 0)) || grep -qE 'ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:' "$log"; then
    failed+=("$kind")
  fi
done

((${#failed[@]} == 0)) || die "sanitizers: ${failed[*]} failed"
say "sanitizers: ${kinds[*]} clean"
