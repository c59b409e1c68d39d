# lib.sh - a local server, a sandbox and a mount of it, for one test script.
#
# A script sources this file and gets
#   $DAYTONAFS  the program            $MNT  the mount, empty at first; the script starts in it
#   $SBX        the folder behind it: changes made there are changes "inside the sandbox"
#   $WORK       scratch of its own     $CTL  $MNT/.ctl
# It says what to start in variables set before sourcing: MOUNT_OPTS (for -o), SERVE_ARGS, NO_MOUNT.
# HELPER is the mode under test: require or off.
# Everything is below $TEST_RUN_DIR, outside /tmp, because editors treat /tmp in their own way.

set -u
: "${DAYTONAFS:?set it to the program under test}" "${TEST_RUN_DIR:?}" "${HELPER:=require}"
SKIP=77

[ -e /dev/fuse ] || { echo "skip: /dev/fuse is not there"; exit $SKIP; }
command -v fusermount3 >/dev/null || { echo "skip: no fusermount3"; exit $SKIP; }

# AS_USER=1: the whole test as an ordinary user, even when root runs it.
if [ -n "${AS_USER:-}" ] && [ "$(id -u)" = 0 ]; then
    mkdir -p "$TEST_RUN_DIR/user"
    chown 65534:65534 "$TEST_RUN_DIR/user"
    as_nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
    $as_nobody test -x "$DAYTONAFS" -a -w "$TEST_RUN_DIR/user" ||
        { echo "skip: an ordinary user cannot reach $DAYTONAFS"; exit $SKIP; }
    # A /dev/fuse that such a user may open, as most systems have it, in a namespace of its own.
    unshare -m true || { echo "skip: no mount namespaces here"; exit $SKIP; }
    # shellcheck disable=SC2016
    HOME=$TEST_RUN_DIR/user TEST_RUN_DIR=$TEST_RUN_DIR/user exec unshare -m sh -c '
        rm -f "$1" && mknod -m 666 "$1" c 10 229 && mount --bind "$1" /dev/fuse || exit 77
        shift
        exec "$@"' sh "$TEST_RUN_DIR/fuse" $as_nobody bash "$0" "$@"
fi

[ -r /dev/fuse ] || { echo "skip: /dev/fuse may not be opened"; exit $SKIP; }

WORK=$TEST_RUN_DIR/$(basename "$0" .sh).$$
SBX=$WORK/sandbox
MNT=$WORK/mnt
CTL=$MNT/.ctl
mkdir -p "$SBX" "$MNT" "$WORK/home"
export XDG_CACHE_HOME=$WORK/home/cache XDG_STATE_HOME=$WORK/home/state
export XDG_RUNTIME_DIR=$WORK/home/run XDG_CONFIG_HOME=$WORK/home/config
mkdir -p -m 700 "$XDG_RUNTIME_DIR"
unset DAYTONA_API_KEY DAYTONA_API_URL DAYTONA_JWT_TOKEN DAYTONA_ORGANIZATION_ID DAYTONA_SERVER_URL
failures=0
checks=0

# check WHAT COMMAND…: the command must succeed.
check() {
    what=$1
    shift
    checks=$((checks + 1))
    if "$@"; then
        return 0
    fi
    failures=$((failures + 1))
    echo "FAIL: $what: $*"
    return 0
}

# is WHAT GOT WANT
is() {
    checks=$((checks + 1))
    [ "$2" = "$3" ] && return 0
    failures=$((failures + 1))
    printf 'FAIL: %s:\n  got  %s\n  want %s\n' "$1" "$2" "$3"
}

# fails WHAT COMMAND…: the command must fail.
fails() {
    what=$1
    shift
    checks=$((checks + 1))
    if "$@" >"$WORK/out" 2>&1; then
        failures=$((failures + 1))
        echo "FAIL: $what: succeeded: $*"
    fi
}

# within SECONDS COMMAND…: repeats it until it succeeds; fails when the time is over.
within() {
    end=$(($(date +%s) + $1))
    shift
    until "$@"; do
        [ "$(date +%s)" -lt $end ] || return 1
        sleep 0.1
    done
}

have() {
    command -v "$1" >/dev/null && return 0
    echo "skip: $1 is not installed"
    skipped="${skipped:-} $1"
    return 1
}

