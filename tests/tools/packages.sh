#!/bin/bash
# Installs Debian packages that are missing: packages.sh NAME... Needs root only when one is.
set -euo pipefail
missing=()
for name in "$@"; do
    if ! dpkg-query --show --showformat '${Status}' "$name" 2>/dev/null | grep --quiet ' installed$'; then
        missing+=("$name")
    fi
done
[ ${#missing[@]} -gt 0 ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "missing, and no apt-get here to install them: ${missing[*]}" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "missing; as root: apt-get install ${missing[*]}" >&2
    exit 1
fi
echo "installing from Debian: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
install=(apt-get install --yes --quiet --no-install-recommends "${missing[@]}")
if ! "${install[@]}" >"$log" 2>&1; then # the lists of a new machine are empty or old
    if ! { apt-get update --quiet && "${install[@]}"; } >"$log" 2>&1; then
        cat "$log" >&2
        exit 1
    fi
fi
