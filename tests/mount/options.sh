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

# ---- wake=never: an error that says why, and no machine is started ----
echo 'never read' >"$SBX/other"
with wake=never,coherence=0
check "stop" "$DAYTONAFS" sandbox stop box >/dev/null
fails "wake=never" cat "$MNT/other"
check "wake=never: status says so" grep -qx "state not running" "$MNT/.ctl/status"
check "wake=never: errors says what to do" grep -q "sandbox start box" "$MNT/.ctl/errors"
check "start" "$DAYTONAFS" sandbox start box >/dev/null
check "it goes on" ls "$MNT" >/dev/null
check "wake=never: online again" grep -qx "state online" "$MNT/.ctl/status"
without

# ---- as from fstab: mount(8) starts the program that the type names ----
if [ "$(id -u)" = 0 ] && have mount.fuse3; then
    mkdir -p "$WORK/bin"
    ln -s "$DAYTONAFS" "$WORK/bin/daytonafs" # found by its name
    PATH=$WORK/bin:$PATH mount.fuse3 box "$MNT" -t fuse.daytonafs \
        -o rw,dev,suid,_netdev,"helper=$HELPER" >"$WORK/out" 2>&1
    is "mount.fuse3" "$(cat "$WORK/out" "$MNT/dir/file")" "control files: $MNT/.ctl/help
text"
    check "nosuid and nodev all the same" \
        grep -q " $MNT fuse.daytonafs [^ ]*nosuid,nodev" /proc/mounts
    without
fi

# ---- one mount of a path: wherever the journals are, and if they are there at all ----
if [ "$HELPER" != off ]; then
    with coherence=1s
    mkdir "$WORK/second"
    second() {
        "$DAYTONAFS" mount "box$1" "$WORK/second" -o "helper=$HELPER,journal_dir=$2" \
            >"$WORK/out" 2>&1
        code=$?
        [ $code -ne 0 ] || "$DAYTONAFS" umount "$WORK/second"
        return $code
    }
    journals=$XDG_STATE_HOME/daytonafs/journals
    fails "mounted twice" second "" "$journals"
    check "twice: it says where it is" grep -q "mounted already, at $MNT: use that" "$WORK/out"
    fails "twice: with journals elsewhere" second "" "$WORK/elsewhere"
    rm -r "$journals"
    fails "twice: after the journals were removed" second "" "$journals"
    check "twice: it says so then, too" grep -q "mounted already, at $MNT: use that" "$WORK/out"
    check "another path is another mount" second :/home/daytona/dir "$WORK/elsewhere"
    check "a reader is none of them" "$DAYTONAFS" mount box "$WORK/second" -o "helper=$HELPER,ro"
    "$DAYTONAFS" umount "$WORK/second"
    "$DAYTONAFS" umount "$MNT" 2>/dev/null # what it has to say of its journal is not asked here
    mount_start >/dev/null
    check "and without it there is one again" test -e "$MNT/dir/file"
    without
fi
