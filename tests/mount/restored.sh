# The sandbox is restored from an older copy, with what the helper recorded there: nothing is sent
# over it until somebody says so. A record that is only gone stops nothing; a journal that is an old
# copy of itself is refused.
[ "${HELPER:-require}" != off ] || { echo "skip: plain mode has no journal"; exit 77; }
NO_MOUNT=1
. "$(dirname "$0")/lib.sh"

umount_it() {
    pid=$(sed -n 's/^pid //p' "$CTL/status")
    "$DAYTONAFS" umount "$@" "$MNT" >"$WORK/umount.out" 2>&1 || return
    within 20 sh -c "! kill -0 $pid 2>/dev/null"
}
sync_code() {
    "$DAYTONAFS" sync "$MNT" >"$WORK/sync.out" 2>&1
    echo $?
}
save() {
    echo "$1" >"$MNT/$2" && "$DAYTONAFS" sync "$MNT" 2>"$WORK/sync.out"
}
inside() {
    "$DAYTONAFS" exec box -- sh -c "$1"
}

mount_start >/dev/null
check "a file before the copy" save one before
folder=$(inside 'cd /; ls -d /var/tmp/.daytonafs-*/clients ~/.cache/daytonafs/clients 2>/dev/null')
check "the helper has a folder" test -n "$folder"
inside "mkdir /tmp/copy && cp -a ~/. /tmp/copy/files && cp -a $folder /tmp/copy/clients"
check "a file after it" save two after
check "another version of the first" save three before

# The record alone is gone.
inside "rm -f $folder/*/record"
check "without the record: a save" save four fourth
is "without the record: it is there" "$(cat "$SBX/fourth")" four
check "and another, after the first" save five fourth
is "which is there, too" "$(cat "$SBX/fourth")" five

# All of it is as it was.
inside "cd ~ && rm -rf ./* && cp -a /tmp/copy/files/. . &&
    rm -rf $folder && cp -a /tmp/copy/clients $folder"
echo six >"$MNT/sixth"
echo "ours" >"$MNT/after"
is "restored: sync says that something is left" "$(sync_code)" 8
check "restored: errors says what to do" \
    grep -q 'restored from an older copy.*`retry`' "$CTL/errors"
check "restored: so does status" grep -q '^not_sending .*restored' "$CTL/status"
check "restored: nothing was sent" \
    test ! -e "$SBX/sixth" -a ! -e "$SBX/after"
is "restored: what waits can be read here" "$(timeout 10 cat "$MNT/sixth")" six
check "restored: and writing goes on" sh -c "echo seven >'$MNT/seventh'"
fails "restored: fsync fails at once" timeout 10 dd if=/dev/zero of="$MNT/x" bs=1 count=1 \
    conv=fsync status=none
umount_it
is "restored: umount says that something is left" $? 8
umount_it --force
check "restored: a forced one leaves it in the journal" grep -q 'waits for a mount' <<EOF
$("$DAYTONAFS" recover)
EOF
mount_start >/dev/null
check "restored: the next mount says so again" within 10 grep -q not_sending "$CTL/status"
echo retry >"$CTL/ctl"
code=$(sync_code)
is "retry: what is new is there" "$(cat "$SBX/sixth" "$SBX/seventh" 2>&1)" "six
seven"
is "retry: the copy stays where nothing was saved" "$(cat "$SBX/before")" one
check "retry: what differs is there or listed" grep -rqs ours "$SBX/after" "$CTL/conflicts"
[ "$code" = 0 ] || is "retry: then sync says so" "$code" 8
fails "retry: status says nothing of it any more" grep -q not_sending "$CTL/status"
umount_it

# The journal is an old copy of itself.
journals=$XDG_STATE_HOME/daytonafs/journals
mount_start >/dev/null
check "a save" save first eighth
echo pause >"$CTL/ctl"
echo old >"$MNT/eighth"
cp -a "$journals" "$WORK/old-journals"
check "that goes" "$DAYTONAFS" sync "$MNT"
check "and another" save newer eighth
kill -9 "$(sed -n 's/^pid //p' "$CTL/status")"
fusermount3 -uz "$MNT"
rm -rf "$journals"
mv "$WORK/old-journals" "$journals"
mount_start >/dev/null
is "an old journal: what is there stays" "$(cat "$SBX/eighth")" newer
check "an old journal: that is told" grep -q 'old copy.*recover --export' "$WORK/mount.err"
check "an old journal: it is kept" grep -q 'they are kept' "$WORK/mount.err"
is "an old journal: and listed" "$("$DAYTONAFS" recover | grep -c 'waits for a mount')" 1
check "an old journal: a save goes on" save nine ninth
is "an old journal: and is there" "$(cat "$SBX/ninth")" nine
name=$("$DAYTONAFS" recover | sed -n 's/ .*waits for a mount.*//p')
check "an old journal: what it holds can be saved" \
    "$DAYTONAFS" recover "$name" --export "$WORK/saved"
check "an old journal: that is ours" grep -rqx old "$WORK/saved"
check "an old journal: and then discarded" "$DAYTONAFS" recover "$name" --discard
is "an old journal: nothing is left of it" "$("$DAYTONAFS" recover | grep -c 'waits for')" 0
umount_it
is "an old journal: all is well then" "$(cat "$WORK/umount.out")" ""
mount_start >/dev/null
check "an old journal: as it is for the next mount" save ten tenth
umount_it

# This machine lost power, and the journal ends in zeros.
mount_start >/dev/null
echo pause >"$CTL/ctl"
echo kept >"$MNT/kept"
kill -9 "$(sed -n 's/^pid //p' "$CTL/status")"
fusermount3 -uz "$MNT"
head -c 5000 /dev/zero >>"$(echo "$journals"/*/log)"
mount_start >/dev/null
check "zeros: the mount says that something is lost" grep -q 'lost power' "$WORK/mount.err"
is "zeros: the rest is sent" "$(cat "$SBX/kept")" kept
check "zeros: and a save goes on" save eleven eleventh
umount_it
