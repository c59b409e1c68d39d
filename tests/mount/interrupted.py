"""Who waits for a sandbox that does not answer ends at once when interrupted: one process for each
call, each in a directory of its own, as the kernel lets those in one wait for each other."""
import os
import signal
import subprocess
import sys
import time

CALLS = (
    ("stat", "os.stat(f'{at}/f')"),
    ("stat of an unknown name", "os.stat(f'{at}/none')"),
    ("readdir", "os.listdir(at)"),
    ("open and read", "open(f'{at}/f').read()"),
    ("fsync", "f = os.open(f'{at}/new', os.O_WRONLY | os.O_CREAT); os.write(f, b'x'); os.fsync(f)"),
    ("mkdir", "os.mkdir(f'{at}/d')"),
    ("unlink", "os.unlink(f'{at}/f')"),
    ("a command", "f = os.open(f'{at}/../.ctl/run', os.O_RDWR); "
                  "os.write(f, b'true\\n'); os.read(f, 1)"),
)
PROGRAM = "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL); at = {at!r}; {call}"
WAIT_S = 2  # ten times what is promised


def main():
    running = []
    for i, (name, call) in enumerate(CALLS):
        program = PROGRAM.format(at=f"{sys.argv[1]}/d{i}", call=call)
        running.append((name, subprocess.Popen([sys.executable, "-S", "-c", program], cwd="/",
                                               stderr=subprocess.DEVNULL)))
    time.sleep(2)
    for name, process in running:
        if process.poll() is not None:
            print(f"{name} did not wait: {process.returncode}")
        process.send_signal(signal.SIGINT)
    until = time.monotonic() + WAIT_S
    for name, process in running:
        try:
            process.wait(max(0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            print(f"{name} does not end")
            process.kill()
            continue
        if process.returncode != -signal.SIGINT:
            print(f"{name} ended with {process.returncode}")


main()
