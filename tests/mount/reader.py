"""reader.py SANDBOX MOUNT SECONDS: what a program in the sandbox reads while files are saved here.

A development server rereads files whenever they change. Each save writes the same line many times:
a file with two different lines, or with fewer, was read half-written.
"""
import os
import sys
import threading
import time

inside, mount, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
end = time.monotonic() + seconds
LINES = 3000
seen = {}
saves = 0


def content(name, n):
    return (f"{name} {n:08d}\n" * LINES).encode()


def complain(text):
    print(text, flush=True)


def reader(name):
    last = 0
    while time.monotonic() < end + 2:
        try:
            with open(f"{inside}/{name}", "rb") as f:
                data = f.read()
        except FileNotFoundError:
            if last:
                complain(f"{name} was missing for a moment")
            time.sleep(0.01)
            continue
        lines = set(data.split(b"\n")) - {b""}
        if not lines and not last:
            continue  # it may be made empty first
        if len(lines) != 1 or len(data) != len(content(name, 0)):
            complain(f"{name}: {len(data)} bytes, {len(lines)} different lines")
            continue
        n = int(lines.pop().split()[1])
        if n < last:
            complain(f"{name}: went back from {last} to {n}")
        if n > last:
            seen[name] = seen.get(name, 0) + 1
        last = n
        time.sleep(0.002)
    if last != saves_of.get(name):
        complain(f"{name}: {last} was read last, {saves_of.get(name)} was saved last")


saves_of = {}
names = ["truncated", "renamed"]
for name in names:
    with open(f"{mount}/{name}", "wb") as f:
        f.write(content(name, 1))
    saves_of[name] = 1
os.system(f"echo sync > {mount}/.ctl/ctl")
threads = [threading.Thread(target=reader, args=(name,)) for name in names]
for t in threads:
    t.start()
n = 1
while time.monotonic() < end:
    n += 1
    with open(f"{mount}/truncated", "wb") as f:  # as a simple editor saves: O_TRUNC, in pieces
        data = content("truncated", n)
        for at in range(0, len(data), 16384):
            f.write(data[at:at + 16384])
    with open(f"{mount}/renamed.new", "wb") as f:  # as a careful one does
        f.write(content("renamed", n))
    os.rename(f"{mount}/renamed.new", f"{mount}/renamed")
    saves_of["truncated"] = saves_of["renamed"] = n
    time.sleep(0.02)
os.system(f"echo sync > {mount}/.ctl/ctl")
for t in threads:
    t.join()
print("saves", n, "seen", *(f"{name}:{seen.get(name, 0)}" for name in names))
