#!/usr/bin/env bash
# Names each missing program with the package that has it: `require.sh PROGRAM:PACKAGE ...`
set -u
missing=()
for pair in "$@"; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("$pair")
done
[ ${#missing[@]} -eq 0 ] && exit 0
for pair in "${missing[@]}"; do
  echo "missing: ${pair%%:*} (package ${pair##*:})" >&2
done
echo "On Debian as root, 'make deps' installs what is packaged there; Rust comes from https://rustup.rs." >&2
exit 1
