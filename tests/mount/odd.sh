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
    for p in /proc/[0-9]*; do
        [ "$(readlink "$p/ns/mnt" 2>/dev/null)" = "$view" ] && echo "$p" && return 0
    done
    return 1
}

as_root() { # it looks for a process only once: asking would be a look at the tree
    [ -n "${process:-}" ] || process=$(seen_by) || return 1
    nsenter --mount="$process/ns/mnt" --pid="$process/ns/pid_for_children" "$@"
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
    if [ "$HELPER" != off ]; then # nobody waits for the sandbox to say so
        echo mine >other/mine
        fails "no link from one mount to the other" ln other/mine covered/l
        is "and why" "$(grep -c "Invalid cross-device link" "$WORK/out")" 1
        fails "no rename" python3 -c 'import os; os.rename("other/mine", "covered/m")'
        is "nor why" "$(grep -c EXDEV "$WORK/out")$(grep -c "Invalid cross-device" "$WORK/out")" 01
        fails "what something is mounted on stays" rmdir covered
        is "for that reason" "$(grep -c busy "$WORK/out")" 1
        check "mv copies" mv other/mine covered/moved
        check "all of it is sent" "$DAYTONAFS" sync .
        is "and nothing is refused later" "$(ls .ctl/rejected .ctl/conflicts | grep -c mine)" 0
        is "it is there" "$(inside sh -c "cat other/moved; rm other/moved")" mine
    fi
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

# A file system that comes back under another number, as all do when a sandbox is started again.
requests_of() {
    sed -n "s/^$1 //p" "$CTL/stats"
}
overlay() {
    as_root mount -t overlay -o "lowerdir=$home/lower,upperdir=$home/upper,workdir=$home/work" \
        overlay "$home/covered"
}
mkdir -p "$SBX/lower" "$SBX/upper" "$SBX/work"
if [ "$HELPER" = require ] && overlay 2>"$WORK/mount.said"; then
    head -c 50000 /dev/urandom | base64 >"$WORK/kept"
    inside sh -c "echo before >covered/edited"
    cp "$WORK/kept" covered/kept
    "$DAYTONAFS" sync "$MNT"
    check "what is in it" cmp covered/kept "$WORK/kept"
    exec 5<covered/kept
    number=$(as_root stat -c %d "$home/covered")
    ino=$(stat -c %i covered/kept)
    edited=$(cat covered/edited)
    echo pause >"$CTL/ctl"
    echo "after $edited" >covered/edited
    chmod 600 covered/kept
    as_root umount "$home/covered"
    others=0
    until overlay && [ "$(as_root stat -c %d "$home/covered")" != "$number" ] ||
        [ $others = 20 ]; do
        as_root umount "$home/covered"
        as_root mount -t tmpfs none "$home/other" # it takes a number that was free
        others=$((others + 1))
    done
    check "it has another number" test "$(as_root stat -c %d "$home/covered")" != "$number"
    echo resume >"$CTL/ctl"
    "$DAYTONAFS" sync "$MNT"
    is "what waited arrives" "$(inside cat covered/edited)" "after before"
    is "and this, too" "$(inside stat -c %a covered/kept)" 600
    is "without a conflict" "$(ls "$CTL/conflicts")" ""
    sleep 1
    bytes=$(requests_of bytes_received)
    check "what was open is the same file" cmp "$WORK/kept" - <&5
    check "and so it is by its name" cmp "$WORK/kept" covered/kept
    is "with its number" "$(stat -c %i covered/kept)" "$ino"
    check "nothing of it is fetched again" \
        test $(($(requests_of bytes_received) - bytes)) -lt 30000
    exec 5<&-
    as_root umount "$home/covered"
    while [ $others -gt 0 ]; do
        as_root umount "$home/other"
        others=$((others - 1))
    done
else
    echo "skip: no overlay in the sandbox: $(cat "$WORK/mount.said")"
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
