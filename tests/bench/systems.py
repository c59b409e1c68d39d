"""What the bench compares: each mounts one folder through a line with a delay."""
import json
import os
import shutil
import signal
import socket
import subprocess
import time

READY_S = 20
REST_S = 2
REST_LIMIT_S = 60


def wait_until(true, limit_s, what, every_s=0.02):
    end = time.monotonic() + limit_s
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {limit_s} s")
        time.sleep(every_s)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def end_process(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=READY_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Line:
    """The relay: a line with a delay to one port."""

    def __init__(self, port, options):
        self.process = subprocess.Popen(
            [options.relay, "--rtt", str(options.rtt), "--mbit", str(options.mbit), str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class System:
    """A folder that is mounted through a line. Subclasses: serve, mount, unmount, end_serve."""

    name = None
    tells = True  # when the sandbox holds what was written
    counting = False  # requests and bytes

    def __init__(self, work, options):
        self.options = options
        self.work = os.path.join(work, self.name)
        self.folder = os.path.join(self.work, "sandbox")
        self.at = os.path.join(self.work, "mnt")
        os.makedirs(self.at)

    def settle(self):
        """Returns when the sandbox holds every byte that was written, if it tells."""

    def rest(self):
        """Waits until nothing has changed in the sandbox for a while: after a step was stopped."""
        seen, since = None, time.monotonic()
        end = since + REST_LIMIT_S
        while time.monotonic() < min(since + REST_S, end):
            now = subprocess.run(["find", ".", "-printf", "%p %s %T@\n"], cwd=self.folder,
                                 check=False, stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL).stdout
            if now != seen:
                seen, since = now, time.monotonic()
            time.sleep(0.2)

    def counts(self):
        """Requests and bytes so far, where the system tells."""
        return None

    def watch(self, path):
        """A process that prints a line a change, where there is such a thing."""
        return None

    def end(self):
        if os.path.ismount(self.at):
            subprocess.run(["fusermount3", "-uz", self.at], check=False)
        self.end_serve()


class Daytonafs(System):
    name = "daytonafs"
    mount_options = "helper=require"
    counting = True

    def __init__(self, work, options):
        super().__init__(work, options)
        self.program = options.program
        self.env = dict(os.environ)
        for variable in ("cache", "state", "runtime", "config"):
            path = os.path.join(self.work, variable)
            os.makedirs(path, mode=0o700)
            key = "XDG_RUNTIME_DIR" if variable == "runtime" else f"XDG_{variable.upper()}_HOME"
            self.env[key] = path

    def serve(self):
        port = free_port()
        self.line = Line(port, self.options)
        self.server = subprocess.Popen(
            [self.program, "serve", "--listen", f"127.0.0.1:{port}", "--public-url",
             f"http://127.0.0.1:{self.line.port}", "--state", os.path.join(self.work, "s"),
             "--sandbox", f"box={self.folder}"], stdout=subprocess.PIPE, text=True, env=self.env)
        ready = json.loads(self.server.stdout.readline())
        self.env["DAYTONA_API_URL"] = f"http://127.0.0.1:{self.line.port}/api"
        with open(ready["key_file"]) as f:
            self.env["DAYTONA_API_KEY"] = f.read().strip()

    def run(self, *arguments):
        r = subprocess.run([self.program, *arguments], check=False, env=self.env, text=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if r.returncode != 0:
            raise RuntimeError(r.stderr.strip())

    def mount(self):
        self.run("mount", "box", self.at, "-o", self.mount_options)

    def settle(self):
        self.run("sync", self.at)

    def unmount(self):
        self.run("umount", self.at)

    def counts(self):
        with open(os.path.join(self.at, ".ctl/stats")) as f:
            rows = dict(line.split(None, 1) for line in f if len(line.split()) == 2)
        return (int(rows["requests"]), int(rows["bytes_sent"]) + int(rows["bytes_received"]))

    def watch(self, path):
        return subprocess.Popen([self.program, "watch", self.at, path], env=self.env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def end_serve(self):
        end_process(self.server)
        self.line.end()


class DaytonafsPlain(Daytonafs):
    name = "daytonafs-plain"
    mount_options = "helper=off"


class Ssh(System):
    """An sshd on a port of its own, with a key made for this run."""

    def serve(self):
        d = self.keys = os.path.join(self.work, "ssh")
        os.makedirs(d, mode=0o700)
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{d}/{key}"],
                           check=True)
        shutil.copy(f"{d}/user.pub", f"{d}/authorized")
        os.chmod(f"{d}/authorized", 0o600)
        port = free_port()
        with open(f"{d}/config", "w") as f:
            f.write(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {d}/host\nPidFile none\n"
                    f"AuthorizedKeysFile {d}/authorized\nStrictModes no\nUsePAM no\n"
                    "PermitRootLogin yes\nSubsystem sftp internal-sftp\n")
        os.makedirs("/run/sshd", exist_ok=True)
        self.sshd = subprocess.Popen([Ssh.program(), "-D", "-e", "-f", f"{d}/config"],
                                     stderr=subprocess.DEVNULL)
        wait_until(lambda: self.answers(port), READY_S, "sshd")
        self.line = Line(port, self.options)

    @staticmethod
    def program():
        return shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")

    @staticmethod
    def answers(port):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def end_serve(self):
        end_process(self.sshd)
        self.line.end()


class Sshfs(Ssh):
    """As it comes. It writes through: a close returns when the other side has the file."""

    name = "sshfs"

    def mount(self):
        subprocess.run(["sshfs", f"root@127.0.0.1:{self.folder}", self.at, "-p",
                        str(self.line.port), "-o", f"IdentityFile={self.keys}/user,"
                        "StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null,LogLevel=ERROR"],
                       check=True)

    def unmount(self):
        subprocess.run(["fusermount3", "-u", self.at], check=True)


class Rclone(Ssh):
    """Over sftp, with everything cached and files sent as soon as they are closed. Not with a
    write-back of 0: then a file that is renamed at once is lost."""

    name = "rclone"
    tells = False

    def mount(self):
        self.process = subprocess.Popen(
            ["rclone", "mount", f":sftp:{self.folder}", self.at, "--sftp-host", "127.0.0.1",
             "--sftp-port", str(self.line.port), "--sftp-user", "root", "--sftp-key-file",
             f"{self.keys}/user", "--vfs-cache-mode", "full", "--vfs-write-back", "1ms",
             "--cache-dir", os.path.join(self.work, "cache"), "--config",
             os.path.join(self.work, "rclone.conf")], stderr=subprocess.DEVNULL)
        wait_until(lambda: os.path.ismount(self.at), READY_S, "rclone mount")

    def unmount(self):
        subprocess.run(["fusermount3", "-u", self.at], check=True)
        self.process.wait(timeout=READY_S)

    def rest(self):
        """What it has not sent it would send for minutes, also after a remount: it forgets it."""
        subprocess.run(["fusermount3", "-uz", self.at], check=True)
        end_process(self.process)
        shutil.rmtree(os.path.join(self.work, "cache"))
        self.mount()
        super().rest()


def installed():
    systems = [Daytonafs, DaytonafsPlain]
    if Ssh.program() and shutil.which("sshfs"):
        systems.append(Sshfs)
    if Ssh.program() and shutil.which("rclone"):
        systems.append(Rclone)
    return systems
