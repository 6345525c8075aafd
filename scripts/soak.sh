#!/usr/bin/env bash
# Full load between two hosts (network namespaces) for a long time, while their paths change at random: links go down and
# come back, a third host relays, MTU, addresses and offloads change. Judges what memory and drops say afterwards.
#
# usage: scripts/soak.sh [minutes] [--seed <n>] [--verbose] [--no-install]
#   minutes       default 30; growth of memory is judged when 10 minutes are left after warm-up
#   --seed <n>    the same changes again; the seed of a run is its first line
#   --verbose     tells each change
#   --no-install  no Debian package is touched
# Exit: 0 well, 1 a daemon grows by more than 1 MB in 10 minutes, drops what nothing explains, loses count, or is not
# reached any more at the end; 130 interrupted.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

setup_options=(--no-link) arguments=() install=yes
while (($#)); do
  case $1 in
    --no-install) install=no && setup_options+=(--no-install) ;;
    -h | --help) usage && exit 0 ;;
    --verbose) arguments+=(--verbose) ;;
    --seed)
      (($# > 1)) || { say 'error: --seed needs a number' && exit 2; }
      arguments+=(--seed "$2")
      shift
      ;;
    [0-9]*) arguments+=(--minutes "$1") ;;
    *) say "error: unknown option $1" && usage >&2 && exit 2 ;;
  esac
  shift
done
require_root 'the soak run'
"$root/scripts/setup.sh" "${setup_options[@]}"
[[ $install == no ]] || install_packages iperf3 iputils-ping ethtool
exec node "$root/dist/bench/soak/main.js" ${arguments[@]+"${arguments[@]}"}
