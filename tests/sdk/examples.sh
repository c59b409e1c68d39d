# examples.sh - everything the examples can do, done against `daytonafs serve`. For installed.sh,
# which has built them in $tmp and started the server. lint.examples looks here for each verb.
# shellcheck shell=sh disable=SC2154

# is WHAT WANT GOT
is() {
    [ "$2" = "$3" ] || fail "$1: want <$2>, got <$3>"
}

# code WANT COMMAND…: it exits so; what it says is in $tmp/said and $tmp/errors.
code() {
    want=$1 got=0
    shift
    "$@" >"$tmp/said" 2>"$tmp/errors" || got=$?
    [ $got = "$want" ] || fail "$*: exits with $got, not $want: $(cat "$tmp/said" "$tmp/errors")"
}

# says PATTERN COMMAND…: it succeeds and prints that.
says() {
    pattern=$1
    shift
    code 0 "$@"
    grep -q -e "$pattern" "$tmp/said" || fail "$*: no <$pattern> in: $(cat "$tmp/said")"
}

# What the local server does not have: the call says so.
lacks() {
    code 125 "$@"
    grep -q '^[a-zA-Z0-9]*: .' "$tmp/errors" || fail "$*: no reason in: $(cat "$tmp/errors")"
}

# soon COMMAND…
soon() {
    tries=0
    until "$@" >"$tmp/said" 2>"$tmp/errors"; do
        tries=$((tries + 1))
        [ $tries -le 100 ] || fail "$*: $(cat "$tmp/said" "$tmp/errors")"
        sleep 0.1
    done
}

PATH=$tmp:$PATH
tree=$tmp/tree # the server isolates nothing: a path here is a path there

# ---- files ----

code 0 files box mkdir "$tree"
code 0 files box put "$tree/a" 'one two' "$tree/b" 'three'
is "files get" "one twothree" "$(files box get "$tree/a" "$tree/b")"
says '^0[0-7]* *7 a$' files box list "$tree"
code 0 files box chmod 640 "$tree/a"
says '^0640 *7 a$' files box info "$tree/a"
code 0 files box mv "$tree/b" "$tree/c"
code 0 files box exists "$tree/c"
code 1 files box exists "$tree/b"
code 0 files box rm "$tree/c"
code 1 files box exists "$tree/c"
mkdir "$tree/watched"
files box watch "$tree" 2 >"$tmp/seen" &
soon grep watching "$tmp/seen"
echo new >"$tree/watched/new"
soon grep 'create watched/new' "$tmp/seen"
rm -r "$tree/watched"
wait $!
is "files watch" "delete watched" "$(tail -n 1 "$tmp/seen")"
says 'bytes there and back' transfer box "$source/LICENSE" "$tmp/there" "$tmp/back"
cmp "$source/LICENSE" "$tmp/back" || fail "what came back is not what went"
is "search names" "$tree/a" "$(search box names "$tree" 'a*')"
is "search lines" "$tree/a:1:one two" "$(search box lines "$tree" two)"
code 0 search box replace two 2 "$tree/a"
is "search replace" "one 2" "$(cat "$tree/a")"

# ---- commands ----

says '^a b$' execute box 'echo a b; exit 0'
code 5 execute box 'exit 5'
says '^quick$' cancel box 1 'echo quick'
code 125 cancel box 1 'sleep 30'
grep -q '^executeCommand: ' "$tmp/errors" || fail "cancel: $(cat "$tmp/errors")"

code 0 session box make s
code 6 session box run s 'cd /; x=kept; echo out; echo err >&2; (exit 6)'
is "session run" "out err" "$(cat "$tmp/said" "$tmp/errors" | tr '\n' ' ' | sed 's/ $//')"
says '^/ kept$' session box run s 'echo $PWD $x'
id=$(session box start s 'read line; echo "got $line"; echo err >&2; (exit 4)')
says "^$id running read line" session box commands s
says '^s 3 commands$' session box list
says '^running$' session box log s "$id"
code 0 session box type s "$id" hello
code 4 session box follow s "$id"
is "session follow" "got hello err" "$(cat "$tmp/said" "$tmp/errors" | tr '\n' ' ' | sed 's/ $//')"
says '^exit code 4$' session box log s "$id"
code 0 session box end s
lacks session box commands s

pid=$(process box start 'read a; echo "got $a"; echo err >&2; exit 4')
says "^$pid running read a; echo" process box list
code 0 process box type "$pid" hello
code 4 process box connect "$pid"
is "process connect" "got hello err" "$(cat "$tmp/said" "$tmp/errors" | tr '\n' ' ' | sed 's/ $//')"
code 0 process box kill "$pid"
is "process list" "" "$(process box list)"

