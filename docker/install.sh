#!/bin/sh
# install.sh PREFIX DIST: makes PREFIX, which must not be there yet, hold the reconciler and what it
# needs: the locked packages, each checked by its hash, and the wheel from the folder DIST.
set -eu
prefix=$1
dist=$2
[ ! -e "$prefix" ] || { echo "$prefix: it is there already: give an empty place" >&2; exit 2; }
# The tools stay outside: what runs has no pip to install more with.
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
python3 -m venv --without-pip "$prefix"
pip() {
  "$tools/bin/python" -m pip --python "$prefix/bin/python" --disable-pip-version-check "$@"
}
pip install --quiet --no-cache-dir --only-binary :all: --require-hashes -r locks/run.txt
pip install --quiet --no-cache-dir --no-index --no-deps "$dist"/*.whl
pip check
# Whoever runs it must be able to read it, whatever umask it was made under.
chmod -R a+rX,go-w "$prefix"
