# The sandbox's disk is full or read-only: what does not fit is kept here, the rest goes on. This
# machine's disk is nearly full: writers are told so while what they had written is safe.
if [ "${HELPER:-require}" = off ]; then
    echo "skip: plain mode has no journal"
    exit 77
fi
if [ -z "${DISKS:-}" ]; then
    unshare -m true 2>/dev/null || { echo "skip: no mount namespaces here"; exit 77; }
    DISKS=1 exec unshare -m --propagation private bash "$0"
fi
NO_MOUNT=1
MOUNT_OPTS=coherence=300ms,op_timeout=2s,drain_timeout=1s
. "$(dirname "$0")/lib.sh"
trap - DEBUG

kill $SERVE_PID
wait $SERVE_PID
mkdir -p "$XDG_STATE_HOME"
mount -t tmpfs -o size=8m none "$SBX" && mount -t tmpfs -o size=285m none "$XDG_STATE_HOME" || {
    echo "skip: no tmpfs here"
    exit $SKIP
}
leave() {
    status=$?
    cd /
    fusermount3 -uz "$MNT"
    umount -l "$SBX" "$XDG_STATE_HOME"
    (exit $status)
    finish
}
trap leave EXIT
rm "$WORK/serve.json"
serve_start
mount_start
cd "$MNT" || exit 1
sync_now() {
    "$DAYTONAFS" sync "$MNT" 2>/dev/null
    echo $?
}

head -c 9000000 /dev/urandom >"$WORK/large"
head -c 3000000 /dev/urandom >"$WORK/fits"
check "what fits" cp "$WORK/fits" fits
is "it is there" "$(sync_now)" 0
check "what does not fit is accepted" cp "$WORK/large" large
is "sync says that it is not there" "$(sync_now)" 8
check "errors says why" grep -q 'large ENOSPC' .ctl/errors
check "it is kept" cmp "$WORK/large" .ctl/rejected/large
echo small >small
is "what was there stays, and small things go on" "$(sync_now; cat "$SBX/small")" "8
small"
check "nothing else is touched" cmp "$WORK/fits" "$SBX/fits"
rm -f fits large
echo discard >.ctl/ctl
is "and then all is well" "$(sync_now)" 0

mount -o remount,ro "$SBX"
echo kept >kept
is "read-only" "$(sync_now)" 8
is "it is kept, too" "$(cat .ctl/rejected/kept)" kept
mount -o remount,rw,size=200m "$SBX"
echo discard >.ctl/ctl
echo goes >goes
is "and then no more" "$(sync_now; cat "$SBX/goes")" "0
goes"

fault hang=1
head -c 1000000 /dev/urandom >"$WORK/part"
n=0
while [ $n -lt 60 ] && cp "$WORK/part" part$n 2>"$WORK/told"; do
    n=$((n + 1))
done
check "some were accepted, then no more ($n)" [ $n -gt 5 -a $n -lt 60 ]
check "and it was said why" grep -q 'No space left' "$WORK/told"
free=$(df --output=avail -m "$XDG_STATE_HOME" | tail -n 1)
check "long before the disk is full ($free MiB are free)" [ "$free" -gt 200 ]
fault ''
echo retry >.ctl/ctl
is "all that was accepted arrives" "$(sync_now)" 0
for i in $(seq 0 $((n - 1))); do
    check "part $i" cmp "$WORK/part" "$SBX/part$i"
done
check "there is room again" cp "$WORK/part" part$n
is "and it goes on" "$(sync_now)" 0
check "with that one" cmp "$WORK/part" "$SBX/part$n"

# The disk here is short of room from the start.
cd /
"$DAYTONAFS" umount "$MNT"
head -c 100000000 /dev/zero >"$XDG_STATE_HOME/filler"
mount_start
check "mount says what is missing" grep -q "MiB are free on the disk of $XDG_STATE_HOME" \
    "$WORK/mount.err"
check "and what to do" grep -q '256 MiB every write fails .* -o journal_dir=' "$WORK/mount.err"
cd "$MNT" || exit 1
check "and status" grep -q '^no_room .*-o journal_dir=' .ctl/status
check "reading works" cmp "$WORK/part" part0
fails "a write is refused" cp "$WORK/part" refused
rm "$XDG_STATE_HOME/filler"
check "with room again it is not" cp "$WORK/part" taken
is "nor does status speak of it" "$(grep -c ^no_room .ctl/status)" 0
is "and it arrives" "$(sync_now)" 0

# And at last nobody is there any more.
echo pause >.ctl/ctl # else making it may have to ask, or it is sent before the line is down
echo late >late
fault hang=1
cd /
fails "an unmount in an outage says so" "$DAYTONAFS" umount "$MNT"
check "with a list of what is left" grep -q ' create 0 .*/late' "$WORK/out"
"$DAYTONAFS" umount --force "$MNT" 2>"$WORK/out"
is "one that does not wait says it, too" $? 8
check "and where it is" grep -q 'are not in the sandbox yet' "$WORK/out"
fault ''
mount_start
is "the next mount sends it" "$(sync_now; cat "$SBX/late")" "0
late"
