# long_small_save.sh in small: the copy is larger than the journal's soft limit here, too.
[ "${HELPER:-require}" != off ] || { echo "skip: plain mode has no journal"; exit 77; }
MB=${MB:-40} MOUNT_OPTS=journal_size=40M
# shellcheck source=tests/mount/long_small_save.sh
. "$(dirname "$0")/long_small_save.sh"
