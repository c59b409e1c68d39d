"""committed.py WORK LOG SECONDS: programs at work on a mount that is killed again and again.

Three of them, each of which writes into its own file LOG.NAME what it has been promised: sqlite
transactions (synchronous=FULL, in both kinds of journal), commits of git, and files that were
synced after they were written, added to, or renamed over another. Who fails waits until the mount
is there again, looks if all that was promised before is still true, and goes on.
committed.py --check WORK LOG: the same look, from anywhere.
"""
import errno
import os
import sqlite3
import subprocess
import sys
import threading
import time

GIT = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-c", "gc.auto=0", "-c",
       "safe.directory=*", "-c", "core.fsync=all"]
bad = []
checking = sys.argv[1] == "--check"
work, log = sys.argv[1 + checking:3 + checking]


def complain(who, text):
    bad.append(who)
    print(f"{who}: {text}", flush=True)


def promised(name):
    """What the program was told, line by line."""
    try:
        with open(f"{log}.{name}") as f:
            return f.read().split("\n")[:-1]
    except FileNotFoundError:
        return []


def promise(name, text):
    with open(f"{log}.{name}", "a") as f:
        f.write(text + "\n")


# ---- sqlite ----

def transact(name, n):
    db = sqlite3.connect(f"{work}/{name}.db", timeout=10)
    try:
        db.execute("pragma synchronous=full")
        db.execute(f"pragma journal_mode={name}")
        with db:
            db.execute("create table if not exists t(k integer primary key, v text)")
        for k in range(3):
            with db:
                db.execute("insert into t values(?, ?)", (3 * n + k, "x" * (n * 37 % 5000)))
            promise(name, str(3 * n + k))
    finally:
        db.close()


def look_database(name):
    if not promised(name):
        return
    db = sqlite3.connect(f"{work}/{name}.db", timeout=10)
    try:
        said = db.execute("pragma integrity_check").fetchall()
        have = {r[0] for r in db.execute("select k from t")}
    finally:
        db.close()
    if said != [("ok",)]:
        complain(name, f"damaged: {said}")
    lost = [k for k in promised(name) if int(k) not in have]
    if lost:
        complain(name, f"transactions {lost[:5]} are lost")


# ---- git ----

def git(*args):
    return subprocess.run([*GIT, *args], cwd=f"{work}/git", check=True, capture_output=True,
                          text=True, timeout=60).stdout.strip()


def commit(name, n):
    if not os.path.exists(f"{work}/git/.git/HEAD"):
        os.makedirs(f"{work}/git", exist_ok=True)
        git("init", "-q", "-b", "main")
    for lock in ("index.lock", "HEAD.lock", "refs/heads/main.lock"):
        if os.path.exists(f"{work}/git/.git/{lock}"):  # as git tells who finds one
            os.unlink(f"{work}/git/.git/{lock}")
    for i in range(3):
        with open(f"{work}/git/f{(n + i) % 7}", "w") as f:
            f.write(f"{n}\n" * (n % 50))
    git("add", "-A")
    git("commit", "-q", "--allow-empty", "-m", str(n))
    promise(name, git("rev-parse", "HEAD"))
    if n % 5 == 4:
        git("gc", "-q", "--prune=now")


def look_git(name):
    if not promised(name):
        return
    try:
        have = set(git("rev-list", "HEAD").split())
        git("fsck", "--full", "--strict")
    except subprocess.CalledProcessError as e:
        if not checking:
            raise  # the mount may have gone, or the line be down: it is looked at again
        complain(name, f"{e.cmd[9:]}: {e.stderr}")
        return
    lost = [c for c in promised(name) if c not in have]
    if lost:
        complain(name, f"commits {lost[:5]} are lost")


# ---- files ----

NEW = 20  # so many are written over and over


def content(path, n):
    return b"%d " % n * (700 if path == "saved" else n * 131 % 3000 + 1)


def write(path, data, flags):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o644)
    try:
        while data:
            data = data[os.write(fd, data):]
        os.fsync(fd)
    finally:
        os.close(fd)


def save(name, n):
    at = f"{work}/files"
    os.makedirs(at, exist_ok=True)
    new = f"new{n % NEW}"
    write(f"{at}/{new}", content(new, n), os.O_TRUNC)
    promise(name, f"{new} {n}")
    write(f"{at}/log", b"line %d\n" % n, os.O_APPEND)
    promise(name, f"log {n}")
    write(f"{at}/saved.part", content("saved", n), os.O_TRUNC)
    os.rename(f"{at}/saved.part", f"{at}/saved")
    fd = os.open(at, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    promise(name, f"saved {n}")


def look_files(name):
    """Of a file there may also be a later version, which was not promised; in part, where it was
    written in place."""
    last = {}
    for line in promised(name):
        path, n = line.split()
        last[path] = int(n)
    for path, n in last.items():
        with open(f"{work}/files/{path}", "rb") as f:
            data = f.read()
        if path == "log":
            lines = data.decode().split("\n")[:-1]
            want = {f"line {l.split()[1]}" for l in promised(name) if l.startswith("log ")}
            if want - set(lines) or len(lines) > len(set(lines)):
                complain(name, f"log: {sorted(want - set(lines))[:5]} lost, or a line made twice")
        elif data != content(path, n):
            later = range(n + 1, n + 100) if path == "saved" else range(n + NEW, n + 10 * NEW, NEW)
            if not any(data == content(path, m) if path == "saved" else
                       content(path, m).startswith(data) for m in later):
                complain(name, f"{path} of {n}: {len(data)} bytes, {data[:20]}")


PROGRAMS = {
    "wal": (transact, look_database),
    "delete": (transact, look_database),
    "git": (commit, look_git),
    "files": (save, look_files),
}


# ---- being killed ----

def there():
    """Where the mount is not, WORK is no directory."""
    try:
        os.listdir(work)
        return True
    except OSError:
        return False


def run(name, end):
    step, look = PROGRAMS[name]
    n = 0
    failed = None
    while time.monotonic() < end and not bad:
        try:
            if failed:
                look(name)
                failed = None
            step(name, n)
        except (OSError, sqlite3.Error, subprocess.SubprocessError) as e:
            failed = e
            until = time.monotonic() + 60
            while not there() and time.monotonic() < until:
                time.sleep(0.05)
        n += 1
    print(f"{name}: {len(promised(name))} promises in {n} rounds", flush=True)


if checking:
    for name, (_, look) in PROGRAMS.items():
        look(name)
else:
    end = time.monotonic() + float(sys.argv[3])
    threads = [threading.Thread(target=run, args=(name, end)) for name in PROGRAMS]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
sys.exit(bool(bad))
