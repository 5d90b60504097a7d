#!/bin/bash
# Builds cargo-fuzz if it is not installed. Fuzzing itself needs a nightly toolchain.
set -euo pipefail
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "Building cargo-fuzz, which \`make fuzz\` uses"
    cargo install --quiet --locked cargo-fuzz
fi
