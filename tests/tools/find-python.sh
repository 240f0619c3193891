#!/bin/sh
# Prints the path of a Python 3.11 or later: the one that PYTHON names, else the first of the usual names that is one.
for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        command -v "$name"
        exit 0
    fi
done
echo "shoal needs Python 3.11 or later, which ${PYTHON:-python3} is not; name one: make install PYTHON=/path/to/python3" >&2
exit 1
