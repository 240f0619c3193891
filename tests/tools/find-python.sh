#!/bin/sh
# Prints the newest interpreter among the usual names that is Python 3.11 or later. PYTHON overrules.
for name in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        command -v "$name"
        exit 0
    fi
done
echo "shoal needs Python 3.11 or later; found none (name one: make install PYTHON=/path/to/python3)" >&2
exit 1
