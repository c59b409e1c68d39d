"""What a caller may rely on, one promise a function.

usage: promises.py MOUNT SANDBOX DAYTONAFS

MOUNT was mounted with a long coherence, so that what is changed in SANDBOX, the folder behind it,
is not known to the mount when it takes a change.
"""
import errno
import fcntl
import os
import subprocess
import sys

mount, sandbox, daytonafs = sys.argv[1:]


def at(*path):
    return os.path.join(mount, *path)


def inside(*path):
    return os.path.join(sandbox, *path)


def text(path):
    with open(path) as f:
        return f.read()


def save(path, what):
    with open(path, "w") as f:
        f.write(what)


def error_of(call, *args):
    """The name of the error that the call fails with, or "ok"."""
    try:
        call(*args)
    except OSError as e:
        return errno.errorcode[e.errno]
    return "ok"


def same(got, want):
    if got != want:
        raise AssertionError(f"{got!r} instead of {want!r}")


def control(word):
    save(at(".ctl", "ctl"), word + "\n")


def sync():
    return subprocess.run([daytonafs, "sync", mount], stderr=subprocess.PIPE,
                          universal_newlines=True)


def directory(name, **files):
    """A directory that the mount knows, with these files."""
    os.mkdir(inside(name))
    for file, content in files.items():
        save(inside(name, file), content)
    control("refresh")
    os.listdir(at(name))
    for file in files:
        text(at(name, file))


def a_refusal_is_told_once_on_each_handle():
    directory("closed")
    os.chmod(inside("closed"), 0o555)
    first = os.open(at("closed", "new"), os.O_CREAT | os.O_WRONLY, 0o644)
    second = os.open(at("closed", "new"), os.O_WRONLY)
    os.write(first, b"ours")
    same(error_of(os.fsync, first), "EACCES")
    same(error_of(os.fsync, first), "ok")
    os.close(first)
    same(error_of(os.close, second), "EACCES")
    assert "closed/new" in text(at(".ctl", "errors"))
    assert sync().returncode != 0
    same(text(at(".ctl", "rejected", "closed", "new")), "ours")
    os.chmod(inside("closed"), 0o755)


def what_stands_on_a_refused_change_is_kept_with_it_as_a_tree():
    directory("shut")
    os.chmod(inside("shut"), 0o555)
    os.makedirs(at("shut", "a", "b"))
    save(at("shut", "a", "b", "file"), "deep")
    result = sync()
    assert result.returncode != 0
    assert "shut/a" in result.stderr, result.stderr
    same(text(at(".ctl", "rejected", "shut", "a", "b", "file")), "deep")
    same(os.listdir(inside("shut")), [])
    os.chmod(inside("shut"), 0o755)


def a_conflict_is_told_by_fsync_and_by_close():
    directory("both", file="first", other="first")
    for name in "file", "other":
        save(inside("both", "theirs"), "theirs")
        os.rename(inside("both", "theirs"), inside("both", name))
    fd = os.open(at("both", "file"), os.O_WRONLY)
    os.write(fd, b"ours!")
    same(error_of(os.fsync, fd), "EIO")
    os.close(fd)
    fd = os.open(at("both", "other"), os.O_WRONLY)
    os.write(fd, b"ours!")
    sync()
    same(error_of(os.close, fd), "EIO")
    for name in "file", "other":
        same(text(inside("both", name)), "theirs")
        same(text(at(".ctl", "conflicts", "both", name)), "ours!")
        control(f"keep theirs both/{name}")


def a_handle_whose_writes_were_lost_takes_no_more():
    directory("lost", file="first version")
    fd = os.open(at("lost", "file"), os.O_RDWR)
    save(inside("lost", "file"), "theirs, in place")
    os.write(fd, b"ours")
    same(error_of(os.fsync, fd), "EIO")
    same(error_of(os.write, fd, b"more"), "EIO")
    same(error_of(os.ftruncate, fd, 2), "EIO")
    os.close(fd)
    same(text(inside("lost", "file")), "theirs, in place")
    control("keep theirs lost/file")
    fd = os.open(at("lost", "file"), os.O_WRONLY)
    os.write(fd, b"again")
    same(error_of(os.fsync, fd), "ok")
    os.close(fd)
    same(text(inside("lost", "file")), "agains, in place")


def a_directory_is_renamed_at_once_and_with_the_real_error():
    directory("from", file="f")
    os.mkdir(inside("onto"))
    control("refresh")
    os.listdir(at("onto"))
    save(inside("onto", "meanwhile"), "x")
    same(error_of(os.rename, at("from"), at("onto")), "ENOTEMPTY")
    os.rename(at("from"), at("there"))
    same(text(inside("there", "file")), "f")


