"""everyday.py MOUNT LOCAL [ROUNDS [SEED]]: the same everyday work on a mount and in a directory.

Ends after ROUNDS, or after the one in which a file LOCAL.enough came.

The line to the sandbox may fail meanwhile, and the mount be killed and made again: each step is
repeated until it has succeeded, as somebody would who is told that it failed, and is written so
that it can be. Where the mount is not there, everything below MOUNT must fail other than with
ENOENT. A step that takes longer than a minute all together is a complaint, as is what an
earlier step had done and is not there any more, and an error that says neither that the line is
down nor that the mount is not there.
"""
import errno
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time

mount, local = sys.argv[1:3]
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
rnd = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
T0 = 1_600_000_000_123_456_789
again = 0
# Of the line, and of a mount that is not there, or just went.
USUAL = {errno.EHOSTDOWN, errno.ETIMEDOUT, errno.ECONNRESET, errno.ECONNREFUSED, errno.ENOTCONN,
         errno.ECONNABORTED, errno.ENOTDIR}
GIT = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-c", "gc.auto=0"]


def complain(text):
    print(text, flush=True)


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def exists(path):
    """Nothing but ENOENT means that it does not."""
    try:
        os.lstat(path)
        return True
    except FileNotFoundError:
        return False


def copy_tree(root, n):
    if not exists(f"{root}/tree{n}"):
        subprocess.run(["cp", "-a", f"{local}.src/.", f"{root}/tree{n}.part"], check=True,
                       stderr=subprocess.DEVNULL)
        os.rename(f"{root}/tree{n}.part", f"{root}/tree{n}")


def move_tree(root, n):
    if exists(f"{root}/tree{n}"):
        os.rename(f"{root}/tree{n}", f"{root}/moved{n}")
    os.stat(f"{root}/moved{n}")


def save(root, n):
    for i in range(4):
        write(f"{root}/doc{i}.tmp", b"version %d\n" % n * 50)
        os.utime(f"{root}/doc{i}.tmp", ns=(T0, T0 + n))
        os.rename(f"{root}/doc{i}.tmp", f"{root}/doc{i}")
    write(f"{root}/over", b"%08d\n" % n * (300 + n))
    os.utime(f"{root}/over", ns=(T0, T0 + n))
    os.chmod(f"{root}/over", 0o600 + n % 64)


def append(root, n):
    have = read(f"{root}/log") if exists(f"{root}/log") else b""
    if b"line %d\n" % n not in have:
        with open(f"{root}/log", "ab") as f:
            f.write(b"line %d\n" % n)
            os.fsync(f.fileno())


def edit_tree(root, n):
    at = f"{root}/moved{n}"
    for i in range(0, 30, 7):
        folder = f"d{i % 5}" if i % 5 != 1 or not exists(f"{at}/e1") else "e1"
        write(f"{at}/{folder}/f{i}", b"edited %d\n" % n)
        os.utime(f"{at}/{folder}/f{i}", ns=(T0, T0 + i))
    if not exists(f"{at}/new link"):
        os.symlink("d0/f0", f"{at}/new link")
    if exists(f"{at}/d1"):
        os.rename(f"{at}/d1", f"{at}/e1")
    os.makedirs(f"{at}/deep/er", exist_ok=True)
    write(f"{at}/deep/er/file", b"x" * 5000)
    os.utime(f"{at}/deep/er/file", ns=(T0, T0))


def remove_tree(root, n):
    if exists(f"{root}/moved{n - 2}"):
        shutil.rmtree(f"{root}/moved{n - 2}")


def commit(root, n):
    at = f"{root}/repo"
    for lock in ("index.lock", "HEAD.lock", "refs/heads/main.lock"):
        if exists(f"{at}/.git/{lock}"):
            os.unlink(f"{at}/.git/{lock}")
    write(f"{at}/f{n % 7}", b"content %d\n" % n)
    os.utime(f"{at}/f{n % 7}", ns=(T0, T0 + n))
    env = dict(os.environ, GIT_AUTHOR_DATE=f"@{1600000000 + n} +0000",
               GIT_COMMITTER_DATE=f"@{1600000000 + n} +0000")
    last = git(at, "log", "-1", "--format=%s", "--allow-empty") if n > 1 else ""
    if last != f"commit {n}":
        git(at, "add", "-A")
        git(at, "commit", "-qm", f"commit {n}", env=env)


def git(at, *args, env=None):
    args = [a for a in args if a != "--allow-empty"]
    done = subprocess.run(GIT + ["-C", at] + args, capture_output=True, text=True, env=env)
    if done.returncode != 0:
        raise subprocess.SubprocessError(f"git {args[0]}: {done.stderr.strip()[-300:]}")
    return done.stdout.strip()


def transact(root, n):
    os.close(os.open(f"{root}/db", os.O_RDWR))  # which says why it fails
    db = sqlite3.connect(f"{root}/db", timeout=30)
    try:
        db.execute("pragma synchronous = full")
        for i in range(5):
            with db:
                db.execute("insert or ignore into t values (?, ?)", (n * 10 + i, "row" * n))
        if n % 3 == 0:
            with db:
                db.execute("delete from t where k < ?", (n * 5,))
    finally:
        db.close()


def big(root, n):
    """In parts: most of it stays."""
    if not exists(f"{root}/big"):
        write(f"{root}/big.part", bytes(range(256)) * 40000)
        os.rename(f"{root}/big.part", f"{root}/big")
    with open(f"{root}/big", "r+b") as f:
        for i in range(6):
            f.seek((n * 6 + i) * 77777 % 10000000)
            f.write(b"part %d " % n * 2000)
    os.utime(f"{root}/big", ns=(T0, T0 + n))


STEPS = [copy_tree, move_tree, save, append, edit_tree, commit, transact, big, remove_tree]


def begin():
    src = f"{local}.src"
    for i in range(60):
        os.makedirs(f"{src}/d{i % 5}", exist_ok=True)
        write(f"{src}/d{i % 5}/f{i}", rnd.randbytes(rnd.choice([0, 10, 900, 20000])))
        os.chmod(f"{src}/d{i % 5}/f{i}", 0o644 if i % 4 else 0o755)
        os.utime(f"{src}/d{i % 5}/f{i}", ns=(T0, T0 + i * 1000))
    os.symlink("d0/f0", f"{src}/link")
    os.link(f"{src}/d0/f0", f"{src}/d0/second name")
    for root in (local, mount):
        os.makedirs(f"{root}/repo")
        git(f"{root}/repo", "init", "-q", "-b", "main")
        sqlite3.connect(f"{root}/db").execute("create table t (k integer primary key, v text)")


def one(step, n):
    global again
    began = time.monotonic()
    while True:
        try:
            step(mount, n)
            break
        except (OSError, subprocess.SubprocessError, sqlite3.Error) as e:
            again += 1
            if isinstance(e, OSError) and not isinstance(e, shutil.Error) and e.errno not in USUAL:
                complain(f"{step.__name__} {n}: {e}")
            if time.monotonic() - began > 90:
                complain(f"{step.__name__} {n}: {e}, and again for 90 s")
                sys.exit(1)
            time.sleep(0.1)
    if time.monotonic() - began > 60:
        complain(f"{step.__name__} {n} took {time.monotonic() - began:.0f} s")
    step(local, n)


begin()
complain("begun")
for n in range(1, rounds + 1):
    for step in STEPS:
        one(step, n)
    if exists(f"{local}.enough"):
        break
print(f"worked {n} rounds, {again} steps again")
