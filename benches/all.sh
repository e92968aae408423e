#!/bin/sh
# Runs every benchmark, one after the other; each prints a table. Arguments: the Python that has the tests' clients.
# BARGE names the program to measure: by default the release build, where there is none the debug build.
set -eu
cd "$(dirname "$0")"
python=${1:-../.venv/bin/python}
for name in startup attempt arrays pipeline loader submit moto waiting simulate stacks; do
    "$python" "$name.py"
done
