#!/bin/bash
# Bacalhau's Python SDK in a virtual environment of its own, below build/: clients.sh prints its interpreter.
set -euo pipefail
cd "$(dirname "$0")/../.."
home=build/clients
python=$home/bin/python
if [ ! -f $home/installed ]; then
    mkdir -p build
    exec 9>build/clients.lock
    flock 9
    if [ ! -f $home/installed ]; then
        rm -rf $home
        "$(sh tests/tools/find-python.sh)" -m venv $home
        $python -m pip install --quiet --disable-pip-version-check bacalhau-sdk==1.4.2 bacalhau-apiclient==1.4.1 >&2
        touch $home/installed
    fi
fi
echo "$PWD/$python"
