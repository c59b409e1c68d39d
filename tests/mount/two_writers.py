"""two_writers.py DIR SECONDS (MOUNT SUBDIR)...: programs here and in the sandbox write one file.

DIR is the folder in the sandbox, SUBDIR what it is called below each MOUNT.

Every version carries its own name and stands on the one that its writer read or took the place of,
so all versions of a file form a tree. What a writer took away without having known of it would not
be above the last version of the file: it was lost, unless it was set aside as a conflict.

    the sandbox's program   swaps a whole new version in, or writes over the file in place
    a mount's               truncates and writes, writes over it in place, or swaps; if EDITOR is
                            vim, that saves it, in one of its three ways

Lines that are appended by all of them must all be there in the end, once each.
"""
import ctypes
import errno
import os
import random
import subprocess
import sys
import threading
import time

inside, end = sys.argv[1], time.monotonic() + float(sys.argv[2])
mounts = list(zip(sys.argv[3::2], sys.argv[4::2]))
scratch = inside + ".scratch"
FILES = ["a", "b", "c"]
KNOWN = (errno.ESTALE, errno.EIO, errno.EBUSY, errno.ENOENT)
AT_FDCWD, RENAME_EXCHANGE = -100, 2
libc = ctypes.CDLL(None, use_errno=True)
base = {}         # version -> the one it stands on
unsure = set()    # written in the sandbox into a file that was being replaced
aside = set()     # of the mounts': they were shown as conflicts
refused = {}      # of the mounts': its writer was told of the failure
swaps = []        # (file, version of the sandbox's, what it took the place of)
appended = set()
story = []        # (time, file, what happened), for complaints
longest = 0
lock = threading.Lock()


def complain(text):
    print(text, flush=True)


def note(f, text):
    story.append((time.monotonic(), f, text))


def tell_of(version):
    """What happened around its making."""
    when, of = next(((t, f) for t, f, text in story if text.startswith(f"{version} ")), (0, ""))
    for t, f, text in story:
        if f == of and abs(t - when) < 0.5:
            complain(f"    {t:.3f} {f}: {text}")


def content(version):
    return (f"{version:>8}\n").encode() * 400


def version_of(data, where):
    lines = set(data.decode().split())
    if len(lines) != 1 or data != content(next(iter(lines))):
        complain(f"{where}: a mixture: {sorted(lines)}, {len(data)} bytes")
    return next(iter(lines), "")


def write_new(path, version):
    with open(path, "xb") as out:
        out.write(content(version))


def read(path, where):
    with open(path, "rb") as f:
        return version_of(f.read(), where)


def exchange(a, b):
    if libc.renameat2(AT_FDCWD, a.encode(), AT_FDCWD, b.encode(), RENAME_EXCHANGE) < 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def append(path, line):
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, f"{line}\n".encode())
    finally:
        os.close(fd)
    with lock:
        appended.add(line)


def swap(folder, f, version):
    new = f"{folder}/{f}.{version}.new"
    write_new(new, version)
    try:
        exchange(new, f"{folder}/{f}")
    except FileNotFoundError:  # a save that goes by a rename is half done
        os.unlink(new)
        raise
    base[version] = read(new, f"{f}, swapped for {version}")
    os.unlink(new)


# ---- the sandbox's program ----

def swap_inside(f, version):
    swap(inside, f, version)
    swaps.append((f, version, base[version]))
    note(f, f"{version} swapped for {base[version]}")


def stat_of(path):
    return os.stat(path if os.path.exists(path) else "/")


def write_inside(f, version):
    with open(f"{inside}/{f}", "r+b", buffering=0) as out:
        base[version] = version_of(out.read(), f"{f} in the sandbox")
        os.pwrite(out.fileno(), content(version), 0)
        if not os.path.samestat(os.fstat(out.fileno()), stat_of(f"{inside}/{f}")):
            unsure.add(version)  # nobody may ever have been able to see it
        else:
            swaps.append((f, version, base[version]))
    note(f, f"{version} swapped for {base[version]}")


def sandbox_writer(seed):
    rnd, n = random.Random(seed), 0
    while time.monotonic() < end:
        n += 1
        try:
            rnd.choice([swap_inside, swap_inside, write_inside])(rnd.choice(FILES), f"S{n}")
        except FileNotFoundError:
            pass
        if n % 3 == 0:
            append(f"{inside}/log", f"S{n}")
        time.sleep(rnd.random() * 0.15)


# ---- a mount's ----

def truncate_and_write(folder, f, version):
    fd = os.open(f"{folder}/{f}", os.O_RDWR)
    try:
        base[version] = version_of(os.read(fd, 1 << 20), f"{f} for {version}")
        os.ftruncate(fd, 0)
        os.pwrite(fd, content(version), 0)
    finally:
        os.close(fd)


def write_over(folder, f, version):
    fd = os.open(f"{folder}/{f}", os.O_RDWR)
    try:
        base[version] = version_of(os.read(fd, 1 << 20), f"{f} for {version}")
        os.pwrite(fd, content(version), 0)
    finally:
        os.close(fd)


