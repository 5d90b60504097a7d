#!/bin/bash
# Runs a test program at another time, and its tests in another order: `cargo test` starts each test program by this.
# CORTEN_ANYDAY is how far the clock is ahead (`+31d`), or `midnight`, ten seconds before which the program begins.
set -euo pipefail

ahead=$CORTEN_ANYDAY
if [ "$ahead" = midnight ]; then
    ahead=+$(((2 * 86400 - 10 - $(date +%s) % 86400) % 86400))s
fi
# Only the time of day is another: nobody's waiting becomes longer or shorter.
export DONT_FAKE_MONOTONIC=1
# The standard test harness shuffles on request, but only where it may do what is unstable.
export RUSTC_BOOTSTRAP=1
[ -n "$ahead" ] || exec "$@" -Z unstable-options --shuffle
exec faketime -m -f "$ahead" "$@" -Z unstable-options --shuffle
