# The official TypeScript SDK against `daytonafs serve`, both generations of daemon. The SDK is not
# fetched here: DAYTONA_TS_SDK names a folder in which `npm install @daytona/sdk` was run.
if [ -z "${DAYTONA_TS_SDK:-}" ] || [ ! -d "$DAYTONA_TS_SDK/node_modules/@daytona/sdk" ]; then
    echo "skip: DAYTONA_TS_SDK names no folder with @daytona/sdk installed"
    exit 77
fi
command -v node >/dev/null || { echo "skip: no node"; exit 77; }

NO_MOUNT=1
. "$TESTS/lib.sh"
export DAYTONA_USE_DEPRECATED_POLLING=true
for daemon in 0.190 new; do
    kill "$SERVE_PID" && wait "$SERVE_PID"
    rm -f "$WORK/serve.json"
    SERVE_ARGS=--daemon=$daemon serve_start
    DAEMON=$daemon
    export DAEMON
    check "the official SDK, daemon $daemon" timeout 120 node "$(dirname "$0")/typescript.mjs"
done
