# Ctrl-C ends whoever waits for the sandbox, whatever the call.
MOUNT_OPTS=coherence=300ms,op_timeout=60s
. "$(dirname "$0")/lib.sh"
have python3 || exit $SKIP

for i in 0 1 2 3 4 5 6 7; do
    mkdir "$SBX/d$i"
    echo 1 >"$SBX/d$i/f"
done
check "all is known" find "$MNT" -type f -exec cat {} +
cd /
unset OLDPWD # bash would look at it
sleep 1
fault hang=1
is "who did not wait, or waits on" "$(python3 "$TESTS/interrupted.py" "$MNT")" ""
fault ''
is "the mount works on" "$(cat "$MNT/d7/f")" 1
