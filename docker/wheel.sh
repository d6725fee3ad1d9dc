#!/bin/sh
# wheel.sh DIST: builds the wheel of this checkout into the folder DIST, with the locked build tools.
set -eu
dist=$1
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
  --require-hashes -r locks/build.txt
"$tools/bin/python" -m pip wheel --quiet --disable-pip-version-check --no-cache-dir \
  --no-deps --no-build-isolation --wheel-dir "$dist" .
