# A mount that nobody uses for as long as people are away asks nothing, though a shell sits in it.
MOUNT_OPTS=coherence=1s
. "$(dirname "$0")/lib.sh"

# Not through the mount's root: looking at that is a request when the window is over.
exec 9<"$CTL"
requests() {
    sed -n 's/^requests //p' /proc/self/fd/9/stats
}

mkdir -p "$SBX/d"
echo x >"$SBX/d/f"
sleep 1.2
check "the mount was used" grep -q x d/f
cd "$WORK" || exit 1
# exec: a shell that runs another program would look at its directory, as the first use did.
(cd "$MNT/d" && exec sleep "${IDLE_S:-30}") 9<&- &
sleep 3
before=$(requests)
check "requests are counted" test "$before" -gt 0
wait $!
is "requests while nobody did anything" "$(requests)" "$before"
exec 9<&-
