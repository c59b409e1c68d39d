# Links that the sandbox made do not lead out of the mount; the user's own show as written.
. "$(dirname "$0")/lib.sh"

echo secret >"$WORK/secret"
mkdir "$SBX/dir"
echo mine >"$SBX/dir/file"
ln -s /etc/passwd "$SBX/abs"
ln -s ../../../../../../../../etc/passwd "$SBX/dir/climb"
ln -s /home/daytona/dir/file "$SBX/inside"
ln -s dir/file "$SBX/plain"
ln -s .. "$SBX/dir/up"
ln -s ../../x "$SBX/dir/out"
sleep 1.2

fails "an absolute link does not reach the host" cat abs
fails "a climbing link does not reach the host" cat dir/climb
is "a relative link inside is as it is" "$(readlink plain)" dir/file
is "and works" "$(cat plain)" mine
is ".. inside works" "$(cat dir/up/dir/file)" mine
fails "a link to outside resolves to nothing" test -e dir/out
case $(readlink abs) in
"$MNT"/*) check "absolute links are re-rooted at the mount" true ;;
*) is "absolute links are re-rooted at the mount" "$(readlink abs)" "$MNT/etc/passwd" ;;
esac
if [ "$(echo pwd >.ctl/run; cat .ctl/run)" = /home/daytona ]; then
    is "an absolute link to the sandbox's tree works here" "$(cat inside)" mine
fi

ln -s /usr/bin/env own
ln -s "$WORK/secret" own2
is "own links show as written" "$(readlink own) $(readlink own2)" "/usr/bin/env $WORK/secret"
is "own links work" "$(cat own2)" secret
sleep 1.2
is "later too" "$(readlink own)" /usr/bin/env
mv own own3
is "and when renamed" "$(readlink own3)" /usr/bin/env
rm "$SBX/own2"
ln -s /etc/hostname "$SBX/own2"
sleep 1.2
fails "replaced by the sandbox, it is contained again" test "$(readlink own2)" = /etc/hostname
