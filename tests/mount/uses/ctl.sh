#!/bin/sh
# ctl.sh - uses the control files of the mount at DIR as shells and programs do, and says PASS, FAIL
# or SKIP for each use. Exit code 1 if anything failed.
#
# usage: ctl.sh DIR      (the control files are DIR/.ctl; files named ctl-test* are made in DIR)
set -u
cd "${1:?usage: ctl.sh DIR}" || exit 2
failed=0 skipped=0 passed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"; rm -rf ctl-test*' EXIT

# check NAME WANT GOT
check()
{
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
        echo "PASS $1"
    else
        failed=$((failed + 1))
        printf 'FAIL %s\n  want: %s\n  got:  %s\n' "$1" "$2" "$3"
    fi
}

skip()
{
    skipped=$((skipped + 1))
    echo "SKIP $1"
}

# ---- every shell ----

# each_shell NAME WANT SNIPPET
each_shell()
{
    for shell in bash dash 'busybox sh' zsh; do
        if command -v "${shell%% *}" >/dev/null; then
            check "$shell: $1" "$2" "$(timeout 60 $shell -c "$3" 2>&1)"
        else
            skip "$shell: $1"
        fi
    done
}

each_shell 'one descriptor asks and reads' 'one
two
4' 'exec 3<>.ctl/run; echo "echo one; echo two; exit 4" >&3; cat <&3; cat .ctl/exit'

each_shell 'question after question through one descriptor' 'one
two
three' 'exec 3<>.ctl/run
    for word in one two three; do echo "echo $word" >&3; cat <&3; done'

each_shell 'head gives back what it does not need' 'one
two
three' 'exec 3<>.ctl/run; echo "echo one; echo two; echo three" >&3; head -n1 <&3; cat <&3'

each_shell 'while read takes line after line' '<one><two><three>' 'exec 3<>.ctl/run
    echo "echo one; echo two; echo three" >&3
    while read -r line; do printf "<%s>" "$line"; done <&3'

each_shell 'read takes a line, cat the rest' '<one>two
three' 'exec 3<>.ctl/run; echo "echo one; echo two; echo three" >&3
    read -r line <&3; printf "<%s>" "$line"; cat <&3'

each_shell 'a script of many lines' '0
1
2' 'exec 3<>.ctl/run
    cat >&3 <<\END
i=0
while [ $i -lt 3 ]; do
    echo $i
    i=$((i + 1))
done
END
    cat <&3'

each_shell 'grouped writes are one question' 'set' 'exec 3<>.ctl/run
    { echo "x=set"; echo "echo \$x"; } >&3; cat <&3'

each_shell 'a descriptor in a command substitution' 'one two' 'exec 3<>.ctl/run
    echo "echo one two" >&3; answer=$(cat <&3); echo "$answer"'

each_shell 'write, then read' 'one
7' 'echo "echo one; exit 7" > .ctl/run; cat .ctl/run; cat .ctl/exit'

each_shell 'append, then read' 'one' 'echo "echo one" >> .ctl/run; cat .ctl/run'

each_shell 'cp a script, then read' 'one
two' 'printf "#!/bin/sh\necho one\necho two\n" > ctl-test.sh; cp ctl-test.sh .ctl/run; cat .ctl/run'

each_shell 'a pipe into it' 'one' 'echo "echo one" | cat > .ctl/run
    while read -r l; do echo "$l"; done < .ctl/run'

each_shell 'an answer of many blocks' '200000' 'exec 3<>.ctl/run
    echo "i=0; while [ \$i -lt 20000 ]; do echo 123456789; i=\$((i+1)); done" >&3
    cat <&3 | wc -c | tr -d " "'

each_shell 'exists' 'yes
no
yes' 'echo x > ctl-test; exec 3<>.ctl/exists; echo ctl-test >&3; cat <&3
    echo ctl-test-none >&3; cat <&3; echo . > .ctl/exists; cat .ctl/exists'

each_shell 'a verb works, a wrong one fails with a reason' 'ok
failed
did you mean "sync"?' 'echo sync > .ctl/ctl && echo ok; printf sync > .ctl/ctl || echo bad
    (echo snyc > .ctl/ctl) 2>/dev/null || echo failed
    tail -n1 .ctl/errors | grep -o "did you mean.*"'

