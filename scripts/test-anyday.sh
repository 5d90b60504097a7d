#!/bin/bash
# Runs the tests as if on another day, near midnight, far away, in another language, and on a busy machine; each time in
# another order. Names of settings choose among them: `scripts/test-anyday.sh years busy`.
#
# kubectl's clock cannot be set ahead, because it is a static program. It would refuse the certificates of a server that
# lives in the future, so its tests are run where only the place or the load is another.
set -euo pipefail
cd "$(dirname "$0")/.."
read -ra cargo <<<"${CARGO:-cargo}"
scripts/install-packages.sh faketime locales

# Tests must not build anything themselves: their clock is not the compiler's.
target=${CARGO_TARGET_DIR:-target}
"${cargo[@]}" build --workspace --bin corten
"${cargo[@]}" test --workspace --no-run
export CORTEN_BIN=${CORTEN_BIN:-$(realpath "$target/debug/corten")}

scratch=$(mktemp --directory)
busy=()
rest() {
    [ ${#busy[@]} -eq 0 ] || kill "${busy[@]}" 2>/dev/null || true
    busy=()
}
trap 'rest; rm -rf "$scratch"' EXIT

# run AHEAD [TEST FLAGS...]
run() {
    export CORTEN_ANYDAY=$1
    shift
    "${cargo[@]}" test --quiet --workspace --lib --bins --tests --no-fail-fast \
        --config "target.'cfg(all())'.runner = ['$PWD/scripts/run-anyday.sh']" -- "$@"
}

setting() {
    case $1 in
        month) run +31d --skip kubectl:: ;;
        years) run +1461d --skip kubectl:: ;;
        midnight) run midnight --skip kubectl:: ;;
        # The furthest ahead of UTC, and half an hour beside the others.
        kiritimati) TZ=Pacific/Kiritimati run "" ;;
        st-johns) TZ=America/St_Johns run "" ;;
        # Where the capital of i is not I, and a comma stands before decimals.
        turkish)
            localedef --inputfile tr_TR --charmap UTF-8 "$scratch/tr_TR.UTF-8"
            LOCPATH=$scratch LC_ALL=tr_TR.UTF-8 run ""
            ;;
        busy)
            for _ in 1 2 3 4; do
                (while :; do :; done) &
                busy+=($!)
            done
            run ""
            rest
            ;;
        *)
            echo "there is no setting $1" >&2
            return 1
            ;;
    esac
}

[ $# -gt 0 ] || set -- month years midnight kiritimati st-johns turkish busy
failed=()
for name in "$@"; do
    echo "=== $name ==="
    begin=$SECONDS
    setting "$name" || failed+=("$name")
    rest
    echo "=== $name took $((SECONDS - begin)) s ==="
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "Failed: ${failed[*]}" >&2
    exit 1
fi
