# The process of a mount is killed.
#
# While the kernel waits for it, and it for the kernel: who holds a directory until his rename is
# answered, and the thread that has news of that directory to tell. Both end at once, and a new
# mount does not wait for anything. And again and again, while programs work that remember what they
# have been promised: see committed.py.
# KILL_S may be given: for how long. KILL_ACTS: what happens but kills (see act in lib.sh).
MOUNT_OPTS=coherence=10s
. "$(dirname "$0")/lib.sh"
trap - DEBUG
have python3 || exit $SKIP

mkdir -p "$SBX/d/sub"
sleep 0.5 # what is younger is looked at again
echo refresh >.ctl/ctl
pid=$(sed -n 's/^pid //p' .ctl/status)
ls -l d d/sub >/dev/null
fails "a name that is not there" ls d/none
cd /
if [ "$(id -u)" != 0 ] && [ -z "$(ls /sys/fs/fuse/connections 2>/dev/null)" ]; then
    echo "skip: a mount cannot be ended from outside here"
    exit $SKIP
fi

tells() {
    cat /proc/"$pid"/task/*/wchan 2>/dev/null | grep -q inval_entry
}

fault hang=1
python3 -c 'import os, sys; os.chdir(sys.argv[1]); os.rename("d/sub", "d/other")' "$MNT" \
    2>"$WORK/renamed" &
renamer=$!
sleep 0.5
echo refresh 2>/dev/null >"$CTL/ctl" & # tells of d/none, for which d is locked
within 5 tells || echo "the kernel took the news without waiting"
kill -9 "$pid"
check "who waits is told" within 10 sh -c "! kill -0 $renamer 2>/dev/null"
check "what happened" grep -q 'Error: \[Errno \(103\|107\)\]' "$WORK/renamed"
check "the process ends" within 10 sh -c "! kill -0 $pid 2>/dev/null || grep -q '^State:.Z' \
    /proc/$pid/status && [ \$(ls /proc/$pid/task | wc -l) = 1 ]"
fault ''
fusermount3 -uz "$MNT"
began=$(date +%s)
mount_again
check "it is mounted again, soon" test $(($(date +%s) - began)) -lt 20
check "and whole" test -d "$MNT/d/sub" -o -d "$MNT/d/other"

[ "$HELPER" != off ] || exit 0 # without a journal it promises less
have git || exit $SKIP
fusermount3 -u "$MNT"
mkdir "$SBX/work"
touch "$MNT/work" # where the mount is not, that is no directory
MOUNT_OPTS=coherence=300ms,op_timeout=5s
mount_again
python3 "$TESTS/committed.py" "$MNT/work" "$WORK/promised" "${KILL_S:-8}" >"$WORK/worked" 2>&1 &
worker=$!
trap 'status=$?; kill $worker 2>/dev/null; (exit $status); finish' EXIT
SERVE_ARGS=--listen=127.0.0.1:$(echo "$DAYTONA_API_URL" | sed 's/.*:\([0-9]*\).*/\1/')
while kill -0 $worker 2>/dev/null; do
    for after in 1 0.3 2 0.7 1.5; do
        for a in kill ${KILL_ACTS:-}; do
            sleep $after
            act "$a"
        done
    done
done
check "the programs find what they were promised" wait $worker
cat "$WORK/worked"
echo retry >"$CTL/ctl"
check "sync" "$DAYTONAFS" sync "$MNT"
check "on the mount" python3 "$TESTS/committed.py" --check "$MNT/work" "$WORK/promised"
check "in the sandbox" python3 "$TESTS/committed.py" --check "$SBX/work" "$WORK/promised"
is "nothing is in conflict, or rejected" "$(find "$CTL/conflicts" "$CTL/rejected" -type f)" ""
is "no temporary file is left" "$(find "$SBX" -name '.daytonafs*')" ""
