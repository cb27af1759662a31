#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Writes requirements-build.txt and requirements-dev.txt, with every package that theirs
# bring, at exact versions and with the hashes of their files, from the .in files beside
# them; and constraints-optional.txt, what the packages of requirements-optional.txt bring.
# Versions stay as they are unless `--upgrade` or `--upgrade-package NAME` is given, or the
# .in files ask for others. `./dev lock` calls it; it needs Python 3.11, the oldest version
# that is supported.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python -m venv "$tools"
"$tools/bin/python" -m pip install -qq --disable-pip-version-check pip-tools==7.6.2

# Where packages come from is the business of each machine.
export CUSTOM_COMPILE_COMMAND="./dev lock"
compile() {
    "$tools/bin/pip-compile" --quiet --strip-extras --allow-unsafe \
        --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
        --no-emit-options "$@" >/dev/null
}

compile --generate-hashes "$@" -o requirements-build.txt requirements-build.in
compile --generate-hashes "$@" -o requirements-dev.txt requirements-dev.in

# Without hashes, since torch comes in another build for each platform, and without what is
# asked for itself: there the version stands with its platform.
compile --no-annotate "$@" -c requirements-dev.txt -o "$tools/optional.txt" requirements-optional.txt
asked=$(sed -nE 's/^([A-Za-z0-9._-]+)==.*/^\1==/p' requirements-optional.txt)
grep -vE "$asked" "$tools/optional.txt" >constraints-optional.txt
