#!/usr/bin/env python3
"""The rules of the source tree that no compiler checks.

usage: lint.py CHECK SOURCE_DIR

Each CHECK is one ctest entry. Prints `file:line: what is wrong` and exits 1, or 0 when all is well,
or 77 when the tool that it needs is not installed.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

SKIP = 77
LINE_MAX = 100
TREES = ("include", "src", "tests", "contrib", ".ci")

# Lowest first: a layer may include the headers of any layer before it.
LAYERS = ["util", "proto", "helper", "http", "wire", "sdk", "remote", "journal", "cache", "flush",
          "fs", "ctl", "fuse", "mount", "server", "cli"]
# Who may include less than that: layer -> the layers, headers or public headers it may use.
ONLY = {
    "util": ["util"],
    "proto": ["proto", "util"],
    "journal": ["journal", "util"],
    "flush": ["flush", "journal", "remote", "util"],
    "helper": ["helper", "proto", "util"],
    "http": ["http", "util"],
    "wire": ["wire", "util", "daytona"],
    "sdk": ["sdk", "wire", "http", "util", "daytona"],
    "server": ["server", "wire", "http/url.h", "util"],
    "cli": ["cli", "mount", "remote/job.h", "server/server.h", "wire/json.h", "ctl/ctl.h", "util",
            "daytona"],
}
# Above the SDK only its public headers count.
HIDDEN = ["helper", "http", "wire", "sdk", "server"]
# Headers of libraries: pattern -> the layers that may know them.
LIBRARIES = [
    (r"curl/", ["http"]),
    (r"fuse(3/|_)", ["fuse", "mount"]),
    (r"microhttpd\.h", ["server"]),
    (r"wslay/", ["http", "server"]),
    (r"cjson/", ["wire", "cli"]),
    (r"uthash\.h", ["util"]), # the others: util/keyedhash.h
]
# What must not be in a file that others read. Written so that this file passes its own check.
FORBIDDEN = [
    (r"(?<![\w.~}$])/wo" r"rk/", "a path of one machine"),
    (r"(?<![\w.])/ro" r"ot/\w", "a path of one machine"),
    (r"(deb\.deb" r"ian\.org|py" r"pi\.org|pythonho" r"sted\.org|registry\.np" r"mjs"
     r"|crates\.i" r"o\b|proxy\.gol" r"ang|gh" r"cr\.io|docker\.i" r"o/)",
     "a package registry's host"),
    (r"Co-auth" r"ored-by", "a trailer that belongs to no file"),
]

problems = []


def problem(path, line, text):
    problems.append(f"{os.path.relpath(path, source)}:{line}: {text}")


def files(*suffixes, trees=TREES, top=False):
    """Every file below the trees that ends in one of the suffixes ("" is any)."""
    for tree in trees:
        for folder, folders, names in os.walk(os.path.join(source, tree)):
            folders[:] = sorted(d for d in folders if d not in ("__pycache__", ".git"))
            for name in sorted(names):
                if name.endswith(suffixes):
                    yield os.path.join(folder, name)
    if top:
        for name in sorted(os.listdir(source)):
            path = os.path.join(source, name)
            if os.path.isfile(path) and name.endswith(suffixes):
                yield path


def lines(path):
    with open(path, encoding="utf-8") as f:
        return f.read().split("\n")


def includes(path):
    """(line number, header, is it in quotes) of each #include."""
    for number, line in enumerate(lines(path), 1):
        m = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if m:
            yield number, m.group(2), m.group(1) == '"'


def may_include(layer, header):
    folder = header.split("/")[0]
    if layer in ONLY:
        return folder in ONLY[layer] or header in ONLY[layer]
    if folder == "daytona":
        return LAYERS.index(layer) > LAYERS.index("sdk")
    return folder not in HIDDEN and LAYERS.index(folder) <= LAYERS.index(layer)


