#!/bin/bash
# Builds cargo-deny if it is not installed. That takes several minutes, once.
set -euo pipefail
if ! cargo deny --version >/dev/null 2>&1; then
    echo "Building cargo-deny, which \`make lint\` uses"
    cargo install --quiet --locked cargo-deny
fi
