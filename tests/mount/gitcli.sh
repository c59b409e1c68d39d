# `daytonafs git`: the API's git calls, through a mount and without one, and a server that wants a
# password.
. "$(dirname "$0")/lib.sh"
have git || exit $SKIP
D=$DAYTONAFS
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
me=(-c user.name=A -c user.email=a@b.c -c init.defaultBranch=main)

# A bare repository behind git's own CGI program, which lets in only who knows the password.
git "${me[@]}" init -q --bare "$WORK/up.git"
git -C "$WORK/up.git" config http.receivepack true
git "${me[@]}" init -q "$WORK/seed"
echo 1 >"$WORK/seed/one"
git "${me[@]}" -C "$WORK/seed" add one
git "${me[@]}" -C "$WORK/seed" commit -qm first
git -C "$WORK/seed" push -q "$WORK/up.git" main
cat >"$WORK/server.py" <<'EOF'
import base64, http.server, os, subprocess, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        want = "Basic " + base64.b64encode(b"git:s3cret word").decode()
        if self.headers.get("Authorization") != want:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        env = dict(os.environ, GIT_PROJECT_ROOT=sys.argv[1], GIT_HTTP_EXPORT_ALL="1",
                   PATH_INFO=path, QUERY_STRING=query, REQUEST_METHOD=self.command,
                   REMOTE_USER="git", CONTENT_TYPE=self.headers.get("Content-Type", ""),
                   HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        out = subprocess.run(["git", "http-backend"], input=body, env=env,
                             capture_output=True).stdout
        head, _, rest = out.partition(b"\r\n\r\n")
        lines = dict(l.split(": ", 1) for l in head.decode().split("\r\n"))
        self.send_response(int(lines.pop("Status", "200 OK").split()[0]))
        for k, v in lines.items():
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest)
    do_POST = do_GET
    def log_message(self, *args):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
EOF
(cd / && exec python3 "$WORK/server.py" "$WORK" >"$WORK/port") &
up_pid=$!
trap 'kill $up_pid 2>/dev/null; finish' EXIT
within 20 test -s "$WORK/port" || exit 1
URL=http://127.0.0.1:$(cat "$WORK/port")/up.git

# code WANT COMMAND…: its exit code; output in $WORK/out, messages in $WORK/err. No terminal.
code() {
    want=$1
    shift
    setsid -w "$@" >"$WORK/out" 2>"$WORK/err" </dev/null
    is "exit code of $*" $? "$want"
}
says() {
    check "it says $1" grep -q -e "$1" "$WORK/err" || cat "$WORK/err"
}

# ---- credentials ----
code 4 "$D" git clone "$URL"
says DAYTONAFS_GIT_PASSWORD
code 2 "$D" git clone "http://git:s3cret@127.0.0.1/up.git"
says 'seen by everybody'
export DAYTONAFS_GIT_PASSWORD=wrong
code 4 "$D" git clone "$URL"
export DAYTONAFS_GIT_PASSWORD='s3cret word'
code 0 "$D" git clone "$URL"
check "it prints where" grep -q '/up$' "$WORK/out"
is "seen here at once" "$(cat up/one)" 1
code 5 "$D" git clone "$URL"
code 0 "$D" git clone box "$URL" deep/other
is "where it was asked for" "$(cat deep/other/one)" 1

# ---- below a mount: the repository is where one stands in it ----
mkdir up/sub && cd up/sub || exit 1
echo 2 >two
echo changed >>../one
code 0 "$D" git status
is "status sees what was just written" "$(cat "$WORK/out")" "## main
 M one
?? sub/two"
code 0 "$D" git status --json
check "status in JSON" python3 -c 'import json, sys
s = json.load(open(sys.argv[1]))
assert s["branch"] == "main" and s["published"] and len(s["files"]) == 2, s' "$WORK/out"
code 0 "$D" git branches --create topic
code 0 "$D" git add two
code 0 "$D" git status
is "only what was added" "$(cat "$WORK/out")" "## topic (not published)
 M one
A  sub/two"
code 2 "$D" git commit -m second
says GIT_AUTHOR_NAME
code 0 "$D" git commit -m second --author 'A B <a@b.c>'
is "it prints the hash" "$(cat "$WORK/out")" "$(git -C .. rev-parse HEAD)"
is "the author" "$(git -C .. log -1 --format='%an <%ae> %s')" 'A B <a@b.c> second'
printf '[user]\nname = C\nemail = c@d.e\n' >"$WORK/gitconfig"
export GIT_CONFIG_GLOBAL=$WORK/gitconfig
code 5 "$D" git commit -m 'nothing added'
code 0 "$D" git add --all
code 0 "$D" git commit -m third
is "the author that git knows" "$(git -C .. log -1 --format='%an <%ae>')" 'C <c@d.e>'
cd "$MNT" || exit 1

# ---- by name, with -C ----
code 0 "$D" git branches box -C up
is "branches" "$(cat "$WORK/out")" "BRANCH
main
topic"
code 0 "$D" git checkout box main -C up
is "checked out, and seen" "$(cat up/one; ls up)" "1
one"
code 3 "$D" git checkout box nosuch -C up
code 3 "$D" git status box -C nowhere
says 'git status'
code 0 "$D" git branches box -C up --delete topic
echo more >up/three
code 0 "$D" git add box -C up -- three
code 0 "$D" git commit box -C up -m 'from here'
code 0 "$D" git push ./up
is "pushed" "$(git -C "$WORK/up.git" log -1 --format=%s main)" 'from here'
code 0 "$D" git pull box -C deep/other
is "pulled, and seen" "$(cat deep/other/three)" more
unset DAYTONAFS_GIT_PASSWORD
code 4 "$D" git pull box -C deep/other

# ---- without a mount ----
cd / || exit 1
"$D" umount "$MNT"
code 0 "$D" git status box -C deep/other
is "without a mount" "$(cat "$WORK/out")" "## main"

have tmux || exit 0
# ---- a person is asked, and what is typed is not shown ----
export TMUX_TMPDIR=$WORK/home
unset TMUX
ask="\"$D\" git clone box $URL asked; echo \"<\$?>\"; cat"
tmux -f /dev/null new-session -d -x 100 -y 20 "$ask" || exit 1
trap 'kill $up_pid 2>/dev/null; tmux kill-server 2>/dev/null; finish' EXIT
shows() {
    tmux capture-pane -p | grep -q -e "$1"
}
check "asked for a name" within 20 shows '^user name for'
tmux send-keys -l git
tmux send-keys Enter
check "asked for a password" within 20 shows '^password or token:'
tmux send-keys -l 's3cret word'
tmux send-keys Enter
check "it works then" within 20 shows '^<0>'
check "it was not shown" sh -c '! tmux capture-pane -p | grep -q s3cret'
is "cloned" "$(cat "$SBX/asked/one")" 1
