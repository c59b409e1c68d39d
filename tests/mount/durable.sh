# durability=sync: each call is in the sandbox when it returns, and nothing of the sandbox's is
# written over.
if [ "${HELPER:-require}" = off ]; then
    echo "skip: without the helper the last writer wins"
    exit 77
fi
MOUNT_OPTS=coherence=30s,durability=sync
. "$(dirname "$0")/lib.sh"
trap - DEBUG # a look at the sandbox must not send anything

echo first >f
is "a file" "$(cat "$SBX/f")" first
mkdir d && mv f d/f && chmod 600 d/f && ln d/f d/g && ln -s f d/s
is "names and modes" "$(stat -c '%a %h' "$SBX/d/f") $(readlink "$SBX/d/s")" "600 2 f"
exec 3>>d/g
echo second >&3
is "what is written through another name" "$(cat "$SBX/d/f")" "first
second"
exec 3>&-
rm d/g d/s

exec 3<>d/f
echo ours >&3
is "a write" "$(head -n 1 "$SBX/d/f")" ours
echo theirs >"$SBX/t" && mv "$SBX/t" "$SBX/d/f"
fails "a write to what is another file by now" sh -c 'echo more >&3'
exec 3>&-
is "theirs stays" "$(cat "$SBX/d/f")" theirs
check "ours is kept" grep -q more "$CTL/conflicts/d/f"
is "sync says so" "$("$DAYTONAFS" sync "$MNT" >"$WORK/out" 2>&1; echo $?)" 8
echo "keep theirs d/f" >"$CTL/ctl"
is "and then no more" "$("$DAYTONAFS" sync "$MNT" >"$WORK/out" 2>&1; echo $?)" 0
: >"$SBX/lock"
fails "a lock file of the sandbox's" sh -c 'set -C; : >lock'
is "keeps us out, and nothing is kept for it" "$(find "$CTL/conflicts" "$CTL/rejected" -type f)" ""

# durability=close: a file is there when it is closed, as a whole.
cd / && "$DAYTONAFS" umount "$MNT" && MOUNT_OPTS=durability=close mount_start >/dev/null
exec 3>"$MNT/closed"
printf 'one ' >&3 # this closes a copy of the descriptor
is "close: what was written so far" "$(cat "$SBX/closed")" "one "
head -c 300000 /dev/zero >&3
exec 3>&-
is "close: all of it" "$(stat -c %s "$SBX/closed")" 300004
"$DAYTONAFS" umount "$MNT" && mount_start >/dev/null && cd "$MNT" || exit 1

# Work as usual.
check "a tree" cp -a "$TESTS/../lint" tree
check "is the same there" diff -r "$TESTS/../lint" "$SBX/tree"
head -c 3000000 /dev/urandom >"$WORK/data"
check "a large file" cp "$WORK/data" data
check "is the same there" cmp "$WORK/data" "$SBX/data"
if have git; then
    check "git" sh -c 'git init -q --template= repo && cd repo && cp ../tree/* . && git add . &&
        git -c user.name=n -c user.email=e commit -qm one && test -z "$(git status --porcelain)"'
    is "the commit is there" "$(git -C "$SBX/repo" log --oneline | wc -l)" 1
    check "and whole" git -C "$SBX/repo" fsck --no-progress
fi
is "nothing was refused" "$("$DAYTONAFS" sync "$MNT" >"$WORK/out" 2>&1; echo $?)" 0
