# Odd things in the tree: special files, links in circles, mounts, and a sandbox that restarts.
MOUNT_OPTS=coherence=200ms
. "$(dirname "$0")/lib.sh"

inside() {
    "$DAYTONAFS" exec box "$@"
}

# A process that sees what the sandbox sees: root may mount there through it.
seen_by() {
    view=$(inside readlink /proc/self/ns/mnt)
    [ "$view" != "$(readlink /proc/self/ns/mnt)" ] || return 1
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/ns/mnt" 2>/dev/null)" = "$view" ] && echo "$process" && return 0
    done
    return 1
}

as_root() {
    nsenter --mount="$(seen_by)/ns/mnt" "$@"
}

mkfifo "$SBX/pipe"
ln -s round "$SBX/round"
ln -s . "$SBX/here"
mkdir -p "$SBX/covered" "$SBX/other/below"
echo covered >"$SBX/covered/f"
echo other >"$SBX/other/f"
sleep 0.5

# A local reader of a pipe of the sandbox would wait for a writer that cannot come.
is "a pipe is a pipe" "$(stat -c %F pipe)" fifo
is "a link to itself is a link" "$(readlink round)" round
fails "and leads nowhere" cat round
check "find does not walk in circles" timeout 20 find . -name f -fprint /dev/null
is "nor does it miss anything" "$(find . | sort | tr '\n' ' ')" \
    ". ./covered ./covered/f ./here ./other ./other/below ./other/f ./pipe ./round "
is "a file before something is mounted over it" "$(cat covered/f)" covered

home=$(inside pwd)
if as_root mount --bind "$home/other" "$home/covered" 2>"$WORK/mount.said"; then
    sleep 1
    is "what is mounted over a directory is seen" "$(cat covered/f)" other
    is "with all that is in it" "$(ls covered)" "below
f"
    inside sh -c "echo changed >covered/f"
    sleep 1
    is "and what changes there" "$(cat covered/f)" changed
    check "the other way to it shows the same" [ "$(cat other/f)" = changed ]
    as_root umount "$home/covered"
    sleep 1
    is "unmounted, the directory is what it was" "$(cat covered/f)" covered
    is "with what was in it" "$(ls covered)" f
    if as_root mount -t ramfs -o mode=777 none "$home/covered"; then
        inside sh -c "echo one >covered/g"
        sleep 1
        is "a file system without times to trust" "$(cat covered/g)" one
        inside sh -c "echo two >covered/g; echo more >covered/h"
        sleep 1
        is "is listed each time" "$(cat covered/g covered/h)" "two
more"
        as_root umount "$home/covered"
    fi
else
    echo "skip: nothing can be mounted in the sandbox: $(cat "$WORK/mount.said")"
fi

# Stopped and started between two requests.
check "stop" "$DAYTONAFS" sandbox stop box
check "start" "$DAYTONAFS" sandbox start box
echo restarted >"$SBX/covered/f"
sleep 1
is "after a restart" "$(cat covered/f)" restarted
is "and the rest is as it was" "$(cat other/f)" "$(cat "$SBX/other/f")"
check "writing goes on, too" sh -c 'echo w >written'
"$DAYTONAFS" sync "$MNT"
is "and arrives" "$(cat "$SBX/written")" w
