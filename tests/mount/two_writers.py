"""two_writers.py SANDBOX MOUNT SECONDS [MOUNT2]: programs here and in the sandbox write one file.

Every version carries the name of the one that its writer had read. The sandbox's program swaps its
version with what is there, so it knows exactly what that was; a version of its own that a mount's
write took away without having been based on it was lost, unless the write was set aside as a
conflict. Lines that are appended must all be there in the end, once each.
"""
import ctypes
import errno
import os
import random
import sys
import threading
import time

inside, mounts = sys.argv[1], [sys.argv[2]] + sys.argv[4:]
end = time.monotonic() + float(sys.argv[3])
FILES = ["a", "b", "c"]
AT_FDCWD, RENAME_EXCHANGE = -100, 2
libc = ctypes.CDLL(None, use_errno=True)
base = {}          # version -> what its writer had read
swapped = {f: [] for f in FILES}  # (version of the sandbox's, what it took the place of)
appended = {"log": set()}
conflicts = 0
lock = threading.Lock()


def complain(text):
    print(text, flush=True)


def content(version):
    return (version + "\n").encode() * 400


def version_of(data, where):
    lines = set(data.decode().split())
    if len(lines) != 1 or data != content(next(iter(lines))):
        complain(f"{where}: a mixture: {sorted(lines)}, {len(data)} bytes")
    return next(iter(lines), "")


def exchange(a, b):
    if libc.renameat2(AT_FDCWD, a.encode(), AT_FDCWD, b.encode(), RENAME_EXCHANGE) < 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def append(path, line):
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, line.encode())
    finally:
        os.close(fd)
    with lock:
        appended["log"].add(line.strip())


def sandbox_writer(seed):
    rnd, n = random.Random(seed), 0
    while time.monotonic() < end:
        n += 1
        f = rnd.choice(FILES)
        version, new = f"S{n}", f"{inside}/new"
        with open(new, "wb") as out:
            out.write(content(version))
        exchange(new, f"{inside}/{f}")
        with open(new, "rb") as old:
            swapped[f].append((version, version_of(old.read(), f"{f} in the sandbox")))
        os.unlink(new)
        if n % 3 == 0:
            append(f"{inside}/log", f"S{n}\n")
        time.sleep(rnd.random() * 0.15)


def mount_writer(mount, name, seed):
    rnd, n = random.Random(seed), 0
    while time.monotonic() < end:
        n += 1
        f, version = rnd.choice(FILES), f"{name}{n}"
        try:
            fd = os.open(f"{mount}/{f}", os.O_RDWR)
            try:
                was = version_of(os.read(fd, 1 << 20), f"{f} on {name}")
                with lock:
                    base[version] = was
                os.ftruncate(fd, 0)
                os.pwrite(fd, content(version), 0)
            finally:
                os.close(fd)
            if n % 3 == 0:
                append(f"{mount}/log", f"{name}{n}\n")
        except OSError as e:
            if e.errno not in (errno.ESTALE, errno.EIO, errno.EBUSY):
                complain(f"{name}: {f}: {e}")
        time.sleep(rnd.random() * 0.15)


def settle(mount):
    """The sandbox's version stays, as often as there is a conflict."""
    global conflicts
    for f in FILES:
        try:
            if not os.path.exists(f"{mount}/.ctl/conflicts/{f}"):
                continue
            conflicts += 1
            with open(f"{mount}/.ctl/ctl", "w") as ctl:
                ctl.write(f"keep theirs {f}\n")
        except OSError as e:
            complain(f"keep theirs {f}: {e}")


def settler(mount):
    while time.monotonic() < end:
        settle(mount)
        time.sleep(0.3)


def sync(mount):
    for attempt in range(20):
        settle(mount)
        try:
            with open(f"{mount}/.ctl/ctl", "w") as ctl:
                ctl.write("sync\n")
            return
        except OSError:
            time.sleep(0.2)
    complain(f"{mount}: it never became quiet")


def came_from(version, ours):
    """Is it based on ours, perhaps by way of other versions from the mounts?"""
    for step in range(1000):
        if version == ours:
            return True
        if version not in base:
            return False
        version = base[version]
    return False


for f in FILES:
    with open(f"{inside}/{f}", "wb") as out:
        out.write(content("S0"))
open(f"{inside}/log", "w").close()
time.sleep(1)  # so that every mount knows them
threads = [threading.Thread(target=sandbox_writer, args=(1,))]
for i, m in enumerate(mounts):
    threads.append(threading.Thread(target=mount_writer, args=(m, "MN"[i], 2 + i)))
    threads.append(threading.Thread(target=settler, args=(m,)))
for t in threads:
    t.start()
for t in threads:
    t.join()
for m in mounts:
    sync(m)

landed = 0
for f in FILES:
    with open(f"{inside}/{f}", "rb") as out:
        last = version_of(out.read(), f"{f} in the end")
    before = "S0"
    for version, was in swapped[f] + [("the end", last)]:
        if was != before:
            landed += 1
            if not came_from(was, before):
                complain(f"{f}: {before} was lost: {was}, based on {base.get(was)}, took its place")
        before = version
with open(f"{inside}/log") as log:
    lines = log.read().split()
if sorted(lines) != sorted(appended["log"]):
    complain(f"appended, but not there: {sorted(appended['log'] - set(lines))}; "
             f"more than once, or torn: {sorted(l for l in set(lines) if lines.count(l) > 1)}")
print(f"seen {sum(map(len, swapped.values()))} of the sandbox's, {len(base)} of the mounts', "
      f"{landed} landed, {conflicts} conflicts, {len(lines)} lines")
