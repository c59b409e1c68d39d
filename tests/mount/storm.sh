# Everyday work (trees copied and moved, saves, commits, transactions, a large file changed in
# parts, removals) goes on while the line fails in every way, the sandbox is stopped, the server
# dies and the mount is killed. In the end the sandbox has what a plain directory has that got the
# same work.
# ROUNDS may be given: how often all of that happens.
if [ "${HELPER:-require}" = off ]; then
    echo "skip: plain mode has no journal"
    exit 77
fi
MOUNT_OPTS=coherence=300ms,op_timeout=5s
NO_MOUNT=1
. "$(dirname "$0")/lib.sh"
have python3 && have git || exit $SKIP

trap - DEBUG # the line is down now and then: it is waited for below
mkdir "$SBX/work"
touch "$MNT/work" # where the mount is not, that is no directory
mount_again
python3 "$TESTS/everyday.py" "$MNT/work" "$WORK/local" >"$WORK/worked" 2>&1 &
worker=$!
trap 'status=$?; kill $worker 2>/dev/null; (exit $status); finish' EXIT
check "the work begins" within 30 grep -q begun "$WORK/worked"
SERVE_ARGS=--listen=127.0.0.1:$(echo "$DAYTONA_API_URL" | sed 's/.*:\([0-9]*\).*/\1/')
for round in $(seq ${ROUNDS:-1}); do
    for a in latency=200ms kill cut=3000 reset=3 umount reset-after-commit=3 kill replay=2 502=3 \
        stop '429=4;retry-after=1' kill hang=2 serve throttle=20000; do
        act "$a"
        sleep 0.5
    done
done
touch "$WORK/local.enough"
check "the work is done" wait $worker
is "complaints about the work" "$(grep -v '^begun\|^worked' "$WORK/worked")" ""
tail -n 1 "$WORK/worked"
echo retry >"$CTL/ctl"
check "sync" "$DAYTONAFS" sync "$MNT"
check "in the sandbox it is the same" python3 "$TESTS/same.py" "$SBX/work" "$WORK/local"
check "on the mount, too" python3 "$TESTS/same.py" "$MNT/work" "$WORK/local"
is "nothing is in conflict, or rejected" "$(find "$CTL/conflicts" "$CTL/rejected" -type f)" ""
is "no temporary file is left" "$(find "$SBX" -name '.daytonafs*')" ""