def check_includes():
    for path in files(".c", ".h", trees=("src", "include")):
        parts = os.path.relpath(path, source).split(os.sep)
        layer = parts[1]
        if parts[0] == "src" and layer not in LAYERS:
            problem(path, 1, f"src/{layer} is no layer that tests/lint knows")
            continue
        for number, header, _ in includes(path):
            folder = header.split("/")[0]
            if parts[0] == "include":
                if "/" in header and folder not in ("daytona", "sys"):
                    problem(path, number, f"a public header must not need {header}")
            elif (folder in LAYERS or folder == "daytona") and not may_include(layer, header):
                problem(path, number, f"{layer} must not include {header}: that points up")
            for pattern, allowed in LIBRARIES:
                if re.match(pattern, header) and layer not in allowed:
                    problem(path, number, f"only {' and '.join(allowed)} may include {header}")
            if header.endswith("_internal.h") and folder in LAYERS and folder != layer:
                problem(path, number, f"{header} belongs to {folder} alone")


def own_headers(path):
    """The headers that could be path's own: x.h, or module.h for module_part.c."""
    stem = os.path.basename(path)[:-2]
    folder = os.path.dirname(path)
    while stem:
        for name in (stem + ".h", stem + "_internal.h"):
            if os.path.exists(os.path.join(folder, name)):
                yield f"{os.path.basename(folder)}/{name}"
        stem = stem.rpartition("_")[0]


def check_own_header_first():
    for path in files(".c", trees=("src",)):
        found = list(includes(path))
        if not found:
            continue
        exact = f"{os.path.basename(os.path.dirname(path))}/{os.path.basename(path)[:-2]}.h"
        if exact in own_headers(path) and found[0][1] != exact:
            problem(path, found[0][0], f"include {exact} first: that proves it stands alone")


def flags(*packages):
    out = subprocess.run(["pkg-config", "--cflags", *packages], stdout=subprocess.PIPE,
                         universal_newlines=True, check=True).stdout
    return out.split()


