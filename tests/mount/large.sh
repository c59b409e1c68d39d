# Many entries in one directory, directories far below each other, and a tree that is larger than
# the memory it may take. Without the helper a path costs a request for each of its names, and so
# there is less of what is deep or wide.
WINDOW=coherence=200ms
[ "${HELPER:-}" = off ] && WINDOW=coherence=1m
MOUNT_OPTS=$WINDOW
. "$(dirname "$0")/lib.sh"

command -v python3 >/dev/null || { echo "skip: no python3"; exit $SKIP; }
DEPTH=1000 DIRS=200
[ "$HELPER" = off ] && DEPTH=20 DIRS=40
PID=$("$DAYTONAFS" mounts --json | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' | head -n 1)
rss_kib() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$PID/status"; }
status() { sed -n "s/^$1 //p" "$CTL/status"; }
# What changed is seen from then on.
settle() {
    if [ "$HELPER" = off ]; then
        echo refresh >"$CTL/ctl"
    else
        sleep "$(($(status coherence_ms) + 200))e-3"
    fi
}
names() { find "$1" -maxdepth 1 -mindepth 1 -printf '%f %s %y\n' | sort; }

# ---- a directory of 100,000 ----

python3 - "$SBX" "$DEPTH" "$DIRS" <<'END'
import os, sys
os.chdir(sys.argv[1])
os.mkdir('many')
for i in range(100000):
    os.close(os.open(f'many/file-{i}.txt', os.O_CREAT | os.O_WRONLY, 0o644))
path = ''
for i in range(int(sys.argv[2])):
    path += 'd/' if path else 'deep/'
    os.mkdir(path)
with open(path + 'end', 'w') as f:
    f.write('here')
for d in range(int(sys.argv[3])):
    os.makedirs(f'tree/t{d % 10}/u{d}')
    for i in range(100):
        with open(f'tree/t{d % 10}/u{d}/f{i}', 'w') as f:
            f.write(f'{d} {i}')
END
settle
before=$(rss_kib)
names many >"$WORK/shown"
names "$SBX/many" >"$WORK/there"
check "100,000 names are listed as they are" cmp -s "$WORK/shown" "$WORK/there"
after=$(rss_kib)
echo "memory of 100,000 entries: $((after - before)) KiB"
grep -q 'lib[at]san' "/proc/$PID/maps" ||
    check "they take less than 80 MiB" test $((after - before)) -lt $((80 * 1024))
check "one of them is found" test -f many/file-77777.txt
fails "what is not among them is not" stat many/file-100000.txt
rm "$SBX/many/file-5.txt" "$SBX/many/file-99999.txt"
echo changed >"$SBX/many/file-50000.txt"
echo new >"$SBX/many/another"
mv "$SBX/many/file-6.txt" "$SBX/many/moved"
settle
names many >"$WORK/shown"
names "$SBX/many" >"$WORK/there"
check "and again, after a few were changed" cmp -s "$WORK/shown" "$WORK/there"
is "what was changed" "$(cat many/file-50000.txt many/another)" "$(printf 'changed\nnew')"
fails "what went" stat many/file-5.txt

# ---- deep ----

deep=deep$(printf '/d%.0s' $(seq $((DEPTH - 1))))
is "all of them are walked" "$(find deep -type d | wc -l)" $DEPTH
is "the last one has its file" "$(cat "$deep/end")" here
echo more >"$SBX/$deep/end"
settle
is "and its changes" "$(cat "$deep/end")" more
(cd "$deep" && is "who stands there knows where" "$(pwd -P)" "$MNT/$deep")

# ---- larger than its memory ----

cd /
check "unmounted" fusermount3 -u "$MNT"
MOUNT_OPTS=$WINDOW,meta_cache=1M
mount_start
cd "$MNT" || exit 1
exec 9<tree/t1/u1/f1
cd tree/t2/u2 || exit 1
for round in 1 2; do
    find "$MNT/tree" -printf '%P %s %y\n' | sort >"$WORK/shown"
    find "$SBX/tree" -printf '%P %s %y\n' | sort >"$WORK/there"
    check "a tree that is too large is shown whole, time $round" cmp -s "$WORK/shown" "$WORK/there"
done
small() {
    ls "$MNT/tree/t3" >/dev/null # something must happen, for something to go
    [ "$(status meta_bytes)" -lt $((3 * 512 * 1024)) ]
}
check "memory comes down" within 20 small
is "who stands in it knows where" "$(pwd -P)" "$MNT/tree/t2/u2"
is "and finds what is there" "$(cat f7)" "2 7"
is "what is open is read" "$(cat <&9)" "1 1"
echo new >"$SBX/tree/t4/u4/f4"
mv "$SBX/tree/t5/u5" "$SBX/tree/t5/u5-moved"
settle
is "what changed of what went is seen" "$(cat "$MNT/tree/t4/u4/f4")" new
is "what was moved is found" "$(cat "$MNT/tree/t5/u5-moved/f5")" "5 5"
fails "and not where it was" stat "$MNT/tree/t5/u5"
