#!/usr/bin/env bash
# Installs the Debian packages that building and testing need; where that can't be, names what is missing.
set -euo pipefail
declare -A package=([cc]=build-essential [python3]=python3-venv [git]=git [skopeo]=skopeo [busybox]=busybox-static [crun]=crun [node]=nodejs [npm]=npm)
missing=()
for program in "${!package[@]}"; do
  command -v "$program" >/dev/null 2>&1 || missing+=("${package[$program]}")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  else
    echo "Please install: ${missing[*]}" >&2
    exit 1
  fi
fi
command -v cargo >/dev/null 2>&1 || { echo "Please install Rust: https://rustup.rs" >&2; exit 1; }
