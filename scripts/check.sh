#!/usr/bin/env bash
# Reads the code without running it: format, lint, types, layers and unused code of TypeScript, C++ and shell.
#
# usage: scripts/check.sh [--fix] [--no-install]
#   --fix         reformat first (prettier, clang-format)
#   --no-install  no Debian package is touched
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

# Versions of formatters differ in taste; Debian 12 has one that everybody can have.
tools=(clang-format-14 clang-tidy-14 shellcheck)
fix=no install=yes
while (($#)); do
  case $1 in
    --fix) fix=yes ;;
    --no-install) install=no ;;
    -h | --help) usage && exit 0 ;;
    *) say "error: unknown option $1" && usage >&2 && exit 2 ;;
  esac
  shift
done

[[ $install == no ]] || install_packages "${tools[@]}"
[[ -d node_modules ]] || scripts/setup.sh --no-link --no-install
export PATH=$root/node_modules/.bin:$PATH
mapfile -t sources < <(git ls-files --cached --others --exclude-standard 'native/*.h' 'native/*.cc' 'bench/*.h' 'bench/*.cc' 'test/netns/wire/*')
mapfile -t tidied < <(git ls-files --cached --others --exclude-standard 'native/core/*.cc')
mapfile -t shells < <(git ls-files --cached --others --exclude-standard '*.sh' .ci/run)

if [[ $fix == yes ]]; then
  prettier --log-level warn --write .
  ((${#sources[@]} == 0)) || clang-format-14 -i "${sources[@]}"
fi

failed=()
step() {
  local name=$1 log
  shift
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then
    say "ok    $name"
  else
    say "FAIL  $name"
    cat "$log" >&2
    failed+=("$name")
  fi
  rm -f "$log"
}

# As many at a time as there are CPUs: it is the slowest step by far.
tidy() {
  printf '%s\0' "${tidied[@]}" |
    xargs -0 -I {} -P "$(nproc)" clang-tidy-14 --quiet {} -- -x c++ -std=c++20 -I.
}

step 'format: prettier' prettier --check .
step 'types: tsc' tsc --noEmit
step 'lint: eslint' eslint .
step 'layers: dependency-cruiser' depcruise src test bench
step 'unused: knip' knip
if ((${#tidied[@]})); then
  step 'format: clang-format' clang-format-14 --dry-run --Werror "${sources[@]}"
  step 'lint: clang-tidy' tidy
fi
step 'lint: shellcheck' shellcheck -x "${shells[@]}"

((${#failed[@]} == 0)) || die "failed: ${failed[*]}"
