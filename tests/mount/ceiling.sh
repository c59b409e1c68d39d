# A file that is larger than the journal takes goes in parts while it is being written: what was
# written is there whatever becomes of the mount, and what the sandbox saves meanwhile stays.
if [ "${HELPER:-require}" = off ]; then
    echo "skip: plain mode has no journal"
    exit 77
fi
MOUNT_OPTS=journal_size=8M
NO_MOUNT=1
. "$(dirname "$0")/lib.sh"
have python3 || exit $SKIP
trap - DEBUG # a look at the sandbox must not send anything

mount_again
head -c 20000000 /dev/urandom >"$WORK/large"
cat >"$WORK/copy.py" <<'END'
import os, sys, time
source, fd, done = open(sys.argv[1], "rb").read(), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT), 0
try:
    while done < len(source):
        done += os.write(fd, source[done:done + 131072])
        time.sleep(0.01)
    os.close(fd)
except OSError as e:
    print(e.strerror, end=" ")
print(done)
END
copy() { python3 "$WORK/copy.py" "$WORK/large" "$MNT/$1" >"$WORK/told" & }
size() { stat -c %s "$SBX/$1" 2>/dev/null || echo 0; }
# shellcheck disable=SC2317
has_some() { [ "$(size "$1")" -gt 0 ]; }

copy whole
check "it is seen in parts" within 20 has_some whole
echo beside >"$MNT/small"
check "a small file goes past it" within 20 grep -qs beside "$SBX/small"
wait $!
is "all was written" "$(cat "$WORK/told")" 20000000
check "all of it arrives" "$DAYTONAFS" sync "$MNT"
check "as it is" cmp "$WORK/large" "$SBX/whole"

copy cut
writer=$!
check "another is seen in parts" within 20 has_some cut
kill -9 $pid
wait $writer
fusermount3 -uz "$MNT"
mount_again
read -r told <"$WORK/told"
written=${told##* }
check "the writer was told ($told)" [ "$written" -lt 20000000 ]
check "what was written is there, and no more than one write ($(size cut))" \
    [ "$(size cut)" -ge "$written" ] && [ "$(size cut)" -le $((written + 131072)) ]
check "as it is" cmp -n "$(size cut)" "$WORK/large" "$SBX/cut"

copy both
writer=$!
check "a third is seen in parts" within 20 has_some both
echo theirs >"$SBX/t" && mv "$SBX/t" "$SBX/both"
wait $writer
fails "what they saved meanwhile is not written over" "$DAYTONAFS" sync "$MNT"
is "it stays" "$(cat "$SBX/both")" theirs
check "the writer is told, or errors has it" grep -q both "$CTL/errors"
check "ours is kept, as far as they have not replaced it" test -s "$CTL/conflicts/both"
