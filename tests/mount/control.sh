# The control files, used from every shell and from python and node.
. "$(dirname "$0")/lib.sh"

check "each use works" sh "$TESTS/uses/ctl.sh" "$MNT" >"$WORK/uses"
grep -v '^PASS' "$WORK/uses"
checks=$((checks + $(grep -c '^PASS' "$WORK/uses")))
