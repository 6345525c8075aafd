#!/usr/bin/env bash
# Builds dist/ (tsc, then one file of each program) and build/Release/ (node-gyp), incrementally; downloads nothing.
#
# usage: scripts/build.sh [--quiet] [--addon]
#   --addon                 only the addon; dist/ stays as it is
#   OVERLAYD_NO_IPSEC_MB=1  leave libipsec-mb out even where it is installed
#   npm_config_nodedir=DIR  prefix that holds include/node, when it is not the one node runs from
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

quiet=no typescript=yes
while (($#)); do
  case $1 in
    --quiet) quiet=yes ;;
    --addon) typescript=no ;;
    -h | --help) usage && exit 0 ;;
    *) say "error: unknown option $1" && usage >&2 && exit 2 ;;
  esac
  shift
done

run() {
  [[ $quiet == no ]] || {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 || status=$?
    ((status == 0)) || cat "$log" >&2
    rm -f "$log"
    return "$status"
  }
  "$@"
}

# The prefix whose include/node holds the headers of this node.
find_nodedir() {
  local prefix
  for prefix in "${npm_config_nodedir:-}" \
    "$(node -p 'require("node:path").resolve(process.execPath, "../..")')" \
    /usr /usr/local; do
    if [[ -n $prefix && -f $prefix/include/node/node_api.h ]]; then
      printf '%s\n' "$prefix"
      return
    fi
  done
  die "the C headers of $(node --version) are missing (include/node/node_api.h beside $(command -v node)). Install them (Debian's own node: libnode-dev), or set npm_config_nodedir to a prefix that has them"
}

# A test whose source is gone must not go on running from dist/.
remove_stale_output() {
  [[ -d dist ]] || return 0
  local output
  while IFS= read -r output; do
    [[ -f ${output:5:-3}.ts ]] || rm -f "$output" "$output.map"
  done < <(find dist -name '*.js')
}

build_typescript() {
  remove_stale_output
  run node_modules/.bin/tsc
  if [[ -d node_modules/esbuild ]]; then
    run node scripts/bundle.mjs
  else
    say 'esbuild is missing: programs start slower than they could. scripts/setup.sh installs it'
  fi
}

build_addon() {
  local nodedir settings
  nodedir=$(find_nodedir)
  # binding.gyp lists the sources by a wildcard, which is read only when it is configured.
  settings="$(node --version) $nodedir ipsec-mb=${OVERLAYD_NO_IPSEC_MB:-auto} $(cksum <binding.gyp) $(echo native/*/*.cc)"
  if [[ $(cat build/.settings 2>/dev/null) != "$settings" ]]; then
    # Not "rebuild": that would remove all of build/, where the C++ tests are too.
    run node_modules/.bin/node-gyp configure build --nodedir="$nodedir" -j "$(nproc)"
    printf '%s\n' "$settings" >build/.settings
  else
    run node_modules/.bin/node-gyp build --nodedir="$nodedir" -j "$(nproc)"
  fi
}

[[ $typescript == no ]] || build_typescript
build_addon
