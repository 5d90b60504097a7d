#!/bin/bash
# Runs every test, and says at the end how long each part took. Flags are handed on to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."
read -ra cargo <<<"${CARGO:-cargo}"

TEST_TIMES=$(mktemp)
export TEST_TIMES
parts=()

# In hundredths of a second, by a clock that nobody sets.
uptime() { read -r up _ </proc/uptime && echo $((10#${up/./})); }

line() { printf '%4d:%02d  %s' $(($1 / 6000)) $(($1 / 100 % 60)) "$2"; }

# part NAME COMMAND...
part() {
    local name=$1 begin code=0
    shift
    begin=$(uptime)
    "$@" || code=$?
    parts+=("$(line $(($(uptime) - begin)) "$name")")
    return $code
}

report() {
    local took program
    echo
    echo "Minutes and seconds that each part took:"
    [ ${#parts[@]} -eq 0 ] || printf '%s\n' "${parts[@]}"
    # Of the tests, each program that took a second or more.
    sort -rn "$TEST_TIMES" | while read -r took program; do
        [ "$took" -lt 100 ] || line "$took" "    $program"$'\n'
    done
    line $(($(uptime) - started)) $'all of it\n'
    rm -f "$TEST_TIMES"
}

started=$(uptime)
trap report EXIT

part "installing packages" scripts/install-build.sh
part "installing packages for the tests" scripts/install-test.sh
# The server is built first, so that the tests which start it do not each wait for it.
part "building the server" "${cargo[@]}" build --workspace --bin corten
part "building the tests" "${cargo[@]}" test --workspace --no-run
part "the tests" "${cargo[@]}" test --workspace --config "target.'cfg(all())'.runner = ['$PWD/scripts/run-timed.sh']" "$@"
