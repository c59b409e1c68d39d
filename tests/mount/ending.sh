# How a mount ends while the sandbox is out of reach: it tries for as long as it was told to, says
# what is left, and loses nothing; whoever is in a hurry is not held up.
[ "${HELPER:-require}" != off ] || { echo "skip: plain mode has no journal"; exit 77; }
NO_MOUNT=1
. "$(dirname "$0")/lib.sh"
trap - DEBUG

# libfuse frees the name of the mountpoint only if it unmounts that itself.
echo leak:fuse_session_mount >"$WORK/lsan"
export LSAN_OPTIONS="suppressions=$WORK/lsan:print_suppressions=0"

now_ms() {
    date +%s%3N
}
# foreground OPTIONS: a mount whose log can be read.
foreground() {
    rm -f "$WORK/said"
    "$DAYTONAFS" mount box "$MNT" -f -o "helper=$HELPER,op_timeout=2s,$1" 2>"$WORK/log" \
        >"$WORK/said" &
    pid=$!
    within 20 grep -qs '^control files' "$WORK/said" || check "the mount is there" false
}
ended() {
    wait $pid
    code=$?
}
serve_again() {
    rm "$WORK/serve.json"
    SERVE_ARGS=--listen=127.0.0.1:$(echo "$DAYTONA_API_URL" | sed 's/.*:\([0-9]*\).*/\1/')
    serve_start
}
serve_dies() {
    kill -9 $SERVE_PID
    wait $SERVE_PID 2>/dev/null
}

# ---- SIGTERM: drains for drain_timeout, and leaves the rest ----

foreground drain_timeout=2s
fault hang=1
echo first >"$MNT/first"
start=$(now_ms)
kill -TERM $pid
ended
took=$(($(now_ms) - start))
is "something is left" $code 8
check "it tried ($took ms)" [ $took -gt 1500 ]
check "not for long ($took ms)" [ $took -lt 20000 ]
check "it said so" grep -q '2 changes (6 bytes of data) are not in the sandbox yet' "$WORK/log"
check "it is not mounted any more" sh -c "! mountpoint -q '$MNT'"
fault ''

# Where it can be sent it is.
foreground drain_timeout=20s
is "the next mount has sent the rest" "$(cat "$SBX/first")" first
echo pause >"$CTL/ctl"
echo second >"$MNT/second"
kill -TERM $pid
ended
is "nothing is left" $code 0
is "what waited was sent" "$(cat "$SBX/second")" second

# The same for whoever unmounts it.
foreground drain_timeout=20s
echo pause >"$CTL/ctl"
echo unmounted >"$MNT/unmounted"
check "fusermount3 -u" fusermount3 -u "$MNT"
ended
is "fusermount3: nothing is left" $code 0
is "fusermount3: what waited was sent" "$(cat "$SBX/unmounted")" unmounted

# ---- a second signal leaves at once ----

foreground drain_timeout=60s
fault hang=1
echo third >"$MNT/third"
kill -TERM $pid
sleep 0.5
start=$(now_ms)
kill -TERM $pid
ended
took=$(($(now_ms) - start))
is "a second signal: something is left" $code 8
check "a second signal: at once ($took ms)" [ $took -lt 5000 ]
check "a second signal: it said so" grep -q 'second signal.* in the journal' "$WORK/log"
fusermount3 -uz "$MNT" 2>/dev/null
fault ''
check "a second signal: the journal is whole" "$DAYTONAFS" recover --send
is "a second signal: and then it is there" "$(cat "$SBX/third")" third

# ---- the server dies while umount waits ----

mount_start >/dev/null
pid=$(sed -n 's/^pid //p' "$CTL/status")
fault hang:bulk-upload=1
head -c 3000000 /dev/urandom >"$WORK/large"
cp "$WORK/large" "$MNT/large"
(sleep 1 && kill -9 $SERVE_PID) &
killer=$!
start=$(now_ms)
"$DAYTONAFS" umount --timeout 4s "$MNT" >"$WORK/out" 2>&1
is "umount: something is left" $? 8
took=$(($(now_ms) - start))
wait $killer $SERVE_PID 2>/dev/null
check "umount: it did not wait for ever ($took ms)" [ $took -lt 40000 ]
check "umount: with a list" grep -q '/large$' "$WORK/out"
check "umount: it is mounted still" cmp "$WORK/large" "$MNT/large"

# ---- retry, in the outage and after it ----

echo fourth >"$MNT/fourth"
fails "retry: nobody is there" timeout 20 sh -c "echo retry >'$CTL/ctl'"
is "retry: what waits can be read" "$(cat "$MNT/fourth")" fourth
cp -a "$XDG_STATE_HOME/daytonafs/journals" "$WORK/copy"
serve_again
check "retry: somebody is" within 20 sh -c "echo retry >'$CTL/ctl'"
check "retry: what waited goes" within 20 grep -qs fourth "$SBX/fourth"
check "retry: all of it" "$DAYTONAFS" sync "$MNT"
check "retry: the large file, too" cmp "$WORK/large" "$SBX/large"
echo pause >"$CTL/ctl"
echo fifth >"$MNT/fifth"
serve_dies

# ---- with nobody there, what waits is saved elsewhere, or by the next mount ----

"$DAYTONAFS" umount --force "$MNT" >"$WORK/out" 2>&1
is "without it: something is left" $? 8
name=$(ls "$XDG_STATE_HOME/daytonafs/journals")
check "without it: it can be saved" "$DAYTONAFS" recover "$name" --export "$WORK/saved"
is "without it: it is there" "$(find "$WORK/saved/files" -name fifth -exec cat {} +)" fifth
fails "without it: no mount" "$DAYTONAFS" mount box "$MNT" -o "helper=$HELPER,op_timeout=2s"
serve_again
mount_start >/dev/null
is "the next mount: sends it" "$(cat "$SBX/fifth")" fifth
is "the next mount: nothing else moved" "$(cat "$SBX/first" "$SBX/second" "$SBX/third")" "first
second
third"
