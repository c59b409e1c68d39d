# Programs that walk over a whole mount. Control files that are not listed they never meet; of those
# that are listed each can be read to its end, and git leaves them alone.
MOUNT_OPTS=ctl=hidden
. "$(dirname "$0")/lib.sh"

mkdir -p src/sub
echo needle >src/sub/a
echo other >src/b
# The service keeps logs of sessions in the sandbox user's home, which is what is mounted.
git init -q . && echo .daytona >.git/info/exclude
files=$(find . -path ./.git -prune -o -path ./.ctl -prune -o -print | sort)

# busy: sessions and answers, so that there is something to walk into.
busy() {
    mkdir "$CTL/sessions/s"
    echo 'echo answer; cd src' >"$CTL/sessions/s/run"
    cat "$CTL/sessions/s/run" >/dev/null
    echo 'echo answer' >"$CTL/run"
    cat "$CTL/run" >/dev/null
}

# walks MODE: each program ends, and does what it is for.
walks() {
    out=$WORK/out-$1
    mkdir -p "$out"
    is "$1: grep -r" "$(timeout 60 grep -rls needle . --exclude-dir=.git)" ./src/sub/a
    timeout 60 find . -path ./.git -prune -o -path ./.daytona -prune -o -print >"$out/find"
    is "$1: find ends" $? 0
    is "$1: find" "$(grep -v '^\./\.ctl' "$out/find" | grep -v '^\./\.git$' | sort)" \
        "$(printf '%s\n' "$files" | grep -v '^\./\.git$')"
    timeout 120 cp -a . "$out/cp"
    is "$1: cp -a" $? 0
    is "$1: what it copied" "$(cat "$out/cp/src/sub/a")" needle
    timeout 120 tar -cf "$out/tar" . 2>"$out/tar.err"
    check "$1: tar ends" test $? -le 1 # 1: a file grew while it was read
    is "$1: what it holds" "$(tar -xOf "$out/tar" ./src/sub/a)" needle
    if have rsync; then
        timeout 120 rsync -a ./ "$out/rsync"
        is "$1: rsync" $? 0
        is "$1: what it sent" "$(cat "$out/rsync/src/b")" other
    fi
    if have git; then
        timeout 60 git add -A
        is "$1: git add" $? 0
        is "$1: what it added" "$(git ls-files | tr '\n' ' ')" "src/b src/sub/a "
        is "$1: git status" "$(timeout 60 git status --porcelain | grep -v '^A ')" ""
    fi
}

busy
walks hidden
check "nothing of it was met" test -z "$(find . -name .ctl)"
check "nor copied" test ! -e "$WORK/out-hidden/cp/.ctl"
check "nor is it in the archive" sh -c "! tar -tf '$WORK/out-hidden/tar' | grep -q '^\./\.ctl'"

cd "$WORK" || exit 1
fusermount3 -u "$MNT"
MOUNT_OPTS=ctl=visible
mount_start
cd "$MNT" || exit 1
rmdir "$CTL/sessions/s"
busy
walks visible
check "they are listed" grep -q '^\./\.ctl/status$' "$WORK/out-visible/find"
check "with what comes and goes" grep -q '^\./\.ctl/sessions/s/run$' "$WORK/out-visible/find"
find .ctl -type f | while read -r file; do
    timeout 20 cat "$file" >/dev/null 2>"$WORK/err" || echo "$file: $(cat "$WORK/err")"
done >"$WORK/unread"
is "each listed file is read to its end" "$(cat "$WORK/unread")" ""
is "nobody made a job by walking" "$(ls "$CTL/jobs")" clone
finish
