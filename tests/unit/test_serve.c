/* The server's answers against a table of what was observed of the real service. */
#include "facts.h"

#include <sys/un.h>
#include <time.h>

#define EDGE "edge-of-a-part"
#define FORM "Content-Type: multipart/form-data; boundary=" EDGE "\r\n"
#define PART(name, rest, content)                                                                  \
    "--" EDGE "\r\nContent-Disposition: form-data; name=\"" name "\"" rest "\r\n\r\n" content "\r" \
    "\n"
#define END "--" EDGE "--\r\n"

/* clang-format off */
static const struct fact file_facts[] = {
    /* listing and info */
    {"listing_sorted_by_bytes_links_look_like_targets", "GET", "/files?path=list", NULL, NULL, 200,
     "Content-Type: application/json; charset=utf-8",
     "=[{\"name\":\"A\",\"size\":6,\"mode\":\"-rw-r--r--\",\"modTime\":\"2026-06-01 "
     "10:00:00.12 +0000 UTC\",\"modifiedAt\":\"2026-06-01T10:00:00.12Z\",\"isDir\":"
     "false,\"owner\":\"@U\",\"group\":\"@G\",\"permissions\":\"0644\"},"
     "{\"name\":\"link\",\"size\":6,\"mode\":\"-rw-r--r--\",\"modTime\":\"2026-06-"
     "01 10:00:00.12 +0000 UTC\",\"modifiedAt\":\"2026-06-01T10:00:00.12Z\",\"isDir\":"
     "false,\"owner\":\"@U\",\"group\":\"@G\",\"permissions\":\"0644\"}]"},
    GET("listing_drops_dangling_links", "/files?path=list", 200, "!dangling"),
    GET("listing_empty_directory", "/files?path=empty-dir", 200, "=[]"),
    GET("listing_default_is_work_dir", "/files", 200, "~\"a.txt\""),
    GET("listing_with_slash_too", "/files/?path=empty-dir", 200, "=[]"),
    GET("listing_of_a_file_400", "/files?path=a.txt", 400, ""),
    {"listing_missing_404_empty", "GET", "/files?path=nope", NULL, NULL, 404, "Content-Length: 0",
     ""},
    GET("listing_dangling_404", "/files?path=dangling", 404, ""),
    GET("listing_depth_is_ignored_by_old", "/files?path=tree&depth=5", 200, "!deep"),
    GET("not_utf8_names_become_replacement_characters", "/files?path=bytes", 200,
        "~\"name\":\"bad\\ufffd\""),
    GET("info_dot", "/files/info?path=.", 200, "~{\"name\":\".\","),
    GET("info_root", "/files/info?path=/", 200, "~{\"name\":\"/\","),
    GET("info_of_link_has_its_name", "/files/info?path=list/link", 200,
        "~{\"name\":\"link\",\"size\":6,\"mode\":\"-rw"),
    GET("info_setuid_only_in_mode", "/files/info?path=suid", 200, "~\"mode\":\"urwxr-xr-x\""),
    GET("info_permissions_low_bits_only", "/files/info?path=suid", 200,
        "~\"permissions\":\"0755\""),
    GET("info_fifo", "/files/info?path=fifo", 200, "~\"mode\":\"prw-r--r--\""),
    GET("info_socket", "/files/info?path=socket", 200, "~\"mode\":\"S"),
    GET("info_device", "/files/info?path=/dev/null", 200, "~\"mode\":\"Dcrw-rw-rw-\""),
    GET("info_sticky_directory", "/files/info?path=sticky", 200, "~\"mode\":\"dtrwxrwxrwx\""),
    GET("info_dangling_404", "/files/info?path=dangling", 404, ""),
    GET("info_loop_400", "/files/info?path=loop", 400, ""),
    GET("info_below_a_file_400", "/files/info?path=a.txt/x", 400, ""),
    GET("info_overlong_400", "/files/info?path=@LONG", 400, ""),
    GET("info_no_path_400", "/files/info", 400, ""),
    /* the query */
    GET("plus_is_a_space", "/files/info?path=with+space", 200, "~\"with space\""),
    GET("raw_semicolon_makes_the_pair_vanish", "/files/info?path=a;b", 400, ""),
    GET("encoded_semicolon_is_fine", "/files/info?path=a%3Bb", 200, "~\"a;b\""),
    GET("raw_bytes_reach_the_file_system", "/files/info?path=bytes/bad%FF", 200, "~\"size\":1"),
    GET("encoded_nul_400", "/files/info?path=a%00b", 400, ""),
    GET("newlines_work", "/files/info?path=new%0Aline", 200, "~\"new\\nline\""),
    /* routes */
    {"unknown_route_404_text", "GET", "/files/nope", NULL, NULL, 404, "Content-Type: text/plain",
     "=404 page not found"},
    BARE("no_head", "HEAD", "/files/info?path=a.txt", 404, NULL),
    BARE("no_put", "PUT", "/files/info?path=a.txt", 404, "=404 page not found"),
    {"trailing_slash_redirects_get_301", "GET", "/files/info/?path=a.txt", NULL, NULL, 301,
     "Location: /toolbox/@ID/files/info?path=a.txt", NULL},
    {"trailing_slash_redirects_post_307", "POST", "/process/execute/", NULL, "{}", 307,
     "Location: /toolbox/@ID/process/execute", NULL},
    {"new_calls_are_unknown_to_old", "POST", "/files/upload-v2?path=x", NULL, "x", 404, NULL,
     "=404 page not found"},
    GET("bare_toolbox_404_envelope", "//toolbox/@ID", 404,
        "~\"message\":\"not found: not found\",\"code\":\"NOT_FOUND\""),
    /* folder */
    BARE("folder_makes_parents_201_empty", "POST", "/files/folder?path=mk/a/b&mode=0750", 201, ""),
    GET("folder_parents_get_the_mode", "/files/info?path=mk", 200, "~\"permissions\":\"0750\""),
    BARE("folder_existing_201_again", "POST", "/files/folder?path=mk/a/b&mode=0700", 201, ""),
    GET("folder_existing_keeps_its_mode", "/files/info?path=mk/a/b", 200,
        "~\"permissions\":\"0750\""),
    BARE("folder_mode_default_0755", "POST", "/files/folder?path=mk/default", 201, ""),
    GET("folder_mode_default_0755_seen", "/files/info?path=mk/default", 200,
        "~\"permissions\":\"0755\""),
    BARE("folder_umask_applies", "POST", "/files/folder?path=mk/umask&mode=0777", 201, ""),
    GET("folder_umask_applied", "/files/info?path=mk/umask", 200, "~\"permissions\":\"0755\""),
    BARE("folder_bad_octal_400", "POST", "/files/folder?path=mk/x&mode=0789", 400, ""),
    BARE("folder_over_a_file_400", "POST", "/files/folder?path=a.txt&mode=0755", 400, ""),
    BARE("folder_over_a_dangling_link_400", "POST", "/files/folder?path=dangling&mode=0755", 400,
        ""),
    /* permissions */
    BARE("chmod_4755_loses_the_bit", "POST", "/files/permissions?path=modes&mode=4755", 200, ""),
    GET("chmod_4755_lost_the_bit", "/files/info?path=modes", 200, "~\"mode\":\"-rwxr-xr-x\""),
    BARE("chmod_setuid_at_gos_position", "POST", "/files/permissions?path=modes&mode=40000755", 200,
        ""),
    GET("chmod_setuid_at_gos_position_set", "/files/info?path=modes", 200,
        "~\"mode\":\"urwxr-xr-x\""),
    BARE("chmod_plain_clears_the_bit", "POST", "/files/permissions?path=modes&mode=755", 200, ""),
    GET("chmod_plain_cleared_the_bit", "/files/info?path=modes", 200, "~\"mode\":\"-rwxr-xr-x\""),
    BARE("permissions_of_nothing_200", "POST", "/files/permissions?path=modes", 200, ""),
    BARE("permissions_unknown_owner_400", "POST",
        "/files/permissions?path=modes&owner=nobody-has-this", 400, ""),
    BARE("permissions_not_atomic", "POST",
        "/files/permissions?path=modes&mode=700&owner=nobody-has-this", 400, ""),
    GET("permissions_not_atomic_mode_stays", "/files/info?path=modes", 200,
        "~\"permissions\":\"0700\""),
    BARE("permissions_missing_404", "POST", "/files/permissions?path=nope&mode=755", 404, ""),
    /* delete */
    BARE("delete_missing_404", "DELETE", "/files?path=nope", 404, ""),
    BARE("delete_empty_directory_needs_recursive", "DELETE", "/files?path=empty-dir", 400, ""),
    BARE("delete_recursive_1_does_not_count", "DELETE", "/files?path=empty-dir&recursive=1", 400,
        ""),
    BARE("delete_recursive_204", "DELETE", "/files?path=rmtree&recursive=true", 204, ""),
    GET("delete_recursive_is_gone", "/files/info?path=rmtree", 404, ""),
    GET("delete_recursive_did_not_follow_links", "/files/info?path=tree/one", 200, NULL),
    BARE("delete_directory_link_needs_recursive", "DELETE", "/files?path=dlink", 400, ""),
    BARE("delete_directory_link_only_the_link_goes", "DELETE", "/files/?path=dlink&recursive=true",
        204, ""),
    GET("delete_directory_link_target_stays", "/files/info?path=tree/one", 200, NULL),
    BARE("delete_dangling_link_404", "DELETE", "/files?path=dangling", 404, ""),
    BARE("delete_file_204", "DELETE", "/files?path=rmfile", 204, ""),
    /* move */
    BARE("move_200_empty", "POST", "/files/move?source=mv1&destination=mv2", 200, ""),
    GET("move_moved", "/files/download?path=mv2", 200, "=one"),
    BARE("move_never_replaces_409", "POST", "/files/move?source=mv2&destination=a.txt", 409, ""),
    BARE("move_onto_itself_409", "POST", "/files/move?source=mv2&destination=mv2", 409, ""),
    BARE("move_into_a_directory_409", "POST", "/files/move?source=mv2&destination=empty-dir", 409,
        ""),
    BARE("move_source_missing_404", "POST", "/files/move?source=nope&destination=x", 404, ""),
    BARE("move_source_dangling_404", "POST", "/files/move?source=dangling&destination=x", 404, ""),
    BARE("move_parent_missing_404", "POST", "/files/move?source=mv2&destination=no/x", 404, ""),
    BARE("move_over_dangling_link_goes_through", "POST",
        "/files/move?source=mv2&destination=dangling2", 200, ""),
    GET("move_over_dangling_link_replaced_it", "/files/download?path=dangling2", 200, "=one"),
    BARE("move_below_itself_is_refused_here", "POST",
        "/files/move?source=tree&destination=tree/sub/x", 400, ""),
    GET("move_below_itself_harmed_nothing", "/files/info?path=tree/one", 200, NULL),
    BARE("move_live_link_as_itself", "POST", "/files/move?source=list/link&destination=moved-link",
        200, ""),
    BARE("move_across_devices_copies", "POST", "/files/move?source=tree/one&destination=@TMP", 200,
        ""),
    GET("move_across_devices_copied", "/files/download?path=@TMP", 200, "=1"),
    GET("move_across_devices_removed", "/files/info?path=tree/one", 404, ""),
    /* download */
    {"download_whole", "GET", "/files/download?path=digits", NULL, NULL, 200,
     "Accept-Ranges: bytes", "=0123456789"},
    {"download_type", "GET", "/files/download?path=digits", NULL, NULL, 200,
     "Content-Type: application/octet-stream", NULL},
    {"download_last_modified_in_seconds", "GET", "/files/download?path=a.txt", NULL, NULL, 200,
     "Last-Modified: Mon, 01 Jun 2026 10:00:00 GMT", "=hello\n"},
    {"download_disposition", "GET", "/files/download?path=sp%C3%A9cial", NULL, NULL, 200,
     "Content-Disposition: attachment; filename=\"sp_cial\"; filename*=utf-8''sp%C3%A9cial", NULL},
    {"download_other_headers", "GET", "/files/download?path=digits", NULL, NULL, 200,
     "Cache-Control: must-revalidate", NULL},
    {"download_no_etag", "GET", "/files/download?path=digits", NULL, NULL, 200, "ETag:", NULL},
    {"download_range", "GET", "/files/download?path=digits", "Range: bytes=2-4\r\n", NULL, 206,
     "Content-Range: bytes 2-4/10", "=234"},
    {"download_range_open", "GET", "/files/download?path=digits", "Range: bytes=7-\r\n", NULL, 206,
     "Content-Range: bytes 7-9/10", "=789"},
    {"download_range_suffix", "GET", "/files/download?path=digits", "Range: bytes=-2\r\n", NULL,
     206, "Content-Range: bytes 8-9/10", "=89"},
    {"download_range_end_is_clipped", "GET", "/files/download?path=digits",
     "Range: bytes=8-99\r\n", NULL, 206, "Content-Range: bytes 8-9/10", "=89"},
    {"download_range_beyond_416", "GET", "/files/download?path=digits", "Range: bytes=10-\r\n",
     NULL, 416, "Content-Range: bytes */10", "~invalid range"},
    {"download_range_malformed_416", "GET", "/files/download?path=digits", "Range: bytes=b-\r\n",
     NULL, 416, NULL, "~invalid range"},
    {"download_ranges_are_multipart", "GET", "/files/download?path=digits",
     "Range: bytes=0-0,9-9\r\n", NULL, 206, NULL, "~Content-Range: bytes 9-9/10\r\n"},
    {"download_ranges_larger_than_the_file_200", "GET", "/files/download?path=digits",
     "Range: bytes=0-9,0-9\r\n", NULL, 200, NULL, "=0123456789"},
    {"download_empty_file_any_range_200", "GET", "/files/download?path=empty",
     "Range: bytes=5-\r\n", NULL, 200, NULL, ""},
    {"download_if_range_date", "GET", "/files/download?path=a.txt",
     "Range: bytes=0-1\r\nIf-Range: Mon, 01 Jun 2026 10:00:00 GMT\r\n", NULL, 206, NULL, "=he"},
    {"download_if_range_other_date_200", "GET", "/files/download?path=a.txt",
     "Range: bytes=0-1\r\nIf-Range: Mon, 01 Jun 2026 10:00:01 GMT\r\n", NULL, 200, NULL,
     "=hello\n"},
    {"download_if_range_etag_200", "GET", "/files/download?path=a.txt",
     "Range: bytes=0-1\r\nIf-Range: \"x\"\r\n", NULL, 200, NULL, "=hello\n"},
    {"download_if_modified_since_304", "GET", "/files/download?path=a.txt",
     "If-Modified-Since: Mon, 01 Jun 2026 10:00:00 GMT\r\n", NULL, 304, NULL, ""},
    {"download_if_unmodified_since_412", "GET", "/files/download?path=a.txt",
     "If-Unmodified-Since: Mon, 01 Jun 2026 09:00:00 GMT\r\n", NULL, 412, NULL, ""},
    GET("download_directory_400_empty", "/files/download?path=tree", 400, ""),
    GET("download_missing_404_empty", "/files/download?path=nope", 404, ""),
    GET("download_index_html_no_redirect", "/files/download?path=tree/index.html", 200, "=<p>"),
    GET("download_base_name_not_utf8_500", "/files/download?path=bytes/bad%FF", 500, NULL),
    GET("download_directory_part_any_bytes", "/files/download?path=bytes/dir%FF/in", 200, "=in"),
    {"download_proc_is_empty", "GET", "/files/download?path=/proc/version", NULL, NULL, 200,
     "Content-Length: 0", ""},
    GET("download_socket_404", "/files/download?path=socket", 404, ""),
    GET("download_device_empty_200", "/files/download?path=/dev/zero", 200, ""),
    GET("download_fifo_does_not_hang_here", "/files/download?path=fifo", 400, ""),
    /* bulk-download */
    {"bulk_download_parts_in_order", "POST", "/files/bulk-download", NULL,
     "{\"paths\":[\"digits\",\"nope\",\"tree\",\"\"]}", 200,
     "Content-Type: multipart/form-data; boundary=DAYTONA-FILE-BOUNDARY",
     "~--DAYTONA-FILE-BOUNDARY\r\nContent-Disposition: form-data; name=\"file\"; filename="
     "\"digits\"; filename*=utf-8''digits\r\nContent-Length: 10\r\nContent-Type: application"
     "/octet-stream\r\n\r\n0123456789\r\n--DAYTONA-FILE-BOUNDARY\r\n"},
    {"bulk_download_missing", "POST", "/files/bulk-download", NULL, "{\"paths\":[\"nope\"]}", 200,
     NULL, "~\"statusCode\":404,\"message\":\"file not found: nope\",\"code\":\"FILE_NOT_FOUND\""},
    {"bulk_download_directory", "POST", "/files/bulk-download", NULL, "{\"paths\":[\"tree\"]}",
     200, NULL, "~\"code\":\"INVALID_FILE_PATH\""},
    {"bulk_download_closes", "POST", "/files/bulk-download", NULL, "{\"paths\":[\"empty\"]}", 200,
     NULL, "~\r\n\r\n\r\n--DAYTONA-FILE-BOUNDARY--\r\n"},
    {"bulk_download_boundary_inside_is_not_escaped", "POST", "/files/bulk-download", NULL,
     "{\"paths\":[\"trap\"]}", 200, NULL,
     "~\r\n\r\nx\r\n--DAYTONA-FILE-BOUNDARY\r\ny\r\n--DAYTONA-FILE-BOUNDARY--"},
    {"bulk_download_proc_has_bytes", "POST", "/files/bulk-download", NULL,
     "{\"paths\":[\"/proc/version\"]}", 200, NULL,
     "~\r\nContent-Length: 0\r\nContent-Type: application/octet-stream\r\n\r\nLinux version"},
    {"bulk_download_type_by_suffix", "POST", "/files/bulk-download", NULL,
     "{\"paths\":[\"a.txt\"]}", 200, NULL, "~Content-Type: text/plain; charset=utf-8"},
    {"bulk_download_full_path_in_name", "POST", "/files/bulk-download", NULL,
     "{\"paths\":[\"list/A\"]}", 200, NULL, "~filename=\"list/A\"; filename*=utf-8''list%2FA"},
    {"bulk_download_fifo_does_not_hang_here", "POST", "/files/bulk-download", NULL,
     "{\"paths\":[\"fifo\"]}", 200, NULL, "~\"code\":\"FILE_READ_FAILED\""},
    {"bulk_download_empty_400", "POST", "/files/bulk-download", NULL, "{\"paths\":[]}", 400, NULL,
     "~{\"error\":"},
    {"bulk_download_not_json_400", "POST", "/files/bulk-download", NULL, "nonsense", 400, NULL,
     "~{\"error\":"},
    /* upload */
    {"upload_200_empty", "POST", "/files/upload?path=up/new", FORM, PART("file",
     "; filename=\"x\"", "content") END, 200, NULL, ""},
    GET("upload_stored", "/files/download?path=up/new", 200, "=content"),
    GET("upload_parents_0750", "/files/info?path=up", 200, "~\"permissions\":\"0750\""),
    GET("upload_new_files_0644", "/files/info?path=up/new", 200, "~\"permissions\":\"0644\""),
    {"upload_keeps_mode", "POST", "/files/upload?path=modes", FORM, PART("file",
     "; filename=\"x\"", "new") END, 200, NULL, ""},
    GET("upload_kept_mode", "/files/info?path=modes", 200, "~\"permissions\":\"0700\""),
    {"upload_without_filename_400", "POST", "/files/upload?path=up/no", FORM, PART("file", "",
     "content") END, 400, NULL, ""},
    {"upload_other_field_400", "POST", "/files/upload?path=up/no", FORM, PART("data",
     "; filename=\"x\"", "content") END, 400, NULL, ""},
    GET("upload_refused_made_nothing", "/files/info?path=up/no", 404, ""),
    {"upload_empty_file", "POST", "/files/upload?path=up/empty", FORM, PART("file",
     "; filename=\"x\"", "") END, 200, NULL, ""},
    GET("upload_empty_file_is_there", "/files/info?path=up/empty", 200, "~\"size\":0"),
    {"upload_to_directory_400", "POST", "/files/upload?path=tree", FORM, PART("file",
     "; filename=\"x\"", "c") END, 400, NULL, ""},
    {"upload_through_dangling_link", "POST", "/files/upload?path=dangling3", FORM, PART("file",
     "; filename=\"x\"", "c") END, 200, NULL, ""},
    GET("upload_through_dangling_link_made_target", "/files/info?path=target3", 200, NULL),
    {"upload_names_with_blanks", "POST", "/files/upload?path=%20blank%20", FORM, PART("file",
     "; filename=\"x\"", "c") END, 200, NULL, ""},
    GET("upload_names_with_blanks_kept", "/files/info?path=%20blank%20", 200, "~\" blank \""),
    {"upload_cut_form_400", "POST", "/files/upload?path=a.txt", FORM, "--" EDGE
     "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\nhalf", 400, NULL,
     ""},
    GET("upload_cut_form_left_the_old_file", "/files/download?path=a.txt", 200, "=hello\n"),
    /* bulk-upload */
    {"bulk_upload_reports_files", "POST", "/files/bulk-upload", FORM, PART("files[0].path", "",
     "bu/a") PART("files[0].file", "", "12345") PART("files[x].path", "", "bu/b") PART(
     "files[x].file", "; filename=\"q\"", "") END, 200,
     "Content-Type: application/json; charset=utf-8",
     "={\"files\":[{\"path\":\"bu/a\",\"bytes\":5},{\"path\":\"bu/b\",\"bytes\":0}]}"},
    GET("bulk_upload_parents_0755", "/files/info?path=bu", 200, "~\"permissions\":\"0755\""),
    {"bulk_upload_trims_paths", "POST", "/files/bulk-upload", FORM, PART("files[0].path", "",
     " bu/trim\t") PART("files[0].file", "", "t") END, 200, NULL,
     "={\"files\":[{\"path\":\"bu/trim\",\"bytes\":1}]}"},
    {"bulk_upload_errors_end_in_the_os_text", "POST", "/files/bulk-upload", FORM, PART(
     "files[0].path", "", "tree") PART("files[0].file", "", "x") PART("files[1].path", "", "bu/ok")
     PART("files[1].file", "", "y") END, 400, NULL,
     "={\"errors\":[\"tree: create: open tree: is a directory\"],\"files\":[{\"path\":"
     "\"bu/ok\",\"bytes\":1}]}"},
    GET("bulk_upload_others_were_written", "/files/download?path=bu/ok", 200, "=y"),
    {"bulk_upload_file_before_path", "POST", "/files/bulk-upload", FORM, PART("files[0].file", "",
     "x") END, 400, NULL, "={\"errors\":[\"file[0]: missing .path metadata\"],\"files\":null}"},
    {"bulk_upload_nothing_sent", "POST", "/files/bulk-upload", FORM, END, 200, NULL,
     "={\"files\":null}"},
    {"bulk_upload_not_multipart", "POST", "/files/bulk-upload", NULL, "x", 400, NULL,
     "={\"errors\":[\"invalid multipart form\"]}"},
    {"bulk_upload_cut_says_unexpected_eof", "POST", "/files/bulk-upload", FORM, PART(
     "files[0].path", "", "bu/cut") "--" EDGE
     "\r\nContent-Disposition: form-data; name=\"files[0].file\"\r\n\r\nhalf", 400, NULL,
     "~bu/cut: write: unexpected EOF"},
    {"bulk_upload_raw_bytes_in_names", "POST", "/files/bulk-upload", FORM, PART("files[0].path",
     "", "bu/\xff") PART("files[0].file", "", "r") END, 200, NULL, NULL},
    GET("bulk_upload_raw_bytes_are_there", "/files/info?path=bu/%FF", 200, NULL),
    /* find, search, replace */
    GET("find_lines", "/files/find?path=text&pattern=needle", 200,
        "=[{\"file\":\"text/one\",\"line\":2,\"content\":\"a needle here\"}]"),
    GET("find_in_one_file", "/files/find?path=text/one&pattern=needle", 200, "~\"line\":2"),
    GET("find_missing_path_empty", "/files/find?path=nope&pattern=x", 200, "=[]"),
    GET("search_names_directories_and_dangling", "/files/search?path=text&pattern=*n*", 200,
        "={\"files\":[\"text/binary\",\"text/dangling\",\"text/one\"]}"),
    GET("search_the_root_itself", "/files/search?path=text&pattern=te?t", 200,
        "={\"files\":[\"text\"]}"),
    GET("search_invalid_glob_empty", "/files/search?path=text&pattern=%5Bx", 200,
        "={\"files\":[]}"),
    {"replace_says_each", "POST", "/files/replace", NULL,
     "{\"files\":[\"text/one\",\"nope\"],\"pattern\":\"needle\",\"newValue\":\"pin\"}", 200, NULL,
     "~{\"file\":\"text/one\",\"success\":true}"},
    {"replace_errors_have_the_os_text", "POST", "/files/replace", NULL,
     "{\"files\":[\"nope\",\"tree\"],\"pattern\":\"x\",\"newValue\":\"\"}", 200, NULL,
     "~no such file or directory"},
    GET("replace_replaced", "/files/find?path=text&pattern=pin", 200, "~a pin here"),
    {"replace_empty_pattern_400", "POST", "/files/replace", NULL,
     "{\"files\":[\"text/one\"],\"pattern\":\"\",\"newValue\":\"\"}", 400, NULL, ""},
    {"replace_missing_value_400", "POST", "/files/replace", NULL,
     "{\"files\":[\"text/one\"],\"pattern\":\"x\"}", 400, NULL, ""},
    /* what it says of itself */
    GET("version", "/version", 200, "={\"version\":\"v0.190.0\"}"),
    GET("work_dir", "/work-dir", 200, "={\"dir\":\"@WORK\"}"),
    GET("home_dir", "/user-home-dir", 200, "={\"dir\":\"@WORK\"}"),
    GET("project_dir", "/project-dir", 200, "={\"dir\":\"@WORK\"}"),
};

