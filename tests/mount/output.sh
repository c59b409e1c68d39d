# The output of a program that runs for a while is seen in the sandbox while it runs, and can be
# followed there; a slow copy is not seen before it is whole.
if [ "${HELPER:-require}" = off ]; then
    echo "skip: without the helper it is sent when it is closed"
    exit 77
fi
. "$(dirname "$0")/lib.sh"
have python3 || exit $SKIP
trap - DEBUG # a look at the sandbox must not send anything

echo "of the run before" >old
echo whole >copied
check "what was there is sent" "$DAYTONAFS" sync "$MNT"
cat >"$WORK/program.py" <<'END'
import sys, time
out = open(sys.argv[1], "wb", buffering=0)
for i in range(int(sys.argv[2])):
    out.write(sys.argv[3].encode() % (i % 10) * int(sys.argv[4]))
    time.sleep(float(sys.argv[5]))
END
program() { python3 "$WORK/program.py" "$@" & }
program copied 90 "%d" 65536 0.1
copy=$!
program new 3 "line %d
" 1 6
new=$!
program old 2 "line %d
" 1 8
old=$!
sleep 2
is "not at once" "$(cat "$SBX/old")" "of the run before"
check "output to a new file is seen" within 15 grep -q "line 0" "$SBX/new"
tail -n +1 -f "$SBX/new" >"$WORK/followed" 2>/dev/null &
tail=$!
check "and over an old one" within 15 grep -q "line 0" "$SBX/old"
is "half a copy is not seen" "$(cat "$SBX/copied")" whole
check "who follows it sees what comes" within 15 grep -q "line 1" "$WORK/followed"
kill $tail
echo "written in the sandbox" >>"$SBX/new"
wait $copy $new $old
check "all of it arrives" "$DAYTONAFS" sync "$MNT"
is "nothing of the run before is left" "$(cat "$SBX/old")" "line 0
line 1"
is "all is in its order, with what others added" "$(cat "$SBX/new")" "line 0
line 1
written in the sandbox
line 2"
is "the copy is whole" "$(stat -c %s "$SBX/copied")" $((90 * 65536))
