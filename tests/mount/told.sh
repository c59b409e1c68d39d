# What the sandbox refuses after the call has returned is told once on each handle, in .ctl/errors,
# and by sync and umount until it is settled.
if [ "${HELPER:-require}" = off ]; then
    echo "skip: without the helper each call has its error at once"
    exit 77
fi
MOUNT_OPTS=coherence=30s
. "$(dirname "$0")/lib.sh"
have python3 || exit $SKIP

echo first >by-fsync
echo first >by-close
check "both are there" "$DAYTONAFS" sync "$MNT"
is "complaints" "$(python3 "$TESTS/told.py" "$MNT" "$SBX" 2>&1)" ""
for f in by-fsync by-close; do
    is "$f: theirs stays" "$(cat "$SBX/$f")" theirs
    check "$f: errors has it" grep -q "$f" "$CTL/errors"
    is "$f: ours is kept" "$(head -c 4 "$CTL/conflicts/$f")" ours
done
"$DAYTONAFS" sync "$MNT" >"$WORK/out" 2>&1
is "sync says so" $? 8
is "and again" "$("$DAYTONAFS" sync "$MNT" >"$WORK/out" 2>&1; echo $?)" 8
check "with both names" grep -q by-fsync "$WORK/out"
check "with both names" grep -q by-close "$WORK/out"
cd /
"$DAYTONAFS" umount "$MNT" >"$WORK/out" 2>&1
is "umount says so" $? 8
