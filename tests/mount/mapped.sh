# Every file can be mapped, shared, too: also one that is not here in full, and one of which the
# kernel still knows another size.
. "$(dirname "$0")/lib.sh"
have python3 || exit $SKIP

cat >"$WORK/map.py" <<'P'
import mmap, os, sys
# FILE OFFSET WANT [STORE]: what a shared mapping of FILE has there; then STORE is stored there.
name, off, want = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
store = sys.argv[4].encode() if len(sys.argv) > 4 else None
fd = os.open(name, os.O_RDWR if store else os.O_RDONLY)
prot = mmap.PROT_READ | (mmap.PROT_WRITE if store else 0)
with mmap.mmap(fd, os.fstat(fd).st_size, prot=prot) as m:
    if m[off:off + len(want)] != want:
        sys.exit("%s has %r" % (name, m[off:off + len(want)]))
    if store:
        m[off:off + len(store)] = store
P

# What comes later in it was never read.
head -c 6000000 /dev/zero >"$SBX/large"
printf 'the end' >>"$SBX/large"
sleep 1.1
IFS=.- read -r major minor _ <<R
$(uname -r)
R
if [ "$major" -gt 6 ] || { [ "$major" -eq 6 ] && [ "$minor" -ge 6 ]; }; then
    check "a large file, to be read" python3 "$WORK/map.py" large 6000000 "the end"
    check "and to be written" python3 "$WORK/map.py" large 6000000 "the end" "an edit"
    check "sync" "$DAYTONAFS" sync .
    is "what was stored is there" "$(tail -c 7 "$SBX/large")" "an edit"
    printf 'a new one' >"$SBX/small"
    sleep 1.1
    cat small >/dev/null
    for text in "a longer text than that" "short"; do
        printf %s "$text" >"$SBX/small"
        sleep 1.1
        check "one whose size is another by now" python3 "$WORK/map.py" small 0 "$text"
    done
    # The same by a handle that was opened before, so that the kernel has pages.
    exec 7<large
    head -c 10 <&7 >/dev/null
    printf 'more' >>"$SBX/large"
    sleep 1.1
    check "a large one, too" python3 "$WORK/map.py" large 6000007 "more" "MORE"
    exec 7<&-
    check "sync again" "$DAYTONAFS" sync .
    is "and that is there" "$(tail -c 11 "$SBX/large")" "an editMORE"
else
    skipped="Linux before 6.6 maps no file shared that is not here in full"
fi
