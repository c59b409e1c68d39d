# conflicts=beside: who saves a file that the sandbox changed meanwhile finds ours next to it.
if [ "${HELPER:-require}" = off ]; then
    echo "skip: without the helper the last close wins"
    exit 77
fi
MOUNT_OPTS=coherence=30s,conflicts=beside
. "$(dirname "$0")/lib.sh"

# clash FILE TEXT: it is saved here, on what the sandbox has replaced by then.
clash() {
    echo "theirs $1" >"$SBX/t" && mv "$SBX/t" "$SBX/$1"
    echo "$2" >"$1"
    fails "$1: sync says so" "$DAYTONAFS" sync "$MNT"
    is "$1: theirs stays" "$(cat "$SBX/$1")" "theirs $1"
}

long=$(printf 'x%.0s' $(seq 242))äääääö
for f in file part "$long" gone; do
    echo "first of $f, which is long enough" >"$SBX/$f"
done
chmod 750 "$SBX/file"
head -c 3000000 /dev/zero >"$SBX/big"
echo refresh >"$CTL/ctl"
cat file part "$long" gone >"$WORK/known"
ls file.conflict-1~ 2>/dev/null # the kernel believes that there is none

clash file "ours one"
is "ours is beside it" "$(cat file.conflict-1~)" "ours one"
is "and in the sandbox" "$(cat "$SBX/file.conflict-1~")" "ours one"
is "with its mode" "$(stat -c %a "$SBX/file.conflict-1~")" 750
check "with its time" test "$SBX/file.conflict-1~" -nt "$SBX/gone"
is "and it is listed" "$(ls | grep -c 'file.conflict-1~')" 1
check "errors names it" grep -q 'file .*file\.conflict-1~' "$CTL/errors"
is "it is in conflicts, too" "$(cat "$CTL/conflicts/file")" "ours one"

# Settled either way, it stays, and the next one has the next number.
echo "keep theirs file" >"$CTL/ctl"
is "keep theirs leaves it" "$(cat file file.conflict-1~)" "theirs file
ours one"
clash file "ours two"
is "the next number" "$(cat file.conflict-1~ file.conflict-2~)" "ours one
ours two"
echo "keep mine file" >"$CTL/ctl"
is "keep mine leaves it" "$(cat "$SBX/file" "$SBX/file.conflict-2~")" "ours two
ours two"

# What was not shown when it was made cannot be put over what is there.
clash "$long" "ours long"
name=$(ls | grep '^xxx.*\.conflict-1~$')
is "a long name is cut between characters" "$name" "$(printf 'x%.0s' $(seq 242)).conflict-1~"
is "and has ours" "$(cat "$SBX/$name")" "ours long"

# Parts of a file are no version of it, unless the rest is known here.
for f in part big; do
    {
        printf XX && sleep 0.3 # it stays here while the file is open
        echo "theirs $f" >"$SBX/t" && mv "$SBX/t" "$SBX/$f"
    } | dd of=$f bs=2 seek=2 conv=notrunc status=none
    fails "$f: sync says so" "$DAYTONAFS" sync "$MNT"
    is "$f: theirs stays" "$(cat "$SBX/$f")" "theirs $f"
    check "$f: conflicts has it" test -e "$CTL/conflicts/$f"
done
is "part: ours is whole" "$(cat part.conflict-1~)" "firsXXof part, which is long enough"
fails "big: nothing beside it" test -e "$SBX/big.conflict-1~"
check "big: errors says why" grep -q 'big .*only parts' "$CTL/errors"

# A removal has no content.
echo "theirs gone" >"$SBX/t" && mv "$SBX/t" "$SBX/gone"
rm gone
fails "gone: sync says so" "$DAYTONAFS" sync "$MNT"
fails "gone: nothing beside it" test -e "$SBX/gone.conflict-1~"

# A copy that is itself in conflict is set aside like any file, and that is all.
cat file.conflict-1~ >"$WORK/known"
clash file.conflict-1~ "ours again"
is "no copy of a copy" "$(ls -d ./*conflict-1~.conflict* 2>/dev/null)" ""
is "it is in conflicts" "$(cat "$CTL/conflicts/file.conflict-1~")" "ours again"