def check_headers():
    """Every header compiles alone; the public ones also as strict C99 and as C++."""
    cc = os.environ.get("CC", "cc")
    base = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
            "-I", os.path.join(source, "src"), "-I", os.path.join(source, "include")]
    inner = ["-std=gnu11", "-D_GNU_SOURCE", "-DFUSE_USE_VERSION=312",
             *flags("fuse3", "libcurl", "libcjson", "libmicrohttpd")]
    jobs = []
    for path in files(".h", trees=("src",)):
        jobs.append((path, [cc, *base, *inner, "-x", "c"]))
    for path in files(".h", trees=("include",)):
        jobs.append((path, [cc, *base, "-std=c99", "-pedantic", "-D_POSIX_C_SOURCE=200809L",
                            "-x", "c"]))
        if shutil.which("c++"):
            jobs.append((path, ["c++", *base, "-std=c++11", "-pedantic", "-x", "c++"]))

    def run(job):
        path, command = job
        # Through stdin: a header given as the main file may not have #pragma once and the like.
        text = f'#include "{path}"\n'
        return path, subprocess.run([*command, "-"], input=text, universal_newlines=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    with ThreadPoolExecutor(max_workers=2) as pool:
        for path, result in pool.map(run, jobs):
            if result.returncode != 0:
                problem(path, 1, "does not compile alone:\n" + result.stdout)


def check_guards():
    for path in files(".h", trees=("src", "include", "tests")):
        parts = os.path.relpath(path, source).split(os.sep)
        text = "\n".join(lines(path))
        guard = "_".join(parts[1:] if len(parts) > 2 else parts).upper()
        guard = re.sub(r"[^A-Z0-9]", "_", guard)
        m = re.search(r"#ifndef (\w+)\n#define \1\n", text)
        if not m:
            problem(path, 1, "has no include guard")
        elif parts[0] != "tests" and m.group(1) != guard:
            problem(path, 1, f"its guard is {m.group(1)} and should be {guard}")


def check_text():
    """No tabs, no blanks at the ends of lines, none longer than the limit, a newline at the end."""
    for path in files(".c", ".h", ".py", ".sh", ".txt", ".cmake", ".md", ".in", top=True):
        text = lines(path)
        if text[-1] != "":
            problem(path, len(text), "the last line has no newline")
        for number, line in enumerate(text, 1):
            if "\t" in line:
                problem(path, number, "a tab")
            if line != line.rstrip():
                problem(path, number, "blanks at the end of the line")
            if len(line) > LINE_MAX and not re.match(r"\s*\||.*https?://", line):
                problem(path, number, f"{len(line)} columns, {LINE_MAX} are allowed")


def check_words():
    for path in files("", top=True):
        try:
            text = lines(path)
        except UnicodeDecodeError:
            if os.path.join("fuzz", "seeds") not in path:  # those are bytes on purpose
                problem(path, 1, "is not UTF-8 text")
            continue
        for number, line in enumerate(text, 1):
            for pattern, what in FORBIDDEN:
                if re.search(pattern, line):
                    problem(path, number, f"names {what}: {line.strip()}")


def check_promises():
    """Every test that the page of promises names is there."""
    table = os.path.join(source, "src/cli/semantics.c")
    if not os.path.exists(table):
        return
    known = set()
    for path in files(".c", ".h", ".py", ".sh", trees=("tests",)):
        text = "\n".join(lines(path))
        known.update(re.findall(r"^TEST\((\w+)\)", text, re.M))
        if os.path.basename(os.path.dirname(path)) == "mount":
            known.update(re.findall(r"^def (\w+)\(\):", text, re.M))
            known.add(os.path.basename(path))
    text = re.sub(r'"\s*"', "", "\n".join(lines(table)))
    for when, _, tests in re.findall(r'\{"([^"]*)",\s*"([^"]*)",\s*"([^"]*)"\}', text):
        if not tests.split():
            problem(table, 1, f"no test shows: {when}")
        for name in tests.split():
            if name not in known:
                problem(table, 1, f"there is no test {name}")


def check_examples():
    """Every public call is in an example, and all that an example does is done by the tests."""
    calls = "\n".join("\n".join(lines(path)) for path in files(".c", trees=("contrib",)))
    for path in files(".h", trees=("include",)):
        text = "\n".join(lines(path))
        for found in re.finditer(r"^DAYTONA_API\s[^;]*?\b(daytona_\w+)\(", text, re.M):
            if not re.search(rf"\b{found[1]}\b", calls):
                problem(path, text.count("\n", 0, found.start()) + 1,
                        f"no example uses {found[1]}")
    script = os.path.join(source, "tests/sdk/examples.sh")
    done = "\n".join(lines(script)) if os.path.exists(script) else ""
    for path in files(".c", trees=("contrib/examples",)):
        program = os.path.basename(path)[:-len(".c")]
        verbs = re.findall(r'\{"([a-z0-9-]*)", \d', "\n".join(lines(path)))
        for verb in verbs or [""]:
            use = rf"\b{program} (\S+ )?{verb}(?![\w-])" if verb else rf"\b{program} \S"
            if not re.search(use, done):
                problem(script, 1, f"nothing runs the example: {program} {verb}")


def check_control():
    """Each control file and each verb is used by a shell script of the tests."""
    text = "\n".join("\n".join(lines(path)) for path in files(".sh", trees=("tests/mount",)))
    for path in files(".c", ".h", trees=("src/ctl",)):
        rows = "\n".join(lines(path))
        for found in re.finditer(r'\{\s*\.name = "([\w.]+)",\s*\.(\w+)|CTL_FOLLOW_ROW\("([\w.]+)"',
                                 rows):
            name, verb = found[1] or found[3], found[2] in ("takes", "needs", "run", "max", "min")
            use = rf"(echo|verb|printf)\b.*\b{name}\b" if verb else rf"/{re.escape(name)}(?![\w.-])"
            if not re.search(use, text):
                problem(path, rows.count("\n", 0, found.start()) + 1,
                        f"no script uses the {'verb' if verb else 'control file'} {name}")


def check_main():
    for path in files(".c", trees=("src",)):
        if os.path.relpath(path, source) in ("src/cli/main.c", "src/helper/main.c"):
            continue
        for number, line in enumerate(lines(path), 1):
            if re.match(r"int main\(", line):
                problem(path, number, "main() lives in main.c of src/cli and src/helper only")


def check_scripts():
    """Shell scripts parse; Python programs compile."""
    for path in files("", trees=("contrib", "tests", ".ci")):
        with open(path, "rb") as f:
            first = f.readline()
        if re.match(rb"#!\s*/bin/sh|#!.*\bbash\b", first):
            shell = "bash" if b"bash" in first else "sh"
            command = [shell, "-n", path]
        elif path.endswith(".py") or re.match(rb"#!.*\bpython3\b", first):
            command = [sys.executable, "-c", "compile(open(%r).read(), %r, 'exec')" % (path, path)]
        else:
            continue
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                universal_newlines=True)
        if result.returncode != 0:
            problem(path, 1, result.stdout)
        if first.startswith(b"#!") and not os.access(path, os.X_OK):
            problem(path, 1, "begins with #! and is not executable")


