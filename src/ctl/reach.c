/* Ports that programs in the sandbox listen on, and links to ports and files. */
#include "ctl/reach.h"

#include "ctl/box.h"
#include "ctl/ctl_internal.h"
#include "ctl/ctltext.h"
#include "util/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <daytona/access.h>

#define TTL_NS (3600 * NS_PER_S) /* of a link, unless said */
#define TTL_MAX_NS (24 * TTL_NS)

/* 1 to 65535; 0: text is no port. */
static uint16_t port_of(const char *text, size_t len)
{
    unsigned long port = 0;

    if (len == 0 || len > 5 || text[0] == '0')
        return 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        port = port * 10 + (unsigned long)(text[i] - '0');
    }
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* "key value"; what comes from outside stays on its line. */
static int put_line(struct buf *out, const char *key, const char *value)
{
    int r = buf_printf(out, "%s ", key);

    if (r == 0)
        r = ctltext_escape(out, value, strlen(value));
    return r == 0 ? buf_putc(out, '\n') : r;
}

/* expires_s 0: a link that needs the token beside it. */
static int put_preview(struct ctl *ctl, uint16_t port, uint32_t expires_s, struct buf *out,
                       struct buf *why)
{
    struct daytona_preview preview;
    int r;

    if (expires_s)
        r = daytona_preview_signed_url(ctl->host.sandbox, port, expires_s, &preview);
    else
        r = daytona_preview_url(ctl->host.sandbox, port, &preview);
    if (r < 0) {
        ctl_sdk_why(why, r, "the service gives no link to that port");
        return r;
    }
    r = put_line(out, "url", preview.url);
    if (r == 0)
        r = put_line(out, "token", preview.token);
    daytona_preview_done(&preview);
    return r;
}

/* ---- ports/ ---- */

static int show_port(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    return put_preview(ctl, (uint16_t)(uintptr_t)obj, 0, out, why);
}

static const struct ctl_row port_row = {
    .mode = 0400,
    .kind = CTL_SNAPSHOT,
    .waits = true,
    .show = show_port,
    .help = "a link to it, and the token for its header X-Daytona-Preview-Token",
    .example = "cat $/ports/3000",
};

/* Any port can be asked for: what will listen may not do so yet. */
static int find_port(struct ctl *ctl, void *owner, const char *name, struct ctl_entry *ret)
{
    const uint16_t port = port_of(name, strlen(name));

    if (!port)
        return -ENOENT;
    *ret = (struct ctl_entry){.row = &port_row, .obj = (void *)(uintptr_t)port, .id = port};
    return 0;
}

static int list_ports(struct ctl *ctl, void *owner, struct ctl_list *list)
{
    uint16_t *ports = NULL;
    size_t count = 0;
    int r = daytona_ports_list(ctl->host.sandbox, &ports, &count);

    if (r == -EHOSTDOWN)
        return 0; /* nothing listens in what does not run */
    for (size_t i = 0; i < count && r == 0; i++) {
        char name[8];

        (void)snprintf(name, sizeof(name), "%u", ports[i]);
        if (ports[i])
            r = ctl_list_add(list, name, &port_row);
    }
    free(ports);
    return r;
}

const struct ctl_dir ports_dir = {
    .entry = &port_row, .takes = "PORT", .find = find_port, .list = list_ports};

/* ---- url ---- */

/* What follows "PORT signed": nothing, or how long the link is good for. */
static int parse_ttl(const char *text, size_t len, uint32_t *ret_s, struct buf *why)
{
    int64_t ttl_ns = TTL_NS;
    char *word = strndup(text, len);
    int r = word ? 0 : -ENOMEM;

    if (word && *word)
        r = units_parse_duration(word, &ttl_ns);
    free(word);
    if (r == 0 && (ttl_ns < NS_PER_S || ttl_ns > TTL_MAX_NS))
        r = -ERANGE;
    if (r < 0)
        (void)buf_puts(why, "a port's question is: PORT, or PORT signed, or PORT signed TIME, with "
                            "a time of 1s to 24h");
    *ret_s = (uint32_t)(ttl_ns / NS_PER_S);
    return r;
}

/* "3000", "3000 signed", "3000 signed 2h". 0: it is a path. */
static uint16_t port_asked(const char *text, size_t len, const char **ret_rest, size_t *ret_len)
{
    const size_t digits = strspn(text, "0123456789");
    const uint16_t port = port_of(text, digits);

    if (port && text[digits] == ' ') {
        *ret_rest = text + digits + 1;
        *ret_len = len - digits - 1;
        return strncmp(*ret_rest, "signed", 6) == 0 ? port : 0;
    }
    *ret_rest = NULL;
    return digits == len ? port : 0;
}

static int ask_port_url(struct ctl *ctl, uint16_t port, const char *rest, size_t len,
                        struct buf *out, struct buf *why)
{
    enum { SIGNED = 6 }; /* bytes of the word */
    uint32_t expires_s = 0;
    int r = 0;

    if (rest && len > SIGNED && rest[SIGNED] != ' ')
        r = parse_ttl("?", 1, &expires_s, why);
    else if (rest)
        r = parse_ttl(rest + SIGNED + (len > SIGNED), len - SIGNED - (len > SIGNED), &expires_s,
                      why);
    return r < 0 ? r : put_preview(ctl, port, expires_s, out, why);
}

static int ask_path_url(struct ctl *ctl, const char *path, struct buf *out, struct buf *why)
{
    const uint32_t ttl_s = TTL_NS / NS_PER_S;
    char *download = NULL, *upload = NULL;
    int r = daytona_files_download_url(ctl->host.sandbox, path, ttl_s, &download);

    if (r == 0)
        r = daytona_files_upload_url(ctl->host.sandbox, path, ttl_s, &upload);
    if (r == 0)
        r = put_line(out, "download", download);
    if (r == 0)
        r = put_line(out, "upload", upload);
    if (r == -EOPNOTSUPP)
        (void)buf_puts(why, "this service has no links to files: serve the file inside the sandbox "
                            "(run: python3 -m http.server 8000) and ask for the port's link");
    else if (r < 0)
        ctl_sdk_why(why, r, "there is no link to the file");
    free(download);
    free(upload);
    return r;
}

int ask_url(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *out,
            struct buf *why)
{
    const size_t line = len > 0 && text[len - 1] == '\n' ? len - 1 : len;
    const char *rest;
    char *path, *port_text = strndup(text, line);
    size_t rest_len = 0;
    uint16_t port;
    int r;

    if (!port_text)
        return -ENOMEM;
    port = port_asked(port_text, strlen(port_text), &rest, &rest_len);
    if (port) {
        r = ask_port_url(ctl, port, rest, rest_len, out, why);
    } else {
        r = ctl_path_asked(ctl, text, len, &path, why);
        if (r == 0) {
            /* Whoever follows the link finds what was written. */
            r = ctl_barrier(ctl->fs, why);
            if (r == 0)
                r = ask_path_url(ctl, path, out, why);
            free(path);
        }
    }
    free(port_text);
    return r;
}
