# Sessions through the control files, with nothing but sh and what POSIX has.
MOUNT_OPTS=
. "$(dirname "$0")/lib.sh"

s=$CTL/sessions
# ask FILE TEXT…: one question through one descriptor, and its answer.
ask() {
    file=$1
    shift
    (
        exec 3<>"$file"
        printf '%s\n' "$*" >&3
        cat <&3
    )
}
ask_in() {
    ask "$s/$1/run" "$2"
}
errors_say() {
    grep -q "$1" "$CTL/errors"
}

# ---- made, listed, deleted ----

is "there is none" "$(ls "$s")" ""
check "mkdir makes one" mkdir "$s/one"
check "and another" mkdir "$s/two"
is "ls lists them" "$(ls "$s" | tr '\n' ' ')" "one two "
fails "a name is taken" mkdir "$s/one"
fails "a name that is none" mkdir "$s/a b"
check "the error says what is" errors_say "letters, digits"
fails "one that is not there" ls "$s/three"
is "its files" "$(ls "$s/one" | tr '\n' ' ')" "commands exit run start "

# ---- what stays ----

is "it begins in the mount's root" "$(ask_in one pwd)" /home/daytona
mkdir -p sub
is "cd says nothing" "$(ask_in one 'cd sub; x=kept; f() { echo "f $1"; }')" ""
is "cd, variables and functions stay" "$(ask_in one 'echo "$PWD $x"; f y')" "/home/daytona/sub kept
f y"
is "the other knows nothing of it" "$(ask_in two 'echo "$PWD <$x>"')" "/home/daytona <>"
is "write, then read" "$(echo 'echo $x' >"$s/one/run"; cat "$s/one/run")" kept
is "its code" "$(ask_in one 'return 7' >/dev/null; cat "$s/one/exit")" 7
is "of the other" "$(cat "$s/two/exit")" 0
is "a script of lines" "$(ask_in two 'for i in 1 2; do
echo $i
done')" "1
2"
is "stdout, then stderr" "$(ask_in two 'echo out; echo err >&2')" "out
err"
bytes=$(ask_in two 'printf "\\377\\376x\\n"' | od -An -tx1 | tr -d ' \n')
is "bytes that are no text" "$bytes" fffe780a
fails "a NUL byte" sh -c "printf 'echo \\0' >'$s/two/run' && cat '$s/two/run'"

# ---- a barrier, as run is ----

echo 'not sent' >unsent
is "what was written is there" "$(ask_in two 'cat unsent')" 'not sent'
ask_in two 'echo made >made'
is "what it makes is seen" "$(cat made)" made

# ---- commands ----

id=$(ask "$s/two/start" 'echo first; read line; echo "got $line"; echo bad >&2; sleep 1; return 3')
check "start answers with an id" test -n "$id"
c=$s/two/commands/$id
check "it is listed" test -d "$c"
is "its files" "$(ls "$c" | tr '\n' ' ')" "command exit output stderr stdin stdout "
check "what it is" grep -q 'read line' "$c/command"
is "no code yet" "$(cat "$c/exit")" ""
cat "$c/follow" >"$WORK/follow" &
follow=$!
cat "$c/follow.stderr" >"$WORK/stderr" &
followed=$!
cat "$c/wait" >"$WORK/code" &
waited=$!
within 10 grep -q first "$WORK/follow"
check "what it prints comes at once" grep -q first "$WORK/follow"
check "a line is typed" sh -c "echo typed >'$c/stdin'"
wait $follow $followed $waited
check "it was read" grep -q '^got typed' "$WORK/follow"
is "stderr is told apart" "$(cat "$WORK/stderr")" bad
is "wait gives the code" "$(cat "$WORK/code")" 3
is "and so does exit" "$(cat "$c/exit")" 3
check "stdout" grep -q '^got typed$' "$c/stdout"
is "stderr" "$(cat "$c/stderr")" bad
check "output has both" sh -c "grep -q first '$c/output' && grep -q bad '$c/output'"
fails "it takes no more" sh -c "echo late >'$c/stdin'"

id=$(ask "$s/two/start" 'sleep 30')
timeout -s INT 1 cat "$s/two/commands/$id/follow"
is "a follower can be interrupted" $? 124
check "ls goes on" test -n "$(timeout 10 ls -l "$s/two/commands/$id")"

# ---- what the service makes of exit ----

mkdir "$s/gone"
is "( exit N ) sets a code" "$(ask_in gone '( exit 5 )'; cat "$s/gone/exit")" 5
is "a command that takes long is whole" "$(ask_in gone 'echo a; sleep 4; echo b; (exit 4)' |
    tr '\n' ' '; cat "$s/gone/exit")" "a b 4"
timeout 20 sh -c 'exec 3<>"$0/gone/run"; echo exit >&3; cat <&3' "$s" >"$WORK/gone" 2>&1
is "exit ends whoever reads" "$? $(cat "$WORK/gone")" "1 cat: -: Broken pipe"
fails "the shell is gone" timeout 20 sh -c "echo 'echo x' >'$s/gone/run' && cat '$s/gone/run'"
check "which is said" errors_say "shell has ended, as exit and exec end it"
check "and it can be removed" rmdir "$s/gone"

# ---- deleted ----

check "rmdir ends all" rmdir "$s/two"
fails "it is gone" test -e "$s/two"
check "rm -r does, too" rm -r "$s/one"
is "none is left" "$(ls "$s")" ""
finish
