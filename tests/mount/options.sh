# What mount options change, each on a mount of its own.
NO_MOUNT=1
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 1

# with OPTIONS: a mount that has them; without is its end, which must be clean.
with() {
    check "mount -o $1" "$DAYTONAFS" mount box "$MNT" -o "helper=$HELPER,$1" >/dev/null
}

without() {
    check "umount" "$DAYTONAFS" umount "$MNT"
}

mkdir "$SBX/dir"
echo text >"$SBX/dir/file"

# ---- ro: of the files, not of the control files ----
with ro
is "ro: reading" "$(cat "$MNT/dir/file")" text
# shellcheck disable=SC2016
for change in 'echo x >$0/dir/file' 'echo x >>$0/dir/file' 'echo x >$0/new' 'rm $0/dir/file' \
    'mkdir $0/d' 'mv $0/dir $0/d' 'chmod 600 $0/dir/file' 'touch $0/dir/file' \
    'truncate -s 0 $0/dir/file' 'ln $0/dir/file $0/l' 'ln -s x $0/s'; do
    fails "ro: $change" bash -c "$change" "$MNT"
    check "ro: $change: says why" grep -q 'Read-only file system' "$WORK/out"
done
is "ro: nothing changed" "$(cd "$SBX" && find . | sort | tr '\n' ' ')$(cat "$SBX/dir/file")" \
    ". ./dir ./dir/file text"
is "ro: exec" "$("$DAYTONAFS" exec "$MNT" -- cat dir/file)" text
check "ro: sync" "$DAYTONAFS" sync "$MNT"
check "ro: exists" "$DAYTONAFS" exists "$MNT" dir/file
without