each_shell 'a watch tells what a command changes' 'create ctl-test-watch/a
delete ctl-test-watch/a' 'mkdir -p ctl-test-watch; exec 3<>.ctl/watch; echo ctl-test-watch >&3
    exec 4<>.ctl/run; echo "touch ctl-test-watch/a" >&4; cat <&4
    read -r seq what name <&3; echo $what $name
    echo "rm ctl-test-watch/a" >&4; cat <&4
    read -r seq what name <&3; echo $what $name'

# ---- files that are read ----

for file in help version status status.json errors exit; do
    check "$file reads to its end, twice the same start" "$(head -n1 ".ctl/$file")" \
        "$(cat ".ctl/$file" | head -n1)"
done
check 'what is written through the mount is there for a command' 'unsent text' \
    "$(echo 'unsent text' > ctl-test; exec 3<>.ctl/run; echo 'cat ctl-test' >&3; cat <&3)"
check 'what a command makes is there for the mount' 'made' \
    "$(exec 3<>.ctl/run; echo 'echo made > ctl-test-made' >&3; cat <&3; cat ctl-test-made)"
check 'stats.json is an object' '{ }' \
    "$(printf '%s %s' "$(head -c 1 .ctl/stats.json)" "$(tail -c 2 .ctl/stats.json)")"
check 'capabilities are lines' yes "$([ "$(wc -l <.ctl/capabilities)" -gt 3 ] && echo yes)"
check 'nothing is queued after sync' '' "$(echo x > ctl-test; echo sync > .ctl/ctl; cat .ctl/queue)"
check 'a text is replaced in files' 'ctl-test-text
new text' "$(echo 'old text' > ctl-test-text; echo "old new ctl-test-text" > .ctl/replace
    cat .ctl/replace; cat ctl-test-text)"
check 'a job starts where it is told to, and passes' '/
0' "$(job=.ctl/jobs/ctl-test-job; mkdir $job; echo / > $job/cwd; echo passing > $job/ctl
    echo pwd > $job/cmd; cat $job/wait > "$tmp/wait"; cat $job/follow.stdout
    ls .ctl/jobs | grep -c ctl-test)"
check 'the last answer has its true size' 4 \
    "$(echo 'echo abc' > .ctl/run; cat .ctl/run > /dev/null; stat -c %s .ctl/run)"
check 'dd reads it in small pieces' 'abc' \
    "$(exec 3<>.ctl/run; echo 'echo abc' >&3; dd bs=1 <&3 2>/dev/null)"

# ---- what is refused ----

refused()
{
    name=$1
    shift
    if LC_ALL=C "$@" > "$tmp/out" 2>&1; then
        check "$name" refused accepted
    else
        check "$name" refused refused
    fi
}
refused 'a file that only tells takes nothing' sh -c 'echo x > .ctl/status'
check "the verbs can be read" sync "$(sed -n "s/^  \(sync\) .*/\1/p" .ctl/ctl)"
refused 'nothing can be made in there' sh -c 'echo x > .ctl/new'
refused 'no directory can be made in there' mkdir .ctl/new
refused 'nothing can be removed' rm -f .ctl/help
refused 'nothing can be renamed' mv .ctl/help .ctl/help2
refused 'it cannot be removed itself' rmdir .ctl
check 'it is not listed in the root' '' "$(ls -a | grep -x '\.ctl')"
check 'but it lists its own files' 'run' "$(ls .ctl | grep -x run)"

# ---- waiting ----

: > "$tmp/pids"
i=0
while [ $i -lt 100 ]; do
    sh -c 'exec 3<>.ctl/watch; echo . >&3; exec cat <&3' > /dev/null 2>&1 &
    echo $! >> "$tmp/pids"
    i=$((i + 1))
done
sleep 1
check '100 blocked readers leave ls and run working' 'ok' \
    "$(timeout 20 ls -l > /dev/null &&
       exec 3<>.ctl/run && echo 'echo ok' >&3 && timeout 20 cat <&3)"
while read -r pid; do kill -9 "$pid"; done < "$tmp/pids"
left=100 tries=0
while [ "$left" -gt 0 ] && [ $tries -lt 50 ]; do
    left=0
    while read -r pid; do kill -0 "$pid" 2>/dev/null && left=$((left + 1)); done < "$tmp/pids"
    sleep 0.2
    tries=$((tries + 1))
done
wait 2>/dev/null
check 'SIGKILL ends each of them' 0 "$left"

check 'an interrupted reader leaves the answer to the next one' '124
done' "$(exec 3<>.ctl/run; echo 'sleep 2; echo done' >&3
       timeout -s INT 0.5 cat <&3; echo $?; cat <&3)"

