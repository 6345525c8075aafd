#!/usr/bin/env bash
# Installs what overlayd needs (Debian packages, npm packages), builds it, and puts overlayd and overlayctl on the PATH.
# Safe to repeat: says nothing and changes nothing when there is nothing to do.
#
# usage: scripts/setup.sh [--no-install] [--no-link] [--test]
#   --no-install  do not touch Debian packages
#   --no-link     do not write /usr/local/bin/overlayd and overlayctl
#   --test        also install the tools the tests use
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

build_packages=(g++ make python3 libsodium-dev iproute2 nftables iputils-arping)
# ipsec-mb exists for amd64 only; without it the addon takes libsodium for every suite.
[[ $(dpkg --print-architecture 2>/dev/null) != amd64 ]] || build_packages+=(libipsec-mb-dev)
test_packages=(
  libgtest-dev clang-14 libclang-rt-14-dev valgrind iputils-ping tcpdump ethtool procps busybox dnsmasq-base iperf3
  bind9-dnsutils dnsperf libfaketime
)

install=yes link=yes packages=("${build_packages[@]}")
while (($#)); do
  case $1 in
    --no-install) install=no ;;
    --no-link) link=no ;;
    --test) packages+=("${test_packages[@]}") ;;
    -h | --help) usage && exit 0 ;;
    *) say "error: unknown option $1" && usage >&2 && exit 2 ;;
  esac
  shift
done

# Node itself is the one thing expected to be there.
check_node() {
  { command -v node && command -v npm; } >/dev/null || die 'Node.js 20.11 or newer with npm is needed, see https://nodejs.org/en/download'
  node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 11) ? 0 : 1)' ||
    die "Node.js 20.11 or newer is needed, found $(node --version)"
}

# Up to date: installed by us from this very lock file, or by npm itself after it was last written.
install_modules() {
  local stamp=node_modules/.overlayd-lock sum log scratch status=0
  sum=$(cksum <package-lock.json)
  [[ $(cat "$stamp" 2>/dev/null) != "$sum" ]] || return 0
  if [[ ! node_modules/.package-lock.json -nt package-lock.json ]]; then
    say 'installing npm packages'
    log=$(mktemp) scratch=$(mktemp -d)
    [[ -w ${HOME:-/nonexistent} ]] || export npm_config_cache=$scratch
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >"$log" 2>&1 || status=$?
    ((status == 0)) || cat "$log" >&2
    rm -rf "$scratch" "$log"
    ((status == 0)) || die 'npm ci failed'
  fi
  printf '%s\n' "$sum" >"$stamp"
}

# A wrapper, not a link: it needs no executable bit on build output and finds the same node everywhere.
link_command() {
  local name=$1 path=/usr/local/bin/$1 program wrapper
  program="\"$root/scripts/overlayd\""
  [[ $name == overlayd ]] || program="\"$(command -v node)\" \"$root/scripts/start.cjs\" $name"
  wrapper=$(printf '#!/bin/sh\n# written by scripts/setup.sh of overlayd\nexec %s "$@"\n' "$program")
  [[ ! -f $path || $(<"$path") != "$wrapper" ]] || return 0
  if [[ -e $path ]] && ! grep -q 'scripts/setup.sh of overlayd' "$path"; then
    die "$path exists and is not ours: move it away, or use --no-link"
  fi
  [[ -w $(dirname "$path") ]] || die "cannot write $path: run this as root, or use --no-link"
  printf '%s\n' "$wrapper" >"$path.new"
  chmod 755 "$path.new"
  mv "$path.new" "$path"
  say "linked $path"
}

check_node
[[ $install == no ]] || install_packages "${packages[@]}"
install_modules
scripts/build.sh --quiet
if [[ $link == yes ]]; then
  link_command overlayd
  link_command overlayctl
fi
