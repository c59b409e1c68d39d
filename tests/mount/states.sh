# What a mount does in each state of its sandbox: the table of `help`, row by row, with wake=never.
# What is known is shown, what is written waits and arrives, what needs the sandbox fails with one
# errno, and nothing hangs.
MOUNT_OPTS=wake=never,op_timeout=10s,coherence=200ms
NO_MOUNT=1
. "$(dirname "$0")/lib.sh"

box=$CTL/sandbox
D=$DAYTONAFS
tested=started
errors_say() {
    grep -q "$1" "$CTL/errors"
}
# says STATE: what the service says now.
says() {
    [ "$(cat "$box/state" 2>/dev/null)" = "$1" ]
}
# down COMMAND…: it ends soon, with EHOSTDOWN.
down() {
    LC_ALL=C timeout 20 "$@" >"$WORK/out" 2>&1 && return 1
    grep -q 'Host is down' "$WORK/out"
}
# ready NAME: mounts it, with what the test needs to be known.
ready() {
    "$D" mount "$1" "$MNT" -o "helper=$HELPER,$MOUNT_OPTS" >"$WORK/out" 2>"$WORK/mount.err" || {
        echo "FAIL: mount $1: $(cat "$WORK/mount.err")"
        exit 1
    }
    echo kept >"$MNT/known"
    mkdir -p "$MNT/dir"
    "$D" exec "$MNT" -- sh -c 'mkdir -p hidden
        for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do echo $i >hidden/$i; done'
    echo sync >"$CTL/ctl"
    cat "$MNT/known" >/dev/null
    ls -lR "$MNT" >/dev/null
    # Nothing of these is known: they are made when the mount has looked.
    "$D" exec "$1" -- true
}
count=0
# in_state STATE: all that a mount does while the sandbox is in it.
in_state() {
    count=$((count + 1))
    tested="$tested $1"
    check "$1: what is known is read" test "$(timeout 20 cat "$MNT/known")" = kept
    check "$1: and listed" sh -c "timeout 20 ls -l '$MNT' | grep -q known"
    check "$1: what is not is an error" down cat "$MNT/hidden/$count"
    if [ "$HELPER" = off ]; then
        # What the service lost on the way may have been done: that is another errno.
        LC_ALL=C timeout 20 sh -c "echo $1 >'$MNT/dir/$1'" 2>"$WORK/out"
        check "$1: so is writing" grep -q 'Host is down\|Connection reset' "$WORK/out"
    else
        check "$1: what is written waits" timeout 20 sh -c "echo $1 >'$MNT/dir/$1'"
        is "$1: and is seen here" "$(timeout 20 cat "$MNT/dir/$1")" "$1"
        check "$1: fsync says that it is not there yet" down python3 -c "
import os, sys
fd = os.open('$MNT/dir/$1', os.O_WRONLY)
try: os.fsync(fd)
except OSError as e: sys.exit(e.strerror)"
    fi
    check "$1: a command is not started" sh -c "echo 'touch ran-$1' >'$CTL/run'
        timeout 20 cat '$CTL/run'
        test \"\$(cat '$CTL/exit')\" = 125" >"$WORK/out" 2>&1
    check "$1: the mount says so" grep -q '^state not running' "$CTL/status"
}
# arrived STATE: what was written in it is in the sandbox. The service says which sandbox that is.
arrived() {
    [ "$HELPER" = off ] && return
    check "$1: what waited is sent" timeout 30 sh -c "echo sync >'$CTL/ctl'"
    is "$1: and arrived" "$("$D" exec "$MNT" -- cat "dir/$1" 2>&1)" "$1"
    is "$1: no command ran" "$("$D" exec "$MNT" -- sh -c "ls -d ran-$1 2>/dev/null")" ""
}
# during STATE COMMAND…: what lasts so long, and what is there meanwhile.
during() {
    state=$1
    shift
    fault state-delay=60s
    "$@" >"$WORK/during" 2>&1 &
    pid=$!
    check "$state: it is there" within 5 says "$state"
    sleep 0.3 # what was learned of it before is old
    in_state "$state"
    fault ""
    wait $pid
    is "$state: what led to it works" $? 0
}

ready box
id=$(cat "$box/id")
check "a command runs" test "$(echo 'echo here' >"$CTL/run"; cat "$CTL/run")" = here

during stopping "$D" sandbox stop box
check "stopped" within 10 says stopped
sleep 0.3
in_state stopped
during starting "$D" sandbox start box
check "started" within 10 says started
for state in stopping stopped starting; do arrived $state; done

