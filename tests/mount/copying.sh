# cp, mv, tar, rsync and rm over real trees.
. "$(dirname "$0")/lib.sh"

# A tree with what trees have.
src=$WORK/src
mkdir -p "$src/dir/sub" "$src/empty"
i=0
while [ $i -lt 60 ]; do
    i=$((i + 1))
    echo "file $i" >"$src/dir/f$i"
done
head -c 2000000 /dev/urandom >"$src/dir/sub/big"
: >"$src/dir/sub/nothing"
ln -s ../f1 "$src/dir/sub/link"
ln -s missing "$src/dir/sub/dangling"
chmod 600 "$src/dir/f1"
chmod 755 "$src/dir/f2"
chmod 500 "$src/empty"
# Links, too: rsync leaves the time of one alone that was made in the same second.
touch -h -d '2020-01-02 03:04:05.678901234 UTC' "$src/dir/f3" "$src/dir/sub/link" \
    "$src/dir/sub/dangling"
touch -d '2019-01-02 03:04:05 UTC' "$src/dir/sub"

# describe DIR: every name with type, mode, mtime and link target.
describe() {
    (cd "$1" && find . -mindepth 1 ! -type d -printf '%P %y %m %T@ %l\n' -o -type d -mindepth 1 \
        -printf '%P %y %m\n' | sort)
}

check "cp -a in" cp -a "$src" copy
check "same content" diff -r --no-dereference "$src" "$SBX/copy"
is "same names, modes and times in the sandbox" "$(describe "$SBX/copy")" "$(describe "$src")"
is "and here" "$(describe copy)" "$(describe "$src")"
check "cp -a out" cp -a copy "$WORK/back"
is "comes back as it was" "$(describe "$WORK/back")" "$(describe "$src")"
check "cp -a within the mount" cp -a copy copy2
check "same content again" diff -r --no-dereference copy "$SBX/copy2"

check "mv of a directory" mv copy2 moved
check "moved" diff -r --no-dereference "$src" "$SBX/moved"
check "mv out and in" sh -c 'mv moved "$1/out" && mv "$1/out" again' sh "$WORK"
check "moved across" diff -r --no-dereference "$src" "$SBX/again"

check "tar out" tar -C copy --format=posix -cf "$WORK/t.tar" .
mkdir untar
check "tar in" tar -C untar -xpf "$WORK/t.tar"
is "tar keeps names, modes and times" "$(describe "$SBX/untar")" "$(describe "$src")"

if have rsync; then
    check "rsync" rsync -a "$src/" rs/
    is "rsync keeps names, modes and times" "$(describe "$SBX/rs")" "$(describe "$src")"
    is "rsync again sends nothing" "$(rsync -ai "$src/" rs/ | grep -v '/$')" ""
fi

chmod 700 copy/empty again/empty untar/empty
check "rm -rf" rm -rf copy again untar rs
is "all gone" "$(ls -A "$SBX")" ""
