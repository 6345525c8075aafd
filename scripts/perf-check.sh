#!/usr/bin/env bash
# Fails when the data plane needs more than 10 % more instructions or system calls per packet than bench/baseline.json
# says. Counted by callgrind without cipher and kernel, so it repeats on a busy machine.
#
# usage: scripts/perf-check.sh [--no-install | --built] [--update] [--keep <dir>]
#   --update      write what is measured as the new baseline
#   --keep <dir>  leave callgrind's files there, one a load, for callgrind_annotate
#   --no-install  no Debian package is touched
#   --built       nothing is installed and dist/ is as it should be: others run from it
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

install=yes built=no scratch='' judge=(dist/bench/guard/main.js)
while (($#)); do
  case $1 in
    --no-install) install=no ;;
    --built) built=yes install=no ;;
    --update) judge+=(--update) ;;
    --keep)
      (($# > 1)) || { say 'error: --keep needs a directory' && exit 2; }
      scratch=$2
      shift
      ;;
    -h | --help) usage && exit 0 ;;
    *) say "error: unknown option $1" && usage >&2 && exit 2 ;;
  esac
  shift
done

setup_options=(--no-link)
if [[ $install == yes ]]; then install_packages valgrind; else setup_options+=(--no-install); fi
[[ $built == yes ]] || scripts/setup.sh "${setup_options[@]}"
# The counts start and stop where the program says, which valgrind's own header does.
[[ -e /usr/include/valgrind/callgrind.h ]] || die 'valgrind is missing (Debian package valgrind)'
make -s --no-print-directory -C bench/native guard

if [[ -z $scratch ]]; then
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
fi
mkdir -p "$scratch"
for load in $(build/bench/guard); do
  valgrind --tool=callgrind --collect-atstart=no --callgrind-out-file="$scratch/callgrind.$load" build/bench/guard "$load" \
    2>"$scratch/log" || { cat "$scratch/log" >&2 && die 'the guard failed under valgrind'; }
done >"$scratch/calls"
node "${judge[@]}" --from "$scratch" --compiler "$(${CXX:-g++} --version | head -n 1)"
