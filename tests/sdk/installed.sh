#!/bin/sh
# usage: installed.sh SOURCE BUILD LIBDIR
# Installs the build into a scratch folder and uses libdaytona from there: only daytona_* is
# visible, each header stands alone (in C++ too), and the examples work against `daytonafs serve`.
set -eu
source=$1 build=$2 libdir=$3
command -v pkg-config >/dev/null || exit 77

tmp=$(mktemp -d "${TMPDIR:-/tmp}/daytona-installed-XXXXXX")
server=
finish() {
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || :
    rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 1' INT TERM

fail() {
    echo "installed.sh: $*" >&2
    exit 1
}

cmake --install "$build" --prefix "$tmp/usr" >"$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
lib=$tmp/usr/$libdir
export PKG_CONFIG_PATH="$lib/pkgconfig" LD_LIBRARY_PATH="$lib"

extra=$(nm -D --defined-only "$lib/libdaytona.so" | awk '{print $3}' | grep -v '^daytona_' |
    grep -v '^__\(asan\|odr_asan\|ubsan\|tsan\|sancov\)' || :)
[ -z "$extra" ] || fail "visible besides daytona_*: $extra"

for header in "$tmp"/usr/include/daytona/*.h; do
    "$CC" -std=c11 -Wall -Wextra -Werror -fsyntax-only -I"$tmp/usr/include" "$header" ||
        fail "$header does not stand alone"
    if command -v c++ >/dev/null; then
        c++ -Wall -Werror -fsyntax-only -x c++ -I"$tmp/usr/include" "$header" ||
            fail "$header is not C++"
    fi
done

# The installed .pc finds the library by where it is itself.
flags=$(pkg-config --cflags --libs libdaytona)
case $flags in *"-I$tmp/"*) ;; *) fail "libdaytona.pc points elsewhere: $flags" ;; esac
for example in "$source"/contrib/examples/*.c; do
    # shellcheck disable=SC2086 # words are meant
    "$CC" -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Werror ${CFLAGS:-} \
        -o "$tmp/$(basename "$example" .c)" "$example" $flags
done

printf 'installed-test-key' >"$tmp/key"
chmod 600 "$tmp/key"
: >"$tmp/ready"
"$build/daytonafs" serve --state "$tmp/state" --key-file "$tmp/key" --no-isolation \
    --sandbox "box=$source/contrib/examples" >"$tmp/ready" 2>"$tmp/errors" &
server=$!
tries=0
while ! grep -q '"url"' "$tmp/ready"; do
    tries=$((tries + 1))
    [ $tries -le 200 ] || fail "serve is not ready: $(cat "$tmp/errors")"
    sleep 0.1
done
DAYTONA_API_URL=$(sed 's/.*"url" *: *"\([^"]*\)".*/\1/' "$tmp/ready")
DAYTONA_API_KEY=$(cat "$tmp/key")
export DAYTONA_API_URL DAYTONA_API_KEY

"$tmp/list" box . | grep -q ' list\.c$' || fail "list does not list"
"$tmp/transfer" box "$source/LICENSE" "$tmp/there" "$tmp/back" >/dev/null
cmp "$source/LICENSE" "$tmp/back" || fail "what came back is not what went"
[ "$("$tmp/execute" box 'echo a b; exit 0')" = "a b" ] || fail "execute prints something else"
code=0
"$tmp/execute" box 'exit 5' || code=$?
[ $code = 5 ] || fail "execute exits with $code"
code=0
said=$("$tmp/session" box 'echo out; echo err >&2; (exit 6)' 2>"$tmp/errors") || code=$?
[ "$code $said $(cat "$tmp/errors")" = "6 out err" ] || fail "session: $code $said"
code=0
said=$(printf 'echo a$((1+1))b\nexit 4\n' | "$tmp/terminal" box) || code=$?
[ $code = 4 ] || fail "terminal exits with $code: $said"
echo "$said" | grep -q a2b || fail "terminal says $said"
pid=$("$tmp/process" box start 'read a; echo "got $a"; echo err >&2; exit 4')
"$tmp/process" box list | grep -q "^$pid running read a; echo" || fail "process: not listed"
id=$("$tmp/shells" box | sed -n "s/^session daytona-process-$pid \([^ ]*\) running .*/\1/p")
[ -n "$id" ] || fail "shells: no session is listed"
"$tmp/shells" box log "daytona-process-$pid" "$id" | grep -qx running || fail "shells: no log"
"$tmp/process" box type "$pid" hello || fail "process: nothing can be typed"
code=0
said=$("$tmp/process" box connect "$pid" 2>"$tmp/errors") || code=$?
[ "$code $said $(cat "$tmp/errors")" = "4 got hello err" ] || fail "process: $code $said"
"$tmp/process" box kill "$pid" || fail "process: one that has ended stays"
pid=$("$tmp/process" box start 'sleep 1000')
"$tmp/process" box kill "$pid" || fail "process: not killed"
! "$tmp/process" box connect "$pid" 2>/dev/null || fail "process: it is still there"
[ -z "$("$tmp/process" box list)" ] || fail "process: some are left"
mkfifo "$tmp/keys"
exec 3<>"$tmp/keys" # has no end
"$build/daytonafs" shell box --name example <&3 >/dev/null 2>&1 &
shell=$!
exec 3>&-
tries=0
until "$tmp/shells" box size example 90 30 >"$tmp/said" 2>"$tmp/errors"; do
    tries=$((tries + 1))
    [ $tries -le 50 ] || fail "shells: $(cat "$tmp/errors")"
    sleep 0.1
done
grep -qx 'terminal example 90x30' "$tmp/said" || fail "shells: $(cat "$tmp/said")"
"$tmp/shells" box end example || fail "shells: the terminal does not end"
wait $shell || :
"$tmp/image" flask | grep -q '^RUN python -m pip install flask$' || fail "image says something else"
"$tmp/access" box 3000 >"$tmp/said"
grep -q '/3000-' "$tmp/said" && grep -q '^ssh .* until 2' "$tmp/said" ||
    fail "access: $(cat "$tmp/said")"
mkdir "$tmp/tree"
printf 'one two\nthree\n' >"$tmp/tree/f"
[ "$("$tmp/search" box "$tmp/tree" two 2)" = "$tmp/tree/f:1:one two" ] ||
    fail "search finds nothing"
[ "$(head -n 1 "$tmp/tree/f")" = "one 2" ] || fail "search replaces nothing"
[ "$("$tmp/lifecycle" brief)" = "started stops after 30 min
stopped stops after 30 min
archived stops after 30 min
started stops after 30 min" ] || fail "lifecycle says something else"
if command -v git >/dev/null; then
    git init -q -b main "$tmp/tree"
    [ "$("$tmp/repository" box "$tmp/tree")" = "on main
Untracked f" ] || fail "repository says something else"
fi
if [ -x /usr/bin/python3 ]; then
    [ "$("$tmp/interpreter" box 'x = 6' 'print(x * 7)')" = 42 ] || fail "interpreter says otherwise"
fi
# What the local server does not have is said to be so.
code=0
"$tmp/symbols" box /p /p/f 2>"$tmp/errors" || code=$?
[ $code != 0 ] && [ -s "$tmp/errors" ] || fail "no error from symbols"
code=0
"$tmp/list" nobox 2>"$tmp/errors" || code=$?
[ $code = 1 ] && grep -q '^getSandbox: ' "$tmp/errors" || fail "no error for an unknown sandbox"
code=0
DAYTONA_API_KEY=wrong-key "$tmp/list" box 2>"$tmp/errors" || code=$?
[ $code = 1 ] || fail "a wrong key was taken"
! grep -q wrong-key "$tmp/errors" || fail "the key is shown"
