#!/bin/bash
# Bacalhau's clients in a virtual environment of their own, below build/: `clients.sh NAME` installs what
# tests/clients/NAME.txt names, which is all that it needs (a `pip freeze`), and prints its interpreter.
set -euo pipefail
cd "$(dirname "$0")/../.."
name=$1
wanted=tests/clients/$name.txt
home=build/clients-$name
python=$home/bin/python
if ! cmp --quiet "$wanted" $home/installed; then
    mkdir -p build
    exec 9>$home.lock
    flock 9
    if ! cmp --quiet "$wanted" $home/installed; then
        rm -rf $home
        "$(PYTHON="python3.11 ${PYTHON:-python3}" sh tests/tools/find-python.sh)" -m venv $home
        $python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile -r "$wanted" >&2
        cp "$wanted" $home/installed
    fi
fi
echo "$PWD/$python"
