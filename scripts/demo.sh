#!/usr/bin/env bash
# Three hosts on one machine: three network namespaces on a bridge, a daemon in each. Shows their status, pings every
# pair over the overlay, prints the throughput between two of them, and removes everything again.
#
# usage: scripts/demo.sh [--no-install]
#   --no-install  no Debian package is touched
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

setup_options=(--no-link)
while (($#)); do
  case $1 in
    --no-install) setup_options+=(--no-install) ;;
    -h | --help) usage && exit 0 ;;
    *) say "error: unknown option $1" && usage >&2 && exit 2 ;;
  esac
  shift
done
require_root 'the demo'
[[ ${setup_options[*]} == *--no-install* ]] || install_packages iputils-ping iperf3
scripts/setup.sh "${setup_options[@]}"

hosts=(1 2 3)
prefix=overlayd-demo$$-
scratch=$(mktemp -d)
pids=()

clean() {
  local status=$? pid host
  trap - EXIT
  for pid in ${pids[@]+"${pids[@]}"}; do kill "$pid" 2>/dev/null || true; done
  for pid in ${pids[@]+"${pids[@]}"}; do wait "$pid" 2>/dev/null || true; done
  for host in "${hosts[@]}" lan; do ip netns delete "$prefix$host" 2>/dev/null || true; done
  if ((status != 0)); then
    say "the demo failed; last lines of the daemons:"
    tail -n 20 "$scratch"/*.log >&2 || true
  fi
  rm -rf "$scratch"
  exit "$status"
}
trap clean EXIT
trap 'exit 130' INT TERM

inside() { ip netns exec "$prefix$1" "${@:2}"; }
ctl() { inside "$1" node scripts/start.cjs overlayctl --socket "$scratch/$1/overlayd.sock" "${@:2}"; }

#   host 1 10.99.0.1 --+
#   host 2 10.99.0.2 --+-- br0 (a namespace of its own)
#   host 3 10.99.0.3 --+
build_lan() {
  local host
  ip netns add "${prefix}lan"
  ip -n "${prefix}lan" link add br0 type bridge
  ip -n "${prefix}lan" link set br0 up
  for host in "${hosts[@]}"; do
    ip netns add "$prefix$host"
    ip -n "$prefix$host" link set lo up
    ip link add eth0 netns "$prefix$host" type veth peer name "port$host" netns "${prefix}lan"
    ip -n "${prefix}lan" link set "port$host" master br0 up
    ip -n "$prefix$host" address add "10.99.0.$host/24" dev eth0
    ip -n "$prefix$host" link set eth0 up
  done
}

# Every host is given the others before it.
start_daemons() {
  local host other peers
  for host in "${hosts[@]}"; do
    peers=()
    for other in "${hosts[@]}"; do ((other >= host)) || peers+=(--peer "10.99.0.$other"); done
    mkdir -m 700 "$scratch/$host"
    # Not through inside(): the process id must be the daemon's, not a subshell's.
    OVERLAYD_PASSWORD='demo of three hosts' ip netns exec "$prefix$host" scripts/overlayd --nickname "host$host" \
      --state-dir "$scratch/$host" ${peers[@]+"${peers[@]}"} >"$scratch/$host.log" 2>&1 &
    pids+=($!)
  done
  for host in "${hosts[@]}"; do
    # The socket comes a moment after the process.
    until_true 10 test -S "$scratch/$host/overlayd.sock"
    say "== status of host$host"
    ctl "$host" status --wait peers=3 --timeout 15
  done
}

# First (IPv4) overlay address of a host.
address() {
  ctl "$1" --json status | node -e 'const s = JSON.parse(require("node:fs").readFileSync(0)); console.log(s.self.addresses[0].split("/")[0])'
}

say '== three hosts on one bridge'
build_lan
start_daemons

declare -A overlay
for host in "${hosts[@]}"; do overlay[$host]=$(address "$host"); done

say '== ping over the overlay'
for host in "${hosts[@]}"; do
  for other in "${hosts[@]}"; do
    [[ $host == "$other" ]] || printf 'host%s -> host%s %-15s %s\n' "$host" "$other" "${overlay[$other]}" \
      "$(inside "$host" ping -n -q -c 3 -i 0.2 -W 2 "${overlay[$other]}" | tail -n 1)"
  done
done

say '== throughput host1 -> host2, one TCP stream, 3 s'
ip netns exec "${prefix}2" iperf3 -s -1 -B "${overlay[2]}" >/dev/null &
pids+=($!)
listens() { ss -N "$prefix$1" -Htln | grep -q ":$2"; }
until_true 10 listens 2 5201
printf '%s Gbit/s, encrypted\n' "$(inside 1 iperf3 -c "${overlay[2]}" -t 3 -J |
  node -e 'const r = JSON.parse(require("node:fs").readFileSync(0)); console.log((r.end.sum_received.bits_per_second / 1e9).toFixed(2))')"

say '== peers as host1 sees them'
ctl 1 peers
