# A program in the sandbox never sees a file that is half saved here.
MOUNT_OPTS=coherence=300ms
. "$(dirname "$0")/lib.sh"
have python3 || exit $SKIP

python3 "$TESTS/reader.py" "$SBX" "$MNT" "${SECONDS_LONG:-6}" >"$WORK/log" 2>&1
is "the reader's complaints" "$(grep -v '^saves' "$WORK/log" | sort | uniq -c | head -n 10)" ""
check "it saw saves" grep -Eq 'truncated:[1-9].* renamed:[1-9]' "$WORK/log"
cat "$WORK/log" | tail -n 1
