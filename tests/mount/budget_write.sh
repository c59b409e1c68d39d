# What changes cost in requests until the sandbox holds every byte, with the helper in it. Nothing
# is sent in the background: a barrier sends all.
[ "${HELPER:-require}" != off ] || { echo "skip: plain mode has no journal"; exit 77; }
MOUNT_OPTS=coherence=10m
. "$(dirname "$0")/lib.sh"
trap - DEBUG # it syncs when it is said

# Not through the mount's root, which is looked at again when a command has run.
exec 9<"$CTL"
ctl=/proc/self/fd/9
# No program: when it looks for one, bash looks at the working directory, too.
stat_of() {
    while read -r name value; do
        [ "$name" != "$1" ] || echo "$value"
    done <$ctl/stats
}

# costs WHAT REQUESTS BYTES-BOTH-WAYS COMMAND…: the command, and a sync after it.
costs() {
    what=$1 max_requests=$2 max_bytes=$3
    shift 3
    requests=$(stat_of requests) bytes=$(($(stat_of bytes_sent) + $(stat_of bytes_received)))
    check "$what" "$@" >"$WORK/out"
    echo sync >$ctl/ctl
    requests=$(($(stat_of requests) - requests))
    bytes=$(($(stat_of bytes_sent) + $(stat_of bytes_received) - bytes))
    echo "$what: $requests requests, at most $max_requests; $bytes bytes"
    check "$what: requests" test $requests -le "$max_requests"
    check "$what: bytes" test $bytes -le "$max_bytes"
}

LOTS=$((1 << 30))
DATA=$((1000 * 5000))
mkdir "$WORK/tree"
for d in $(seq 0 99); do
    mkdir "$WORK/tree/d$d"
    for f in $(seq 0 9); do
        head -c 5000 /dev/urandom >"$WORK/tree/d$d/f$f"
    done
done
touch -d '2020-02-03 04:05:06.123456789' "$WORK"/tree/d1/f*
chmod 640 "$WORK"/tree/d2/f*
tar -C "$WORK" --format=posix -cf "$WORK/tree.tar" tree
head -c $((64 << 20)) /dev/zero >"$SBX/large"
mkdir "$SBX/edit"
echo one >"$SBX/edit/file"
echo one >"$SBX/edit/saved"
echo refresh >"$CTL/ctl"
find . >/dev/null
cat edit/file edit/saved >/dev/null
{ echo pause >$ctl/ctl; } 2>/dev/null || { echo "skip: sending cannot be paused"; exit $SKIP; }

lock_write_rename() {
    for i in 1 2 3 4 5 6 7 8 9 10; do
        (set -C && echo "content $i" >edit/index.lock) && mv edit/index.lock edit/index || return 1
    done
}

# It is made, and sent, before anything is written to it.
write_then_read() {
    exec 5<>edit/log && echo sync >$ctl/ctl && cat "$WORK/tree.tar" >&5 && exec 5>&- &&
        cmp edit/log "$WORK/tree.tar"
}

temp_files() {
    for i in $(seq 1000); do
        echo "$i" >"edit/tmp$i" && rm "edit/tmp$i" || return 1
    done
}

add_and_commit() {
    git -C clone add -A && git -C clone -c user.name=n -c user.email=e@example.org commit -qm more
}

edit_and_run() {
    echo two >edit/file
    exec 5<>$ctl/run && echo 'cat edit/file' >&5 && IFS= read -r answer <&5 && [ "$answer" = two ]
    wrong=$?
    exec 5<&-
    return $wrong
}

# The swap file is there while it saves.
save() {
    vim -Nu NONE -es edit/saved -c 'set swapfile' -c 's/one/two/' \
        -c 'if !filereadable(swapname("%")) | cquit | endif' -c wq
}

remount() {
    exec 9<&-
    cd / && "$DAYTONAFS" umount "$MNT" && mount_start && cd "$MNT" && exec 9<"$CTL" &&
        echo pause >$ctl/ctl
}

