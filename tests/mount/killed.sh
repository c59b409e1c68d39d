# The process is killed while the kernel waits for it, and it for the kernel: who holds a directory
# until his rename is answered, and the thread that has news of that directory to tell. Both end at
# once, and a new mount does not wait for anything.
MOUNT_OPTS=coherence=10s
. "$(dirname "$0")/lib.sh"
trap - DEBUG
have python3 || exit $SKIP

mkdir -p "$SBX/d/sub"
echo refresh >.ctl/ctl
pid=$(sed -n 's/^pid //p' .ctl/status)
ls -l d d/sub >/dev/null
fails "a name that is not there" ls d/none
if [ "$(id -u)" != 0 ] && [ -z "$(ls /sys/fs/fuse/connections 2>/dev/null)" ]; then
    echo "skip: a mount cannot be ended from outside here"
    exit $SKIP
fi

tells() {
    cat /proc/"$pid"/task/*/wchan 2>/dev/null | grep -q inval_entry
}

fault nth=1:hang
python3 -c 'import os; os.rename("d/sub", "d/other")' 2>"$WORK/renamed" &
renamer=$!
sleep 0.5
echo refresh 2>/dev/null >.ctl/ctl & # tells of d/none, for which d is locked
within 5 tells || echo "the kernel took the news without waiting"
kill -9 "$pid"
cd /
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
