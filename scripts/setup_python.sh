#!/usr/bin/env bash
# Makes the virtual environment and installs all distributions of this checkout into it, editable.
set -euo pipefail

venv=${1:?usage: $0 VENV DISTRIBUTION...}
shift
python=${PYTHON:-python3.11}

if [[ ! -x $venv/bin/python ]]; then
  echo "== Creating $venv"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or newer is needed; PYTHON=$python is not that" >&2
    exit 1
  }
  "$python" -m venv "$venv"
fi
pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)

echo "== Installing build and development requirements"
"${pip[@]}" --upgrade pip
"${pip[@]}" -r requirements/build.txt -r requirements/dev.txt

# One command for all: they depend on each other, and none of them is on an index.
echo "== Installing: $*"
editables=()
for distribution in "$@"; do editables+=(--editable "$distribution"); done
"${pip[@]}" --no-build-isolation "${editables[@]}"
