#include "cli/semantics.h"

#include <stddef.h>

const struct semantics_row semantics_rows[] = {
    {"calls", NULL, NULL},
    {"write, create, mkdir, link, rename, unlink, chmod, ... has returned",
     "The change is in the journal on this machine: it survives the death of daytonafs, and is on "
     "its way. With durability=sync it is in the sandbox.",
     "a_process_that_stops_at_any_step_of_its_journal_loses_nothing crash.sh "
     "a_file_that_is_linked_and_loses_its_first_name_costs_nothing_until_it_is_sent "
     "with_durability_sync_a_write_is_there_when_it_returns "
     "each_call_is_in_the_sandbox_when_it_returns"},
    {"close has returned",
     "The same; an earlier failure to send this file is reported, once on each handle. With "
     "durability=close or sync the file is in the sandbox.",
     "a_refusal_is_told_once_on_each_handle a_conflict_is_told_by_fsync_and_by_close told.sh "
     "durable.sh"},
    {"fsync has returned",
     "This file and what it stands on (its own earlier changes, its parents, its renames) are in "
     "the sandbox, and the file and its directory entry on the sandbox's disk. What else waits "
     "does not delay it. Where the sandbox has taken the name away, by removing or renaming it, "
     "nothing more can be done for what was sent before: 0; what was written after that is set "
     "aside: EIO.",
     "fsync_brings_what_the_file_stands_on_and_nothing_else "
     "what_is_to_be_on_the_disk_is_synced_with_its_directory "
     "fsync_of_a_file_that_the_sandbox_removed_tells_of_lost_writes_only "
     "who_waits_is_served_while_the_rest_is_paused what_is_small_goes_past_a_large_file "
     "sqlite.sh"},
    {"rename of a directory has returned",
     "It is done in the sandbox, or has failed with the sandbox's errno, unless the directory was "
     "made here and is not sent yet.",
     "a_directory_is_renamed_at_once_and_with_the_real_error "
     "a_directory_that_was_made_here_is_renamed_when_it_is_sent "
     "what_is_changed_while_its_directory_is_renamed_is_changed_there"},
    {"rename or link to another file system has returned",
     "It has failed with the sandbox's errno (EXDEV), or is done in the sandbox. Between two "
     "places where one file system is mounted it fails with EXDEV at once, too. (With a kernel "
     "before 5.8 there EXDEV comes late, as a change that is refused.)",
     "what_may_be_another_file_system_is_asked_at_once "
     "between_two_mounts_nothing_is_renamed_or_linked odd.sh"},
    {"a command through .ctl or daytonafs exec starts",
     "Every earlier change is in the sandbox; else it does not start, and the error names what is "
     "not. Of what the sandbox refused, each change stops one command only.",
     "a_command_does_not_start_when_an_earlier_change_cannot_be_sent edit_run.sh "
     "a_command_sees_what_was_written_and_what_it_changes_is_seen"},
    {"a command has ended", "What it changed is seen by the next access here.",
     "edit_run.sh a_command_tells_what_it_did_together_with_its_end"},
    {"sync written to .ctl/ctl, daytonafs sync, daytonafs umount",
     "Everything is in the sandbox; else the exit code is 8, and what is left is listed.",
     "cli.sh what_stands_on_a_refused_change_is_kept_with_it_as_a_tree "
     "sync_says_what_is_left all_that_was_written_to_a_file_which_is_refused_is_one_line"},
    {"fusermount3 -u, SIGTERM",
     "What waits is sent for drain_timeout; the rest stays in the journal, and the log says so. A "
     "second SIGTERM leaves at once.",
     "ending.sh"},
    {"kill -9, crash",
     "Every change whose call had returned is made by the next mount of that sandbox, or by "
     "daytonafs recover --send, once. If it cannot be sent, there is no mount that writes.",
     "crash.sh recover.sh a_process_that_stops_before_any_request_loses_nothing "
     "a_process_that_stops_after_any_request_does_nothing_twice "
     "a_batch_that_was_cut_off_at_any_change_is_done_once "
     "killed_at_any_step_it_goes_on_where_it_was "
     "every_torn_tail_is_dropped_and_no_more"},
    {"this machine loses power",
     "What was waited for (fsync, sync, a command) is in the sandbox. Of the rest, what was "
     "changed in the last 5 seconds may be lost, and only from the end: what is left stands on "
     "nothing that is missing. The next mount says that something is, and goes on with the rest "
     "by itself, each change once.",
     "a_machine_that_loses_power_at_any_step_loses_no_more_than_the_last_changes "
     "a_machine_that_loses_power_around_any_request_does_nothing_twice "
     "what_one_process_began_and_another_asked_for_is_not_forgotten_by_a_loss_of_power "
     "a_machine_that_dies_at_any_step_loses_nothing_that_was_synced "
     "what_waits_is_synced_after_a_while "
     "what_was_not_synced_may_be_lost_in_any_place_and_is_cut_off_there"},
    {"this machine's disk is set back to an older copy",
     "The sandbox knows what the journal does not: nothing of the older journal is sent, and the "
     "mount goes on with a new one. daytonafs recover saves what the older one holds, and "
     "discards it.",
     "restored.sh other_behind_ahead_and_unknown_are_told_apart_and_touch_nothing"},

    {"what is seen", NULL, NULL},
    {"what was done here", "It is seen here by every call that starts after it returned.",
     "fs_does_what_a_local_directory_does_when_changes_wait_in_a_journal model.sh fsx.sh"},
    {"what was written through one name of several",
     "It is seen through the others at once, also by those who have them open; what waits is sent "
     "first, so that costs a round trip. In plain mode it is seen once it is closed.",
     "two_names_that_are_open_at_once_are_one_file two_names.sh"},
    {"what was stored here through a shared mapping",
     "It is a change once the kernel hands it over: at msync, munmap, fsync and close, after some "
     "time, and before every command, sync and daytonafs umount. Linux before 6.6 maps a file "
     "shared only if all of it is here: above 1 MiB mmap fails with ENODEV until it was read.",
     "edit_run.sh fsx.sh mapped.sh"},
    {"what was done in the sandbox",
     "It is seen by an open, stat or readdir that starts more than coherence (1 s) later. Not so "
     "what a program there stores through a shared mapping, which moves no time stamp, what "
     "happens in trees that take longer than that to look through (status says so), and what "
     "happens while the sandbox's clock is set back, if it is forward again before it is looked "
     "at.",
     "coherence.sh whatever_happens_inside_is_seen_after_the_window "
     "a_moved_in_tree_is_walked_in_full_although_nothing_in_it_changed "
     "a_clock_that_is_set_at_any_time_hides_nothing"},
    {"a file replaced in the sandbox",
     "It is another file: a handle keeps the version it opened, or gets ESTALE. An open means what "
     "has the name by then. In plain mode, and where the sandbox's file system does not know when "
     "a file was born, one that got the inode number of the one before cannot be told from one "
     "that was changed in place.",
     "a_replaced_file_is_a_new_node_and_an_open_handle_keeps_what_it_has "
     "a_replaced_file_with_the_same_inode_number_is_a_new_node_too "
     "a_later_file_with_the_same_inode_number_is_born_later "
     "a_replaced_large_file_that_is_not_all_here_is_stale "
     "a_file_that_is_replaced_all_the_time_can_be_opened_to_write_at_any_time "
     "what_was_replaced_twice_is_opened_to_write_whoever_has_it_open"},
    {"a file changed in place in the sandbox", "Handles follow it, and never go back.",
     "a_file_changed_in_place_is_followed_by_its_handles "
     "a_large_file_changed_under_a_reader_never_mixes_versions"},
    {"a file saved here, as the sandbox sees it",
     "What one handle writes between open and close appears as one replacement, whole for every "
     "reader; mode, owner, times and hard links survive. In place are: appends, patches of large "
     "files, files with several links or of another owner, and what lies in directories that "
     "cannot be written to. When more than a quarter of journal_size waits (1 GiB), what is being "
     "written goes in parts.",
     "reader.sh ceiling.sh a_reader_sees_whole_versions_only "
     "a_file_is_replaced_by_a_new_inode_with_the_old_ones_mode a_file_with_two_names_keeps_both "
     "little_in_a_large_file_is_written_in_place"},
    {"output that goes to a file (prog > log), as the sandbox sees it",
     "It appears as a whole when it is closed or synced, or when a command starts. If the file "
     "was empty and only grows, by no more than 256 KiB in 5 seconds, what there is of it appears "
     "every 5 seconds, as with O_APPEND (prog >> log), which has no such limit.",
     "what_trickles_into_an_empty_file_is_seen_while_it_is_open "
     "what_is_copied_slowly_is_seen_as_a_whole "
     "a_file_that_is_only_added_to_is_seen_while_it_is_open "
     "output.sh"},
    {"a file that is open and unlinked, or replaced",
     "It can be read and written on. What of it is not here is kept in the sandbox until it is "
     "closed, or fetched before its name goes where it cannot be kept: on another file system, or "
     "another mount of it, than the helper's folder (/var/tmp/.daytonafs-UID, or else "
     "~/.cache/daytonafs), and while it has other names.",
     "kept.sh an_unlinked_file_is_read_on_where_the_sandbox_keeps_it "
     "where_nothing_can_be_kept_all_is_fetched_before_the_name_goes "
     "nor_can_it_be_kept_where_another_mount_is "
     "an_unlinked_open_file_works_on_and_is_never_sent what_is_replaced_while_open_stays_readable"},
    {"a program that walks over the whole mount",
     "It never comes into the control files: they are found by name, or with ctl=visible through a "
     "symbolic link. One that is told to follow links (zip without -y) finds files that all end.",
     "walking.sh listed_control_files_are_behind_a_link"},
    {"times, inode numbers",
     "Times are in the sandbox's clock. What a change showed when it was made (mtime, ctime, inode "
     "number) stays, also after a remount, until the sandbox changes the file. A directory's times "
     "move when a name comes or goes here, and not once more when that arrives there, until the "
     "sandbox changes what names are in it. What was shown is noted when a mount ends: after a "
     "crash a directory's times and all inode numbers are the sandbox's.",
     "what_is_sent_moves_no_time_of_its_directory "
     "what_a_save_showed_does_not_change_when_it_is_sent "
     "what_a_save_showed_stays_until_the_sandbox_changes_it remember.sh"},

    {"two who write", NULL, NULL},
    {"the sandbox has changed what a change from here means",
     "Nothing is overwritten or removed: theirs stays, ours goes to .ctl/conflicts, and what "
     "stands on it goes with it; fsync and close say EIO. keep mine PATH or keep theirs PATH "
     "settles it, and is remembered if daytonafs dies before it is done. A change means the "
     "version that its program was shown last, by a stat or by reading it, if that was lately "
     "(coherence and 2 s), whatever came since; what it asks or reads within 0.1 s of a stat, but "
     "for a handle's fstat, is part of that look. Who has not looked means what is known here, as "
     "do all whose file has several names, or who write through a handle that reads, too.",
     "conflict.sh two_writers.sh what_the_sandbox_has_changed_is_not_overwritten "
     "what_is_asked_twice_at_once_was_seen_the_first_time "
     "what_another_adds_to_theirs_does_not_hide_it_from_who_saves "
     "what_they_write_at_any_step_is_not_moved_unseen what_an_earlier_mount_left_is_no_news "
     "what_came_after_the_look_of_who_saves_is_not_written_over "
     "who_has_read_or_seen_it_may_write_over_it who_has_not_looked_means_what_is_there "
     "another_object_is_never_touched a_save_of_theirs_is_never_replaced_unseen theirs_or_mine "
     "that_ours_counts_is_remembered_by_the_next_process"},
    {"the same, with conflicts=beside",
     "Ours is put next to the file, too, as NAME.conflict-1~ (the first number that is free; a "
     "long NAME is cut): an ordinary new file with our content, mode and time, which goes to the "
     "sandbox and is named in .ctl/errors. sync and umount wait for it. keep mine, keep theirs and "
     "discard leave it: remove it when it is not needed. What came to be in conflict while the "
     "mount was starting, or was left out by a crash, gets one from the next mount with a cache "
     "that is kept; a crash may also cut one short. Where only parts of the file were written, it "
     "is made if the rest is on this machine, else .ctl/errors says that it is not; nor is there "
     "one of a removal, a rename, a mode, or such a copy itself, or where none can be made. "
     ".ctl/conflicts has ours in any case.",
     "conflict_beside.sh ours_is_beside_theirs_and_settling_leaves_it "
     "of_parts_it_is_made_if_the_rest_is_known_here of_parts_alone_none_is_made "
     "what_conflicts_while_the_mount_starts_is_beside_it where_nothing_can_be_made_it_is_said "
     "a_name_that_the_sandbox_took_is_not_used with_durability_sync_parts_are_beside_it_too"},
    {"the same, with durability=sync",
     "The call that meets it says EIO at once, and ours is kept in .ctl/conflicts all the same. "
     "Each write stands on what the one before has left, or on what was looked at here since: "
     "what a program in the sandbox has changed in place, and was seen here, stays but for the "
     "bytes that are written. Calls that are about names, modes and times have the sandbox's "
     "answer, and nothing is kept of them.",
     "what_the_sandbox_changed_between_two_writes_is_not_written_over "
     "what_was_changed_in_place_and_is_known_here_is_written_to "
     "a_name_that_the_sandbox_took_is_refused_at_once "
     "what_is_done_to_it_here_at_the_same_time_is_no_conflict durable.sh"},
    {"RENAME_EXCHANGE has returned",
     "It is done in the sandbox. If one of the names has another file there by then than was known "
     "here, that is looked up once more; what came out is in any case what had the name, and is "
     "read by the next open.",
     "an_exchange_swaps_what_is_meant_and_nothing_else "
     "what_is_saved_before_an_exchange_comes_out_of_it two_writers.sh"},
    {"a file is saved again while an earlier save of it is in conflict",
     "Each save that did not build on the one before is kept, at its path and as PATH.~2~ and so "
     "on. It is in conflict, too, unless the file was opened to be read since: an editor that puts "
     "its backup back does not go over what nobody here has seen.",
     "a_second_conflict_of_a_file_does_not_hide_the_first "
     "what_is_written_over_theirs_unseen_conflicts_too "
     "a_conflict_is_remembered_whatever_else_is_read_meanwhile "
     "nor_is_it_taken_away_or_renamed_over_unseen conflict.sh"},
    {"both append to one file", "Every line of both is there.",
     "both_who_append_are_there appends_of_both_all_survive"},
    {"the sandbox was restored, and holds the same content in new files", "That is no conflict.",
     "the_same_content_is_the_same_file_whatever_its_inode content_that_is_known_is_no_conflict"},
    {"a handle, after a change of its file was not taken",
     "It takes no more writes (EIO): they would stand on what is not there. Open the file again.",
     "a_handle_whose_writes_were_lost_takes_no_more"},
    {"O_EXCL, mkdir, link, RENAME_NOREPLACE",
     "They are decided by what is known, at most coherence old, and again in the sandbox: a lock "
     "file keeps out a program in the sandbox only with durability=sync.",
     "an_exclusive_create_is_checked_again_in_the_sandbox what_is_new_must_not_be_there_yet"},
    {"flock, fcntl",
     "Locks are between programs on this machine: they keep nobody in the sandbox out.",
     "locks_are_between_programs_on_this_machine sqlite.sh"},
    {"a change that the sandbox refuses after its call has returned",

     "It is told once by the next fsync or close of each handle, in .ctl/errors, and by the exit "
     "codes of sync and umount until it is settled; it is kept, with what stands on it, in "
     ".ctl/rejected.",
     "a_refusal_is_told_once_on_each_handle what_stands_on_a_failed_change_is_poisoned_and_nothing_"
     "else what_stands_on_a_refused_change_is_kept_with_it_as_a_tree"},
    {"permissions",
     "They are checked here, as the sandbox's user has them, before anything is sent.",
     "permissions_are_checked_before_anything_is_sent model_user.sh "
     "fs_does_what_a_local_directory_does_for_an_ordinary_user"},

    {"when things go wrong", NULL, NULL},
    {"the line is down, or slow",
     "An operation ends within op_timeout without progress (ETIMEDOUT), and when its caller is "
     "interrupted; after that the next fail at once (EHOSTDOWN) until the sandbox answers again. "
     "What is known is shown, and what is written waits.",
     "faults.sh blocked.sh interrupted.sh who_waits_without_progress_is_told_in_time "
     "who_waits_may_be_interrupted "
     "what_nobody_closes_any_more_is_sent_in_the_background"},
    {"a request is lost, repeated, or cut",
     "Each change is made exactly once all the same. A directory's rename, an exchange, and what "
     "else is made in the sandbox at once may fail (ECONNRESET, ETIMEDOUT) and be made all the "
     "same: until the sandbox has said which, the names it is about fail with EHOSTDOWN, and "
     "nothing is taken that would stand on them.",
     "a_renamed_directory_has_neither_name_until_the_sandbox_says_which "
     "nothing_is_written_below_it_by_who_has_it_open "
     "faults.sh a_line_that_breaks_changes_nothing "
     "whatever_becomes_of_a_request_the_work_goes_on "
     "whatever_becomes_of_a_request_before_the_process_dies "
     "sent_twice_it_is_done_once_and_answered_the_same "
     "sent_twice_at_once_one_waits_and_gets_the_answer"},
    {"the local disk is full",
     "Writers wait, then are refused (ENOSPC), before the journal loses anything.",
     "writers_wait_then_are_refused_before_the_disk_is_full "
     "a_disk_without_room_at_any_step_costs_nothing_that_was_taken"},
    {"the local disk fails",
     "A call fails (EIO), and nothing of it is done, or what it did is sent. If the journal cannot "
     "be written any more, nothing is taken or sent until the next mount, and status and errors "
     "say so; what was here before can be read.",
     "an_error_of_the_disk_fails_a_call_or_costs_nothing a_short_write_fails_nothing "
     "a_disk_without_room_fails_a_call_or_costs_nothing "
     "a_disk_that_breaks_fails_all_that_comes_and_is_told "
     "a_step_that_fails_once_costs_nothing_that_was_taken "
     "a_disk_that_breaks_at_any_step_costs_nothing_that_was_taken_and_is_told"},
    {"nobody uses the mount",
     "Nothing is sent, so that the sandbox can stop by itself. While it is stopped, what is known "
     "is shown; what is not starts it (wake=auto) or fails with EHOSTDOWN (wake=never).",
     "an_idle_mount_asks_nothing long_idle.sh long_lifetime.sh lifecycle.sh options.sh"},
    {"the sandbox is stopped, archived, paused, broken or deleted, or on its way there",
     "What is known is shown, what is written waits and is sent when it runs again; what needs it "
     "fails with EHOSTDOWN, soon; a change that was lost on the way and may have been made, with "
     "ECONNRESET. daytonafs-ctl(5) has the table of states.",
     "states.sh lifecycle.sh long_lifetime.sh "
     "a_question_whose_answer_is_lost_found_the_sandbox_down"},
    {"another sandbox takes the name of one that was deleted",
     "It is never taken for that one: a mount is of an id. What was not sent stays in the journal; "
     "daytonafs recover lists and saves it.",
     "states.sh"},
    {NULL, NULL, NULL},
};
