# The process is killed while changes wait: the next mount of the sandbox brings them there, once.
[ "${HELPER:-require}" != off ] || { echo "skip: plain mode has no journal"; exit 77; }
NO_MOUNT=1
. "$(dirname "$0")/lib.sh"
trap - DEBUG # nothing is sent but by the mount that comes after

pid_of() {
    sed -n 's/^pid //p' "$CTL/status"
}

# Killed before anything is sent, or while it is; after it was made, but not said so; or made twice.
faults=('' 'latency=300ms' 'reset-after-commit:execute=1' 'replay:execute=1')

crash() {
    fault "${faults[round - 1]}"
    "$@"
    [ "$round" = 1 ] || sleep 0.2
    kill -9 "$pid"
    cd /
    fusermount3 -uz "$MNT"
    fault ''
}

again() {
    mount_start >/dev/null
    cd "$MNT" || exit 1
    pid=$(pid_of)
}

work() {
    mkdir -p "new$1/deep" && cp "$WORK/data" "new$1/deep/file" && echo "round $1" >>log &&
        echo "saved $1" >saved.tmp && mv saved.tmp saved && ln -s deep/file "new$1/link" &&
        rm "old$1" && chmod 600 kept && touch -d '2020-02-03 04:05:06.123456789' kept
}

head -c 300000 /dev/urandom >"$WORK/data"
echo kept >"$SBX/kept"
for round in 1 2 3 4; do
    echo old >"$SBX/old$round"
    again
    ls -l >/dev/null
    crash check "the work of round $round" work $round
    again
    [ $round = 4 ] ||
        check "round $round: the mount says what it sends" grep -q 'earlier mount' "$WORK/mount.err"
    check "round $round: a file in a new directory" cmp "$WORK/data" "$SBX/new$round/deep/file"
    is "round $round: a line, once" "$(grep -c "round $round" "$SBX/log")" 1
    is "round $round: what was saved by a rename" "$(cat "$SBX/saved")" "saved $round"
    is "round $round: a link" "$(readlink "$SBX/new$round/link")" deep/file
    check "round $round: what was removed" test ! -e "$SBX/old$round" -a ! -e "$SBX/saved.tmp"
    is "round $round: mode and time" "$(stat -c '%a %.9Y' "$SBX/kept")" "600 $(
        date -d '2020-02-03 04:05:06' +%s).123456789"
    check "round $round: it is seen here" cmp "$WORK/data" "new$round/deep/file"
    is "round $round: nothing is left over" "$(ls -A "$SBX" | grep -c tmp)" 0
    cd /
    fusermount3 -u "$MNT"
    within 20 sh -c "! kill -0 $pid 2>/dev/null"
done
is "no journal is left" "$(ls -A "$XDG_STATE_HOME/daytonafs/journals")" ""

# What was left is sent before anything is shown, with durability=sync, too; a plain mount, which
# does not send it, says so.
again
echo pause >.ctl/ctl
echo late >late
crash true
HELPER=off mount_start
check "a plain mount says what is left" \
    grep -q '^daytonafs: 2 changes that earlier' "$WORK/mount.err"
is "and goes on saying it" "$(sed -n 's/^changes_of_earlier_mounts //p' "$CTL/status")" 2
check "it does not send it" test ! -e "$SBX/late"
fusermount3 -u "$MNT"
mount_start -o durability=sync
is "a mount with durability=sync sends it" "$(cat "$SBX/late")" late
is "and shows it" "$(cat "$MNT/late")" late
is "nothing is left then" "$(grep changes_of "$CTL/status")" ""
fusermount3 -u "$MNT"
