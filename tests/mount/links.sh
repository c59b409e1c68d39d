# Links to files, which only newer services have.
SERVE_ARGS="--daemon=new"
. "$(dirname "$0")/lib.sh"
D=$DAYTONAFS

mkdir -p 'a b'
echo content >'a b/f&g'
link=$("$D" url 'a b/f&g')
is "a link to download" "$(curl -sS --fail "$link")" content
is "by name, in JSON" "$("$D" url box 'a b/f&g' --json --ttl 0 |
    python3 -c 'import json, sys; print("expires=0&" in json.load(sys.stdin)["url"])')" True
up=$("$D" url --upload ./new --ttl 10m)
check "a link to upload" curl -sS --fail -o /dev/null -F 'file=@-;filename=x' "$up" <'a b/f&g'
is "what came" "$(cat "$SBX/new")" content
fails "a link of one call is not good for the other" curl -sS --fail "$up"
check "revoke" "$D" url box . --revoke
fails "no link is good then" curl -sS --fail "$link"
cd / || exit 1
"$D" umount "$MNT"
is "without a mount, from the work-dir" "$(curl -sS --fail "$("$D" url box 'a b/f&g')")" content
