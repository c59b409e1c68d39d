# What is small goes past what is large: while a large file is copied over a slow line, a save is in
# the sandbox within five round trips, with ten times' slack, whoever waits for it or not.
# MB and RTT may be given, the size of the copy and the line's delay in ms; 1024 takes two minutes.
[ -x "${TEST_BIN:?}/relay" ] || { echo "skip: no relay"; exit 77; }
command -v python3 >/dev/null || { echo "skip: no python3"; exit 77; }
RTT=${RTT:-40} MB=${MB:-200}
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
coproc RELAY { exec "$TEST_BIN/relay" --rtt "$RTT" --mbit 100 "$port"; }
read -r line <&"${RELAY[0]}"
NO_MOUNT=1
SERVE_ARGS="--listen=127.0.0.1:$port --public-url=http://127.0.0.1:$line"
. "$(dirname "$0")/lib.sh"
trap - DEBUG
DAYTONA_API_URL=http://127.0.0.1:$line/api
mount_start
cd "$MNT" || exit 1
ls -l >/dev/null

now_ms() {
    date +%s%3N
}
# in_time WHAT FILE TEXT START: how long it took to be there.
in_time() {
    for _ in $(seq 3000); do
        grep -qsx "$3" "$SBX/$2" && break
        sleep 0.01
    done
    took=$(($(now_ms) - $4))
    echo "$took" >>"$WORK/$1"
    [ $took -le $((50 * RTT)) ] || late="$late $1 $n ($took ms)"
}

head -c "${MB}M" /dev/urandom >"$WORK/large"
start=$(now_ms)
cp "$WORK/large" large &
copying=$!
sleep 1
n=0 late=''
goes_on() {
    kill -0 $copying 2>/dev/null ||
        [ "$(sed -n 's/^unsent_bytes //p' .ctl/status)" -gt 100000 ]
}
while goes_on; do
    n=$((n + 1))
    [ $n -le "${SAVES:-1000}" ] || break
    at=$(now_ms)
    echo "version $n" >doc.tmp && mv doc.tmp doc
    in_time save doc "version $n" "$at"
    at=$(now_ms)
    echo "synced $n" >synced && sync -d synced
    in_time fsync synced "synced $n" "$at"
    sleep "${PAUSE:-0.2}"
done
wait $copying
check "something was saved meanwhile" [ $n -gt 2 ]
echo "load $(cut -d' ' -f1-3 /proc/loadavg), $n of each:"
for what in save fsync; do
    sort -n "$WORK/$what" | awk -v what=$what '{ v[NR] = $1 }
        END { print what ": " v[int((NR + 1) / 2)] " ms in the middle, at most " v[NR] " ms" }'
    echo "  the last: $(tail -n 8 "$WORK/$what" | tr '\n' ' ')"
done
is "all were there in time" "$late" ""
check "the copy arrives" "$DAYTONAFS" sync "$MNT"
took=$(($(now_ms) - start))
echo "$MB MB: $took ms"
check "all of it" cmp "$WORK/large" "$SBX/large"
