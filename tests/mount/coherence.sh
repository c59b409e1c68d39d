# A writer inside the sandbox, a reader on the mount: nothing older than the window is shown, never
# a mixed file, never an error for what is there.
if [ "${HELPER:-require}" = off ]; then
    echo "skip: this is what the helper promises"
    exit 77
fi
MOUNT_OPTS=coherence=300ms
. "$(dirname "$0")/lib.sh"
have python3 || exit $SKIP

mkdir "$SBX/play"
python3 "$TESTS/coherence.py" "$SBX/play" "$MNT/play" "$WORK" "${SECONDS_LONG:-12}" 300 \
    >"$WORK/log" 2>&1
is "the reader's complaints" "$(grep -v '^seen' "$WORK/log" | head -n 20)" ""
check "the reader saw much" grep -Eq '^seen [0-9]{2,}' "$WORK/log"
