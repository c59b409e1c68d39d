"""told.py MOUNT INSIDE: a late failure is told once on each handle, whichever descriptor asks."""
import errno
import os
import sys

here, inside = sys.argv[1:]


def told(call, *args):
    try:
        call(*args)
    except OSError as e:
        return errno.errorcode[e.errno]
    return ""


def theirs(name):
    with open(f"{inside}/{name}.theirs", "w") as out:
        out.write("theirs")
    os.rename(f"{inside}/{name}.theirs", f"{inside}/{name}")


def expect(what, got, want):
    if got != want:
        print(f"{what}: {got} and not {want}", flush=True)


def opened(name):
    """Two handles, the first one with two descriptors; what is written through it is refused."""
    path = f"{here}/{name}"
    with open(path, "rb") as f:
        f.read()
    first = os.open(path, os.O_RDWR)
    second = os.open(path, os.O_RDWR)
    theirs(name)
    os.pwrite(first, b"ours", 0)
    return first, os.dup(first), second


first, also_first, second = opened("by-fsync")
expect("fsync", told(os.fsync, first), "EIO")
expect("fsync again", told(os.fsync, first), "")
expect("fsync by another descriptor of that handle", told(os.fsync, also_first), "")
expect("fsync of another handle", told(os.fsync, second), "EIO")
expect("fsync of another handle again", told(os.fsync, second), "")
for fd in first, also_first, second:
    expect("close after that", told(os.close, fd), "")

first, also_first, second = opened("by-close")
expect("fsync of the handle that did not write", told(os.fsync, second), "EIO")
expect("close of one descriptor", told(os.close, also_first), "EIO")
expect("close of the other", told(os.close, first), "")
expect("close of the handle that did not write", told(os.close, second), "")

fd = os.open(f"{here}/by-fsync", os.O_RDWR)
expect("who opens it after that hears nothing", told(os.fsync, fd), "")
os.close(fd)
