# What a caller may rely on, as an ordinary user, whom the sandbox can refuse something.
[ "${HELPER:-require}" != off ] || { echo "skip: without the helper nothing waits"; exit 77; }
AS_USER=1
MOUNT_OPTS=coherence=1h
. "$(dirname "$0")/lib.sh"
trap - DEBUG
check "each promise is kept" python3 "$TESTS/promises.py" "$MNT" "$SBX" "$DAYTONAFS"
chmod -R u+rwX "$WORK" 2>/dev/null
