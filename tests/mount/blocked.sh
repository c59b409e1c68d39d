# Waiting callers do not hold up others, and every caller can be ended.
. "$(dirname "$0")/lib.sh"

# Kills every process in $pids and waits for it; the shell's own words about that are left out.
end_all() {
    {
        # shellcheck disable=SC2086
        kill -KILL $pids
        for pid in $pids; do
            wait "$pid"
        done
    } 2>/dev/null
}

mkdir dir
echo x >dir/file
head -c 3000000 /dev/zero >"$SBX/big"
sleep 1.2
pids=
i=0
while [ $i -lt 100 ]; do
    i=$((i + 1))
    (exec 3<>.ctl/run; echo 'sleep 60' >&3; exec cat <&3 >/dev/null 2>&1) &
    pids="$pids $!"
done
sleep 1
start=$(date +%s%N)
check "ls answers" test -n "$(ls dir)"
check "a file can be read" test "$(cat dir/file)" = x
echo y >dir/new
check "and written" test -f "$SBX/dir/new"
ms=$((($(date +%s%N) - start) / 1000000))
echo "with 100 blocked readers: $ms ms"
check "in time" test $ms -lt 20000

start=$(date +%s%N)
end_all
ms=$((($(date +%s%N) - start) / 1000000))
echo "ended all of them: $ms ms"
check "SIGKILL ends any caller" test $ms -lt 10000
check "the mount is well" test -n "$(ls dir)"

# Slow downloads.
fault latency=30s
pids=
i=0
while [ $i -lt 20 ]; do
    i=$((i + 1))
    cat big >/dev/null 2>&1 &
    pids="$pids $!"
done
sleep 0.3
cd / || exit 1 # the shell looks at where it is before each command, and that is asked for
start=$(date +%s%N)
ls "$CTL" >/dev/null
cat "$CTL/help" >/dev/null
ms=$((($(date +%s%N) - start) / 1000000))
cd "$MNT" || exit 1
check "control files answer while downloads wait" test $ms -lt 2000
start=$(date +%s%N)
end_all
ms=$((($(date +%s%N) - start) / 1000000))
echo "ended slow readers: $ms ms"
check "slow readers can be killed" test $ms -lt 4000
fault ""
