#!/bin/sh
# usage: installed.sh SOURCE BUILD LIBDIR
# Installs the build into a scratch folder and uses libdaytona from there: only daytona_* is
# visible, each header stands alone (in C++ too), and the examples work (examples.sh).
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
    "$CC" -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Werror -pthread ${CFLAGS:-} \
        -o "$tmp/$(basename "$example" .c)" "$example" $flags
done

printf 'installed-test-key' >"$tmp/key"
chmod 600 "$tmp/key"
: >"$tmp/ready"
mkdir "$tmp/home"
"$build/daytonafs" serve --state "$tmp/state" --key-file "$tmp/key" --no-isolation \
    --daemon new --sandbox "box=$tmp/home" >"$tmp/ready" 2>"$tmp/errors" &
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

. "$source/tests/sdk/examples.sh"
