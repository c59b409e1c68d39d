# Wrong calls get one line with cause and next step, and the right exit code, within seconds.
NO_MOUNT=1
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 1

# refused CODE PATTERN COMMAND…: exit code, one line on stderr that matches, within 15 s.
refused() {
    code=$1 pattern=$2
    shift 2
    checks=$((checks + 1))
    timeout 15 "$@" >"$WORK/out" 2>"$WORK/err" </dev/null
    got=$?
    if [ $got -ne "$code" ] || ! grep -Eiq -- "$pattern" "$WORK/err" ||
        [ "$(wc -l <"$WORK/err")" -gt 2 ]; then
        failures=$((failures + 1))
        echo "FAIL: exit $got (want $code), stderr (want /$pattern/): $*"
        sed 's/^/    /' "$WORK/err"
    fi
}

refused 4 'DAYTONA_API_KEY' env -u DAYTONA_API_KEY "$DAYTONAFS" mount box "$MNT"
refused 4 'key|credential' env DAYTONA_API_KEY=wrong "$DAYTONAFS" mount box "$MNT"
refused 3 'no sandbox|not found|unknown' "$DAYTONAFS" mount nosuch "$MNT"
refused 7 'connect|reach' env DAYTONA_API_URL=http://127.0.0.1:9/api "$DAYTONAFS" mount box "$MNT"
refused 1 'html|api' env DAYTONA_API_URL="${DAYTONA_API_URL%/api}" "$DAYTONAFS" mount box "$MNT"
refused 2 'https|loopback' env DAYTONA_API_URL=http://192.0.2.1/api "$DAYTONAFS" mount box "$MNT"
refused 3 'nodir' "$DAYTONAFS" mount box "$WORK/nodir"
(umask 022 && echo "$DAYTONA_API_KEY" >"$WORK/open_key")
refused 4 'open_key.*chmod 600' "$DAYTONAFS" mount box "$MNT" -o credentials="$WORK/open_key"
(umask 077 && : >"$WORK/empty_key")
refused 4 'empty_key.*holds no' "$DAYTONAFS" mount box "$MNT" -o credentials="$WORK/empty_key"
refused 4 'no_key.*no such file' "$DAYTONAFS" mount box "$MNT" -o credentials="$WORK/no_key"
refused 2 'not a regular file' "$DAYTONAFS" mount box "$MNT" -o credentials="$WORK"
touch "$WORK/file"
refused 3 'not a directory' "$DAYTONAFS" mount box "$WORK/file"
refused 2 'coherence' "$DAYTONAFS" mount box "$MNT" -o coherance=1s
refused 2 'coherence' "$DAYTONAFS" mount box "$MNT" -o coherence=soon
refused 3 'nosuchdir' "$DAYTONAFS" mount box:nosuchdir "$MNT"
refused 2 'usage|help' "$DAYTONAFS" mount
refused 2 'mount' "$DAYTONAFS" muont box "$MNT"
refused 2 'to mount: .* DIR' "$DAYTONAFS" box
refused 2 'usage|help|mount' "$DAYTONAFS" --nosuch
refused 3 'mount' "$DAYTONAFS" umount "$MNT"
refused 3 'name is empty' "$DAYTONAFS" mount box "" # not the current directory
refused 3 'name is empty' "$DAYTONAFS" umount ""

mkdir "$SBX/.ctl"
refused 5 'ctl_name' "$DAYTONAFS" mount box "$MNT"
check "ctl_name= is the way out" "$DAYTONAFS" mount box "$MNT" -o ctl_name=.control
check "and works" test -f "$MNT/.control/help"
check "the sandbox's own .ctl shows" test -d "$MNT/.ctl"
refused 5 'already a mount' "$DAYTONAFS" mount box "$MNT"
check "umount" "$DAYTONAFS" umount "$MNT"
rmdir "$SBX/.ctl"

# A stale mount in the way, because its daemon died, is cleared away and said so.
check "mount" "$DAYTONAFS" mount box "$MNT"
pid=$("$DAYTONAFS" mounts --json | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' | head -n 1)
check "mounts knows the pid" test -n "$pid"
kill -KILL "$pid"
sleep 0.5
"$DAYTONAFS" mount box "$MNT" 2>"$WORK/err"
is "mount again" "$?" 0
check "saying so" grep -q 'dead mount' "$WORK/err"
check "umount again" "$DAYTONAFS" umount "$MNT"

# A stopped sandbox.
check "stop" "$DAYTONAFS" sandbox stop box
refused 9 'not running|stopped|wake' "$DAYTONAFS" mount box "$MNT" -o wake=never
"$DAYTONAFS" mount box "$MNT" 2>"$WORK/err"
is "a stopped sandbox is started" "$?" 0
check "saying so" grep -qi 'start' "$WORK/err"
check "and mounted" ls "$MNT"
check "umount at last" "$DAYTONAFS" umount "$MNT"
