# Jobs through a mount: their files with sh alone, the commands, and what goes wrong meanwhile.
# JOBS is how many short ones run in a row.
HELPER=${HELPER:-require}
[ "$HELPER" = off ] && JOBS=${JOBS:-20} # each looks for itself how far it is, many times
. "$(dirname "$0")/lib.sh"

D=$DAYTONAFS
J=$CTL/jobs

requests() {
    sed -n 's/^requests //p' "$CTL/stats"
}

# ---- the files ----
mkdir "$J/hello"
echo 'echo out; echo err >&2; exit 3' >"$J/hello/cmd"
is "wait" "$(cat "$J/hello/wait")" 3
is "stdout" "$(cat "$J/hello/stdout")" out
is "stderr" "$(cat "$J/hello/stderr")" err
is "true sizes" "$(stat -c %s "$J/hello/stdout" "$J/hello/stderr" | tr '\n' ' ')" "4 4 "
is "seekable" "$(tail -c 3 "$J/hello/stdout")" ut
is "output" "$(sort "$J/hello/output" | tr '\n' ' ')" "err out "
check "status" grep -q '^state ended$' "$J/hello/status"
is "what is listed" "$(ls "$J/hello" | tr '\n' ' ')" \
    "cmd ctl cwd env output status stderr stdin stdout "
check "rm -r removes a job" rm -r "$J/hello"
is "it is gone" "$(ls "$J")" clone

mkdir "$J/long"
echo 'printf begun; sleep 1000' >"$J/long/cmd"
check "without a newline" within 20 grep -q begun "$J/long/stdout"
fails "a running job stays" rmdir "$J/long"
fails "also with rm -r" rm -r "$J/long"
is "its output, too" "$(cat "$J/long/stdout")" begun
tail -c +1 -f "$J/long/follow" >"$WORK/tail" 2>/dev/null &
tail_pid=$!
echo 'kill' >"$J/long/ctl"
is "a signal's code" "$(cat "$J/long/wait")" 143
check "tail" within 20 grep -q begun "$WORK/tail"
kill $tail_pid
wait $tail_pid 2>/dev/null
rmdir "$J/long"

# A second of grace does not help what ignores SIGTERM.
mkdir "$J/stubborn"
echo "trap '' TERM; echo ready; while :; do sleep 0.1; done" >"$J/stubborn/cmd"
check "ready" within 20 grep -q ready "$J/stubborn/stdout"
echo kill >"$J/stubborn/ctl"
sleep 0.5
check "it ignores SIGTERM" grep -q '^state running$' "$J/stubborn/status"
echo kill KILL >"$J/stubborn/ctl"
is "it is killed" "$(cat "$J/stubborn/wait")" 137
rmdir "$J/stubborn"

exec 3<>"$J/clone"
read -r name <&3
echo stdin >&3
echo 'cat' >"$J/$name/cmd"
printf 'a\000b\n' >"$J/$name/stdin"
echo eof >&3
exec 3>&-
is "clone, stdin and binary bytes" "$(od -An -tx1 "$J/$name/follow" | tr -d ' \n')" 6100620a
rmdir "$J/$name"

# ---- edit and run ----
for i in 1 2 3 4 5; do
    echo "$i" >edited
    is "the command sees the edit" "$("$D" exec -- cat edited)" $i
    "$D" exec -- sh -c "echo $i >made"
    is "the next access sees what it made" "$(cat made)" $i
done
cd / # below the mount, looking at this directory may cost one, too
"$D" exec box -- true
before=$(requests)
"$D" exec box -- true
is "a short command costs one request" $(($(requests) - before)) 1
cd "$MNT" || exit 1

# ---- the commands ----
is "a number is printed" "$("$D" exec -d --name work -- sh -c 'echo working; sleep 1000' |
    tr -d '0-9')" ""