# ---- python ----

python()
{
    if command -v python3 >/dev/null; then
        check "python: $1" "$2" "$(timeout 60 python3 -c "$3" 2>&1)"
    else
        skip "python: $1"
    fi
}
python 'open r+, write, read' 'one' "
f = open('.ctl/run', 'r+'); f.write('echo one'); f.flush(); print(f.read(), end='')"
python 'open r+, write, seek(0), read, and again' 'one
one
two' "
f = open('.ctl/run', 'r+'); f.write('echo one'); f.seek(0); print(f.read(), end='')
f.seek(0); print(f.read(), end='')
f.seek(0); f.write('echo two'); f.seek(0); print(f.read(), end='')"
python 'unbuffered, line by line' "b'one\\n'
b'two\\n'" "
f = open('.ctl/run', 'r+b', buffering=0); f.write(b'echo one; echo two')
for line in f: print(line)"
python 'os.write, os.read, os.pread' 'one|one|' "
import os
fd = os.open('.ctl/run', os.O_RDWR); n = os.write(fd, b'printf one')
print(os.read(fd, 100).decode(), os.pread(fd, 100, n).decode(), os.read(fd, 100).decode(), sep='|')"
python 'a child that inherits the descriptor' 'one' "
import os, subprocess
fd = os.open('.ctl/run', os.O_RDWR); os.write(fd, b'echo one')
print(subprocess.run(['cat'], stdin=fd, stdout=subprocess.PIPE).stdout.decode(), end='')"
python 'poll tells when the answer is there' "[] one" "
import os, select
fd = os.open('.ctl/run', os.O_RDWR); os.write(fd, b'sleep 1; echo one')
p = select.poll(); p.register(fd, select.POLLIN)
early = p.poll(100); p.poll(30000)
print(early, os.read(fd, 100).decode(), end='')"
python 'poll wakes a watch' "create ctl-test-poll" "
import os, select
fd = os.open('.ctl/watch', os.O_RDWR); os.write(fd, b'.\n')
p = select.poll(); p.register(fd, select.POLLIN); early = p.poll(0)
run = os.open('.ctl/run', os.O_RDWR); os.write(run, b'touch ctl-test-poll'); os.read(run, 1)
got = ''
while 'ctl-test-poll' not in got:
    if not p.poll(30000): break
    got += os.read(fd, 100000).decode()
print([' '.join(l.split('\t')[1:]) for l in got.splitlines() if 'ctl-test-poll' in l][0])"
python 'status.json is JSON' 'True' "
import json
print(isinstance(json.load(open('.ctl/status.json')), dict))"
python 'a path with a newline' 'yes' "
open('ctl-test\nline', 'w').close()
f = open('.ctl/exists', 'r+b', buffering=0); f.write(b'ctl-test\nline\0')
print(f.read().decode(), end='')"
python 'a script that is too long is refused and not run' 'File too large
False' "
import os
fd = os.open('.ctl/run', os.O_WRONLY)
try:
    for i in range(40): os.write(fd, b'touch ctl-test-long;#' + b'x' * 60000 + b'\n')
except OSError as e: print(e.strerror)
os.close(fd)
print(os.path.exists('ctl-test-long'))"

# ---- node ----

node()
{
    if command -v node >/dev/null; then
        check "node: $1" "$2" "$(timeout 60 node -e "$3" 2>&1)"
    else
        skip "node: $1"
    fi
}
node 'writeSync, readFileSync of the descriptor' 'one' "
const fs = require('fs'), fd = fs.openSync('.ctl/run', 'r+');
fs.writeSync(fd, 'echo one'); process.stdout.write(fs.readFileSync(fd, 'utf8'))"
node 'readSync at position 0' 'one' "
const fs = require('fs'), fd = fs.openSync('.ctl/run', 'r+'), b = Buffer.alloc(100);
fs.writeSync(fd, 'echo one'); const n = fs.readSync(fd, b, 0, 100, 0);
process.stdout.write(b.toString('utf8', 0, n))"
node 'writeFile, readFile' 'one' "
const fs = require('fs/promises');
fs.writeFile('.ctl/run', 'echo one').then(() => fs.readFile('.ctl/run', 'utf8'))
    .then(t => process.stdout.write(t))"
node 'a stream' 'one' "
const fs = require('fs'); fs.writeFileSync('.ctl/run', 'echo one');
fs.createReadStream('.ctl/run').pipe(process.stdout)"

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
