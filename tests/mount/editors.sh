# Editors with their default settings. The mount is not below /tmp, where some behave differently.
. "$(dirname "$0")/lib.sh"

printf 'one\ntwo\nthree\n' >text
chmod 640 text
inode=$(stat -c %i text)

sed -i s/two/TWO/ text
is "sed -i" "$(cat "$SBX/text")" "one
TWO
three"
is "sed -i keeps the mode" "$(stat -c %a "$SBX/text")" 640

if have vim; then
    for i in 1 2 3; do
        check "vim -es" vim -es -N -u NONE -i NONE -c "%s/one.*/one$i/" -c wq text </dev/null
        is "vim saved" "$(head -n 1 "$SBX/text")" "one$i"
    done
    # As a person starts it: with vimrc defaults, a swap file and a backup while it writes.
    check "vim with its defaults" vim -es -c '%s/three/THREE/' -c wq text </dev/null
    is "vim with its defaults saved" "$(tail -n 1 "$SBX/text")" THREE
    is "vim keeps the mode" "$(stat -c %a "$SBX/text")" 640
    check "vim makes a new file" vim -es -c 'normal ihello' -c wq fresh </dev/null
    is "the new file" "$(cat "$SBX/fresh")" hello
    is "vim leaves nothing behind" "$(ls -A)" "$(printf 'fresh\ntext')"
fi

if have ed; then
    printf ',s/TWO/2/\nw\nq\n' | ed -s text
    is "ed" "$(sed -n 2p "$SBX/text")" 2
fi

if have python3; then
    check "write to a temporary name, fsync, rename" python3 - <<'P'
import os
with open("text.tmp", "w") as f:
    f.write("from python\n")
    f.flush()
    os.fsync(f.fileno())
os.replace("text.tmp", "text")
d = os.open(".", os.O_RDONLY)
os.fsync(d)
os.close(d)
P
    is "it is there" "$(cat "$SBX/text")" "from python"
    check "mmap is written back" python3 - <<'P'
import mmap
with open("text", "r+b") as f:
    m = mmap.mmap(f.fileno(), 0)
    m[0:4] = b"FROM"
    m.flush()
    m.close()
P
    is "through a mapping" "$(cat "$SBX/text")" "FROM python"
fi
