# The commands that go through a mount, and those that do without one.
. "$(dirname "$0")/lib.sh"

# code WHAT WANT COMMAND…: its exit code; output in $WORK/out, messages in $WORK/err.
code() {
    what=$1
    want=$2
    shift 2
    "$@" >"$WORK/out" 2>"$WORK/err" </dev/null
    is "$what: exit code of $*" $? "$want"
}

out() {
    cat "$WORK/out"
}

says() {
    grep -q -e "$1" "$WORK/err" || {
        cat "$WORK/err"
        false
    }
}

D=$DAYTONAFS

# ---- exec: through the mount by path, by name, below it; straight through the API ----
mkdir -p "sub/a b"
printf 'one\n' >sub/f
for target in "$MNT" box; do
    code "words" 0 "$D" exec "$target" -- cat sub/f
    is "words" "$(out)" one
    code "its code" 7 "$D" exec "$target" -- sh -c 'exit 7'
    code "not found" 127 "$D" exec "$target" -- no_such_command
    code "not executable" 126 "$D" exec "$target" -- ./sub/f
    code "quoting" 0 "$D" exec "$target" -- printf '%s|' "it's" 'a  b' '$HOME' '' '*' -n --
    is "quoting" "$(out)" "it's|a  b|\$HOME||*|-n|--|"
    code "a line" 0 "$D" exec "$target" -c 'printf "b\na\n" | sort; echo err >&2'
    is "a line" "$(out)" "a
b"
    is "a line: its errors" "$(cat "$WORK/err")" err
    code "bytes" 0 "$D" exec "$target" -- printf 'a\000\377\n\n'
    is "bytes" "$(od -An -tx1 "$WORK/out" | tr -d ' \n')" 6100ff0a0a
    code "no newline at the end" 0 "$D" exec "$target" -- printf x
    is "no newline at the end" "$(od -An -tx1 "$WORK/out" | tr -d ' ')" 78
    code "stdin is empty" 0 "$D" exec "$target" -- cat
    is "stdin is empty" "$(out)" ""
    code "environment" 0 "$D" exec -e 'V=a b' "$target" -- sh -c 'echo "$V"'
    is "environment" "$(out)" "a b"
    code "workdir" 0 "$D" exec -w 'sub/a b' "$target" -- pwd
    check "workdir" grep -q '/sub/a b$' "$WORK/out"
    code "no such workdir" 125 "$D" exec -w nowhere "$target" -- pwd
    code "json" 3 "$D" exec --json "$target" -c 'printf "a\""; exit 3'
    is "json" "$(out)" '{"exit_code":3,"stdout":"a\"","stderr":""}'
done
code "without docker's --" 0 "$D" exec box cat sub/f
is "without docker's --" "$(out)" one
cd "sub/a b" || exit 1
code "below the mount it starts in the same directory" 0 "$D" exec -- pwd
check "below the mount" grep -q '/sub/a b$' "$WORK/out"
cd "$MNT" || exit 1
code "a path below the mount" 0 "$D" exec ./sub -- cat f
is "a path below the mount" "$(out)" one

# What the command changed is seen by the next access, not a second later.
for i in 1 2 3; do
    "$D" exec "$MNT" -- sh -c "echo $i >made"
    is "seen at once" "$(cat made)" $i
done

# Two at a time keep their own output and exit code.
for i in 11 12 13 14; do
    { "$D" exec box -- sh -c "sleep 0.2; echo $i; exit $i"; echo $?; } >"$WORK/both.$i" 2>&1 &
done
wait $(jobs -p | grep -v "^$SERVE_PID$")
for i in 11 12 13 14; do
    is "at the same time" "$(cat "$WORK/both.$i")" "$i
$i"
done