#define RUN "POST", "/process/execute", "Content-Type: application/json\r\n"
static const struct fact execute_facts[] = {
    {"execute_result", RUN, "{\"command\":\"echo hi\"}", 200,
     "Content-Type: application/json; charset=utf-8", "={\"exitCode\":0,\"result\":\"hi\\n\"}"},
    {"execute_in_work_dir", RUN, "{\"command\":\"pwd\"}", 200, NULL,
     "={\"exitCode\":0,\"result\":\"@WORK\\n\"}"},
    {"execute_cwd", RUN, "{\"command\":\"cat in.txt\",\"cwd\":\"dir\"}", 200, NULL,
     "~\"result\":\"inner\""},
    {"execute_both_streams_in_order", RUN, "{\"command\":\"echo a; echo b >&2; echo c\"}", 200,
     NULL, "={\"exitCode\":0,\"result\":\"a\\nb\\nc\\n\"}"},
    {"execute_exit_code", RUN, "{\"command\":\"exit 7\"}", 200, NULL,
     "={\"exitCode\":7,\"result\":\"\"}"},
    {"execute_shell_killed_minus_one", RUN, "{\"command\":\"kill -9 $$\"}", 200, NULL,
     "~\"exitCode\":-1"},
    {"execute_child_killed_128_plus", RUN, "{\"command\":\"sh -c 'kill -9 $$'\"}", 200, NULL,
     "~\"exitCode\":137"},
    {"execute_bad_cwd_minus_one", RUN, "{\"command\":\"echo\",\"cwd\":\"/nope\"}", 200, NULL,
     "={\"exitCode\":-1,\"result\":\"chdir /nope: no such file or directory\"}"},
    {"execute_cwd_is_a_file", RUN, "{\"command\":\"echo\",\"cwd\":\"a.txt\"}", 200, NULL,
     "~\"exitCode\":-1,\"result\":\"chdir @WORK/a.txt: not a directory\""},
    {"execute_invalid_utf8_replaced", RUN, "{\"command\":\"printf 'a\\\\377b'\"}", 200, NULL,
     "~\"result\":\"a\\ufffdb\""},
    {"execute_nul_is_kept", RUN, "{\"command\":\"printf 'a\\\\000b'\"}", 200, NULL,
     "~\"result\":\"a\\u0000b\""},
    {"execute_go_escapes_angle_brackets", RUN, "{\"command\":\"echo '<&>'\"}", 200, NULL,
     "~\\u003c\\u0026\\u003e"},
    {"execute_text_is_the_shells_stdin", RUN, "{\"command\":\"read x\\nfirst\\necho got:$x\"}",
     200, NULL, "~got:first"},
    {"execute_multi_line", RUN, "{\"command\":\"a=1\\nif true\\nthen echo $a\\nfi\\n\"}", 200,
     NULL, "~\"result\":\"1\\n\""},
    {"execute_envs", RUN, "{\"command\":\"echo $FOO\",\"envs\":{\"FOO\":\"b r\"}}", 200, NULL,
     "~b r"},
    {"execute_bad_env_400", RUN, "{\"command\":\"echo\",\"envs\":{\"1X\":\"\"}}", 400, NULL,
     "~\"message\":\"bad request: "},
    {"execute_blank_400", RUN, "{\"command\":\"  \"}", 400, NULL, "~\"code\":\"BAD_REQUEST\""},
    {"execute_absent_400", RUN, "{}", 400, NULL, NULL},
    {"execute_unknown_fields_ignored", RUN, "{\"command\":\"echo x\",\"zzz\":{}}", 200, NULL,
     "~\"exitCode\":0"},
    {"execute_negative_timeout_400", RUN, "{\"command\":\"echo\",\"timeout\":-1}", 400, NULL,
     NULL},
    {"execute_fractional_timeout_400", RUN, "{\"command\":\"echo\",\"timeout\":1.5}", 400, NULL,
     NULL},
    {"execute_timeout_408_output_lost", RUN,
     "{\"command\":\"echo out; sleep 30; touch not-killed\",\"timeout\":1}", 408, NULL,
     "~\"code\":\"REQUEST_TIMEOUT\""},
    {"execute_waits_for_who_holds_the_output", RUN, "{\"command\":\"(sleep 0.3; echo late) &\"}",
     200, NULL, "~late"},
    {"code_unknown_language_400", "POST", "/process/code-run", NULL,
     "{\"code\":\"1\",\"language\":\"cobol\"}", 400, NULL, "~bad request: "},
    {"code_needs_code_400", "POST", "/process/code-run", NULL, "{\"language\":\"python\"}", 400,
     NULL, NULL},
    {"code_python", "POST", "/process/code-run", NULL,
     "{\"code\":\"import sys,os\\nprint(sys.argv[1:],os.environ['X'],'it\\\\'s')\\nsys.exit(3)\","
     "\"language\":\"python\",\"argv\":[\"a\",\"b c\"],\"envs\":{\"X\":\"y\","
     "\"PATH\":\"/usr/bin:/bin\"}}", 200, NULL,
     "={\"exitCode\":3,\"result\":\"['a', 'b', 'c'] y it's\\n\"}"},
    {"code_timeout_408", "POST", "/process/code-run", NULL,
     "{\"code\":\"import time; time.sleep(30)\",\"language\":\"python\",\"timeout\":1,"
     "\"envs\":{\"PATH\":\"/usr/bin:/bin\"}}", 408, NULL, "~REQUEST_TIMEOUT"},
    GET("metrics_are_new", "/system/metrics", 404, NULL),
    {"execute_large_output", RUN, "{\"command\":\"head -c 300000 /dev/zero | tr '\\\\0' x\"}", 200,
     NULL, "~xxxxxxxx"},
};
/* clang-format on */

