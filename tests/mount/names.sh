# Names with every byte work, or fail with a clear errno and change nothing.
. "$(dirname "$0")/lib.sh"
have python3 || exit $SKIP

python3 - "$MNT" "$SBX" <<'P'
import os, sys
mnt, sbx = (os.fsencode(p) for p in sys.argv[1:])
names = [b"'", b'"', b"a'b\"c", b" lead", b"trail ", b" ", b"-rf", b"--help", b"new\nline", b"\n",
         b"tab\t", b"back\\slash", b"$(touch x)", b"`id`", b"*", b"?", b"[a]", b"~", b"#c", b"a;b",
         b"a&b", b"%41", b"a+b", b"=x", b"!x", b"{a,b}", b"\xc3\xa9", b"\xff\xfe", b"a\x80b",
         b"\x01\x02", b"\x7f", "\u202e".encode(), "\U0001f600".encode(), b"x" * 255,
         b"\xc3\xa9" * 127, b"..a", b"...", b".hidden", b"a:b", b"a|b", b"<a>", b"\r", b"CON"]
bad = 0
def fail(*what):
    global bad
    bad += 1
    print("FAIL:", *what)
def sync():
    with open(os.path.join(mnt, b".ctl/ctl"), "w") as f:
        f.write("sync\n")
def step(name, what, f, refusable=False):
    try:
        return f()
    except OSError as e:
        fail(what, name, e)
for name in names:
    p, q = os.path.join(mnt, name), os.path.join(sbx, name)
    data = b"data of " + name[:20]
    def write():
        with open(p, "wb") as f:
            f.write(data)
    step(name, "write", write)
    sync()
    if step(name, "read in the sandbox", lambda: open(q, "rb").read()) != data:
        fail("content in the sandbox", name)
    if step(name, "read", lambda: open(p, "rb").read()) != data:
        fail("content", name)
    if name not in os.listdir(mnt):
        fail("listed", name)
    step(name, "append", lambda: open(p, "ab").write(b"!"))
    sync()
    if step(name, "read again", lambda: open(q, "rb").read()) != data + b"!":
        fail("content after append", name)
    step(name, "chmod", lambda: os.chmod(p, 0o600))
    step(name, "utime", lambda: os.utime(p, ns=(1, 1500000000123456789)))
    sync()
    if os.stat(q).st_mtime_ns != 1500000000123456789 or os.stat(q).st_mode & 0o777 != 0o600:
        fail("mode or time", name)
    step(name, "rename", lambda: os.rename(p, os.path.join(mnt, b"other")))
    step(name, "rename back", lambda: os.rename(os.path.join(mnt, b"other"), p))
    step(name, "symlink", lambda: os.symlink(name, os.path.join(mnt, b"sl")))
    if step(name, "readlink", lambda: os.readlink(os.path.join(mnt, b"sl"))) != name:
        fail("link target", name)
    step(name, "unlink the link", lambda: os.unlink(os.path.join(mnt, b"sl")))
    step(name, "unlink", lambda: os.unlink(p))
    step(name, "mkdir", lambda: os.mkdir(p))
    step(name, "file below", lambda: open(os.path.join(p, b"f"), "wb").close())
    if step(name, "list below", lambda: os.listdir(p)) != [b"f"]:
        fail("listing", name)
    step(name, "remove below", lambda: os.unlink(os.path.join(p, b"f")))
    step(name, "rmdir", lambda: os.rmdir(p))
    sync()
    if os.listdir(sbx):
        fail("left over", os.listdir(sbx))
        sys.exit(1)
try:
    open(os.path.join(mnt, b"x" * 256), "w")
    fail("256 bytes")
except OSError as e:
    if e.errno != 36:
        fail("256 bytes", e)
for name in names:  # made inside the sandbox, all at once
    with open(os.path.join(sbx, name), "wb") as f:
        f.write(name)
os.mkdir(os.path.join(sbx, b"sub"))
import time
time.sleep(1.2)
got = sorted(os.listdir(mnt))
if got != sorted(names + [b"sub"]):
    fail("listing", set(names) ^ set(got))
for name in names:
    if open(os.path.join(mnt, name), "rb").read() != name:
        fail("content made inside", name)
sys.exit(1 if bad else 0)
P
check "every name" test $? = 0
