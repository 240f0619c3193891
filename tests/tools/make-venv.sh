#!/bin/bash
# Makes .venv and installs this repository into it: make-venv.sh [EXTRA]. Doing it again brings it up to date.
set -euo pipefail
cd "$(dirname "$0")/../.."
extra=${1:-}

if [ ! -x .venv/bin/python ]; then
    python=$(sh tests/tools/find-python.sh)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
            bash tests/tools/packages.sh python3-venv
        else
            echo "$python cannot make virtual environments; as root: apt-get install python3-venv" >&2
            exit 1
        fi
    fi
    echo "making .venv with $("$python" --version)"
    "$python" -m venv .venv
fi
echo "installing shoal into .venv"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".${extra:+[$extra]}"
touch ".venv/installed${extra:+-$extra}"