# ---- terminals ----

printf 'echo a$((1+1))b\nexit 4\n' >"$tmp/keys"
terminal_of() { terminal box "$@" <"$tmp/keys"; }
code 4 terminal_of open t
grep -q a2b "$tmp/said" || fail "terminal open: $(cat "$tmp/said")"
code 0 terminal box make t2
says '^t2 100x40$' terminal box list
says '^t2 90x30$' terminal box size t2 90 30
code 4 terminal box attach t2 <"$tmp/keys"
code 0 terminal box make t3
code 0 terminal box end t3

# ---- code ----

if [ -x /usr/bin/python3 ]; then
    is "interpreter run" 42 "$(interpreter box run 'x = 6' 'print(x * 7)')"
    code 1 interpreter box run '1 / 0'
    grep -q '^ZeroDivisionError: ' "$tmp/errors" || fail "interpreter: $(cat "$tmp/errors")"
    context=$(interpreter box make)
    says "^$context python" interpreter box list
    code 0 interpreter box end "$context"
    is "interpreter once" 7 "$(interpreter box once python 'print(3 + 4)')"
fi
# These need pylsp, which is not in every image.
lacks symbols box file /p /p/f
lacks symbols box project /p name
lacks symbols box complete /p /p/f 1 1
says '^RUN python -m pip install flask$' image flask
says '^FROM alpine$' image FROM alpine flask

# ---- ways in from outside ----

mkdir "$tmp/www"
echo served >"$tmp/www/page"
code 0 access box ports
code 1 access box in-use 3999
says '/3000-\|3000' access box preview 3000
token=$(access box signed 3000 600 | tail -n 1)
code 0 access box expire 3000 "$token"
says ' until 2' access box ssh 10
token=$(head -n 1 "$tmp/said")
lacks access box ssh-check "$token" # only the service's own ssh gateway may ask that
code 0 access box ssh-end "$token"
is "access download" served "$(curl -sS --fail "$(access box download "$tmp/www/page" 60)")"
echo changed >"$tmp/new"
link=$(access box upload "$tmp/www/page" 60)
curl -sS --fail -o "$tmp/said" -F "file=@$tmp/new" "$link" || fail "access upload: $link"
is "access upload" changed "$(cat "$tmp/www/page")"
code 0 access box end-links
! curl -sS --fail -o "$tmp/said" -F "file=@$tmp/new" "$link" 2>"$tmp/errors" ||
    fail "access end-links: a link still works"

# ---- sandboxes ----

is "account server" "$DAYTONA_API_URL" "$(account server)"
id=$(account create brief)
is "lifecycle id" "$id" "$(lifecycle brief id)"
says "^$id started brief$" account find BRI
says ' started box$' account sandboxes
code 0 lifecycle brief autostop 30
code 0 lifecycle brief autoarchive 60
code 0 lifecycle brief autodelete 90
says '^brief started, stops after 30 min, archived after 60, deleted after 90$' \
    lifecycle brief state
code 0 lifecycle brief ttl 600
code 0 lifecycle brief keepalive
code 0 lifecycle brief label stage old
code 0 lifecycle brief public no
code 0 lifecycle brief network 10.0.0.0/8
code 0 lifecycle brief env GREETING hello
says '^hello$' execute brief 'echo $GREETING'
lacks lifecycle brief secret NAME none
says '^work /' lifecycle brief dirs
says 'cpus' lifecycle brief metrics
lacks lifecycle brief autopause 5
lacks lifecycle brief pause
lacks lifecycle brief fork copy
code 0 lifecycle brief resize 2 2
code 0 lifecycle brief stop
code 1 lifecycle brief state
code 0 lifecycle brief archive
code 1 lifecycle brief state
grep -q '^brief archived' "$tmp/said" || fail "lifecycle archive: $(cat "$tmp/said")"
code 0 lifecycle brief start
curl -sS --fail -o "$tmp/said" -X POST -H "Authorization: Bearer $DAYTONA_API_KEY" \
    "${DAYTONA_API_URL%/api}/_fault/error/$id" || fail "the server breaks no sandbox"
code 1 lifecycle brief state
code 0 lifecycle brief recover
code 0 lifecycle brief state
code 0 lifecycle brief delete
lacks lifecycle brief state

id=$(account create machine daytona-local-vm)
code 0 lifecycle machine autopause 5
copy=$(lifecycle machine fork copy)
code 0 lifecycle copy delete
[ "$copy" != "$id" ] || fail "lifecycle fork: no other sandbox"
code 0 lifecycle machine snapshot kept
code 0 lifecycle machine pause
code 0 lifecycle machine start
code 0 lifecycle machine delete