"$D" sandbox stop box
during archiving "$D" sandbox archive box
check "archived" within 10 says archived
sleep 0.3
in_state archived
during restoring "$D" sandbox start box
for state in archiving archived restoring; do arrived $state; done

curl -sS --fail -o "$WORK/answer" -X POST -H "Authorization: Bearer $DAYTONA_API_KEY" \
    "${DAYTONA_API_URL%/api}/_fault/error/$id"
check "error" within 5 says error
check "error: why" test -n "$(cat "$box/error")"
in_state error
check "recover" sh -c "echo recover >'$CTL/ctl'"
check "it runs again" says started
arrived error

# ---- gone, and another of the same name in its place ----

[ "$HELPER" = off ] || echo pause >"$CTL/ctl"
[ "$HELPER" = off ] || echo "never sent" >"$MNT/dir/queued"
during destroying "$D" sandbox delete box
within 10 sh -c "! '$D' sandbox info box >/dev/null 2>&1"
sleep 0.3
in_state destroyed
check "destroyed: the service does not know it" within 5 \
    sh -c "! timeout 20 cat '$box/state' >'$WORK/out' 2>&1"
"$D" sandbox create box >"$WORK/out" 2>&1
other=$("$D" sandbox info box --json | sed -n 's/.*"id": *"\([^"]*\)".*/\1/p')
check "another takes its name" test -n "$other" -a "$other" != "$id"
check "the mount does not take it for the one that is gone" down cat "$MNT/hidden/13"
is "nothing of it goes there" "$("$D" exec "$other" -- sh -c 'ls -d dir ran-* 2>/dev/null')" ""
if [ "$HELPER" = off ]; then
    fusermount3 -u "$MNT"
else
    timeout 60 "$D" umount "$MNT" >"$WORK/out" 2>&1
    is "umount says that something is left" $? 8
    timeout 60 "$D" umount --force "$MNT" >"$WORK/out" 2>&1
    check "a forced one goes" sh -c "! mountpoint -q '$MNT'"
    within 10 sh -c "'$D' recover | grep -q '$id'"
    check "recover lists what is left" sh -c "'$D' recover | grep -q '$id'"
fi
ready box
is "the next mount of that name is of the other" "$(cat "$box/id")" "$other"
is "and sends nothing that was for the first" "$("$D" exec "$MNT" -- ls -A dir)" ""
"$D" umount "$MNT" >"$WORK/out" 2>&1
if [ "$HELPER" != off ]; then
    check "recover saves it" "$D" recover --export "$WORK/saved" "$id" >"$WORK/out" 2>&1
    is "whole" "$(find "$WORK/saved" -name queued -exec cat {} +)" "never sent"
    check "of the last state, too" sh -c "find '$WORK/saved' -name destroyed | grep -q ."
fi

# ---- what only virtual machines can ----

check "a machine" "$D" sandbox create machine --snapshot daytona-local-vm >"$WORK/out"
ready machine
id=$(cat "$box/id")
pause_it() {
    curl -sS --fail -o "$WORK/answer" -X POST -H "Authorization: Bearer $DAYTONA_API_KEY" \
        "$DAYTONA_API_URL/sandbox/$id/pause"
}
during pausing pause_it
check "paused" within 10 says paused
sleep 0.3
in_state paused
during resuming "$D" sandbox start machine
for state in pausing paused resuming; do arrived $state; done
"$D" umount "$MNT" >"$WORK/out" 2>&1

# ---- what has not begun: no mount ----

fault state-delay=60s
"$D" sandbox create slow >"$WORK/slow" 2>&1 &
pid=$!
within 5 sh -c "'$D' sandbox info slow >/dev/null 2>&1"
"$D" mount slow "$MNT" -o wake=never >"$WORK/out" 2>&1
is "creating: no mount with wake=never" $? 9
fault ""
wait $pid

# Each row of the table was one of these, or has no files yet.
tested="$tested creating"
no_files="pulling_snapshot pending_build building_snapshot build_failed any other"
ready slow
sed -n '/^States of/,/^$/p' "$CTL/help" |
    sed -nE 's/^  ([a-z_]+( [a-z_]+)*)(  .*| *\*.*|)$/\1/p' | tr ' ' '\n' | sort >"$WORK/table"
is "each state of the table" "$(cat "$WORK/table")" \
    "$(echo $tested $no_files | tr ' ' '\n' | sort -u)"
finish
