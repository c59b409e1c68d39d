# git as people use it: clone, commit, status, gc.
. "$(dirname "$0")/lib.sh"

have git || exit $SKIP
export HOME=$WORK/home GIT_CONFIG_NOSYSTEM=1
git config --global user.name t
git config --global user.email t@example.invalid
git config --global init.defaultBranch main
git config --global safe.directory '*'

git init -q "$WORK/origin"
(
    cd "$WORK/origin"
    mkdir src
    i=0
    while [ $i -lt 40 ]; do
        i=$((i + 1))
        echo "line $i" >src/f$i
    done
    head -c 1500000 /dev/urandom >blob
    git add -A && git commit -qm first
)

check "git clone" git clone -q "$WORK/origin" repo
cd repo || exit 1
is "clean after clone" "$(git status --porcelain)" ""
sleep 1.2
is "clean later" "$(git status --porcelain)" "" # and git notes what was too new to be sure of
sleep 1.2
index=$(stat -c '%i %Y' .git/index)
is "clean still" "$(git status --porcelain)" ""
check "git finds every file unchanged by its stat alone" git diff-files --quiet
is "git did not rewrite the index" "$(stat -c '%i %Y' .git/index)" "$index"
echo changed >src/f1
echo new >src/new
git rm -q src/f2
is "status sees changes" "$(git status --porcelain | sort)" " M src/f1
?? src/new
D  src/f2"
check "git add -A" git add -A
check "git commit" git commit -qm second
is "clean after commit" "$(git status --porcelain)" ""
check "git checkout of a branch" git checkout -q -b side HEAD~1
is "the old file is back" "$(cat src/f2)" "line 2"
echo side >side && git add side && git commit -qm side
check "git merge" git merge -q -m merge main
check "git stash" sh -c 'echo x >>src/f3 && git stash -q && git stash pop -q'
check "git gc" git gc -q
check "git fsck" git fsck --full --strict --no-progress --no-dangling
check "and in the sandbox" git -C "$SBX/repo" fsck --full --strict --no-progress --no-dangling
is "status agrees in the sandbox" "$(git -C "$SBX/repo" status --porcelain)" " M src/f3"
check "git push back" git push -q origin HEAD:refs/heads/side
cd ..
