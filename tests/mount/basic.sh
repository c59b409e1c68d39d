# What every program does, seen from both sides.
. "$(dirname "$0")/lib.sh"

# Local changes are in the sandbox when the call returns.
echo hello >a
is "a write is there after close" "$(cat "$SBX/a")" hello
echo more >>a
is "an append too" "$(cat "$SBX/a")" "hello
more"
mkdir -p d/e/f
check "mkdir -p" test -d "$SBX/d/e/f"
mv a d/b
check "mv" test -f "$SBX/d/b" -a ! -e "$SBX/a"
echo x >c
mv c d/b
is "mv over a file" "$(cat "$SBX/d/b")" x
chmod 640 d/b
is "chmod" "$(stat -c %a "$SBX/d/b")" 640
is "chmod is seen here" "$(stat -c %a d/b)" 640
chmod 4755 d/b
is "setuid bit" "$(stat -c %a "$SBX/d/b")" 4755
touch -d '2021-02-03 04:05:06.123456789 UTC' d/b
is "utimens keeps nanoseconds" "$(stat -c %.9Y "$SBX/d/b")" 1612325106.123456789
is "utimens is seen here" "$(stat -c %.9Y d/b)" 1612325106.123456789
truncate -s 100000 d/b
is "truncate grows" "$(stat -c %s "$SBX/d/b")" 100000
truncate -s 1 d/b
is "truncate cuts" "$(cat "$SBX/d/b")" x
ln d/b d/hard
is "link" "$(stat -c %h "$SBX/d/hard")" 2
is "link count is seen here" "$(stat -c %h d/b)" 2
echo y >d/hard
is "a write through one name is read through the other" "$(cat d/b)" y
ln -s b d/soft
is "symlink" "$(readlink "$SBX/d/soft")" b
is "symlink is followed" "$(cat d/soft)" y
ln -s nowhere d/dangling
is "a dangling symlink is shown" "$(readlink d/dangling)" nowhere
rm d/dangling
check "a dangling symlink can be removed" test ! -L "$SBX/d/dangling"
fails "rmdir of a full directory" rmdir d
check "nothing was removed" test -f "$SBX/d/b"
rmdir d/e/f
check "rmdir" test ! -e "$SBX/d/e/f"
fails "mkdir of what exists" mkdir d
fails "mv of a directory into itself" mv d d/e/d
check "it is still there" test -f "$SBX/d/b"
fails "cat of a directory" cat d
fails "rm of a directory" rm d
fails "O_EXCL" sh -c 'set -C; echo no >d/b'
rm -rf d
is "rm -rf" "$(ls -A "$SBX")" ""

# Mode and owner survive a save; an executable stays one.
printf '#!/bin/sh\necho ran\n' >tool
chmod 755 tool
is "a script runs from the mount" "$(./tool)" ran
printf '#!/bin/sh\necho again\n' >tool
is "rewriting keeps the mode" "$(stat -c %a "$SBX/tool")" 755
inode=$(stat -c %i tool)
echo '# end' >>tool
sleep 1.2
is "the inode number stays, saved or not" "$(stat -c %i tool)" "$inode"

# Open files survive unlink and rename.
echo keep >open
exec 3<open
rm open
is "an unlinked file can be read" "$(cat <&3)" keep
exec 3<&-
exec 4>renamed
echo one >&4
mv renamed moved
echo two >&4
exec 4>&-
is "a renamed open file is written to" "$(cat "$SBX/moved")" "one
two"

# A file that is open by one of its names when that name goes.
echo one >name && ln name other
exec 5>>name
echo two >&5
rm name
is "what was written before is in the other name" "$(cat "$SBX/other")" "one
two"
fails "what is written afterwards is refused, not lost" eval 'echo three >&5'
exec 5>&-
is "and the other name stays" "$(cat other)" "one
two"
rm other

# Changes inside the sandbox are seen within the coherence window (1 s).
echo inside >"$SBX/new"
check "a new file appears" within 3 test -f new
is "its content" "$(cat new)" inside
echo changed longer >"$SBX/new"
sleep 1.2
is "a change in place is seen" "$(cat new)" "changed longer"
echo replaced >"$SBX/tmp" && mv "$SBX/tmp" "$SBX/new"
sleep 1.2
is "a replaced file is seen" "$(cat new)" replaced
rm "$SBX/new"
check "a removed file goes" within 3 test ! -e new
mkdir -p "$SBX/tree/x/y"
echo deep >"$SBX/tree/x/y/z"
sleep 1.2
is "a moved-in tree is seen" "$(cat tree/x/y/z)" deep

# Larger than what is fetched whole.
head -c 5000000 /dev/urandom >"$SBX/big"
sleep 1.2
check "a large file reads back" cmp big "$SBX/big"
check "a range of it" test "$(tail -c +3000001 big | head -c 10 | md5sum)" = \
    "$(tail -c +3000001 "$SBX/big" | head -c 10 | md5sum)"
printf 'HERE' | dd of=big bs=1 seek=2500000 conv=notrunc status=none
check "a change in its middle arrives" cmp big "$SBX/big"
head -c 3000000 /dev/urandom >new_big
check "a large new file arrives" cmp new_big "$SBX/new_big"

check "df" sh -c "df . >/dev/null"
is "no temporary file is left" "$(find "$SBX" -name '.daytonafs*')" ""
is "the control directory is not listed" "$(ls -A | grep -c ctl)" 0
check "but it is there" test -d .ctl
check "and has help" grep -q run .ctl/help
