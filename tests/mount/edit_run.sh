# Edit and run, run and read: never a wrong round, and few requests. ROUNDS may be given.
if [ "${HELPER:-require}" = off ]; then
    echo "skip: this is what the helper promises"
    exit 77
fi
MOUNT_OPTS=coherence=10m # what is asked again, is asked because a command has run
. "$(dirname "$0")/lib.sh"
trap - DEBUG # what is pending is sent by the commands

requests() {
    sed -n 's/^requests //p' "$CTL/stats"
}
run() {
    printf '%s\n' "$1" >&3
    # One line is all that these commands print.
    IFS= read -r answer <&3 || answer=
    cat <&3 >/dev/null
}

# Nothing is sent in the background, where half an edit would count.
echo pause >"$CTL/ctl"
exec 3<>"$CTL/run"
for delay in "" latency=40ms; do
    fault "$delay"
    rounds=${ROUNDS:-25}
    echo start >file
    run "cat file; echo start >made"
    cat made >/dev/null
    wrong=0
    before=$(requests)
    i=0
    while [ $i -lt "$rounds" ]; do
        i=$((i + 1))
        echo "edit $i $delay" >file
        run "cat file"
        [ "$answer" = "edit $i $delay" ] || wrong=$((wrong + 1))
    done
    is "wrong rounds of edit and run ($delay)" $wrong 0
    used=$(($(requests) - before))
    # The edit is sent; the command runs and tells what it has changed.
    check "at most 2 requests a round ($used in $rounds)" test $used -le $((2 * rounds))

    before=$(requests)
    i=0
    while [ $i -lt "$rounds" ]; do
        i=$((i + 1))
        run "echo 'run $i $delay' >made; echo done"
        [ "$(cat made)" = "run $i $delay" ] || wrong=$((wrong + 1))
    done
    is "wrong rounds of run and read ($delay)" $wrong 0
    used=$(($(requests) - before))
    # The command tells what it has changed, and then the file is fetched.
    check "at most 2 requests a round ($used in $rounds)" test $used -le $((2 * rounds))
done

# The same with `daytonafs exec`, whose command is a job: its end comes with what it changed.
fault ""
rounds=10
wrong=0
echo start >file
"$DAYTONAFS" exec "$MNT" -- sh -c 'cat file; echo start >made' >/dev/null
cat made >/dev/null
before=$(requests)
i=0
while [ $i -lt $rounds ]; do
    i=$((i + 1))
    echo "exec $i" >file
    [ "$("$DAYTONAFS" exec "$MNT" -- cat file)" = "exec $i" ] || wrong=$((wrong + 1))
done
used=$(($(requests) - before))
check "exec: at most 2 requests a round of edit and run ($used)" test $used -le $((2 * rounds))
before=$(requests)
while [ $i -gt 0 ]; do
    i=$((i - 1))
    "$DAYTONAFS" exec "$MNT" -- sh -c "echo $i >made"
    [ "$(cat made)" = "$i" ] || wrong=$((wrong + 1))
done
used=$(($(requests) - before))
check "exec: at most 2 requests a round of run and read ($used)" test $used -le $((2 * rounds))
is "exec: wrong rounds" $wrong 0
# One that is longer than a start waits for.
"$DAYTONAFS" exec "$MNT" -- sh -c 'sleep 2; echo late >made'
before=$(requests)
is "exec: what a long one changed" "$(cat made)" late
is "exec: is fetched, and not asked about" $(($(requests) - before)) 1

# What a program stored through a shared mapping, and did not msync, is an edit, too. It keeps the
# mapping while the commands run.
if have python3; then
    answer=$(python3 - "$CTL/run" <<'P'
import mmap, sys

def run(command):
    with open(sys.argv[1], 'r+b', buffering=0) as f:
        f.write(command.encode())
        return f.readall().decode()

with open('mapped', 'w+b') as f:
    f.write(b'-' * 10000)
    f.flush()
    m = mmap.mmap(f.fileno(), 0)
    for i in range(20):
        m[9000:9003] = b'%03d' % i
        got = run('tail -c 1000 mapped | head -c 3')
        if got != '%03d' % i:
            print('round %d: %r' % (i, got))
            break
    else:
        print('right')
P
    )
    is "what is stored through a mapping is there when a command runs" "$answer" right
fi
exec 3>&-