def check_format():
    tool = shutil.which("clang-format")
    if not tool:
        print("clang-format is not installed")
        sys.exit(SKIP)
    sources = list(files(".c", ".h", trees=("include", "src", "tests")))
    result = subprocess.run([tool, "--dry-run", "--Werror", "--style=file", *sources],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            universal_newlines=True)
    if result.returncode != 0:
        for path, line in re.findall(r"^(\S+?):(\d+):\d+: error", result.stdout, re.M):
            problem(path, line, "clang-format would change it")
        if not problems:
            problems.append(result.stdout)


def check_cppcheck():
    tool = shutil.which("cppcheck")
    if not tool:
        print("cppcheck is not installed")
        sys.exit(SKIP)
    command = [
        tool, "--quiet", "--std=c11", "--inline-suppr", "--enable=warning,portability", "-j2",
        "--error-exitcode=1", "--template={file}:{line}: {severity}: {message} [{id}]",
        "--suppress=unknownMacro",
        # Members that are read through another pointer, and unions, look uninitialized to it.
        "--suppress=uninitMemberVar",
        "-I", os.path.join(source, "src"), "-I", os.path.join(source, "include"),
        "-D_GNU_SOURCE", '-DDAYTONAFS_VERSION="0"', "-DFUSE_USE_VERSION=312",
        "--include=" + os.path.join(os.path.dirname(os.path.abspath(__file__)), "cppcheck.h"),
        os.path.join(source, "src"),
    ]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            universal_newlines=True)
    if result.returncode != 0:
        problems.append(result.stdout.replace(source + os.sep, "").rstrip())


# For each check a file that it must object to: (path, text).
BAD = {
    "includes": ("src/util/x.c", '#include "http/http.h"\n'),
    "own_header_first": ("src/util/x.c", '#include <stdio.h>\n#include "util/x.h"\n'),
    "headers": ("src/util/y.h", "unknown_type y(void);\n"),
    "guards": ("src/util/y.h", "#ifndef Y_H\n#define Y_H\n#endif\n"),
    "text": ("src/util/x.c", "int a;\t\n"),
    "words": ("contrib/x", "cp /wo" "rk/x .\n"),
    "examples": ("include/daytona/x.h", "DAYTONA_API int daytona_x(void);\n"),
    "control": ("src/ctl/x.c", '    {.name = "nothing", .mode = 0400},\n'),
    "main": ("src/util/x.c", "int main(void)\n"),
    "promises": ("src/cli/semantics.c", '{"close",\n "all is well", "no_" "such_test"},\n'),
    "scripts": ("contrib/x", "#!/bin/sh\nif then\n"),
    "format": ("src/util/x.c", "int  a;\n"),
    "cppcheck": ("src/util/x.c", "int f(void)\n{\n    int a[2];\n    return a[2];\n}\n"),
}


def check_checks():
    """Each check finds what it is there to find."""
    for name in CHECKS:
        if name == "checks":
            continue
        if name not in BAD:
            problem(__file__, 1, f"BAD has no row for {name}")
            continue
        with tempfile.TemporaryDirectory() as tree:
            shutil.copy(os.path.join(source, ".clang-format"), tree)
            for path, text in (("src/util/x.h", ""), BAD[name]):
                path = os.path.join(tree, path)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as f:
                    f.write(text)
            result = subprocess.run([sys.executable, __file__, name, tree],
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                    universal_newlines=True)
            found = result.returncode == 1 and BAD[name][0] in result.stdout
            if not found and result.returncode != SKIP:
                problem(__file__, 1, f"{name} misses its mistake:\n{result.stdout}")


CHECKS = {name[len("check_"):]: f for name, f in list(globals().items())
          if name.startswith("check_")}

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in CHECKS:
        sys.exit(f"usage: lint.py {'|'.join(CHECKS)} SOURCE_DIR")
    source = os.path.abspath(sys.argv[2])
    CHECKS[sys.argv[1]]()
    for text in problems:
        print(text)
    sys.exit(1 if problems else 0)
