# The same as an ordinary user, whom permission bits bind.
AS_USER=1
. "$(dirname "$0")/lib.sh"

mkdir "$WORK/ref"
cd "$WORK" || exit 1
for run in 1 2; do
    mkdir -p "$WORK/ref$run" "$MNT/m$run"
    check "the mount behaves as a local directory" "$TEST_BIN/model" "$MNT/m$run" "$WORK/ref$run" \
        "${SEED:-$(($(date +%s) + run))}" "${OPS:-600}"
done
chmod -R u+rwX "$WORK" 2>/dev/null
