# A server that lies is refused without harm: an errno, no crash, no file outside the mount.
MOUNT_OPTS=op_timeout=2s,coherence=0
. "$(dirname "$0")/lib.sh"

echo good >"$SBX/file"
mkdir "$SBX/dir"
check "it works at first" test "$(cat file)" = good
for lie in name-slash dotdot negative-size endless wrong-length bad-json html dup-names \
    huge-name; do
    fault "lie=$lie"
    timeout 30 ls -la . dir >"$WORK/out" 2>&1
    [ $? -ne 124 ] || check "$lie: ls ends" false
    timeout 30 cat file >"$WORK/out" 2>/dev/null
    [ $? -ne 124 ] || check "$lie: cat ends" false
    if [ -s "$WORK/out" ]; then
        is "$lie: no other content" "$(head -c 100 "$WORK/out")" good
    fi
    check "$lie: nothing that climbs is listed" sh -c '! ls -a 2>/dev/null | grep -q /'
    check "$lie: daytonafs lives" test -f .ctl/help
    fault ""
    check "$lie: all is well afterwards" within 5 sh -c 'test "$(cat file)" = good'
done
