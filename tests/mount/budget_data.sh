#!/bin/bash
# What reading costs, in requests and bytes over the line, with the helper in the sandbox.
[ "${HELPER:-require}" != off ] || { echo "skip: it is about the helper"; exit 77; }
NO_MOUNT=1
. "$(dirname "$0")/lib.sh"

DATA=$((1000 * 5120))
LARGE=$((64 << 20))

for d in $(seq -w 0 99); do
    mkdir -p "$SBX/tree/d$d"
    for f in $(seq 0 9); do
        { echo "needle $d $f"; head -c 5120 /dev/zero | tr '\0' x; } | head -c 5120 \
            >"$SBX/tree/d$d/f$f"
    done
done
head -c $LARGE /dev/urandom >"$SBX/large"
if have git; then
    cp -r "$SBX/tree" "$SBX/repo"
    git -C "$SBX/repo" init -q
    git -C "$SBX/repo" add -A
    git -C "$SBX/repo" -c user.name=a -c user.email=a@b commit -qm first
fi
sleep 3 # what changed just now is fetched alone

stat_of() {
    sed -n "s/^$1 //p" "$CTL/stats"
}

# costs WHAT REQUESTS BYTES COMMAND…
costs() {
    what=$1 max_requests=$2 max_bytes=$3
    shift 3
    requests=$(stat_of requests) bytes=$(stat_of bytes_received)
    check "$what" "$@" >/dev/null
    requests=$(($(stat_of requests) - requests)) bytes=$(($(stat_of bytes_received) - bytes))
    echo "$what: $requests requests, $bytes bytes"
    check "$what: requests" test $requests -le "$max_requests"
    check "$what: bytes" test $bytes -le "$max_bytes"
}

again() {
    cd /
    mountpoint -q "$MNT" && "$DAYTONAFS" umount "$MNT"
    MOUNT_OPTS=coherence=$1
    mount_start
    cd "$MNT" || exit 1
}

again 10m
costs "grep -r, cold" 8 $((DATA * 115 / 100 + 262144)) grep -r needle tree
costs "grep -r again" 0 0 grep -r needle tree
echo "evict tree/d00" >"$CTL/ctl"
received=$(stat_of bytes_received)
costs "what was evicted" 8 131072 grep -r needle tree
check "it is fetched again" test $(($(stat_of bytes_received) - received)) -ge 51200
costs "64 MiB in order, cold" 24 $((LARGE / 100 * 102)) cmp large "$SBX/large"
have git && GIT_OPTIONAL_LOCKS=0 costs "git status, cold" 12 $((2 * DATA)) git -C repo status -s

again 10m
costs "after a remount, all of it" 4 $((1 << 20)) sh -c 'grep -r needle tree && cat large'

again 100ms
grep -r needle tree >/dev/null
sleep 1
costs "after idle" 1 65536 cat tree/d00/f0
