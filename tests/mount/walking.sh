# Programs that walk over a whole mount never come into the control files: these are not listed, or
# what is listed is a link. Whoever follows it can read each to its end.
MOUNT_OPTS=ctl=hidden
. "$(dirname "$0")/lib.sh"

mkdir -p src/sub
echo needle >src/sub/a
echo other >src/b
# The service keeps logs of sessions in the sandbox user's home, which is what is mounted.
git init -q . && printf '.daytona\n.ctl\n' >.git/info/exclude
files=$(find . -path ./.git -prune -o -print | sort)

# busy: sessions and answers, so that there is something to walk into.
busy() {
    mkdir "$CTL/sessions/s"
    echo 'echo answer; cd src' >"$CTL/sessions/s/run"
    cat "$CTL/sessions/s/run" >/dev/null
    echo 'echo answer' >"$CTL/run"
    cat "$CTL/run" >/dev/null
}

# listing FILE: what it names of the tree, without what the tests know of.
listing() {
    sed -e 's|/$||' -e "s|^$MNT|.|" "$1" | grep -v '^\./\.\(git\|daytona\)\(/\|$\)' | sort
}

# walks MODE [LINK]: each program ends, does what it is for, and finds of the control files the link
# at most.
walks() {
    out=$WORK/out-$1
    mkdir -p "$out"
    want=$(printf '%s\n' "$files" ${2:+"./$2"} | grep -v '^\./\.git$' | sort)
    is "$1: grep -r" "$(timeout 60 grep -rs needle . --exclude-dir=.git)" ./src/sub/a:needle
    is "$1: grep -r of the root" "$(timeout 60 grep -rls --exclude-dir=.git needle "$MNT/")" \
        "$MNT/src/sub/a"
    is "$1: grep finds no control file" "$(timeout 60 grep -rls 'Text files that drive' "$MNT/")" ""
    timeout 60 find . >"$out/find"
    is "$1: find ends" $? 0
    is "$1: find" "$(listing "$out/find")" "$want"
    timeout 60 find "$MNT/" >"$out/find-root"
    is "$1: find of the root" "$(sed 's|^\(.*\)//|\1/|' "$out/find-root" >"$out/f" &&
        listing "$out/f")" "$want"
    timeout 60 ls -R "$MNT" >"$out/ls"
    is "$1: ls -R" $? 0
    check "$1: ls -R stays out" sh -c "! grep -q '\.ctl[^:]*:' '$out/ls'"
    timeout 60 du -a . | cut -f2 >"$out/du"
    is "$1: du" "$(listing "$out/du")" "$want"
    timeout 120 cp -a . "$out/cp"
    is "$1: cp -a" $? 0
    (cd "$out/cp" && find .) >"$out/copied"
    is "$1: what it copied" "$(listing "$out/copied")" "$want"
    is "$1: and holds" "$(cat "$out/cp/src/sub/a")" needle
    timeout 120 tar -cf "$out/tar" . 2>"$out/tar.err"
    check "$1: tar ends" test $? -le 1 # 1: a file grew while it was read
    tar -tf "$out/tar" >"$out/archived"
    is "$1: what it archived" "$(listing "$out/archived")" "$want"
    if have rsync; then
        timeout 120 rsync -a ./ "$out/rsync"
        is "$1: rsync" $? 0
        (cd "$out/rsync" && find .) >"$out/sent"
        is "$1: what it sent" "$(listing "$out/sent")" "$want"
    fi
    if have busybox; then
        timeout 60 busybox find . >"$out/busybox"
        is "$1: busybox find" "$(listing "$out/busybox")" "$want"
        is "$1: busybox grep -r" "$(timeout 60 busybox grep -rls needle .)" ./src/sub/a
    fi
    timeout 60 git add -A
    is "$1: git add" $? 0
    is "$1: what it added" "$(git ls-files | tr '\n' ' ')" "src/b src/sub/a "
    is "$1: git status" "$(timeout 60 git status --porcelain | grep -v '^A ')" ""
}

# remount OPTIONS
remount() {
    cd "$WORK" || exit 1
    fusermount3 -u "$MNT"
    MOUNT_OPTS=$1
    mount_start
    cd "$MNT" || exit 1
}

busy
walks hidden
check "nothing of it was met" test -z "$(find . -name '.ctl*')"

remount ctl=visible
rmdir "$CTL/sessions/s"
busy
walks visible .ctl
is "what is listed is a link" "$(readlink .ctl)" .ctl-files
: >.git/info/exclude
is "git takes it for a file" "$(git status --porcelain -- .ctl)" "?? .ctl"

# By the link, by its name, and from inside.
check "ls" sh -c "ls .ctl/ | grep -qx help && ls .ctl-files | grep -qx help"
check "cat" grep -q 'Files that are read' .ctl/help
is "a verb" "$(echo sync >.ctl/ctl && echo done)" done
is "cd" "$(cd .ctl && cat version)" "$(cat .ctl/version)"
for name in .ctl .ctl-files; do
    fails "$name is not made" mkdir $name
    fails "nor removed" rm -f $name
    fails "nor moved" mv $name elsewhere
    fails "nor hidden" mv -T src/b $name
done
find -L .ctl -type f >"$WORK/control"
check "who follows it finds them" grep -qx .ctl/status "$WORK/control"
check "with what comes and goes" grep -qx .ctl/sessions/s/run "$WORK/control"
while read -r file; do
    timeout 20 cat "$file" >/dev/null 2>"$WORK/err" || echo "$file: $(cat "$WORK/err")"
done <"$WORK/control" >"$WORK/unread"
is "each listed file is read to its end" "$(cat "$WORK/unread")" ""
is "nobody made a job by walking" "$(ls "$CTL/jobs")" clone

# Under another name; and what the sandbox has of that name is not hidden.
remount ctl=visible,ctl_name=.control
is "a name of one's own" "$(readlink .control)" .control-files
check "it is the one that is there" grep -q 'Files that are read' .control/help
check "the other is not" test ! -e .ctl -a ! -e .ctl-files
cd "$WORK" || exit 1
fusermount3 -u "$MNT"
mkdir "$SBX/.ctl-files"
for opts in ctl=visible ctl=hidden; do
    "$DAYTONAFS" mount box "$MNT" -o "helper=$HELPER,$opts" >"$WORK/out" 2>&1
    code=$?
    [ $opts = ctl=visible ] && is "an entry of the same name is refused" $code 5 &&
        check "with advice" grep -q "'.ctl-files' of its own.*ctl_name" "$WORK/out"
done
is "which is nothing to other mounts" $code 0
finish