def save_with_vim(folder, f, version):
    """As a person would: it asks before it writes over what it sees is another version by now."""
    read_by_vim, new = f"{scratch}/{version}.was", f"{scratch}/{version}.new"
    write_new(new, version)
    way = ["auto", "yes", "no"][int(version[1:]) % 3]
    done = subprocess.run(
        ["vim", "-es", f, "-c", f"set backupcopy={way} nomore", "-c", f"silent w! {read_by_vim}",
         "-c", "silent %delete _", "-c", f"silent 0read {new}", "-c", "silent g/^$/d _",
         "-c", "try | silent w | catch | cquit | endtry", "-c", "if &modified | cquit | endif",
         "-c", "qa!"],
        cwd=folder, input=b"n\nn\nn\n", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        timeout=60)
    if not os.path.exists(read_by_vim) or os.path.getsize(read_by_vim) == 0:
        raise OSError(errno.ENOENT, "vim found nothing there")
    base[version] = read(read_by_vim, f"{f} for {version}")
    if done.returncode != 0:
        raise OSError(errno.EIO, "vim did not save")


def mount_writer(mount, name, seed):
    global longest
    folder = os.path.join(*mount)
    rnd, n = random.Random(seed), 0
    writes = [truncate_and_write, write_over, swap]
    if os.environ.get("EDITOR") == "vim":
        writes = [save_with_vim]
    while time.monotonic() < end:
        n += 1
        f, version, began = rnd.choice(FILES), f"{name}{n}", time.monotonic()
        try:
            settle(mount)
            write = rnd.choice(writes)
            note(f, f"{version} begins: {write.__name__}")
            write(folder, f, version)
            note(f, f"{version} made of {base[version]}")
        except OSError as e:
            refused[version] = e.errno
            note(f, f"{version} refused: {e}")
            if e.errno not in KNOWN:
                complain(f"{version}: {f}: {e}")
        try:
            if n % 3 == 0:
                append(f"{folder}/log", version)
        except OSError as e:
            complain(f"{version}: log: {e}")
        longest = max(longest, time.monotonic() - began)
        time.sleep(rnd.random() * 0.15)


def settle(mount):
    """The sandbox's versions stay. What is thrown away is remembered.

    A save that was refused in the middle may have left no more than its truncation."""
    root, sub = mount
    conflicts = os.path.join(root, ".ctl/conflicts", sub)
    for name in os.listdir(conflicts) if os.path.exists(conflicts) else []:
        try:
            version = ""
            if os.path.getsize(f"{conflicts}/{name}") > 0:
                version = read(f"{conflicts}/{name}", f"the conflict {name}")
            aside.add(version)
            note(name[:1], f"set aside on {root[-5:]}: {name}, {version}")
            os.unlink(f"{conflicts}/{name}")  # as `keep theirs` does, of this version only
        except OSError as e:
            complain(f"the conflict {name}: {e}")


def sync(mount):
    for attempt in range(20):
        settle(mount)
        try:
            with open(f"{mount[0]}/.ctl/ctl", "w") as ctl:
                ctl.write("discard\nsync\n" if attempt > 5 else "sync\n")  # what has no content
            return
        except OSError:
            time.sleep(0.2)
    complain(f"{mount[0]}: it never became quiet")


# ---- what came of it ----

def above(version):
    """All that it stands on, itself included."""
    out = set()
    while version and version not in out:
        out.add(version)
        version = base.get(version)
    return out


os.mkdir(scratch)
for f in FILES:
    write_new(f"{inside}/{f}", "S0")
open(f"{inside}/log", "w").close()
time.sleep(1)  # so that every mount knows them
threads = [threading.Thread(target=sandbox_writer, args=(1,))]
for i, m in enumerate(mounts):
    threads.append(threading.Thread(target=mount_writer, args=(m, "MN"[i], 2 + i)))
for t in threads:
    t.start()
for t in threads:
    t.join()
for m in mounts:
    sync(m)
time.sleep(1)

kept, files_of = set(), {}
for name in sorted(os.listdir(inside)):
    if name != "log":
        files_of[name] = read(f"{inside}/{name}", f"{name} in the end")
        kept |= above(files_of[name])
for version in list(aside) + list(refused):
    kept |= above(version)  # whose writer was told: it knew what it stood on
for version in base:
    if version not in kept and version not in unsure and version not in refused:
        complain(f"{version} was lost; it stood on {base[version]}")
        tell_of(version)
for m in mounts:
    for name, version in files_of.items():
        is_here = read(os.path.join(*m, name), f"{name} on {m[0]}")
        if is_here != version:
            complain(f"{m[0]}: {name} has {is_here}, the sandbox {version}")
landed = sum(1 for f, version, was in swaps if was[:1] != "S")
with open(f"{inside}/log") as log:
    lines = log.read().split()
if sorted(lines) != sorted(appended):
    complain(f"appended, but not there: {sorted(appended - set(lines))}; "
             f"more than once, or torn: {sorted(l for l in set(lines) if lines.count(l) > 1)}")
if longest > 15:
    complain(f"one step took {longest:.1f} s")
print(f"seen {len(swaps)} of the sandbox's, {len(base) - len(swaps)} of the mounts', "
      f"{landed} landed, {len(aside)} conflicts, {len(refused)} refused, {len(lines)} lines, "
      f"at most {longest:.2f} s")
