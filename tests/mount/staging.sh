# What is written to a file that stays open is sent before it is closed, and shown once it is.
[ "${HELPER:-require}" != off ] || { echo "skip: plain mode has no journal"; exit 77; }
command -v python3 >/dev/null || { echo "skip: no python3"; exit 77; }
. "$(dirname "$0")/lib.sh"
trap - DEBUG

staged() {
    [ "$(grep -c ' staged patch [0-9]* .*/large$' .ctl/queue)" -ge 10 ]
}
mkfifo "$WORK/go"
python3 -c '
import sys
with open("large", "wb", buffering=0) as f:
    for i in range(20):
        f.write(bytes([65 + i]) * (1 << 20))
    open(sys.argv[1]).read()
    f.seek(1000)
    f.write(b"written over")
    f.truncate(15000000)
' "$WORK/go" &
writer=$!
check "what it wrote is staged" within 20 staged
check "in the helper's folder" [ "$(find "$WORK" -name "s-*" | wc -l)" -ge 2 ]
is "nobody there sees it" "$(wc -c <"$SBX/large")" 0
echo >"$WORK/go"
wait $writer
"$DAYTONAFS" sync "$MNT"
is "all of it is there" "$(wc -c <"$SBX/large")" 15000000
check "and the same" cmp large "$SBX/large"
rm large
echo last >last
"$DAYTONAFS" sync "$MNT"
is "nothing is left of what was staged" "$(find "$WORK" -name "s-*")" ""

# One that is put together ahead of its batch.
echo trace on >.ctl/ctl
head -c 20000000 /dev/urandom >"$WORK/joined"
cp "$WORK/joined" joined
truncate -s 30000000 "$WORK/sparse"
dd if="$WORK/joined" of="$WORK/sparse" bs=1M conv=notrunc seek=2 status=none
cp --sparse=always "$WORK/sparse" sparse
"$DAYTONAFS" sync "$MNT"
check "it is as it was" cmp "$WORK/joined" "$SBX/joined"
check "with holes, too" cmp "$WORK/sparse" "$SBX/sparse"
is "that is how they came" "$(grep -c ' join .*: ok' .ctl/trace)" 2
is "nothing is left of it" \
    "$(find "$WORK" -name "s-*" -o -name '.daytonafs-????????-*')" ""

# One that is removed before it is all there is not sent any further.
stat_of() {
    sed -n "s/^$1 //p" .ctl/stats
}
fault 'hang:bulk-upload=1'
before=$(stat_of bytes_sent)
head -c 120000000 /dev/zero >vain
rm vain
"$DAYTONAFS" sync "$MNT"
fault ''
check "most of it was not sent" test $(($(stat_of bytes_sent) - before)) -le 90000000
fails "it is not there" test -e "$SBX/vain"
echo more >last
"$DAYTONAFS" sync "$MNT"
is "nor is what was sent of it" "$(find "$WORK" -name "s-*")" ""
