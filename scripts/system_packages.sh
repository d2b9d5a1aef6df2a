#!/usr/bin/env bash
# Installs the Debian packages that are missing for a purpose: build, test, lint, sanitize or bench.
set -euo pipefail

python=${PYTHON:-python3.11}
case ${1:?usage: $0 build|test|lint|sanitize|bench} in
  build)
    packages=(g++ libboost1.81-dev libsimdjson-dev libprotozero-dev libnghttp2-dev libssl-dev
      zlib1g-dev libre2-dev
      libjpeg62-turbo-dev libpng-dev libwebp-dev pkg-config libgtest-dev curl openssl gdb)
    # Debian splits Python up; other builds bring all of it.
    if [[ $(command -v "$python" || echo /usr/bin) == /usr/bin/* ]]; then
      packages+=(python3.11 python3.11-venv python3.11-dev)
    fi
    ;;
  # What examples/clients/cpp is built with.
  test) packages=(libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc) ;;
  lint) packages=(clang-format-16 clang-tidy-16) ;;
  # Debian's clang only recommends the libraries of its sanitizers and of libFuzzer.
  sanitize) packages=(clang-16 libclang-rt-16-dev) ;;
  bench) packages=(libbenchmark-dev wrk nghttp2-client nghttp2-server) ;;
  *) echo "$0: unknown purpose '$1'" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
  echo "Not a Debian system; make sure that what these packages hold is installed: ${packages[*]}"
  exit 0
fi
missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query --show --showformat='${db:Status-Abbrev}' "$package" 2>/dev/null || true)
  [[ $status == "ii "* ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

if [[ $(id -u) -eq 0 ]]; then
  as_root=()
elif command -v sudo >/dev/null; then
  as_root=(sudo)
else
  echo "These Debian packages are missing, and this is neither root nor is there sudo:" >&2
  echo "  apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "Installing Debian packages: ${missing[*]}"
"${as_root[@]}" apt-get update -qq </dev/null
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null
