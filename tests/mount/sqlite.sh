# A database on the mount, while the line is cut again and again: what was committed stays, and the
# database is whole, here and in the sandbox.
MOUNT_OPTS=op_timeout=3s,coherence=300ms
. "$(dirname "$0")/lib.sh"
have python3 && python3 -c 'import sqlite3' || exit $SKIP

python3 "$TESTS/sqlite.py" "$MNT/db" "${SECONDS_LONG:-10}" "$WORK/progress" >"$WORK/log" 2>&1 &
worker=$!
while kill -0 $worker 2>/dev/null; do
    sleep 0.9
    check "the line is cut" fault reset=1
    sleep 0.2
    check "and answers get lost" fault reset-after-commit=3
    sleep 0.5
    fault ""
done
wait $worker
fault ""
cat "$WORK/log"
check "transactions were committed" test "$(wc -l <"$WORK/progress")" -gt 3
check "everything arrives in the end" within 70 "$DAYTONAFS" sync "$MNT"
for place in "$MNT" "$SBX"; do
    cat >"$WORK/look.py" <<END
import sqlite3
db = sqlite3.connect("$place/db")
print(db.execute("pragma integrity_check").fetchone()[0])
have = {n for (n,) in db.execute("select n from t")}
print(sorted({int(l) for l in open("$WORK/progress")} - have))
END
    is "integrity in $place, and what is missing" "$(python3 "$WORK/look.py" 2>&1)" "ok
[]"
done
