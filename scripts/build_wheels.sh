#!/usr/bin/env bash
# Builds the wheels of the given distributions into dist/; those with compiled code are made to
# carry the libraries that they need.
set -euo pipefail

export PATH=$PWD/.venv/bin:$PATH
raw=build/wheels
rm -rf "$raw" dist
mkdir -p "$raw" dist

echo "== Building wheels: $*"
python -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps \
  --wheel-dir "$raw" "$@"

for wheel in "$raw"/*.whl; do
  case $wheel in
    *-none-any.whl) cp "$wheel" dist/ ;;
    *) auditwheel repair --wheel-dir dist "$wheel" ;;
  esac
done

echo "== Wheels"
for wheel in dist/*.whl; do
  printf '%8d kB  %s\n' $(($(stat --format=%s "$wheel") / 1000)) "$wheel"
  python -m zipfile --list "$wheel" | awk '/licenses\/|\.libs\// { print "             " $1 }'
done