check "logs" within 20 sh -c "'$D' logs work | grep -q working"
check "jobs" sh -c "'$D' jobs | grep -q 'work .*running'"
fails "a name is taken" "$D" exec -d --name work -- true
fails "a running job is not removed" "$D" jobs --remove work
"$D" attach work >"$WORK/attached" 2>&1 &
attached=$!
sleep 0.5
check "kill" "$D" kill -s INT work
wait $attached
is "attach ends with its code" $? 130
is "attach" "$(cat "$WORK/attached")" working
is "logs -f ends" "$("$D" logs -f work)" working
check "jobs --remove" "$D" jobs --remove work
"$D" logs work >/dev/null 2>&1
is "no such job" $? 3

# ---- signals and time ----
timeout -s INT 2 "$D" exec -- sh -c 'trap "echo int; exit 9" INT; while :; do sleep 0.1; done' \
    >"$WORK/int" 2>&1
is "Ctrl-C is the command's" "$(cat "$WORK/int")" int
"$D" exec --timeout 1s -- sleep 100 2>/dev/null
is "a limit of time" $? 124

# ---- much: byte for byte, in bounded memory ----
head -c 100000000 /dev/urandom >"$SBX/big"
(
    # A sanitizer's own memory is beyond any such limit.
    ldd "$D" | grep -q 'lib[at]san' || ulimit -v 600000
    "$D" exec -- cat big
) | cmp - "$SBX/big"
is "100 MB of binary output" $? 0
head -c 5000000 "$SBX/big" >"$WORK/part"
"$D" exec -i -- cat <"$WORK/part" | cmp - "$WORK/part"
is "stdin and its end" $? 0
rm "$SBX/big"

# ---- many ----
i=0
while [ $i -lt "${JOBS:-100}" ]; do
    i=$((i + 1))
    [ "$("$D" exec -- echo $i)" = $i ] || break
done
is "so many in a row" $i "${JOBS:-100}"
for i in $(seq 50); do
    { "$D" exec -- sh -c "echo $i; exit $i"; echo $?; } >"$WORK/at.$i" 2>&1 &
    started="${started:-} $!"
done
wait $started
for i in $(seq 50); do
    is "50 at once: $i" "$(tr '\n' ' ' <"$WORK/at.$i")" "$i $i "
done

# ---- a connection that breaks ----
fault 'nth=1:reset-after-commit'
is "an answer is lost" "$("$D" exec -- sh -c 'echo ran >>once; sleep 1.5; cat once')" ran
fault 'reset=3'
is "every third request fails" "$("$D" exec -- sh -c 'for i in 1 2 3 4 5; do echo $i; sleep 0.3
done' | tr '\n' ' ')" "1 2 3 4 5 "
fault ''

# ---- daytonafs is killed while a job runs ----
mkdir "$J/survivor"
echo 'i=0; while [ $i -lt 40 ]; do i=$((i + 1)); echo $i; sleep 0.05; done' >"$J/survivor/cmd"
pid=$("$D" mounts --json | sed -n 's/.*"pid":\([0-9]*\).*/\1/p')
cd / && kill -9 "$pid"
fusermount3 -uz "$MNT"
mount_start
cd "$MNT" || exit 1
is "its output is whole" "$(cat "$J/survivor/follow" | tr '\n' ' ')" "$(seq 40 | tr '\n' ' ')"
is "and its code" "$(cat "$J/survivor/wait")" 0
rmdir "$J/survivor"
is "nothing is left" "$(ls "$J")" clone

# ---- without a mount ----
cd / && "$D" umount "$MNT"
"$D" exec box -- sh -c 'echo out; echo err >&2; exit 5' >"$WORK/out" 2>"$WORK/err"
is "exec by the API" "$? $(cat "$WORK/out") $(cat "$WORK/err")" "5 out err"
id=$("$D" exec -d box -- sh -c 'cat; echo never')
check "jobs by the API" sh -c "'$D' jobs box --json | grep -q '\"id\":$id,'"
is "logs by the API" "$("$D" logs box "$id")" never
check "removing by the API" within 20 "$D" jobs box --remove "$id"