serve_start() {
    mkdir -p "$WORK/state"
    # Where namespaces are not allowed the server says so, and the tests run without them.
    for isolation in "" --no-isolation; do
        # shellcheck disable=SC2086
        "$DAYTONAFS" serve --state "$WORK/state" --sandbox box="$SBX" $isolation \
            ${SERVE_ARGS:-} >"$WORK/serve.json" 2>"$WORK/serve.err" &
        SERVE_PID=$!
        if within 20 serve_ready && [ -s "$WORK/serve.json" ]; then
            DAYTONA_API_URL=$(sed -n 's/.*"url": *"\([^"]*\)".*/\1/p' "$WORK/serve.json")
            key_file=$(sed -n 's/.*"key_file": *"\([^"]*\)".*/\1/p' "$WORK/serve.json")
            DAYTONA_API_KEY=$(cat "$key_file")
            export DAYTONA_API_URL DAYTONA_API_KEY
            return 0
        fi
        wait $SERVE_PID
    done
    echo "FAIL: the server did not start:"
    cat "$WORK/serve.err"
    exit 1
}

serve_ready() {
    [ -s "$WORK/serve.json" ] || ! kill -0 "$SERVE_PID" 2>/dev/null
}

# fault SPEC: what the server does wrong from now on ("" for nothing).
fault() {
    printf '%s' "$1" | curl -sS --fail -o /dev/null --data-binary @- \
        -H "Authorization: Bearer $DAYTONA_API_KEY" "${DAYTONA_API_URL%/api}/_fault"
}

mount_start() {
    # shellcheck disable=SC2086
    "$DAYTONAFS" mount box "$MNT" -o "helper=$HELPER${MOUNT_OPTS:+,$MOUNT_OPTS}" "$@" \
        2>"$WORK/mount.err" || {
        echo "FAIL: mount:"
        cat "$WORK/mount.err"
        exit 1
    }
}

# mount_again: the mount, as it was; $pid is its process.
mount_again() {
    mount_start >/dev/null
    pid=$(sed -n 's/^pid //p' "$CTL/status")
}
# act WHAT: something that happens to a mount, or the fault WHAT for ACT_S seconds.
act() {
    case $1 in
    stop) # the mount may have started it again before anybody saw that it was stopped
        "$DAYTONAFS" sandbox stop --timeout 10s box
        "$DAYTONAFS" sandbox start box
        ;;
    serve)
        kill -9 $SERVE_PID
        wait $SERVE_PID
        rm "$WORK/serve.json"
        serve_start
        ;;
    kill)
        kill -9 $pid
        fusermount3 -uz "$MNT"
        mount_again
        ;;
    umount) fusermount3 -u "$MNT" && mount_again ;; # or it is in use just then
    *)
        fault "$1"
        sleep "${ACT_S:-1}"
        fault ''
        ;;
    esac >/dev/null 2>>"$WORK/acts"
}

finish() {
    status=$?
    trap - EXIT INT TERM
    cd /
    mountpoint -q "$MNT" && { fusermount3 -u "$MNT" 2>/dev/null || fusermount3 -uz "$MNT"; }
    [ -n "${SERVE_PID:-}" ] && kill "$SERVE_PID" 2>/dev/null && wait "$SERVE_PID"
    if [ $status -eq 0 ] && [ $failures -gt 0 ]; then
        status=1
    fi
    if [ $status -eq 0 ]; then
        rm -rf "$WORK"
        echo "$checks checks passed${skipped:+, skipped:$skipped}"
        [ $checks -gt 0 ] || status=1
    else
        echo "$failures of $checks checks failed (status $status); left in $WORK"
        tail -n 20 "$WORK/serve.err" "$WORK/mount.err" 2>/dev/null
    fi
    exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# sent: what was changed through the mount is in the sandbox.
sent() {
    [ "$HELPER" = off ] || ! mountpoint -q "$MNT" || echo sync 2>/dev/null >"$CTL/ctl"
}

# Before a script looks at, or changes, what is in the sandbox. Without control files it waits
# itself.
# shellcheck disable=SC2154
trap 'case $BASH_COMMAND in *\$SBX*) { sent; } 2>/dev/null ;; esac' DEBUG

serve_start
if [ -z "${NO_MOUNT:-}" ]; then
    mount_start
    cd "$MNT" || exit 1
fi