costs "cp -r in" 8 $((DATA * 115 / 100 + 262144)) cp -r "$WORK/tree" copied
check "it is all there" diff -r "$WORK/tree" "$SBX/copied"
costs "tar x" 8 $LOTS tar -xpf "$WORK/tree.tar"
check "that, too" diff -r "$WORK/tree" "$SBX/tree"
is "times and modes are exact" "$(cd "$SBX" && find tree -type f -printf '%p %m %T@\n' | sort)" \
    "$(cd "$WORK" && find tree -type f -printf '%p %m %T@\n' | sort)"
costs "rm -rf" 4 $LOTS rm -rf copied
check "it is gone" test ! -e "$SBX/copied"
costs "ten times lock, write, rename" 2 $LOTS lock_write_rename
is "the last is there" "$(cat "$SBX/edit/index")" "content 10"
costs "truncate, write, fdatasync" 1 $LOTS \
    dd if="$WORK/tree/d0/f0" of=edit/file bs=8192 conv=fdatasync status=none
check "it is there" cmp "$WORK/tree/d0/f0" "$SBX/edit/file"
costs "a line at the end of 64 MiB never read" 1 65536 sh -c 'echo line >>large'
is "it is at the end" "$(tail -n1 "$SBX/large" | tr -d '\0')" line
costs "4 KiB in the middle of them, fsync" 2 131072 \
    dd if="$WORK/tree/d0/f0" of=large bs=4096 count=1 seek=5000 conv=notrunc,fsync status=none
check "they are in the middle" cmp -n 4096 "$WORK/tree/d0/f0" "$SBX/large" 0 $((5000 * 4096))
is "its size" "$(stat -c %s "$SBX/large")" $(((64 << 20) + 5))
costs "written to after it was made, and read" 4 $(($(stat -c %s "$WORK/tree.tar") * 102 / 100)) \
    write_then_read
costs "1,000 temporary files" 2 $LOTS temp_files
is "none is there" "$(find "$SBX/edit" -name 'tmp*')" ""
if have vim; then
    costs "one save of vim" 3 $LOTS save
    is "it is saved, and nothing else is there" \
        "$(cd "$SBX/edit" && echo saved* .saved* && cat saved)" \
        "saved .saved*
two"
fi
costs "an edit, and a command that prints it" 2 $LOTS edit_and_run
if have git; then
    git -C "$WORK/tree" init -q
    git -C "$WORK/tree" add -A
    git -C "$WORK/tree" -c user.name=n -c user.email=e@example.org commit -qm all
    costs "git clone" 8 $LOTS git clone -q "$WORK/tree" clone
    costs "git status right after it" 1 $LOTS git -C clone status --porcelain
    is "nothing is changed" "$(cat "$WORK/out")" ""
    for i in $(seq 100); do
        echo "content $i" >"clone/new$i"
    done
    echo sync >$ctl/ctl
    # Each object is written under a temporary name, linked to its own, and that one unlinked. It
    # takes 1 request, the sync; 300 and more when links are made at once.
    costs "git add of 100 new files, and a commit" 4 $LOTS add_and_commit
    is "the commit is in the sandbox" "$(git -C "$SBX/clone" log -1 --format=%s)" more
    is "no temporary name is left" "$(find "$SBX/clone/.git/objects" -name 'tmp*')" ""
    check "git fsck" git -C clone fsck --strict
    index=$(sha1sum <"$SBX/clone/.git/index")
    check "a remount" remount
    # What was written here is kept: not even files that git reads once more, because they are as
    # young as its index, are fetched.
    costs "git status after a remount" 1 $LOTS git -C clone status --porcelain
    is "nothing is changed after a remount" "$(cat "$WORK/out")" ""
    is "git wrote no other index" "$(sha1sum <"$SBX/clone/.git/index")" "$index"
fi
exec 9<&-
