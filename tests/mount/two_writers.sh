# The mount and a program in the sandbox write the same files: no version is lost without a conflict
# that says so, and what both append is all there.
if [ "${HELPER:-require}" = off ]; then
    echo "skip: without the helper the last close wins"
    exit 77
fi
MOUNT_OPTS=coherence=300ms
. "$(dirname "$0")/lib.sh"
have python3 || exit $SKIP

python3 "$TESTS/two_writers.py" "$SBX" "$MNT" "${SECONDS_LONG:-8}" >"$WORK/log" 2>&1
is "complaints" "$(grep -v '^seen' "$WORK/log" | head -n 20)" ""
check "both wrote much" grep -Eq '^seen [0-9]{2,} .* [1-9][0-9]* landed' "$WORK/log"
tail -n 1 "$WORK/log"
