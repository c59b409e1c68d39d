"""plain_storm.py MOUNT INSIDE STOP: what the mount promises without a journal, while it is killed.

Writes versions of a few files through MOUNT, small and large, by truncating, anew, and by rename,
until there is a file STOP. INSIDE is the same folder in the sandbox, which is read all the time:
each file must be one whole version. A version whose close (or rename) returned well is there until
a later one was begun; one that failed may be there or not.
"""
import os
import sys
import threading
import time

mount, inside, stop = sys.argv[1:4]
LINES = {"small": 40, "inline": 1500, "large": 30000, "renamed": 700, "anew": 900}
good = {}    # name -> the last version that was said to be there
begun = {}   # name -> the last version that was begun
counts = {"well": 0, "failed": 0, "read": 0}
over = threading.Event()


def complain(text):
    print(text, flush=True)


def content(name, version):
    return f"{version:>9}\n".encode() * LINES[name]


def write(path, data):
    with open(path, "wb", buffering=0) as f:
        while data:
            data = data[f.write(data):]


def save(name, version):
    path = f"{mount}/{name}"
    if name == "renamed":
        write(f"{path}.tmp", content(name, version))
        os.rename(f"{path}.tmp", path)
        return
    if name == "anew" and os.path.exists(path):
        os.unlink(path)
    write(path, content(name, version))


def version_of(name, data):
    """0: it is just being made anew, and has nothing yet."""
    try:
        version = int(data[:9] or b"0")
    except ValueError:
        version = -1
    if version < 0 or data != (content(name, version) if version else b""):
        complain(f"{name}: half a version: {len(data)} bytes, {data[:10]!r} to {data[-10:]!r}")
    return version


def look(name):
    """What is there must be from between the last that was good and the last that was begun."""
    low = good.get(name, 0)
    try:
        with open(f"{inside}/{name}", "rb") as f:
            version = version_of(name, f.read())
    except FileNotFoundError:
        version = 0
    high = begun.get(name, 0)
    # A file that is truncated and written goes as one; one that is made anew is empty at first.
    if version and not low <= version <= high:
        complain(f"{name}: version {version}, after {low} was there and {high} was begun")
    if version == 0 and low and name != "anew":
        complain(f"{name}: nothing is there, after {low} was")
    counts["read"] += 1


def read_all():
    while not over.is_set():
        for name in LINES:
            look(name)
        time.sleep(0.002)


reader = threading.Thread(target=read_all)
reader.start()
n = 0
print("begun", flush=True)
while not os.path.exists(stop):
    n += 1
    for f in LINES:
        begun[f] = n
        try:
            save(f, n)
            good[f] = n
            counts["well"] += 1
        except OSError as e:
            counts["failed"] += 1
            time.sleep(0.05 if e.errno else 0)
    time.sleep(0.01)
over.set()
reader.join()
for f in LINES:
    for attempt in range(50):
        try:
            n += 1
            begun[f] = n
            save(f, n)
            good[f] = n
            break
        except OSError as e:
            time.sleep(0.2)
    else:
        complain(f"{f}: cannot be written any more: {e}")
    look(f)
    with open(f"{mount}/{f}", "rb") as g:
        if version_of(f, g.read()) != good.get(f):
            complain(f"{f}: the mount shows another version")
print(f"worked: {counts}", flush=True)
