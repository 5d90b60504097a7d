#!/bin/bash
# Runs a program and appends to the file TEST_TIMES how long it took: `cargo test` starts each test program by this.
set -euo pipefail

# In hundredths of a second, by a clock that nobody sets.
uptime() { read -r up _ </proc/uptime && echo $((10#${up/./})); }

begin=$(uptime)
code=0
"$@" || code=$?
name=${1##*/}
# Cargo puts a hash behind the name of a test program.
echo "$(($(uptime) - begin)) ${CARGO_PKG_NAME:-} ${name%-*}" >>"$TEST_TIMES"
exit $code
