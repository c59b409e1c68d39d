# The same as an ordinary user, whom permission bits bind.
AS_USER=1
. "$(dirname "$0")/lib.sh"

mkdir "$WORK/ref"
cd "$WORK" || exit 1
# The first seed once found that what lies in a directory without read permission was not found.
for seed in ${SEED:-1795307482 2}; do
    mkdir -p "$WORK/ref$seed" "$MNT/m$seed"
    check "the mount behaves as a local directory" "$TEST_BIN/model" "$MNT/m$seed" \
        "$WORK/ref$seed" "$seed" "${OPS:-600}"
done
chmod -R u+rwX "$WORK" 2>/dev/null
