#!/usr/bin/env bash
# The tests that compare with the real Triton: the one of DESPINA_TRITON_ENVIRONMENT, a virtual
# environment, or one that is installed here. Where its package cannot be installed nothing is
# tested, and build/differential.skipped has the reason.
set -euo pipefail

export PATH=$PWD/.venv/bin:$PATH
tests=(tests/differential tests/e2e/test_triton_metrics.py tests/e2e/test_triton_traces.py)
requirements=requirements/triton.txt
skipped=build/differential.skipped
rm -f "$skipped"

if [[ -z ${DESPINA_TRITON_ENVIRONMENT:-} ]]; then
  venv=$PWD/build/triton
  if [[ ! $venv/.ready -nt $requirements ]]; then
    echo "== Installing the real Triton into build/triton"
    python -m venv --clear "$venv"
    if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
      --only-binary :all: -r "$requirements"; then
      echo "nvidia-pytriton cannot be installed here: see what pip says" | tee "$skipped"
      exit 0
    fi
    touch "$venv/.ready"
  fi
  export DESPINA_TRITON_ENVIRONMENT=$venv
fi

echo "== Despina beside the Triton of $DESPINA_TRITON_ENVIRONMENT"
python -m pytest -q "${tests[@]}" "$@"
