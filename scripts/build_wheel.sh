#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds, into dist/, the sdist and from it a wheel for other machines than this one, and
# checks it. Called by `./dev wheel`, which sets up what it needs. Linux only.
#
# auditwheel puts libisal and libzstd into the wheel, and libsimdjson where the linker
# took it: Debian has no static libraries of these that could go into a module. libarrow
# and libparquet are left out, since they must be the ones that pyarrow loads. zlib is a
# part of what every platform tag promises. The tag is the one that auditwheel finds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[[ $(uname) == Linux ]] || { echo "Wheels for others are built on Linux only." >&2; exit 1; }

plain=$(mktemp -d)
trap 'rm -rf "$plain"' EXIT
rm -rf dist

# Shows what a step said only where it fails.
mkdir -p build
quietly() {
    "$@" >build/packages.log 2>&1 || {
        cat build/packages.log >&2
        exit 1
    }
}

# The wheel is built from the sdist, which so is seen to build.
quietly python -m build --no-isolation --outdir "$plain"
mkdir dist
mv "$plain"/*.tar.gz dist/
quietly auditwheel repair --exclude 'libarrow.so.*' --exclude 'libparquet.so.*' \
    --wheel-dir dist "$plain"/*.whl
python scripts/make_sbom.py dist/*.whl
auditwheel show dist/*.whl 2>/dev/null | tr '\n' ' ' |
    sed -nE 's/.*constrains the platform tag to "([^"]+)".*/platform tag: \1\n/p'
python scripts/check_wheel.py dist/*.whl
ls dist
