# Shared by the scripts of this folder; sourced, not run.
# shellcheck shell=bash

# shellcheck disable=SC2034 # read by those who source this
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

# Prints the header comment of the calling script, which is its manual.
usage() { sed -n '2,/^[^#]/{s/^# \{0,1\}//;t p;d;:p;p}' "$0"; }

# Those of the named Debian packages that are not installed, one a line.
missing_packages() {
  local package
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) == installed ]] || printf '%s\n' "$package"
  done
}

# Installs what is missing of the named packages. No service starts: a policy stands in the way meanwhile.
install_packages() {
  local missing policy=/usr/sbin/policy-rc.d own_policy=no status=0
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || die "Debian packages are missing and there is no apt-get: ${missing[*]}"
  ((EUID == 0)) || die "Debian packages are missing: ${missing[*]}. Run this as root, or install them first"
  say "installing Debian packages: ${missing[*]}"
  if [[ ! -e $policy ]]; then
    own_policy=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  apt_install "${missing[@]}" || status=$?
  [[ $own_policy == no ]] || rm -f "$policy"
  ((status == 0)) || die "apt-get could not install: ${missing[*]}"
}

# The package lists may be absent (fresh image) or old: fetched only when the first try fails.
apt_install() {
  local log status=0
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  if ! apt-get install -qq -y --no-install-recommends "$@" >"$log" 2>&1; then
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends "$@"; } >"$log" 2>&1 || status=$?
    ((status == 0)) || cat "$log" >&2
  fi
  rm -f "$log"
  return "$status"
}

require_root() {
  ((EUID == 0)) || die "$1 needs root (network namespaces). Run it as root"
}

# until_true <seconds> <command...>: asks every 50 ms; fails when the time is over.
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || die "waited in vain for: $*"
    sleep 0.05
  done
}
