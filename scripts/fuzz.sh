#!/usr/bin/env bash
# Runs all fuzzers of a build tree, one for each core at a time, FUZZ_SECONDS each (15), or those named:
# `scripts/fuzz.sh build/asan host_outputs`. What they find is left in BUILD_TREE/findings/; what
# they learn in BUILD_TREE/corpora/, where the next run goes on.
set -uo pipefail

tree=${1:?usage: $0 BUILD_TREE [FUZZER...]}
shift
seconds=${FUZZ_SECONDS:-15}
findings=$tree/findings
mkdir -p "$findings"

if [[ $# -eq 0 ]]; then
  for fuzzer in "$tree"/cpp/*/*_fuzz "$tree"/plugins/*/tests/*_fuzz; do
    name=${fuzzer##*/}
    set -- "$@" "${name%_fuzz}"
  done
  set -- "$@" config
fi

# One after its end says what it did, and its status.
fuzz() {
  local name=$1 layer=${1%%_*} folder status=0 seeds=()
  local program=("$tree/cpp/$layer/${name}_fuzz")
  # Committed beside the source, or made by the build.
  local folders=("cpp/$layer/corpora/${name#*_}" "$tree/cpp/$layer/seeds/${name#*_}")
  if [[ -d plugins/$layer ]]; then
    program=("$tree/plugins/$layer/tests/${name}_fuzz")
    folders=("plugins/$layer/tests/corpora/${name#*_}")
  fi
  if [[ $name == config ]]; then
    program=(python tests/config/config_fuzz.py)
    folders=(tests/fixtures/broken_configurations tests/fixtures/triton_configurations)
  fi
  for folder in "${folders[@]}"; do
    [[ ! -d $folder ]] || seeds+=("$folder")
  done
  local learned=$tree/corpora/$name log=$tree/$name.log
  mkdir -p "$learned"
  "${program[@]}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
    -max_len=65536 -artifact_prefix="$findings/$name-" -print_final_stats=1 \
    "$learned" "${seeds[@]}" >"$log" 2>&1 || status=1
  local said
  said=$(
    echo "-- $name, $seconds s"
    [[ $status -eq 0 ]] || tail -n 40 "$log"
    grep -E '^stat::(number_of_executed_units|new_units_added)' "$log"
  )
  echo "$said"
  return "$status"
}
export -f fuzz
export tree seconds findings

if ! printf '%s\n' "$@" | xargs -I{} -P "$(nproc)" bash -c 'fuzz "$1"' fuzz {}; then
  echo "Findings; the inputs are in $findings:"
  ls "$findings"
  exit 1
fi
echo "No findings"
