#!/bin/bash
# Installs Debian's packages that the build needs beside the Rust toolchain: a C compiler and the protobuf compiler.
set -euo pipefail
exec "$(dirname "$0")/install-packages.sh" gcc libc6-dev make protobuf-compiler libprotobuf-dev ca-certificates