# ---- exists ----
code "exists" 0 "$D" exists box sub/f
is "exists" "$(out)" yes
code "exists not" 3 "$D" exists box sub/g
is "exists not" "$(out)" no
code "a local path" 0 "$D" exists sub/f
code "an absolute local path" 3 "$D" exists "$MNT/sub/g"
code "a name alone is a file here" 0 "$D" exists made
code "json" 3 "$D" exists --json box 'a"b'
is "json" "$(out)" '{"path":"a\"b","exists":false}'
touch "$SBX/just now"
code "never from a cache" 0 "$D" exists box "just now"
newline='a
b'
touch "$SBX/$newline"
code "a newline in the name" 0 "$D" exists box "$newline"

# ---- watch ----
"$D" watch box --count 2 --timeout 60s >"$WORK/watch" 2>&1 &
watcher=$!
sleep 3 # until it watches: before that nothing is a change
touch "$SBX/watched 1"
check "watch prints a change when it sees it" within 30 grep -q create "$WORK/watch"
rm "$SBX/watched 1"
wait $watcher
is "watch ends after its count" $? 0
is "watch" "$(cat "$WORK/watch")" "$(printf '1\tcreate\twatched 1\n2\tdelete\twatched 1')"
code "watch with a limit" 6 "$D" watch "$MNT" --timeout 1s
"$D" watch --json "$MNT/sub" --count 1 --timeout 60s >"$WORK/watch.json" 2>&1 &
watcher=$!
sleep 3
touch "$SBX/sub/$newline"
wait $watcher
check "watch in JSON" grep -q '"kind":"create","path":"sub/a\\nb"' "$WORK/watch.json"

# ---- sync, mounts ----
code "sync" 0 "$D" sync
code "sync of the sandbox" 0 "$D" sync box
code "sync of a path" 0 "$D" sync sub/f
code "mounts" 0 "$D" mounts
check "mounts names it" grep -q "^box .* $MNT " "$WORK/out"
code "mounts in JSON" 0 "$D" mounts --json
check "mounts in JSON" python3 -c 'import json, sys
m = json.load(open(sys.argv[1]))
assert [e["dir"] for e in m] == [sys.argv[2]] and m[0]["sandbox"] == "box" and m[0]["pid"] > 1, m
' "$WORK/out" "$MNT"

# ---- find, grep, replace: the same by path, by name, below it ----
mkdir -p look/in
printf 'one needle\ntwo\nneedle three\n' >look/in/a.txt
printf 'none\n' >look/b.txt
code "find" 0 "$D" find "$MNT" 'a.*'
is "find by path" "$(out)" "$MNT/look/in/a.txt"
code "find by name" 0 "$D" find box '*.txt' look
is "find by name" "$(sort "$WORK/out")" "look/b.txt
look/in/a.txt"
cd look || exit 1
code "find below it" 0 "$D" find in
is "find below it" "$(out)" in
code "find with NUL" 0 "$D" find -0 'a.txt'
is "find with NUL" "$(tr '\0' '|' <"$WORK/out")" 'in/a.txt|'
code "find nothing" 3 "$D" find nothing
code "grep sees what was just written" 0 "$D" grep needle
is "grep" "$(out)" "in/a.txt:1:one needle
in/a.txt:3:needle three"
code "grep -l" 0 "$D" grep -l ./in needle
is "grep -l" "$(out)" ./in/a.txt
code "grep in JSON" 0 "$D" grep --json box two look/in/a.txt
is "grep in JSON" "$(out)" '[{"file":"look/in/a.txt","line":2,"content":"two"}]'
code "grep nothing" 3 "$D" grep nowhere
code "a local path for a sandbox" 3 "$D" exec in -- true
check "it says how to write it" grep -q '\./in$' "$WORK/err"
code "grep TEXT PATH below it" 0 "$D" grep three in/a.txt
is "grep TEXT PATH" "$(out)" "in/a.txt:3:needle three"
code "find GLOB PATH below it" 0 "$D" find 'a*' in
is "find GLOB PATH" "$(out)" in/a.txt
code "grep SANDBOX -- TEXT" 0 "$D" grep -l box -- needle
is "grep SANDBOX -- TEXT" "$(out)" look/in/a.txt
code "grep with too much" 2 "$D" grep -- needle in too
code "replace" 0 "$D" replace needle pin in/a.txt b.txt
is "what it replaced is seen at once" "$(cat in/a.txt)" "one pin
two
pin three"
code "replace what is not there" 3 "$D" replace box -- pin needle look/none look/in/a.txt
check "it says which" says none
is "and does the others" "$(head -n 1 in/a.txt)" 'one needle'
code "replace with too little" 2 "$D" replace a b
cd "$MNT" || exit 1

