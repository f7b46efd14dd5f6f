#!/usr/bin/env bash
# Remakes the lock: every package by version, each of its files by SHA-256. `site.txt` is a hospital's install without
# torch, `torch-cuda.txt` PyPI's torch with its CUDA parts, `release.txt` what makes a release. `torch-cpu.txt`, from
# PyTorch's own index, is kept by hand.
# Usage: deploy/lock/make.sh [--upgrade], with uv on the path; without it, versions that still fit stay as they are.
set -euo pipefail
cd "$(dirname "$0")"
compile() {
    uv pip compile "$1" --output-file "$2" --quiet --no-config --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate "${@:3}" > /dev/null
}
whole=$(mktemp)
trap 'rm -f "$whole"' EXIT
[ ! -f site.txt ] || cat site.txt torch-cuda.txt > "$whole"
compile ../../pyproject.toml "$whole" "$@"
awk '/^[a-z0-9]/ { file = /^(torch|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==/ ? "torch-cuda.txt" : "site.txt" } { print > file }' "$whole"
compile release.in release.txt "$@"
