#!/usr/bin/env bash
# Measures overlayd against other overlays on this machine: two network namespaces, CUBIC, interleaved pairs, medians
# of pairwise ratios. Says "unfit" when the machine does not hold still.
#
# usage: scripts/bench.sh [--quick] [--peers <list>] [--scenarios <list>] [--out <dir>] ...
#        scripts/bench.sh --native   ns per packet of the data plane's parts instead
#   --quick                2 pairs of 1 s instead of 7 of 3 s: shows that it works, judges nothing
#   --peers <list>         of veth,vxlan,tinc,n2n,fastd,nebula,openvpn,wireguard-go,wireguard-go-build,weaver; default: all
#   --scenarios <list>     of tcp,ping,tcp-no-offload,udp64,tcp-apart,tcp-apart-no-offload,tcp8,tcp-both,tcp-bbr,
#                          ping-loaded,udp512,udp1400,udp64-no-offload,tcp-relayed,ping-relayed,tcp-libsodium-chacha,
#                          tcp-libsodium-nacl,tcp-ciphers,tcp-mtu9000,udp64-mtu9000; default: all
#   --pairs <n>            of the scenarios with a target; the others take three of them at most
#   --seconds <n>          that one load lasts
#   --max-minutes <n>      begin no comparison after that, default 120; says at the start how long it will take
#   --cipher <list>        for overlayd, as its own option
#   --wireguard-go <path>  also another build of it than the packaged one, as the peer wireguard-go-build
#   --weaver <path>        also Weave Net's router, a 2.x binary, as the peer weaver
#   --out <dir>            also write path.json, results.md and its picture results.svg there
#   --no-install           no Debian package is touched
# Exit: 0 measured, 3 measured on an unfit machine, 1 failed, 130 interrupted (what was measured until then is shown).
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

setup_options=(--no-link) arguments=() kind=path
while (($#)); do
  case $1 in
    --native) kind=native ;;
    --no-install) setup_options+=(--no-install) ;;
    -h | --help) usage && exit 0 ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
[[ $kind == native ]] || require_root 'the benchmark'
"$root/scripts/setup.sh" "${setup_options[@]}"
[[ $kind == path ]] || exec make -s --no-print-directory -C "$root/bench/native" bench
main=$root/dist/bench/path/main.js
mapfile -t packages < <(node "$main" ${arguments[@]+"${arguments[@]}"} --packages)
[[ ${setup_options[*]} == *--no-install* ]] || install_packages iperf3 iputils-ping ethtool "${packages[@]}"
exec node "$main" ${arguments[@]+"${arguments[@]}"}