# ---- ports, url ----
"$D" exec box -c \
    'setsid python3 -u -m http.server 0 --bind 127.0.0.1 >port 2>/dev/null </dev/null &'
within 20 grep -q port "$SBX/port"
port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$SBX/port")
status() {
    curl -s -o /dev/null -w '%{http_code}' "$1"
}
check "ports" within 10 sh -c '"$0" ports box | grep -qx "$1"' "$D" "$port"
code "ports with their ways" 0 "$D" ports "$MNT" --url --json
check "ports with their ways" python3 -c 'import json, sys
p = [e for e in json.load(open(sys.argv[1])) if e["port"] == int(sys.argv[2])]
assert len(p) == 1 and p[0]["url"].startswith("http") and p[0]["token"], p' "$WORK/out" "$port"
code "url of a port" 0 "$D" url box "$port"
check "url of a port" grep -q "/$port-" "$WORK/out"
code "a signed one" 0 "$D" url "$port" --signed --ttl 10m
signed=$(out)
is "it lets in" "$(status "$signed")" 200
code "which ends" 0 "$D" url "$port" --expire "$signed"
check "and then no more" test "$(status "$signed")" != 200
code "a port is not uploaded to" 2 "$D" url "$port" --upload
code "a path has no signed port" 2 "$D" url look/b.txt --signed
code "no links to files before they were made" 1 "$D" url look/b.txt
check "it says what to use" says 'ssh --print'

# ---- ssh: a program of that name shows what it was given ----
mkdir -p "$WORK/bin"
cat >"$WORK/bin/ssh" <<'EOF'
#!/bin/sh
echo "$# $1 $3 $4"
grep -c -e '^  User [a-zA-Z0-9]*$' -e '^  HostName 127.0.0.1$' -e '^  Port 2222$' "$2"
ls -l "$2" | cut -c 1-10
sed -n 's/^  User //p' "$2" >&2
echo "$*" >&2
exit 6
EOF
chmod +x "$WORK/bin/ssh"
code "ssh" 6 env PATH="$WORK/bin:$PATH" "$D" ssh box -- echo 'a b'
is "ssh is told where and what" "$(out)" "4 -F daytona-sandbox 'echo' 'a b'
3
-rw-------"
check "the token is in no argument" test "$(grep -c "$(head -n 1 "$WORK/err")" "$WORK/err")" = 1
check "the file is gone" sh -c '! ls "$0" | grep ssh-' "$XDG_RUNTIME_DIR/daytonafs"
code "ssh below a mount, without a command" 6 env PATH="$WORK/bin:$PATH" "$D" ssh
is "without a command" "$(head -n 1 "$WORK/out")" "3 -F daytona-sandbox "
code "ssh --print" 0 "$D" ssh box --print
check "ssh --print" grep -q '^ssh -p 2222 [a-zA-Z0-9]*@127.0.0.1$' "$WORK/out"
check "and sshfs" grep -q '^sshfs -p 2222 [a-zA-Z0-9]*@127.0.0.1:./.* DIR -o reconnect' "$WORK/out"

