# What becomes of a sandbox by itself, and what a mount with keepalive=busy does about it. A minute
# of the service's lasts 0.6 seconds.
MOUNT_OPTS=wake=never,keepalive=busy,keepalive_every=200ms
NO_MOUNT=1
. "$(dirname "$0")/lib.sh"

box=$CTL/sandbox
D=$DAYTONAFS
verb() {
    echo "$*" >"$CTL/ctl"
}
# says STATE: what the service says; to ask does not count as use.
says() {
    [ "$(cat "$box/state" 2>/dev/null)" = "$1" ]
}
gone() {
    ! "$D" sandbox info "$1" >/dev/null 2>&1
}
# held WHAT: twice as long as an idle sandbox lives it runs.
held() {
    sleep 4
    check "$1 keeps it running" says started
}
# stops WHAT: it does so soon.
stops() {
    check "$1: it stops by itself" within 20 says stopped
    check "$1: start" verb start
}

fault minute=600ms
mount_start >"$WORK/out"
check "autostop" verb autostop 3

# ---- a mount that nobody uses ----

(cd "$MNT" && exec sleep 60) &
sitter=$!
stops "idle, with somebody in it"
kill $sitter

# ---- what holds it ----

exec 3>"$MNT/open"
echo first >&3
held "a file that is open for writing"
exec 3>&-
stops "after close"
is "what was written is there" "$(cat "$SBX/open")" first

exec 3<"$MNT/open"
check "a file that is read holds nothing" within 20 says stopped
exec 3<&-
check "start" verb start

if [ "$HELPER" != off ]; then
    check "pause" verb pause
    echo waits >"$MNT/queued"
    held "a change that is not sent"
    check "resume" verb resume
    stops "after it was sent"
    is "it was" "$(cat "$SBX/queued")" waits
fi

mkdir "$CTL/jobs/j"
echo 'sleep 5; echo done' >"$CTL/jobs/j/cmd"
held "a job"
stops "after its end"
is "what it printed is kept" "$(cat "$CTL/jobs/j/stdout")" "done"
rmdir "$CTL/jobs/j"

# ---- what follows ----

check "autoarchive" verb autoarchive 2
check "stopped so long it is archived" within 30 says archived
check "files are known" grep -q first "$MNT/open"
check "start brings it back" verb start
check "autoarchive, later" verb autoarchive 600
check "autodelete" verb autodelete 2
check "stopped so long it is deleted" within 30 gone box
fails "its files are an error" timeout 20 cat "$MNT/nothing"
check "the mount goes" timeout 30 "$D" umount "$MNT" >"$WORK/out"

# ---- the time to live ends in the middle of work ----

"$D" sandbox create mortal >"$WORK/out"
"$D" mount mortal "$MNT" -o "helper=$HELPER,$MOUNT_OPTS" >"$WORK/out" 2>"$WORK/mount.err"
id=$(cat "$box/id")
[ "$HELPER" = off ] || verb pause
echo "not sent" >"$MNT/late"
check "ttl" verb ttl 1
check "its time is over" within 20 gone mortal
fails "a command is not started" timeout 20 "$D" exec "$MNT" -- true
if [ "$HELPER" = off ]; then
    check "the mount goes" timeout 30 "$D" umount --force "$MNT" >"$WORK/out" 2>&1
else
    is "what is written here can still be read" "$(timeout 20 cat "$MNT/late")" "not sent"
    timeout 30 "$D" umount "$MNT" >"$WORK/out" 2>&1
    is "umount says that something is left" $? 8
    timeout 30 "$D" umount --force "$MNT" >"$WORK/out" 2>&1
    check "it is in the journal" within 10 sh -c "'$D' recover | grep -q '$id'"
    check "and can be saved" "$D" recover --export "$WORK/saved" "$id" >"$WORK/out" 2>&1
    is "whole" "$(find "$WORK/saved" -name late -exec cat {} +)" "not sent"
fi
finish
