# What is watched: each kind of change made in the sandbox, and what the watching costs.
# What is known is believed for an hour: what is seen earlier, watching has told.
MOUNT_OPTS=coherence=1h
. "$(dirname "$0")/lib.sh"

W=$WORK/lines

# watch_start FILE ARGUMENTS…: a watcher that has begun; its process id is in $watcher.
watch_start() {
    file=$1
    shift
    "$DAYTONAFS" watch "$MNT" "$@" >"$file" 2>"$file.err" &
    watcher=$!
    check "it watches" within 20 watch_began "$file"
}

watch_began() {
    probes=$((${probes:-0} + 1))
    touch "$SBX/probe$probes"
    sleep 0.2
    grep -q probe "$1"
}

has() { # FILE KIND PATH [NEW]: the escapes of watch are in PATH
    cut -f2- "$1" | grep -qxF "$(printf '%s\t%s' "$2" "$3")${4:+$(printf '\t%s' "$4")}"
}

told() { # WHAT KIND PATH [NEW]
    what=$1
    shift
    check "$what" within 15 has "$W" "$@"
}

requests() {
    sed -n 's/^requests //p' "$CTL/stats"
}

mkdir -p "$SBX/old/sub" "$SBX/many"
echo 1 >"$SBX/old/f"
echo 1 >"$SBX/old/sub/g"
watch_start "$W" .
first=$watcher

# ---- one of each kind ----
echo new >"$SBX/created"
told "a file is created" create created
is "what was told is seen" "$(cat "$MNT/created")" new
sleep 0.1
echo more >>"$SBX/created"
told "a file is modified" modify created
is "the new content is seen at once" "$(cat "$MNT/created")" "$(printf 'new\nmore')"
chmod 600 "$SBX/created"
check "a mode is seen at once" within 15 test "$(stat -c %a "$SBX/created")" = 600
mv "$SBX/created" "$SBX/old/sub/moved"
told "a file is renamed" rename created old/sub/moved
check "nor its modification again" test "$(grep -c modify "$W")" -le 2
fails "the old name is not seen any more" test -e "$MNT/created"
rm "$SBX/old/sub/moved"
told "a file is deleted" delete old/sub/moved
mkdir -p "$SBX/a/b/c"
touch "$SBX/a/b/c/f"
told "a tree is made" create a
told "with what is in it" create a/b/c/f
sleep 0.2
touch "$SBX/a/b/c/later"
told "what is new is watched, too" create a/b/c/later
mv "$SBX/a" "$SBX/z"
told "a directory is renamed" rename a z
sleep 0.2
touch "$SBX/z/b/c/here"
told "below its new name" create z/b/c/here
fails "what moved along is not told" has "$W" create z/b/c/f
rm -rf "$SBX/z"
told "a tree is removed" delete z/b/c/f
told "all of it" delete z
odd=$(printf 'tab\there\nline\\ \377')
touch "$SBX/$odd"
told "odd bytes in names" create 'tab\there\nline\\ \xff'
rm "$SBX/$odd"
mkdir "$SBX/outside"
mv "$SBX/old" "$WORK/old"
told "a tree is moved out" delete old/sub/g
mv "$WORK/old" "$SBX/back"
told "a tree is moved in" create back/sub/g
ln -s f "$SBX/back/link"
told "a link is made" create back/link
rm "$SBX/back/link"
mkdir "$SBX/back/link"
told "a link becomes a directory" delete back/link
rmdir "$SBX/back/link"

# ---- many at once ----
(cd "$SBX/many" && seq 1000 | xargs touch)
check "1,000 files" within 30 sh -c "[ \"\$(grep -c 'create.many/' '$W')\" = 1000 ]"
is "each once" "$(cut -f2,3 "$W" | grep -c 'create.many/')" \
    "$(cut -f2,3 "$W" | grep 'create.many/' | sort -u | wc -l)"

# ---- two watchers share one look ----
watch_start "$WORK/two" --json .
touch "$SBX/both"
told "the first watcher hears it" create both
check "and the second" within 15 grep -q '"path":"both"' "$WORK/two"
fails "but not what was before it came" grep -q '"path":"many' "$WORK/two"
if [ "$HELPER" = require ]; then
    sleep 1
    before=$(requests)
    sleep 3
    is "idle costs nothing" "$(requests)" "$before"
    touch "$SBX/once"
    told "a change" create once
    sleep 1
    check "costs at most two requests" test $(($(requests) - before)) -le 2
fi
kill "$watcher"
wait "$watcher" 2>/dev/null
touch "$SBX/after"
told "one watcher killed, the other goes on" create after

# ---- going on where one was ----
seq=$(tail -n 1 "$W" | cut -f1)
touch "$SBX/between"
told "a change nobody else saw" create between
is "is told to who goes on" \
    "$("$DAYTONAFS" watch "$MNT" --since "$seq" --count 1 --timeout 20s . | cut -f2-)" \
    "$(printf 'create\tbetween')"
is "and overflow to who comes from nowhere" \
    "$("$DAYTONAFS" watch "$MNT" --since 999999 --count 1 --timeout 20s . | cut -f2-)" \
    "$(printf 'overflow\t.')"

# ---- the sandbox goes and comes back ----
"$DAYTONAFS" sandbox stop box >/dev/null
mkdir "$SBX/meanwhile"
sleep 1
"$DAYTONAFS" sandbox start box >/dev/null
check "what changed while it was down" within 60 has "$W" create meanwhile
touch "$SBX/meanwhile/then"
check "and what changes then" within 60 has "$W" create meanwhile/then

# ---- the end ----
kill "$first"
wait "$first" 2>/dev/null
sleep 0.5
before=$(requests)
touch "$SBX/unseen"
sleep 1.5
is "nobody watches: nothing runs" "$(requests)" "$before"
finish
