# The sandbox's life through the control files: what it is, settings, states, and what a mount shows
# meanwhile. Nothing but sh and what POSIX has.
MOUNT_OPTS=keepalive=busy
. "$(dirname "$0")/lib.sh"

box=$CTL/sandbox
verb() {
    echo "$*" >"$CTL/ctl"
}
state() {
    sed -n 's/^state //p' "$CTL/status"
}
errors_say() {
    grep -q "$1" "$CTL/errors"
}

echo unread >"$SBX/unread"

# ---- what it is ----

is "its name" "$(cat "$box/name")" box
is "it runs" "$(cat "$box/state")" started
for file in "$box"/*; do
    check "$file is read to its end" sh -c "cat '$file' >'$WORK/text'"
done
check "and so is info.json" grep -q '"state": "started"' "$box/info.json"
is "an idle mount wants nothing" "$(state)" online

# ---- what it does ----

is "no trace at first" "$(cat "$CTL/trace")" ""
check "trace on" verb trace on
run() {
    echo true >"$CTL/run" && cat "$CTL/run"
}
run
check "a line for each call" grep -q '^[0-9.]* exec /home/daytona: ok, [0-9.]* ms$' "$CTL/trace"
check "trace off" verb trace off
run
is "no more lines" "$(grep -c ' exec ' "$CTL/trace")" 1
fails "something else" sh -c "echo trace maybe >'$CTL/ctl'"
check "nothing is to be retried" verb retry

mkdir -p "$SBX/tree/sub"
i=0
while [ $i -lt 20 ]; do
    echo $i >"$SBX/tree/f$i"
    i=$((i + 1))
done
dd if=/dev/zero of="$SBX/tree/sub/large" bs=1024 count=3000 2>/dev/null
echo secret >"$SBX/tree/sub/small"
sleep 1.1
check "warm" verb warm tree
check "trace on again" verb trace on
is "what is warm" "$(cat tree/f7 tree/sub/small)" "7
secret"
is "and what is large" "$(wc -c <tree/sub/large | tr -d ' ')" 3072000
is "is read without asking" "$(grep -c ' fetch' "$CTL/trace")" 0
fails "what is not there" sh -c "echo warm none >'$CTL/ctl'"
fails "what is not below the mount" sh -c "echo warm /etc >'$CTL/ctl'"

# ---- settings ----

check "autostop in minutes" verb autostop 25
is "it is seen at once" "$(cat "$box/autostop")" 25
check "with a unit" verb autostop 2h
is "in minutes" "$(cat "$box/autostop")" 120
check "never" verb autostop never
check "autoarchive" verb autoarchive 60
is "autoarchive is seen" "$(cat "$box/autoarchive")" 60
check "autodelete" verb autodelete 600
is "autodelete is seen" "$(cat "$box/autodelete")" 600
fails "no time" sh -c "echo 'autostop soon' >'$CTL/ctl'"
check "the error quotes it and says what is right" errors_say '"soon" is no time: minutes'
check "labels" verb labels team=core "what='two words'"
is "labels are seen" "$(sort "$box/labels" | tr '\n' ' ')" 'team=core what=two words '
check "one is taken away, one added" verb labels what= stage=1
is "the others stay" "$(sort "$box/labels" | tr '\n' ' ')" "stage=1 team=core "
check "it counts as used" verb keepalive

# ---- stopped and started ----

echo kept >known
check "sent" verb sync
sleep 1.1
cat known >/dev/null
ls -l >/dev/null
printf 'kept\nnot sent\n' >known
check "stop sends what is written" verb stop
is "it is there" "$(tail -n1 "$SBX/known")" 'not sent'
is "the mount knows that it stopped" "$(state)" "not running"
is "the service says so" "$(cat "$box/state")" stopped
check "names are shown" test -n "$(ls -l)"
sleep 1.1
check "however old they are" test -n "$(ls -l)"
is "nothing of that woke it" "$(cat "$box/state")" stopped
check "what is known can be read" test "$(cat known | head -n1)" = kept
is "nor did that" "$(cat "$box/state")" stopped
is "what is not known wakes it" "$(cat unread)" unread
is "it runs again" "$(cat "$box/state")" started
is "the mount knows" "$(state)" online
check "stop" verb stop
check "start" verb start
is "online" "$(state)" online
check "archive stops it, too" verb archive
is "archived" "$(cat "$box/state")" archived
check "start brings it back" verb start
is "with its files" "$(head -n1 known)" kept

# ---- deleted ----

fails "another name" sh -c "echo 'delete other' >'$CTL/ctl'"
fails "no name" sh -c "echo delete >'$CTL/ctl'"
is "it is still there" "$(cat "$box/state")" started
check "its own name" verb delete box
is "the mount knows that" "$(state)" "not running"
fails "its files are gone" timeout 20 cat "$MNT/never-read"
fails "what is asked of the service fails" timeout 20 cat "$box/state"
check "help still reads" grep -q '^States' "$CTL/help"
finish
