# Two names of one file, both open: whatever is done through either of them is seen through the
# other at once, as on a local file system, and none of it is a conflict.
if [ "${HELPER:-require}" = off ]; then
    echo "skip: in plain mode other names show what was written once it is closed"
    exit 77
fi
. "$(dirname "$0")/lib.sh"
have python3 || exit $SKIP

cat >"$WORK/names.py" <<'P'
import os, random, sys

seed, steps = int(sys.argv[1]), int(sys.argv[2])
rnd = random.Random(seed)
names = ["one%d" % seed, "two%d" % seed]
want = bytearray(b"0123456789")
with open(names[0], "wb") as f:
    f.write(want)
os.link(*names)
handles = [os.open(name, os.O_RDWR) for name in names]

def write(fd, name):
    off, data = rnd.randrange(30), bytes([rnd.randrange(65, 91)]) * rnd.randrange(1, 9)
    os.pwrite(fd, data, off)
    want.extend(bytes(max(0, off - len(want))))
    want[off:off + len(data)] = data
def append(fd, name):
    with open(name, "ab") as f:
        f.write(b"+")
    want.extend(b"+")
def truncate(fd, name):
    size = rnd.randrange(30)
    os.ftruncate(fd, size)
    del want[size:]
    want.extend(bytes(size - len(want)))
def fsync(fd, name):
    os.fsync(fd)
def read(fd, name):
    return os.pread(fd, 100, 0)
def stat(fd, name):
    return os.stat(name).st_size
def cat(fd, name):
    with open(name, "rb") as f:
        return f.read()

log = []
for i in range(steps):
    which, op = rnd.randrange(2), rnd.choice([write, write, write, truncate, append, fsync, read,
                                              stat, cat])
    log.append("%s %s" % (op.__name__, names[which]))
    got = op(handles[which], names[which])
    if got is not None and got != (len(want) if op is stat else bytes(want)):
        sys.exit("step %d: got %r, want %r, after %s" % (i, got, bytes(want), log[-12:]))
for fd in handles:
    os.close(fd)
sys.stdout.buffer.write(want)
P
for seed in 5 6; do
    check "steps of seed $seed" sh -c "timeout 100 python3 '$WORK/names.py' $seed 250 >'$WORK/want'"
    check "sync" "$DAYTONAFS" sync .
    check "what is in the sandbox" cmp "$WORK/want" "$SBX/one$seed"
    check "under the other name" cmp "$WORK/want" "$SBX/two$seed"
done
is "no conflict" "$(ls .ctl/conflicts; cat .ctl/errors)" ""
