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

# The next file gets the inode number of the one that went.
printf 'the old one' >"$SBX/again"
sleep 0.5
exec 7<"$MNT/again"
rm "$SBX/again"
printf 'the new one, longer' >"$SBX/again"
sleep 0.5
is "a replaced file" "$(cat "$MNT/again")" 'the new one, longer'
is "who has it open" "$(cat <&7)" 'the old one'
exec 7<&-
