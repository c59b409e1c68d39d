# The n-th request is broken, for each n, in ways networks know: the caller gets an error or not,
# but never wrong data; and after the fault is gone, everything is as the local copy says.
MOUNT_OPTS=op_timeout=2s,coherence=100ms
. "$(dirname "$0")/lib.sh"

# One scenario: an editor's save, new files, a rename, a removal. Each step may fail.
scenario() {
    echo "version $1" >doc.tmp && mv doc.tmp doc
    mkdir -p "dir$1" && echo "n $1" >"dir$1/new"
    echo "line $1" >>log
    rm -f "old$1"
    cat doc log >/dev/null
}

round=0
for action in 502 reset reset-after-commit cut replay 429; do
    n=0
    while [ $n -lt 14 ]; do
        n=$((n + 1))
        round=$((round + 1))
        echo old >"$SBX/old$round"
        fault "nth=$n:$action"
        start=$(date +%s)
        scenario $round 2>/dev/null
        took=$(($(date +%s) - start))
        [ $took -lt 40 ] || check "$action at request $n ends in time ($took s)" false
        fault ""
        # What was written is whole, old or new, on both sides.
        for f in "$SBX/doc" "$SBX/log"; do
            if grep -qvE "^(version|line) [0-9]+$" "$f" 2>/dev/null; then
                check "$action at request $n leaves no torn file" false
            fi
        done
        # With the fault gone the same steps work, and both sides agree.
        check "after $action at $n" scenario $round
        "$DAYTONAFS" sync "$MNT" >/dev/null 2>&1
        sleep 0.15
        is "content after $action at $n" "$(cat doc)" "version $round"
        is "the sandbox agrees after $action at $n" "$(cat "$SBX/doc" "$SBX/dir$round/new")" \
            "version $round
n $round"
        is "the log ends right after $action at $n" "$(tail -n 1 "$SBX/log")" "line $round"
    done
done
is "no temporary file is left" "$(find "$SBX" -name '.daytonafs*' | wc -l)" 0

# A server that hangs costs whoever meets it op_timeout and a second, and the next one nothing.
# Starting a program looks at the working directory, too.
fault hang=1
start=$(date +%s%3N)
sleep 0.3
fails "asking a server that hangs" stat "new$round"
first=$(date +%s%3N)
fails "asking it again" sh -c 'echo true >.ctl/run && cat .ctl/run'
second=$(date +%s%3N)
is "what is known is shown" "$(cat doc)" "version $round"
check "status says that it may be old" grep -q "^stale what is shown .* not answer$" .ctl/status
check "and since when" grep -qE "^stale_since 2[0-9-]+T[0-9:]+Z$" .ctl/status
fault ""
check "who met it waited for op_timeout, not much longer ($((first - start)) ms)" \
    [ $((first - start)) -lt 8000 ]
check "the next did not wait ($((second - first)) ms)" [ $((second - first)) -lt 1500 ]
back() {
    stat "new$round" >"$WORK/out" 2>&1 # it is not there, which is an answer
    ! grep -q ^stale .ctl/status
}
check "reached again, status does not say it any more" within 10 back
