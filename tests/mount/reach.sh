# Ports, links and searches through the control files, with nothing but sh and what POSIX has.
SERVE_ARGS=--daemon=new
. "$(dirname "$0")/lib.sh"

# ask FILE TEXT: one question through one descriptor, and its answer.
ask() {
    (
        exec 3<>"$CTL/$1"
        printf '%s\n' "$2" >&3
        cat <&3
    ) 2>/dev/null
}
errors_say() {
    grep -q "$1" "$CTL/errors"
}

# ---- find, grep, replace ----

mkdir -p src/sub
echo 'to do: one' >src/a.c
echo 'nothing' >src/sub/b.c
printf 'x\nto do: two\n' >"src/sub/with blank.h"
is "find" "$(ask find "'*.c'" | sort | tr '\n' ' ')" "src/a.c src/sub/b.c "
is "find below a path" "$(ask find '*.c src/sub')" src/sub/b.c
is "find nothing" "$(ask find '*.none')" ""
is "grep" "$(ask grep "'to do' src" | sort)" "src/a.c:1:to do: one
src/sub/with blank.h:2:to do: two"
fails "no question" sh -c "echo \"'open\" >'$CTL/grep' && cat '$CTL/grep'"
check "the error says what is right" errors_say "TEXT \[PATH\]"
is "replace" "$(ask replace "'to do' done src/a.c 'src/sub/with blank.h'")" "src/a.c
src/sub/with blank.h"
is "it is seen" "$(cat src/a.c src/sub/*.h)" "done: one
x
done: two"
ask replace 'a b src/none.c' >"$WORK/answer"
check "what is not there is told" grep -q '^src/none.c: ' "$WORK/answer"
echo 'not sent yet' >src/unsent
is "what was just written is found" "$(ask grep "'not sent yet'")" "src/unsent:1:not sent yet"

# ---- links to files ----

echo 'linked text' >linked
ask url linked >"$WORK/url"
down=$(sed -n 's/^download //p' "$WORK/url")
up=$(sed -n 's/^upload //p' "$WORK/url")
is "a link to download" "$(curl -sS "$down")" 'linked text'
check "a link to upload" curl -sS --fail -o "$WORK/up" -F "file=@$WORK/url" "$up"
check "what was uploaded is there" cmp "$SBX/linked" "$WORK/url"

# ---- ports ----

port=$((20000 + $$ % 20000))
is "a port that nobody listens on is a file, too" \
    "$(sed 's/ .*//' "$CTL/ports/$port" | tr '\n' ' ')" "url token "
fails "what is none is not" test -e "$CTL/ports/70000"
fails "nor is a name" test -e "$CTL/ports/http"
is "url of a port is the same" "$(ask url $port | sed -n 's/^url //p')" \
    "$(sed -n 's/^url //p' "$CTL/ports/$port")"
check "a signed link" test -n "$(ask url "$port signed" | sed -n 's/^url //p')"
check "for some time" test -n "$(ask url "$port signed 10m" | sed -n 's/^url //p')"
is "not for ever" "$(ask url "$port signed 100h")" ""
check "the error says for how long" errors_say "1s to 24h"
if have python3; then
    mkdir "$CTL/sessions/web"
    echo "python3 -m http.server --bind 127.0.0.1 $port" >"$CTL/sessions/web/start"
    check "a port that is listened on is listed" \
        within 15 sh -c "ls '$CTL/ports' | grep -qx $port"
    echo 'by port' >page
    echo sync >"$CTL/ctl"
    url=$(ask url "$port signed" | sed -n 's/^url //p')
    is "the link leads there" "$(curl -sS "${url%/}/page")" 'by port'
    check "it ends with its session" rmdir "$CTL/sessions/web"
fi
finish
