"""same.py A B: names, types, modes, content, links and times of files in two trees are the same.

The times of what everyday.py gives none are left out, and so is what git and sqlite keep: that is
compared by what they say of it.
"""
import os
import sqlite3
import stat
import subprocess
import sys

T0 = 1_600_000_000


def fail(e):
    raise e


def tree(root):
    out = {}
    for at, dirs, files in os.walk(root, onerror=fail):
        dirs[:] = sorted(d for d in dirs if d != ".git")
        for name in dirs + files:
            path = os.path.join(at, name)
            rel = os.path.relpath(path, root)
            st = os.lstat(path)
            what = oct(st.st_mode)
            if stat.S_ISLNK(st.st_mode):
                what += " -> " + os.readlink(path)
            elif stat.S_ISREG(st.st_mode) and rel != "db":
                with open(path, "rb") as f:
                    data = f.read()
                what += f" {len(data)} bytes {hash(data):x} {st.st_nlink} names"
                if st.st_mtime_ns // 10**9 == T0:
                    what += f" at {st.st_mtime_ns}"
            out[rel] = what
    return out


def said(root):
    git = ["git", "-c", "safe.directory=*", "-C", f"{root}/repo"]
    out = {"git fsck": subprocess.run(git + ["fsck", "--full", "--strict"], capture_output=True,
                                      text=True),
           "git log": subprocess.run(git + ["log", "--format=%H %s"], capture_output=True,
                                     text=True)}
    out = {k: (v.returncode, v.stdout if k == "git log" else
               [l for l in v.stderr.splitlines() if not l.startswith("notice")])
           for k, v in out.items()}
    db = sqlite3.connect(f"{root}/db")
    out["integrity"] = db.execute("pragma integrity_check").fetchall()
    out["rows"] = db.execute("select * from t order by k").fetchall()
    return out


a, b = tree(sys.argv[1]), tree(sys.argv[2])
differ = [f"{k}: {a.get(k)} | {b.get(k)}" for k in sorted(set(a) | set(b)) if a.get(k) != b.get(k)]
x, y = said(sys.argv[1]), said(sys.argv[2])
differ += [f"{k}: {str(x[k])[:300]} | {str(y[k])[:300]}" for k in x if x[k] != y[k]]
if y["integrity"] != [("ok",)] or y["git fsck"][0] != 0:
    differ.append(f"damaged: {y['integrity']} {y['git fsck']}")
print("\n".join(differ[:30]))
sys.exit(1 if differ else 0)
