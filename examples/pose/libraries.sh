#!/usr/bin/env bash
# Makes a repository whose models keep their backends beside them, as users of Triton do: a copy of
# model_repository/ with libimage_preprocess.so and libpose_postprocess.so in the versions' folders,
# built from plugins/vision. They serve where despina-vision is not installed. Needs CMake, a compiler
# and a Python that has despina-sdk (PYTHON).
set -euo pipefail

example=$(cd "$(dirname "$0")" && pwd)
target=${1:-$example/out/model_repository}
checkout=$(cd "$example/../.." && pwd)
python=${PYTHON:-python}
build=${BUILD:-$example/out/build}

sdk=$("$python" -m despina_sdk.cmake)
# SKBUILD: this build leaves the plugin's own folder alone, as one of its wheel does.
cmake -S "$checkout/plugins/vision" -B "$build" -DCMAKE_BUILD_TYPE=Release \
  -DDespinaSDK_DIR="$sdk" -DSKBUILD=ON
cmake --build "$build" --target image_preprocess pose_postprocess

mkdir -p "$target"
cp -R "$example/model_repository/." "$target"
for model in image_preprocess pose_postprocess; do
  # Under another name first: a server may have the old one mapped.
  cp "$build/libdespina_$model.so" "$target/$model/1/lib$model.so.new"
  mv "$target/$model/1/lib$model.so.new" "$target/$model/1/lib$model.so"
done
echo "Serve it with: despina serve --model-repository $target"
