/* The commands, in the order of help: a new one is its file and its line here. */
#include "cli/cli.h"

#include "util/array.h"

#define COMMANDS(X)                                                                                \
    X(cmd_mount)                                                                                   \
    X(cmd_umount)                                                                                  \
    X(cmd_mounts)                                                                                  \
    X(cmd_exec)                                                                                    \
    X(cmd_jobs)                                                                                    \
    X(cmd_logs)                                                                                    \
    X(cmd_attach)                                                                                  \
    X(cmd_kill)                                                                                    \
    X(cmd_shell)                                                                                   \
    X(cmd_exists)                                                                                  \
    X(cmd_find)                                                                                    \
    X(cmd_grep)                                                                                    \
    X(cmd_replace)                                                                                 \
    X(cmd_watch)                                                                                   \
    X(cmd_recover)                                                                                 \
    X(cmd_sync)                                                                                    \
    X(cmd_ports)                                                                                   \
    X(cmd_url)                                                                                     \
    X(cmd_ssh)                                                                                     \
    X(cmd_git_clone)                                                                               \
    X(cmd_git_status)                                                                              \
    X(cmd_git_branches)                                                                            \
    X(cmd_git_checkout)                                                                            \
    X(cmd_git_add)                                                                                 \
    X(cmd_git_commit)                                                                              \
    X(cmd_git_push)                                                                                \
    X(cmd_git_pull)                                                                                \
    X(cmd_sandbox_list)                                                                            \
    X(cmd_sandbox_create)                                                                          \
    X(cmd_sandbox_info)                                                                            \
    X(cmd_sandbox_start)                                                                           \
    X(cmd_sandbox_stop)                                                                            \
    X(cmd_sandbox_delete)                                                                          \
    X(cmd_sandbox_archive)                                                                         \
    X(cmd_sandbox_recover)                                                                         \
    X(cmd_sandbox_resize)                                                                          \
    X(cmd_sandbox_labels)                                                                          \
    X(cmd_sandbox_autostop)                                                                        \
    X(cmd_sandbox_autoarchive)                                                                     \
    X(cmd_sandbox_autodelete)                                                                      \
    X(cmd_sandbox_ttl)                                                                             \
    X(cmd_serve)                                                                                   \
    X(cmd_version)                                                                                 \
    X(cmd_help)

#define DECLARE(name) extern const struct cli_command name;
#define LIST(name) &name,

COMMANDS(DECLARE)

/* clang-format off */
const struct cli_command *const cli_commands[] = { COMMANDS(LIST) };
/* clang-format on */
const size_t cli_command_count = ARRAY_LEN(cli_commands);