# ---- sandboxes ----
code "create" 0 "$D" sandbox create two --label kind=test
is "create prints the name" "$(out)" two
code "list" 0 "$D" sandbox list --label kind=test
is "list" "$(sed 1d "$WORK/out" | cut -d ' ' -f 1)" two
code "the name is taken" 5 "$D" sandbox create two
code "exec without a mount" 4 "$D" exec two -- sh -c 'exit 4'
code "bytes without a mount" 0 "$D" exec two -- printf 'a\000\377'
is "bytes without a mount" "$(od -An -tx1 "$WORK/out" | tr -d ' ')" 6100ff
code "exists without a mount" 3 "$D" exists two nothing
code "stop" 0 "$D" sandbox stop two
code "exec in what is stopped" 9 "$D" exec two -- true
check "it says what to do" says 'sandbox start'
code "start" 0 "$D" sandbox start two
code "exec again" 0 "$D" exec two -- true
code "info" 0 "$D" sandbox info two --json
check "info" grep -q '"state":"started"' "$WORK/out"
code "labels" 0 "$D" sandbox labels two color=red size=l
is "labels" "$(sed 1d "$WORK/out" | sort | tr -s ' ' | tr '\n' ';')" 'color red;kind test;size l;'
code "labels that go" 0 "$D" sandbox labels two --json kind- color=blue
code "labels that are left" 0 "$D" sandbox list --label color=blue --json
check "labels that are left" grep -q '"name":"two"' "$WORK/out"
code "no label" 2 "$D" sandbox labels two color
code "autostop" 0 "$D" sandbox autostop two 90m --json
check "autostop" grep -q '"auto_stop_min":90' "$WORK/out"
code "autoarchive" 0 "$D" sandbox autoarchive two 60 --json
check "autoarchive" grep -q '"auto_archive_min":60' "$WORK/out"
code "autodelete" 0 "$D" sandbox autodelete two never --json
check "autodelete" grep -q '"auto_delete_min":-1' "$WORK/out"
code "no time" 2 "$D" sandbox autostop two soon
code "ttl" 0 "$D" sandbox ttl two 1h
code "resize of what" 2 "$D" sandbox resize two
code "resize" 0 "$D" sandbox resize two --cpu 2
code "its new size" 0 "$D" sandbox info two --json
check "its new size" grep -q '"cpu":2' "$WORK/out"
code "only what is stopped is archived" 1 "$D" sandbox archive two --no-wait
code "stop to archive" 0 "$D" sandbox stop two
code "archive" 0 "$D" sandbox archive two --json
check "archive" grep -q '"state":"archived"' "$WORK/out"
code "an archived one starts" 0 "$D" sandbox start two
code "recover what is well" 0 "$D" sandbox recover two
code "delete one and one that is not there" 3 "$D" sandbox delete two three
check "it says which" says "'three'"
code "it is gone" 3 "$D" sandbox info two
code "a wrong key" 4 env DAYTONA_API_KEY=0123456789abcdef "$D" sandbox list
code "a base without /api" 1 "$D" sandbox list --api-url "${DAYTONA_API_URL%/api}"

# ---- completion in bash: WORDS as bash parts them ----
completed() {
    bash -c 'eval "$("$0" help --completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _daytonafs; echo "${COMPREPLY[*]}"' "$D" "$@" 2>/dev/null
}
is "completion: commands" "$(completed daytonafs umo)" umount
is "completion: of a group" "$(completed daytonafs sandbox st)" "start stop"
is "completion: mount options" "$(completed daytonafs box d -o coh)" "coherence="
is "completion: in a list" "$(completed daytonafs mount -o ro,coh)" "ro,coherence="
is "completion: after a value" "$(completed daytonafs mount -o wake = never,cac)" \
    "never,cache_dir= never,cache_size="

# ---- umount ----
cd / || exit 1
echo last >"$MNT/last"
code "umount of a place below" 2 "$D" umount "$MNT/look"
check "it says of which mount" says "is in the mount $MNT:"
check "and leaves it" test -d "$MNT/look"
code "umount" 0 "$D" umount "$MNT"
check "it is gone" test "$(stat -f -c %T "$MNT")" != fuseblk -a ! -e "$MNT/last"
is "all arrived" "$(cat "$SBX/last")" last
code "no mount is left" 0 "$D" mounts --json
is "no mount is left" "$(out)" '[]'
code "umount of what is none" 3 "$D" umount "$MNT"
code "exec there" 3 "$D" exec "$MNT" -- true
