#!/usr/bin/env bash
# All static checks. Runs each of them, so that one finding does not hide the next.
set -uo pipefail

tree=${1:?usage: $0 BUILD_TREE}
failed=()

check() {
  local name=$1
  shift
  echo "-- $name"
  "$@" || failed+=("$name")
}

mapfile -t sources < <(find cpp plugins/vision/src -name '*.cc' -o -name '*.h' | sort)
mapfile -t packages < <(ls -d core/despina sdk/despina_sdk plugins/*/despina_* examples/*/despina_*)

check "ruff check" ruff check .
check "ruff format" ruff format --check .
check "mypy --strict" mypy --strict "${packages[@]}"
check "clang-format" clang-format-16 --dry-run -Werror "${sources[@]}"
check "headers compile alone" cmake --build "$tree" --target all_verify_interface_header_sets
check "clang-tidy" python scripts/clang_tidy.py "$tree"

if [[ ${#failed[@]} -gt 0 ]]; then
  printf 'Lint failed:'
  printf ' [%s]' "${failed[@]}"
  echo
  exit 1
fi
echo "Lint passed"
