# `daytonafs shell` as a person sees it: in tmux, whose panes are terminals that a script can read.
SERVE_ARGS="--daemon=new --fault shell=/bin/bash"
. "$(dirname "$0")/lib.sh"
D=$DAYTONAFS

# ---- without a terminal: what is typed comes from stdin ----
# typed LINES ARGUMENT…: their output, without what only a terminal wants, and the exit code.
typed() {
    printf "$1" >"$WORK/typed"
    shift
    "$D" shell -e TERM=dumb "$@" <"$WORK/typed" >"$WORK/out"
    echo "code $?" >>"$WORK/out"
    tr -d '\r' <"$WORK/out"
}
echo 'written just now' >fresh
mkdir -p sub
is "exit code, output, and what was written before" \
    "$(typed 'cat fresh; echo a$((1+1))b; exit 7\n' "$MNT" |
        grep -x -e 'written just now' -e a2b -e 'code .*')" "written just now
a2b
code 7"
is "the directory it is started in" \
    "$(cd sub && typed 'echo "<$PWD>"; echo made >by_shell; exit\n' |
        sed -n 's|^<.*/\(sub\)>$|\1|p')" sub
is "what it made is seen at once" "$(cat sub/by_shell)" made
is "stdin ends as with Ctrl-D" "$(printf '(exit 5)\n' | "$D" shell box >"$WORK/out"; echo $?)" 5
is "environment and directory" \
    "$(typed 'echo "<$V $PWD>"; exit\n' box -e 'V=a b' -w /usr | grep -x '<a b /usr>')" \
    '<a b /usr>'
fails "a directory that is not there" "$D" shell box -w /nowhere
fails "a name that is none" "$D" shell box --name a/b
is "nothing is left" "$("$D" shell --list --json box)" '[]'

have tmux || exit 0
have setsid || exit 0

# ---- in a terminal ----
export TMUX_TMPDIR=$WORK/home
unset TMUX
T="tmux -f /dev/null"

# A shell of our own around it shows what it leaves behind: the exit code, and how the terminal is.
cat >"$WORK/rc" <<EOF
PS1='local> '
cd "$MNT"
D=$D
EOF
(cd / && $T new-session -d -x 90 -y 25 "bash --noprofile --rcfile $WORK/rc") || exit 1
trap '$T kill-server 2>/dev/null; finish' EXIT

screen() {
    $T capture-pane -p -J
}
shows() {
    screen | grep -q -e "$1"
}
# type KEYS WAIT-FOR
type() {
    $T send-keys -l "$1"
    $T send-keys Enter
    check "after '$1'" within 8 shows "$2" || screen
}
check "the local shell" within 8 shows 'local>'
before=$(type 'stty -g >'"$WORK"'/tty.1; echo no"ted"' '^noted'; cat "$WORK/tty.1")

type '"$D" shell; echo "code <$?>"' '[$#%] *$'
type 'echo in$((40+2)); PS1="remo""te> "; clear' 'remote>'
type 'stty size' '^25 90'
$T resize-window -x 70 -y 20
resized() {
    $T send-keys -l 'clear; stty size'
    $T send-keys Enter
    sleep 0.3
    shows '^20 70'
}
check "a new size arrives" within 20 resized
# Signal keys are the sandbox's: they end what runs there, not this program.
type 'sleep 100; echo "sle""pt $?"' 'sleep 100'
sleep 0.5
$T send-keys C-c
type 'echo af"ter"' '^after'
type 'exit 9' 'code <9>'
type 'stty -g >'"$WORK"'/tty.2; echo ag"ain"' '^again'
is "the terminal is as it was" "$(cat "$WORK/tty.2")" "$(cat "$WORK/tty.1")"

# ---- leaving, and coming back by name ----
type 'clear; "$D" shell box --name work; echo "code <$?>"' '[$#%] *$'
type 'X=ke"pt"' '[$#%] *$'
$T send-keys -l '~.'
check "left" within 8 shows 'daytonafs shell box --name work'
check "left well" within 8 shows 'code <0>'
check "it is listed" sh -c '"$0" shell box --list | grep -q "^work .*true"' "$D"
$T send-keys -l 'clear; "$D" shell box --name work; echo "code <$?>"'
$T send-keys Enter
sleep 1
type 'echo "X is $X"; exit 3' 'X is kept'
check "its code" within 8 shows 'code <3>'

# ---- killed: the terminal is as before, and no shell is left ----
type 'clear; "$D" shell box; echo "code <$?>"' '[$#%] *$'
check "it runs" within 10 sh -c '"$0" shell box --list --json | grep -q shell-' "$D"
pkill_one=$(pgrep -P "$($T display-message -p '#{pane_pid}')" -f ' shell box')
kill -TERM "$pkill_one"
check "ended by the signal" within 8 shows 'code <143>'
type 'stty -g >'"$WORK"'/tty.3; echo th"ird"' '^third'
is "the terminal is as it was after a signal" "$(cat "$WORK/tty.3")" "$(cat "$WORK/tty.1")"
check "its shell is gone" within 10 sh -c '[ "$("$0" shell box --list --json)" = "[]" ]' "$D"

# ---- the connection is lost: the server dies; the mount goes first, it would wait for it ----
type 'cd /; echo go"ne"' '^gone'
cd /
check "umount" "$D" umount "$MNT"
type 'clear; "$D" shell box; echo "code <$?>"' '[$#%] *$'
type 'echo he"re"' '^here'
kill -KILL "$SERVE_PID"
wait "$SERVE_PID" 2>/dev/null
check "it says so" within 30 shows 'connection was lost'
check "and ends" within 30 shows 'code <7>'
type 'stty -g >'"$WORK"'/tty.4; echo fo"urth"' '^fourth'
is "the terminal is as it was after a loss" "$(cat "$WORK/tty.4")" "$(cat "$WORK/tty.1")"
