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
cat >"$WORK/copy.py" <<'END'
import sys, time
out = open(sys.argv[1], "wb", buffering=0)
for i in range(90):
    out.write(b"x" * 65536)
    time.sleep(0.1)
END
cat >"$WORK/program.py" <<'END'
import sys
out = open(sys.argv[1], "wb", buffering=0)
for line in sys.stdin:
    out.write(line.encode())
END
mkfifo "$WORK/to-new" "$WORK/to-old"
python3 "$WORK/copy.py" copied &
writers=$!
python3 "$WORK/program.py" new <"$WORK/to-new" &
writers="$writers $!"
python3 "$WORK/program.py" old <"$WORK/to-old" &
writers="$writers $!"
exec 4>"$WORK/to-new" 5>"$WORK/to-old"
echo "line 0" | tee /dev/fd/5 >&4
sleep 1
is "not at once" "$(cat "$SBX/old")" "of the run before"
check "output to a new file is seen" within 15 grep -qs "line 0" "$SBX/new"
tail -n +1 -f "$SBX/new" >"$WORK/followed" 2>/dev/null &
tail=$!
check "and over an old one" within 15 grep -q "line 0" "$SBX/old"
echo "line 1" | tee /dev/fd/5 >&4
is "half a copy is not seen" "$(cat "$SBX/copied")" whole
check "who follows it sees what comes" within 15 grep -q "line 1" "$WORK/followed"
kill $tail
wait $tail 2>/dev/null
echo "written in the sandbox" >>"$SBX/new"
echo "line 2" >&4
exec 4>&- 5>&-
# shellcheck disable=SC2086
wait $writers
check "all of it arrives" "$DAYTONAFS" sync "$MNT"
is "nothing of the run before is left" "$(cat "$SBX/old")" "line 0
line 1"
is "all is in its order, with what others added" "$(cat "$SBX/new")" "line 0
line 1
written in the sandbox
line 2"
is "the copy is whole" "$(stat -c %s "$SBX/copied")" $((90 * 65536))
