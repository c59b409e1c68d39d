# Somebody in the sandbox replaces a file that an editor here has open: theirs stays, ours is kept
# beside it in .ctl/conflicts, and nothing is lost whichever is chosen.
if [ "${HELPER:-require}" = off ]; then
    echo "skip: without the helper the last close wins"
    exit 77
fi
MOUNT_OPTS=coherence=30s
. "$(dirname "$0")/lib.sh"

theirs() {
    echo "theirs $1" >"$SBX/$1.theirs" && mv "$SBX/$1.theirs" "$SBX/$1"
}
conflict() {
    fails "$1: sync says so" "$DAYTONAFS" sync "$MNT"
    is "$1: the sandbox's version stays" "$(cat "$SBX/$1")" "theirs $1"
    is "$1: ours is kept" "$(cat "$CTL/conflicts/$1")" "$2"
    check "$1: it is told" grep -q "$1" "$CTL/errors"
}

# A program that rewrites the file, and one that replaces it.
for f in rewritten replaced given-up removed; do
    echo "first $f" >"$SBX/$f"
done
echo refresh >"$CTL/ctl"
cat rewritten replaced given-up removed >"$WORK/known"
theirs rewritten
echo "ours rewritten" >rewritten
conflict rewritten "ours rewritten"
theirs replaced
echo "ours replaced" >replaced.new && mv replaced.new replaced
"$DAYTONAFS" sync "$MNT" 2>/dev/null
is "replaced: the sandbox's version stays" "$(cat "$SBX/replaced")" "theirs replaced"
check "replaced: ours is somewhere" grep -rq "ours replaced" "$CTL/conflicts" "$SBX"

# A removal of what is another file by now.
theirs removed
rm removed
"$DAYTONAFS" sync "$MNT" 2>/dev/null
is "removed: it stays" "$(cat "$SBX/removed")" "theirs removed"

# Choosing.
echo "keep mine rewritten" >"$CTL/ctl"
is "keep mine" "$(cat "$SBX/rewritten" rewritten)" "ours rewritten
ours rewritten"
theirs given-up
echo "ours given-up" >given-up
conflict given-up "ours given-up"
echo "keep theirs given-up" >"$CTL/ctl"
is "keep theirs" "$(cat "$SBX/given-up" given-up)" "theirs given-up
theirs given-up"
fails "and then it is gone" cat "$CTL/conflicts/given-up"

# vim as a person starts it, with each of its ways to save: theirs comes while it has the file open,
# before anything of ours or between two saves. Where it writes over the file itself (yes) it looks
# once more, and says that the file has changed instead of writing to it.
edit() {
    vim -es "$1" -c "set backupcopy=$2" "${@:3}" -c "normal oours $1" \
        -c "silent !echo theirs $1 >$SBX/t && mv $SBX/t $SBX/$1" \
        -c 'try | w! | catch | cquit 7 | endtry' -c 'qa!' </dev/null >/dev/null 2>&1
    told=$?
    "$DAYTONAFS" sync "$MNT" 2>/dev/null
    is "vim, $2, $1: the sandbox's version stays" "$(cat "$SBX/$1")" "theirs $1"
    [ "$1" = early-yes ] && [ $told = 7 ] ||
        check "vim, $2, $1: ours is kept" grep -rqx "ours $1" "$CTL/conflicts"
    fails "vim, $2, $1: nothing is both" grep -qs -e "ours $1" "$SBX/$1" "$SBX/$1~"
}
if have vim; then
    for way in auto yes no; do
        echo first | tee "$SBX/early-$way" >"$SBX/late-$way"
        echo refresh >"$CTL/ctl"
        edit early-$way $way
        edit late-$way $way -c 'normal omore' -c 'w!'
    done
fi

# A removal has no content to keep, but it is listed until it is settled.
echo first >removed && "$DAYTONAFS" sync "$MNT" 2>/dev/null
theirs removed
rm removed
fails "removed: sync says so" "$DAYTONAFS" sync "$MNT"
check "removed: it is listed" grep -q ' conflict unlink 0 .*/removed$' "$CTL/queue"
check "removed: theirs is there" test -e "$SBX/removed"
echo "keep theirs removed" >"$CTL/ctl"
is "removed: and no more" "$(grep -c removed "$CTL/queue")" 0

# One that has another name is written in place, on either side, and at once.
echo "first linked" >"$SBX/linked" && ln "$SBX/linked" "$SBX/other"
echo refresh >"$CTL/ctl"
cat linked other >"$WORK/known"
echo "theirs linked" >"$SBX/other"
fails "linked: who would write over it is told" sh -c 'echo "ours linked" >linked'
is "linked: theirs stays" "$(cat "$SBX/linked" "$SBX/other")" "theirs linked
theirs linked"
echo "keep theirs linked" >"$CTL/ctl"
echo refresh >"$CTL/ctl"
is "linked: and is seen" "$(cat linked other)" "theirs linked
theirs linked"
check "linked: then ours goes" sh -c 'echo "ours again" >linked'
is "linked: to both names" "$(cat "$SBX/linked" "$SBX/other" other)" "ours again
ours again
ours again"