static void put(const struct box *box, const char *name, const char *text)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", box->home, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void make_dir(const struct box *box, const char *name, mode_t mode)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", box->home, name);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void make_link(const struct box *box, const char *name, const char *target)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", box->home, name);
    assert_int_equal(symlink(target, path), 0);
}

static void set_time(const struct box *box, const char *name)
{
    /* 2026-06-01 10:00:00.12 UTC */
    const struct timespec when = {.tv_sec = 1780308000, .tv_nsec = 120000000};
    const struct timespec times[2] = {when, when};
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", box->home, name);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void populate(const struct box *box)
{
    static const char *const dirs[] = {"list",          "empty-dir", "tree",          "tree/sub",
                                       "tree/sub/deep", "bytes",     "bytes/dir\xff", "rmtree",
                                       "text",          "dir"};
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    char path[256];
    int fd;

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        make_dir(box, dirs[i], 0755);
    make_dir(box, "sticky", 01777);
    put(box, "a.txt", "hello\n");
    set_time(box, "a.txt");
    put(box, "list/A", "hello\n");
    set_time(box, "list/A");
    make_link(box, "list/link", "A");
    make_link(box, "list/dangling", "nowhere");
    make_link(box, "dangling", "nowhere");
    make_link(box, "dangling2", "nowhere");
    make_link(box, "dangling3", "target3");
    make_link(box, "loop", "loop");
    make_link(box, "dlink", "tree");
    make_link(box, "rmtree/out", "../tree");
    put(box, "rmtree/x", "x");
    put(box, "tree/one", "1");
    put(box, "tree/index.html", "<p>");
    put(box, "bytes/bad\xff", "b");
    put(box, "bytes/dir\xff/in", "in");
    put(box, "with space", "");
    put(box, "a;b", "");
    put(box, "new\nline", "");
    put(box, "digits", "0123456789");
    put(box, "empty", "");
    put(box,
        "sp\xc3\xa9"
        "cial",
        "");
    put(box, "modes", "");
    put(box, "rmfile", "");
    put(box, "mv1", "one");
    put(box, "trap", "x\r\n--DAYTONA-FILE-BOUNDARY\r\ny");
    put(box, "text/one", "first\na needle here\r\nlast\n");
    make_link(box, "text/dangling", "nowhere");
    put(box, "dir/in.txt", "inner");
    snprintf(path, sizeof(path), "%s/text/binary", box->home);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, "\0needle\n", 8), 8);
    close(fd);
    put(box, "suid", "");
    snprintf(path, sizeof(path), "%s/suid", box->home);
    assert_int_equal(chmod(path, 04755), 0);
    snprintf(path, sizeof(path), "%s/fifo", box->home);
    assert_int_equal(mkfifo(path, 0644), 0);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/socket", box->home);
    assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    close(fd);
}