def an_exclusive_create_is_checked_again_in_the_sandbox():
    directory("locks")
    save(inside("locks", "lock"), "theirs")
    fd = os.open(at("locks", "lock"), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.write(fd, b"ours")
    same(error_of(os.fsync, fd), "EIO")
    os.close(fd)
    same(text(inside("locks", "lock")), "theirs")
    control("keep theirs locks/lock")


def a_command_does_not_start_when_an_earlier_change_cannot_be_sent():
    directory("sealed")
    os.chmod(inside("sealed"), 0o555)
    save(at("sealed", "new"), "x")
    result = subprocess.run([daytonafs, "exec", mount, "--", "touch", inside("started")],
                            stderr=subprocess.PIPE, universal_newlines=True)
    same(result.returncode, 125)
    assert "sealed/new" in result.stderr, result.stderr
    assert not os.path.exists(inside("started"))
    # Of what was refused each change stops one command only.
    same(subprocess.run([daytonafs, "exec", mount, "--", "true"]).returncode, 0)
    os.chmod(inside("sealed"), 0o755)


def fsync_brings_what_the_file_stands_on_and_nothing_else():
    directory("stands")
    control("pause")
    os.makedirs(at("stands", "one", "two"))
    save(at("stands", "one", "two", "tmp"), "text")
    save(at("stands", "one", "other"), "other")
    os.rename(at("stands", "one", "two", "tmp"), at("stands", "one", "two", "file"))
    os.rename(at("stands", "one", "two"), at("stands", "one", "moved"))
    fd = os.open(at("stands", "one", "moved", "file"), os.O_WRONLY)
    os.write(fd, b"TE")
    same(os.path.exists(inside("stands", "one")), False)
    same(error_of(os.fsync, fd), "ok")
    same(text(inside("stands", "one", "moved", "file")), "TExt")
    same(os.path.exists(inside("stands", "one", "other")), False)
    os.close(fd)
    control("resume")
    same(sync().returncode, 0)
    same(text(inside("stands", "one", "other")), "other")


def a_directory_that_was_made_here_is_renamed_when_it_is_sent():
    control("pause")
    os.mkdir(at("made"))
    save(at("made", "file"), "x")
    os.rename(at("made"), at("named"))
    same(os.path.exists(inside("made")) or os.path.exists(inside("named")), False)
    control("resume")
    same(sync().returncode, 0)
    same(text(inside("named", "file")), "x")


def locks_are_between_programs_on_this_machine():
    directory("locked", file="x")
    fd = os.open(at("locked", "file"), os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try_it = ("import fcntl, sys\n"
              "fcntl.flock(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)")
    for path, code in (at("locked", "file"), 1), (inside("locked", "file"), 0):
        same(subprocess.run([sys.executable, "-c", try_it, path],
                            stderr=subprocess.DEVNULL).returncode, code)
    os.close(fd)


def permissions_are_checked_before_anything_is_sent():
    directory("mine", file="x")
    os.chmod(at("mine", "file"), 0o400)
    os.chmod(at("mine"), 0o500)
    same(error_of(os.open, at("mine", "file"), os.O_WRONLY), "EACCES")
    same(error_of(os.mkdir, at("mine", "sub")), "EACCES")
    same(error_of(os.unlink, at("mine", "file")), "EACCES")
    os.chmod(at("mine"), 0o700)


def what_a_save_showed_does_not_change_when_it_is_sent():
    save(at("shown"), "x" * 100)
    before = os.stat(at("shown"))
    result = sync()
    same((result.returncode, result.stderr), (0, ""))
    control("refresh")
    after = os.stat(at("shown"))
    same((after.st_ino, after.st_mtime_ns, after.st_ctime_ns, after.st_size),
         (before.st_ino, before.st_mtime_ns, before.st_ctime_ns, before.st_size))


failed = 0
for name, promise in [*globals().items()]:
    if callable(promise) and getattr(promise, "__module__", "") == "__main__" and "_" in name \
            and name != "error_of":
        try:
            promise()
        except (AssertionError, OSError) as e:
            failed += 1
            line = e.__traceback__
            while line.tb_next and line.tb_next.tb_frame.f_code.co_name == promise.__name__:
                line = line.tb_next
            print(f"FAIL: {name}: line {line.tb_next.tb_lineno if line.tb_next else 0}: {e}")
        for tree in "rejected", "conflicts":
            subprocess.run(["sh", "-c", 'rm -rf "$0"/*', at(".ctl", tree)])
sys.exit(failed != 0)
