# Without the helper nothing is promised but this, and that holds while the line fails, the sandbox
# is stopped, the server dies and the mount is killed: no file is ever half written, and what close
# said is there is there. What a killed mount left beside files is swept later.
[ "${HELPER:-require}" = off ] || { echo "skip: storm.sh is that with the helper"; exit 77; }
MOUNT_OPTS=coherence=300ms,op_timeout=5s
NO_MOUNT=1
. "$(dirname "$0")/lib.sh"
have python3 || exit $SKIP

ACT_S=0.5

mkdir "$SBX/work"
touch "$MNT/work" # where the mount is not, that is no directory
mount_again
python3 "$TESTS/plain_storm.py" "$MNT/work" "$SBX/work" "$WORK/enough" >"$WORK/worked" 2>&1 &
worker=$!
trap 'status=$?; kill $worker 2>/dev/null; (exit $status); finish' EXIT
check "the work begins" within 30 grep -q begun "$WORK/worked"
SERVE_ARGS=--listen=127.0.0.1:$(echo "$DAYTONA_API_URL" | sed 's/.*:\([0-9]*\).*/\1/')
for round in $(seq ${ROUNDS:-1}); do
    for a in latency=50ms kill reset=3 kill reset-after-commit=3 kill 502=3 kill cut=3000 stop \
        '429=4;retry-after=1' kill serve kill; do
        act "$a"
        sleep 0.2
    done
done
touch "$WORK/enough"
check "the work is done" wait $worker
is "complaints about the work" "$(grep -v '^begun\|^worked' "$WORK/worked")" ""
tail -n 1 "$WORK/worked"

left=$(find "$SBX/work" -name '.daytonafs-????????-????????' | wc -l)
echo "$left files were left beside others"
: >"$SBX/work/.daytonafs-00000000-00000000"
: >"$SBX/work/.daytonafs-00000000-00000001"
find "$SBX/work" -name '.daytonafs-*0' -exec touch -d '2 days ago' {} +
echo refresh >"$CTL/ctl"
ls "$MNT/work" >/dev/null
is "what is old is swept" "$(find "$SBX/work" -name '.daytonafs-*0' | wc -l)" 0
check "what is young may be in use" test -e "$SBX/work/.daytonafs-00000000-00000001"
