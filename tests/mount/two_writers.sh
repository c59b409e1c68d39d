# A mount, or two at different paths, and a program in the sandbox write the same files: no version
# is lost without a conflict that says so, and what all of them append is all there. SECONDS_LONG
# may be given.
if [ "${HELPER:-require}" = off ]; then
    echo "skip: without the helper the last close wins"
    exit 77
fi
MOUNT_OPTS=coherence=300ms
. "$(dirname "$0")/lib.sh"
have python3 || exit $SKIP

inner=$WORK/inner
mkdir "$inner" "$SBX/one" "$SBX/two" "$SBX/three"
trap 'cd /; fusermount3 -uz "$inner"; finish' EXIT
path=$(cd "$MNT" && "$DAYTONAFS" exec -- pwd)
check "a second mount" "$DAYTONAFS" mount "box:$path/two" "$inner" -o "helper=$HELPER,$MOUNT_OPTS"

# writers DIR MOUNTED_AT…
writers() {
    python3 "$TESTS/two_writers.py" "$SBX/$1" "${SECONDS_LONG:-6}" "${@:2}" >"$WORK/log" 2>&1
    is "complaints in $1" "$(grep -v "^seen" "$WORK/log" | head -n 60)" ""
    check "in $1 all wrote much" grep -Eq '^seen [0-9]{2,} .* [1-9][0-9]* landed' "$WORK/log"
    tail -n 1 "$WORK/log"
}
writers one "$MNT" one
writers two "$MNT" two "$inner" .
# An editor's whole save is several changes, and what it read is from before all of them.
! have vim || EDITOR=vim writers three "$MNT" three