static void check_all(bool isolated, bool facts_of_files)
{
    struct server_config config = {.no_isolation = !isolated, .fault = "state-delay=0"};
    struct box box;
    char moved[64];
    unsigned wrong;

    box_dirs(&box);
    populate(&box);
    if (box_start(&box, &config) == -EPERM && isolated) {
        box_end(&box);
        skip();
    }
    assert_non_null(box.server);
    wrong = facts_of_files ? check(&box, file_facts, ARRAY_LEN(file_facts), isolated)
                           : check(&box, execute_facts, ARRAY_LEN(execute_facts), isolated);
    box_end(&box);
    snprintf(moved, sizeof(moved), "/dev/shm/moved-%d", (int)getpid());
    unlink(moved);
    assert_int_equal(wrong, 0);
}

TEST(file_calls_answer_as_the_real_ones)
{
    check_all(false, true);
}

TEST(file_calls_answer_as_the_real_ones_when_isolated)
{
    check_all(true, true);
}

TEST(execute_answers_as_the_real_one)
{
    check_all(false, false);
}

TEST(execute_answers_as_the_real_one_when_isolated)
{
    check_all(true, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_calls_answer_as_the_real_ones),
        cmocka_unit_test(file_calls_answer_as_the_real_ones_when_isolated),
        cmocka_unit_test(execute_answers_as_the_real_one),
        cmocka_unit_test(execute_answers_as_the_real_one_when_isolated),
    };

    setenv("TZ", "UTC", 1);
    umask(022);
    return cmocka_run_group_tests_name("serve", tests, NULL, NULL);
}
