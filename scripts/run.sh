#!/usr/bin/env bash
# Sets this machine up (quietly, only what is missing) and runs overlayd in the foreground with the given options.
#
# usage: scripts/run.sh --password <pass> [--peer <endpoint>]... [any other option of overlayd]
#   OVERLAYD_PASSWORD or --password-file do as well, and never appear in a process list.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in -h | --help) usage && exit 0 ;; esac

# A password on our command line is moved to the environment and this script started anew without it: setup may
# take minutes, and every user of the machine can read argv.
arguments=() found=no
while (($#)); do
  case $1 in
    --password)
      (($# > 1)) || { say 'error: --password needs a value' && exit 2; }
      OVERLAYD_PASSWORD=$2 found=yes
      shift
      ;;
    --password=*) OVERLAYD_PASSWORD=${1#--password=} found=yes ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
if [[ $found == yes ]]; then
  export OVERLAYD_PASSWORD
  exec "$root/scripts/run.sh" ${arguments[@]+"${arguments[@]}"}
fi

# Not for the eyes of apt, npm and the compilers.
password=${OVERLAYD_PASSWORD-} given=${OVERLAYD_PASSWORD+yes}
unset OVERLAYD_PASSWORD
"$root/scripts/setup.sh"
[[ -z $given ]] || export OVERLAYD_PASSWORD=$password
exec "$root/scripts/overlayd" ${arguments[@]+"${arguments[@]}"}
