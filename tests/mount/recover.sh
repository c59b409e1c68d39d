# What a mount left when it died is sent without another mount: each change once, whatever the line
# does. What a mount has is left to it; what cannot be sent is listed, and stays.
[ "${HELPER:-require}" != off ] || { echo "skip: plain mode has no journal"; exit 77; }
NO_MOUNT=1
# What a mount was shown must last while the line is bad, however slow the machine is.
MOUNT_OPTS=coherence=10m
. "$(dirname "$0")/lib.sh"
trap - DEBUG

journals() {
    ls -A "$XDG_STATE_HOME/daytonafs/journals"
}
recover() {
    "$DAYTONAFS" recover "$@" >"$WORK/out" 2>&1
}
says() {
    grep -q "$1" "$WORK/out"
}
start() {
    mount_start >/dev/null
    cd "$MNT" || exit 1
    pid=$(sed -n 's/^pid //p' "$CTL/status")
    ls -l >/dev/null
}
die() {
    kill -9 "$pid"
    cd /
    fusermount3 -uz "$MNT"
    within 20 sh -c "! kill -0 $pid 2>/dev/null"
}
work() {
    mkdir -p "new$1/deep" && cp "$WORK/data" "new$1/deep/file" && echo "round $1" >>log &&
        echo "saved $1" >saved.tmp && mv saved.tmp saved && rm "old$1"
}

head -c 300000 /dev/urandom >"$WORK/data"
check "at first there is nothing" recover --send
check "and that is said" says '^nothing is left'

# Killed before anything is sent, or while it is; or after it was made, but not said so.
faults=('' 'latency=100ms' 'reset-after-commit:execute=1' 'replay:execute=1')
for round in 1 2 3 4; do
    echo old >"$SBX/old$round"
    start
    [ $round != 1 ] || echo pause >.ctl/ctl
    fault "${faults[round - 1]}"
    check "the work of round $round" work $round
    [ $round = 1 ] || sleep 0.2
    die
    [ $round != 2 ] || fault 'nth=4:502,reset:execute=3' # and the line is bad again
    [ $round = 2 ] || fault ''
    check "round $round: it is sent" recover --send
    fault ''
    check "round $round: that is said" says ': sent$'
    check "round $round: a file in a new directory" cmp "$WORK/data" "$SBX/new$round/deep/file"
    is "round $round: a line, once" "$(grep -c "round $round" "$SBX/log")" 1
    is "round $round: what was saved by a rename" "$(cat "$SBX/saved")" "saved $round"
    check "round $round: what was removed" test ! -e "$SBX/old$round" -a ! -e "$SBX/saved.tmp"
    is "round $round: no journal is left" "$(journals)" ""
done

# A mount's own.
start
echo pause >.ctl/ctl
echo waits >mine
check "a live mount's is left alone" recover --send
check "nothing else is there" says '^nothing is left'
check "nothing was sent" test ! -e "$SBX/mine"
recover --send "$(sed -n 's/^sandbox_id //p' .ctl/status)"
is "asked for by name" $? 5
check "it is said who has it" says "process $pid"
die

# An outage, in which it is given up for now.
fault hang=1
recover --send --timeout 1s
is "in an outage" $? 8
check "nothing is lost" recover
check "it is still listed" says 'waits for a mount'
fault 'hang:execute=2' # it begins, and then nothing moves
recover --send --timeout 2s
is "in half an outage" $? 8
fault ''

# What did not get through is listed when the time is over.
start
is "the next mount has sent it" "$(cat "$SBX/mine")" waits
echo pause >.ctl/ctl
head -c 6000000 /dev/urandom >"$WORK/large"
cp "$WORK/large" large
die
fault hang:bulk-upload=1
for limit in 2s 10s 60s; do # the more, the busier the machine: it must have begun
    recover --send --timeout $limit
    code=$?
    ! says ' large$\|/large$' || break
done
is "a large file does not get through" $code 8
check "what is left is listed" says ' large$\|/large$'
check "and counted" says 'are not in the sandbox'
fault ''
check "the rest" recover --send
check "the large file" cmp "$WORK/large" "$SBX/large"

# Another version is in the sandbox by now.
start
echo pause >.ctl/ctl
echo ours >saved
echo new >fresh
die
echo theirs >"$SBX/saved.theirs" && mv "$SBX/saved.theirs" "$SBX/saved"
recover --send
is "a conflict" $? 8
check "it is listed" says ' conflict .*/saved$'
is "theirs stays" "$(cat "$SBX/saved")" theirs
is "the rest is there" "$(cat "$SBX/fresh")" new
recover --send
is "it stays one" $? 8
name=$(journals)
check "ours can be saved" recover "$name" --export "$WORK/saved"
is "it is there" "$(find "$WORK/saved/files" -name saved -exec cat {} +)" ours
check "and then thrown away" recover "$name" --discard
is "no journal is left at last" "$(journals)" ""

# A journal in a place of its own: whoever unmounts is told, and finds it.
mount_start -o journal_dir="$WORK/own" >/dev/null
pid=$(sed -n 's/^pid //p' "$CTL/status")
echo pause >"$CTL/ctl"
echo elsewhere >"$MNT/elsewhere"
fault hang=1
sleep 0.5 # what was closed is let go of a moment later
"$DAYTONAFS" umount --force "$MNT" >"$WORK/out" 2>&1 &
umount=$!
# mountpoint(1) would ask the mount, which waits for the line, and is in use as long as it does.
check "a place of its own: it is unmounted" within 60 sh -c "! grep -q ' $MNT ' /proc/mounts"
kill -9 "$pid"
wait $umount
is "a place of its own: something is left" $? 8
check "a place of its own: it is said where" says "recover --journal-dir $WORK/own"
fault ''
check "a place of its own: it is sent" recover --send --journal-dir "$WORK/own"
is "a place of its own: and there" "$(cat "$SBX/elsewhere")" elsewhere

# Data that rots in the journal of a live mount: what it belongs to is set aside, the rest goes.
start
echo pause >.ctl/ctl
head -c 3000000 /dev/urandom >rotten
echo good >good
printf X | dd of="$(ls "$XDG_STATE_HOME"/daytonafs/journals/*/*.seg)" bs=1 seek=1500000 \
    conv=notrunc status=none
echo resume >.ctl/ctl
fails "rotten data: sync says so" timeout 60 "$DAYTONAFS" sync "$MNT"
check "rotten data: it is set aside" test -e .ctl/rejected/rotten
is "rotten data: the rest is there" "$(cat "$SBX/good")" good
echo discard >.ctl/ctl
cd /
check "rotten data: and then all is well" "$DAYTONAFS" umount "$MNT"

# A journal that somebody removes from under the mount.
start
echo before >before
rm -rf "$XDG_STATE_HOME/daytonafs/journals"
check "a removed journal: soon nothing more is taken" \
    within 60 sh -c '! echo x >after' 2>"$WORK/out"
check "a removed journal: errors says why" grep -q 'journal.*was removed' .ctl/errors
cd /
check "a removed journal: what was taken is sent" "$DAYTONAFS" umount "$MNT"
is "a removed journal: and there" "$(cat "$SBX/before")" before

for wrong in "--send --discard" "--timeout 3s" "--export $WORK/x" "none-such --send"; do
    # shellcheck disable=SC2086
    fails "recover $wrong" "$DAYTONAFS" recover $wrong
done
