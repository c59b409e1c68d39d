"""coherence.py INSIDE MOUNT SCRATCH SECONDS WINDOW_MS: see coherence.sh. Prints each complaint."""

import os
import shutil
import sys
import time

inside, mount, scratch, seconds, window_ms = sys.argv[1:]
end = time.monotonic() + float(seconds)
SLACK = 0.3  # for a machine with other work, between the look at the clock and the system call
window = int(window_ms) / 1000 + SLACK
LINES = 2000
OLD = 20  # of what was put aside: looking at a directory that only grows takes ever longer


def drop_old(path, count):
    old = f"{path}.old.{count - OLD}"
    if os.path.isdir(old) and not os.path.islink(old):
        shutil.rmtree(old)
    elif os.path.lexists(old):
        os.unlink(old)


def content(count):
    return b"%08d\n" % count * (1 + count % LINES)


def put(path, count):
    with open(path, "wb") as f:
        f.write(content(count))


def replace(path, count):
    put(path + ".new", count)
    os.rename(path + ".new", path)


def in_place(path, count):
    with open(path, "r+b") as f:  # same size, one write: a reader never finds half of it
        f.write(b"%08d\n" % count)


def rewrite(path, count):
    """All of it in one write: who reads it while that happens must read it again."""
    with open(path, "r+b", buffering=0) as f:
        os.pwrite(f.fileno(), b"%08d\n" % count * 8000, 0)


def grow(path, count):
    with open(path, "r+b", buffering=0) as f:
        os.pwrite(f.fileno(), b"%08d\n" % count * (1 + count), 0)


def forge(path, count):
    put(path + ".new", count)
    os.utime(path + ".new", (1, 1))
    os.rename(path + ".new", path)


def tree(path, count):
    """A directory from elsewhere in place of the one there, older than any look at it."""
    os.makedirs(f"{path}.{count}/a/b")
    put(f"{path}.{count}/a/b/count", count)
    if os.path.exists(path):
        os.rename(path, f"{path}.old.{count}")
    os.rename(f"{path}.{count}", path)
    drop_old(path, count)


def flip(path, count):
    """Now a file, now a directory, now a link; its count is in its name's time."""
    kind = count % 3
    new = f"{path}.new.{count}"
    if kind == 0:
        put(new, count)
    elif kind == 1:
        os.mkdir(new)
        put(new + "/count", count)
    else:
        os.symlink("c%08d" % count, new)
    if os.path.lexists(path):
        os.rename(path, f"{path}.old.{count}")
    os.rename(new, path)
    drop_old(path, count)


def add(path, count):
    """Names that come and go: the highest that is there counts."""
    put(f"{path}/n{count:08d}", count)
    if count > 3:
        os.unlink(f"{path}/n{count - 3:08d}")


def writer():
    os.mkdir(inside + "/names")
    for name in ("replaced", "forged"):
        put(f"{inside}/{name}", 0)
    put(inside + "/placed", 0)
    for name in ("rewritten", "grown"):
        open(f"{inside}/{name}", "wb").close()
    rewrite(inside + "/rewritten", 0)
    grow(inside + "/grown", 0)
    for name in ("moved", "flipped"):
        (tree if name == "moved" else flip)(f"{inside}/{name}", 0)
    add(inside + "/names", 0)
    marks = os.open(scratch + "/marks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    count = 0
    while time.monotonic() < end:
        count += 1
        replace(inside + "/replaced", count)
        forge(inside + "/forged", count)
        in_place(inside + "/placed", count)
        rewrite(inside + "/rewritten", count)
        grow(inside + "/grown", count)
        tree(inside + "/moved", count)
        flip(inside + "/flipped", count)
        add(inside + "/names", count)
        os.write(marks, b"%.6f %d\n" % (time.monotonic(), count))
        time.sleep(0.15)  # a fetch and the one after it take less


def hot_writer():
    """One file that is replaced all the time, and is there all the time."""
    count = 0
    while time.monotonic() < end:
        count += 1
        replace(inside + "/hot", count)
        time.sleep(0.002)


def whole(path, lines=None):
    with open(path, "rb") as f:
        data = f.read()
    count = int(data[:8])
    lines = lines(count) if lines else 1 + count % LINES
    if data != data[:9] * lines and not path.endswith("placed"):
        print(f"mixed: {path}: {count}, {len(data)} bytes, {set(data.split())}")
    return count


def seen_flipped(path):
    st = os.lstat(path)
    if os.path.stat.S_ISLNK(st.st_mode):
        return int(os.readlink(path)[1:])
    if os.path.stat.S_ISDIR(st.st_mode):
        return whole(path + "/count")
    return whole(path)


LOOKS = {
    "replaced": lambda p: whole(p),
    "forged": lambda p: whole(p),
    "rewritten": lambda p: whole(p, lambda count: 8000),
    "grown": lambda p: whole(p, lambda count: 1 + count),
    "hot": lambda p: whole(p),
    "placed": lambda p: whole(p),
    "moved": lambda p: whole(p + "/a/b/count"),
    "flipped": seen_flipped,
    "names": lambda p: max(int(n[1:]) for n in os.listdir(p)),
}
# Where the name itself is away for a moment, or turns into something else between two calls.
MAY_FAIL = {"moved", "flipped"}


def newest_before(when):
    """The last count that was written in full by then."""
    best = None
    with open(scratch + "/marks", "rb") as f:
        for line in f.read().splitlines():
            at, count = line.split()
            if float(at) <= when:
                best = int(count)
    return best


def reader():
    seen = 0
    last = {}
    while time.monotonic() < end - 0.2:
        for name, look in LOOKS.items():
            start = time.monotonic()
            count = None
            for _ in range(5 if name in MAY_FAIL else 1):
                try:
                    count = look(f"{mount}/{name}")
                    break
                except OSError as e:
                    if name not in MAY_FAIL:
                        print(f"error: {name}: {e}")
            if count is None:
                continue
            least = newest_before(start - window)
            if least is not None and count < least and name != "hot":
                print(f"old: {name}: {count}, but {least} was there {window} s before")
            if count < last.get(name, 0):
                print(f"back: {name}: {count} after {last[name]}")
            last[name] = count
            seen += 1
        time.sleep(0.01)
    print(f"seen {seen}")


put(inside + "/hot", 0)
pids = []
for work in (writer, hot_writer):
    pids.append(os.fork())
    if pids[-1] == 0:
        try:
            work()
        finally:
            os._exit(0)
while not os.path.exists(scratch + "/marks"):
    time.sleep(0.01)
time.sleep(window)  # what was looked at before may be shown for so long
try:
    reader()
finally:
    for pid in pids:
        os.waitpid(pid, 0)
