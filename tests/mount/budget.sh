# What everyday work on metadata costs in requests, with the helper in the sandbox.
if [ "${HELPER:-require}" = off ]; then
    echo "skip: plain mode asks file by file"
    exit 77
fi
MOUNT_OPTS=coherence=10m
NO_MOUNT=1
. "$(dirname "$0")/lib.sh"

# Not through the mount's root, and not with that as the current directory, which a shell looks at
# for each command: that is a request when the window is over.
requests() {
    sed -n 's/^requests //p' /proc/self/fd/9/stats
}

# What is fetched in the background belongs to what was asked before.
settle() {
    settled=$(requests)
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        sleep 0.7
        [ "$(requests)" != "$settled" ] || return 0
        settled=$(requests)
    done
}

# budget WHAT MOST COMMAND…: the command must succeed with so many requests, and with one more
# for each $window_ms that it took: on a busy machine a walk outlasts its answer.
window_ms=3600000
budget() {
    what=$1 most=$2
    shift 2
    before=$(requests) start=$(date +%s%N)
    check "$what" "$@" >"$WORK/out"
    most=$((most + ($(date +%s%N) - start) / 1000000 / window_ms))
    settle
    used=$((settled - before))
    echo "$what: $used requests, at most $most"
    check "$what: $used requests, at most $most" test $used -le "$most"
}

# As a new mount knows nothing: with these options.
remount() {
    MOUNT_OPTS=$1
    exec 9<&-
    ! mountpoint -q "$MNT" || check "unmount" fusermount3 -u "$MNT"
    mount_start >/dev/null
    exec 9<"$CTL"
}

look_up_missing() {
    i=0
    while [ $i -lt 1000 ]; do
        [ ! -e "$MNT/tree/d$((i % 100))/missing$i" ] || return 1
        i=$((i + 1))
    done
}

list() {
    find "$MNT/tree" -printf '%s %T@ %l\n'
}

status() {
    GIT_OPTIONAL_LOCKS=0 git -C "$MNT/tree" status --porcelain
}

# 1,000 files in 100 directories, 5 MB.
mkdir "$SBX/tree"
head -c 5000 /dev/urandom | base64 | head -c 5000 >"$WORK/file"
for d in $(seq 0 99); do
    mkdir "$SBX/tree/d$d"
    for f in $(seq 0 9); do
        cp "$WORK/file" "$SBX/tree/d$d/f$f"
    done
done
with_git=
if have git; then
    with_git=1
    git -C "$SBX/tree" init -q
    git -C "$SBX/tree" config core.checkStat minimal # its index was written by another mount
    git -C "$SBX/tree" add -A
    git -C "$SBX/tree" -c user.name=n -c user.email=e@example.org commit -qm all
    sleep 1.1 # files as old as the index are read again
    git -C "$SBX/tree" update-index -q --really-refresh
fi

remount coherence=10m
budget "find, cold" 2 list
is "find sees all" "$(find "$MNT/tree" -name .git -prune -o -type f -print | wc -l)" 1000
budget "find, again" 0 list
budget "1,000 missing names" 0 look_up_missing
[ -z "$with_git" ] || budget "git status, again" 10 status

remount coherence=500ms # less than settle waits
window_ms=500
list >"$WORK/out"
settle
for round in 1 2 3; do
    budget "find, after idling ($round)" 1 list
done
touch "$SBX/tree/d5/f5" "$SBX/tree/d50/new"
rm "$SBX/tree/d6/f6"
mv "$SBX/tree/d7" "$SBX/tree/d8/d7"
settle
budget "find, after changes inside" 3 list
find "$MNT/tree" -name .git -prune -o -printf '%P %s %T@\n' | sort >"$WORK/here"
find "$SBX/tree" -name .git -prune -o -printf '%P %s %T@\n' | sort >"$WORK/there"
check "what find shows is what is there" cmp "$WORK/here" "$WORK/there"
mv "$SBX/tree/d8/d7" "$SBX/tree/d7"
git -C "$SBX/tree" checkout -q -- . 2>/dev/null
if [ -n "$with_git" ]; then
    status >/dev/null
    settle
    status >/dev/null
    settle
    budget "git status, after idling" 1 status
fi

# Somebody's shell sits in the mount, and nobody does anything.
(cd "$MNT/tree/d1" && exec sleep "${IDLE_S:-3}") 9<&- &
settle
before=$settled
wait $!
is "an idle mount with an open shell" "$(requests)" "$before"
exec 9<&-
