# A large file that is open when its last name goes is not fetched for that: the sandbox keeps it
# until it is closed.
[ "${HELPER:-require}" != off ] || { echo "skip: plain mode fetches all of it"; exit 77; }
MOUNT_OPTS=coherence=10m
. "$(dirname "$0")/lib.sh"
trap - DEBUG # it syncs when it is said

command -v python3 >/dev/null || { echo "skip: no python3"; exit $SKIP; }
MIB=1048576
exec 9<"$CTL"
ctl=/proc/self/fd/9
stat_of() { sed -n "s/^$1 //p" $ctl/stats; }
bytes() { echo $(($(stat_of bytes_sent) + $(stat_of bytes_received))); }
kept() { find "$SBX/.cache/daytonafs/clients" -name 'k-*' 2>/dev/null; }

# The helper where the files are, and is found: on another file system they could not be kept.
"$DAYTONAFS" exec . -- sh -c '[ "$HOME" = /home/daytona ] && mkdir -p ~/.cache &&
    cp -a /var/tmp/.daytonafs-* ~/.cache/daytonafs && rm -f /var/tmp/.daytonafs-*/h-*' ||
    { echo "skip: the helper's folder cannot be moved"; exit $SKIP; }
remount() {
    exec 9<&-
    cd / && mount_start && cd "$MNT" && exec 9<"$CTL"
}
cd / && exec 9<&- && "$DAYTONAFS" umount "$MNT" && remount

for f in unlinked replaced dead; do
    head -c $((64 * MIB)) /dev/urandom >"$SBX/$f"
done
cp "$SBX/unlinked" "$SBX/replaced" "$WORK"
echo new >"$SBX/new"
echo refresh >$ctl/ctl
ls -l >/dev/null

# Opens FILE, waits for a line, and says if a part of it and then all of it are as in COPY.
cat >"$WORK/reader.py" <<'END'
import os, sys
fd, copy = os.open(sys.argv[1], os.O_RDONLY), open(sys.argv[2], 'rb')
print('open', flush=True)
sys.stdin.readline()
copy.seek(30 << 20)
print('part', os.pread(fd, 100000, 30 << 20) == copy.read(100000), flush=True)
sys.stdin.readline()
copy.seek(0)
same = all(os.pread(fd, 1 << 20, i << 20) == copy.read(1 << 20) for i in range(64))
print('all', same, flush=True)
END

# reads_on FILE COMMAND…: the command takes its name.
reads_on() {
    file=$1
    shift
    coproc R { python3 "$WORK/reader.py" "$file" "$WORK/$file"; }
    pid=$R_PID
    read -r answer <&"${R[0]}"
    is "$file is open" "$answer" open
    before=$(bytes) requests=$(stat_of requests)
    check "its name goes" "$@"
    echo sync >$ctl/ctl
    echo "$file: $(($(bytes) - before)) bytes, $(($(stat_of requests) - requests)) requests"
    check "$file: it is not fetched" test $(($(bytes) - before)) -le 65536
    check "$file: requests" test $(($(stat_of requests) - requests)) -le 2
    is "it is kept" "$(kept | wc -l)" 1
    echo >&"${R[1]}"
    read -r answer <&"${R[0]}"
    is "$file: a part of it" "$answer" "part True"
    check "$file: not much more is fetched" test $(($(bytes) - before)) -le $((8 * MIB))
    echo >&"${R[1]}"
    read -r answer <&"${R[0]}"
    is "$file: all of it" "$answer" "all True"
    wait "$pid"
    echo sync >$ctl/ctl
    is "what is closed is kept no longer" "$(kept)" ""
}

reads_on unlinked rm unlinked
check "the name is gone" test ! -e "$SBX/unlinked"
reads_on replaced mv new replaced
is "another has the name" "$(cat "$SBX/replaced")" new

# The mount dies while it has one open: what is kept for nobody goes, at the latest, with the folder
# of a client that has not been heard of for a month.
exec 7<dead
rm dead
echo sync >$ctl/ctl
is "it is kept" "$(kept | wc -l)" 1
PID=$("$DAYTONAFS" mounts --json | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' | head -n 1)
kill -9 "$PID"
exec 7<&-
cd /
fusermount3 -uz "$MNT"
remount
echo one >one
echo sync >$ctl/ctl
for left in $(kept); do
    touch -d '31 days ago' "$(dirname "$left")"
done
touch -d '2 days ago' "$SBX/.cache/daytonafs/swept"
echo two >two
echo sync >$ctl/ctl
is "nothing stays for ever" "$(kept)" ""
exec 9<&-
