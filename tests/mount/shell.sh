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

# ---- a terminal for one command ----
T='timeout 30'
in_terminal() {
    $T "$D" exec "$@" >"$WORK/out"
    echo "code $?" >>"$WORK/out"
    tr -d '\r' <"$WORK/out"
}
echo 'written for it' >fresh
is "output, exit code and nothing of the shell around it" \
    "$(cd sub && in_terminal -t -e 'V=a b' -- \
        sh -c 'test -t 0 && test -t 1 && test -t 2 && echo all; echo "$V"; cat ../fresh; exit 7')" \
    "all
a b
written for it
code 7"
is "what is typed comes from stdin, and ends" \
    "$(printf 'x y\nz' | in_terminal -it -- sh -c 'read a; echo "<$a>"; cat; echo "."' |
        grep -c -e '<x y>$' -e 'z\.$' -e '^code 0$')" 3
is "a line for the shell, killed by a signal" \
    "$(in_terminal -t box -c 'echo a | tr a b; kill -9 $$' | grep -v Killed)" "b
code 137"
is "not found" "$(in_terminal -t -- no-such-command | tail -n 1)" "code 127"
is "in time" "$(in_terminal -t --timeout 1s -- sleep 20 2>"$WORK/err")" "code 124"
is "a directory that is not there" "$(in_terminal -t box -w /nowhere -- true 2>"$WORK/err")" \
    "code 125"
# The first SIGINT is its Ctrl-C.
"$D" exec -t -- sh -c 'trap "echo heard; exit 3" INT; echo up; while :; do sleep 0.1; done' \
    >"$WORK/int" &
pid=$!
check "it runs" within 10 grep -q up "$WORK/int"
kill -INT $pid
wait $pid
is "Ctrl-C is the command's" "$? $(grep -c heard "$WORK/int")" "3 1"
is "nothing is left" "$("$D" shell --list --json box)" '[]'

have tmux || exit 0
have setsid || exit 0

# ---- in a terminal ----
export TMUX_TMPDIR=$WORK/home
unset TMUX
T="timeout 30 tmux -f /dev/null"

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

# ---- exec -it: all keys are the command's, and the terminal is as it was ----
cat >"$WORK/keys" <<EOF
stty size
trap 'echo inter' INT
cat
echo waiting
cat
exit 6
EOF
type 'clear; "$D" exec -it -c "$(cat '"$WORK"'/keys)"; echo "code <$?>"' '^20 70'
type 'typ"ed' '^typ"ed'
$T send-keys C-c
check "Ctrl-C went to it" within 8 shows '^waiting'
check "and its handler ran" shows inter
$T send-keys C-d
check "and its end, too" within 8 shows 'code <6>'
type 'stty -g >'"$WORK"'/tty.5; echo si"xth"' '^sixth'
is "the terminal is as it was after exec" "$(cat "$WORK/tty.5")" "$(cat "$WORK/tty.1")"
type 'clear; "$D" exec -it box -- sh -c "echo up; sleep 100"; echo "code <$?>"' '^up'
$T send-keys Enter
$T send-keys -l '~.'
check "it can be left" within 8 shows 'code <1>'
check "which ends it" within 10 sh -c '[ "$("$0" shell box --list --json)" = "[]" ]' "$D"

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
