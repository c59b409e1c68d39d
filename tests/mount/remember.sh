# What a mount showed of files that were made through it, the next mount shows too: to git, make and
# editors nothing has moved. Links that were made here are shown as they were written.
. "$(dirname "$0")/lib.sh"

mkdir -p dir/sub
for i in 1 2 3 4 5; do
    echo "file $i" >dir/f$i
    echo "new $i" >dir/sub/tmp && mv dir/sub/tmp dir/sub/g$i
done
touch -d '2001-02-03 04:05:06' dir/f2
chmod 600 dir/f3
echo more >>dir/f4
ln -s "$MNT/dir/f1" dir/absolute
ln -s ../../../outside dir/climbs
ln dir/f5 dir/hard

# Nor does a directory move when what changed in it arrives.
dir_time=$(stat -c %y.%z dir)
check "sync" "$DAYTONAFS" sync .
sleep 1.1
ls dir >"$WORK/out"
is "a directory's time after what is in it was sent" "$(stat -c %y.%z dir)" "$dir_time"

# And what is in it at the very end arrives while the mount ends.
echo last >dir/last
shown() {
    find dir -printf '%p %i %T@ %C@ %l\n' | sort
}
again() {
    cd / || exit 1
    check "umount" "$DAYTONAFS" umount "$MNT"
    mount_start
    cd "$MNT" || exit 1
}

shown >"$WORK/before"
again
shown >"$WORK/after"
is "what is shown after a remount" "$(diff "$WORK/before" "$WORK/after")" ""
is "inode numbers of different files" \
    "$(find dir -type f ! -name hard -printf '%i\n' | sort | uniq -d)" ""
again
shown >"$WORK/after"
is "and after another" "$(diff "$WORK/before" "$WORK/after")" ""

# What the sandbox changes is shown as it is there.
echo changed >"$SBX/dir/f1"
ln -sfn "$MNT/elsewhere" "$SBX/dir/absolute"
again
is "a file that the sandbox changed" "$(stat -c %Y.%Z dir/f1)" "$(stat -c %Y.%Z "$SBX/dir/f1")"
fails "a link that the sandbox changed is not shown as ours" \
    test "$(readlink dir/absolute)" = "$MNT/elsewhere"
shown >"$WORK/now"
is "others stay" "$(diff "$WORK/after" "$WORK/now" | grep '^[<>]' |
    grep -v -e /f1 -e absolute -e '^. dir ')" ""