# ---- what else an account has ----

lacks account create-with stored vol # a server that isolates nothing has the volume, no more
says ' ready vol$' account volumes
volume=$(cut -d' ' -f1 "$tmp/said")
code 0 account delete-volume "$volume"

says ' active kept$' account snapshots
says ' active kept$' account snapshot kept
snapshot=$(cut -d' ' -f1 "$tmp/said")
code 0 account deactivate "$snapshot"
code 0 account activate "$snapshot"
code 0 account delete-snapshot "$snapshot"
says ' active made$' account create-snapshot made 'FROM debian:12'
snapshot=$(cut -d' ' -f1 "$tmp/said")
code 0 account snapshot-logs "$snapshot"
code 0 account delete-snapshot "$snapshot"
code 0 account build built 'FROM debian:12'
says 'debian' lifecycle built build-logs
code 0 lifecycle built delete

lacks account secrets
lacks account secret none
lacks env SECRET_VALUE=x account create-secret name
lacks env SECRET_VALUE=y account update-secret none
lacks account delete-secret none
lacks account pools
lacks account create-pool daytona-local 1
lacks account update-pool none 2
lacks account delete-pool none

# ---- git ----

if command -v git >/dev/null; then
    code 0 repository box init "$tree"
    says '^on main$' repository box status "$tree"
    says '^Untracked Untracked a$' repository box status "$tree"
    code 0 repository box user "$tree" Ann ann@example.com
    says '^Ann$' repository box get "$tree" user.name
    code 0 repository box set "$tree" core.filemode false
    code 0 repository box add "$tree" a
    says '^[0-9a-f]*$' repository box commit "$tree" first Ann ann@example.com
    says ' Ann: first' repository box history "$tree"
    code 0 repository box branch "$tree" side
    says '^side$' repository box branches "$tree"
    code 0 repository box checkout "$tree" main
    code 0 repository box unbranch "$tree" side
    echo changed >"$tree/a"
    code 0 repository box restore "$tree" a
    is "repository restore" "one 2" "$(cat "$tree/a")"
    echo changed >"$tree/a"
    code 0 repository box reset "$tree" hard
    is "repository reset" "one 2" "$(cat "$tree/a")"
    git init -q --bare -b main "$tmp/origin.git"
    code 0 repository box remote "$tree" origin "$tmp/origin.git"
    says "^origin $tmp/origin.git$" repository box remotes "$tree"
    code 0 repository box push-to "$tree" origin main
    code 0 repository box clone "$tmp/origin.git" "$tmp/clone"
    is "repository clone" "one 2" "$(cat "$tmp/clone/a")"
    printf "\nmore\n" >>"$tmp/clone/a"
    code 0 repository box add "$tmp/clone" a
    code 0 repository box commit "$tmp/clone" second Ann ann@example.com
    code 0 repository box push "$tmp/clone"
    code 0 repository box pull "$tree"
    is "repository pull" more "$(tail -n 1 "$tree/a")"
    code 0 repository box pull-from "$tree" origin main
    code 2 repository box trust git.example.com
    code 0 env GIT_USER=ann GIT_PASSWORD=secret repository box trust git.example.com
fi

# ---- a desktop: the local server has none ----

lacks desktop box start
lacks desktop box stop
lacks desktop box status
lacks desktop box running xvfb
lacks desktop box restart xvfb
lacks desktop box logs xvfb
lacks desktop box position
lacks desktop box move 1 2
lacks desktop box click 1 2
lacks desktop box drag 1 2 3 4
lacks desktop box scroll 1 2 3
lacks desktop box type text
lacks desktop box press a ctrl
lacks desktop box hotkey ctrl+c
lacks desktop box screenshot
lacks desktop box displays
lacks desktop box windows
lacks desktop box record label
lacks desktop box end-recording none
lacks desktop box recordings
lacks desktop box recording none
lacks desktop box download none
lacks desktop box delete-recording none
lacks desktop box tree
lacks desktop box find OK
lacks desktop box focus none
lacks desktop box invoke none
lacks desktop box set none value

# ---- what is wrong ----

code 125 files nobox list .
grep -q '^getSandbox: ' "$tmp/errors" || fail "an unknown sandbox: $(cat "$tmp/errors")"
code 125 env DAYTONA_API_KEY=wrong-key files box list .
! grep -q wrong-key "$tmp/errors" || fail "the key is shown"
code 2 files box
grep -q '^usage: .*files SANDBOX list PATH' "$tmp/errors" || fail "no usage: $(cat "$tmp/errors")"
