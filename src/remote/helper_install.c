/*
 * Where the helper is in the sandbox, and how it gets there.
 *
 * It lives under its content's hash in a folder of the user's own, mode 0700: so it is sent once,
 * versions do not disturb each other, and no other user of the sandbox can put something in its
 * place. The first folder of the list that can be made, and from which programs may be run, is
 * taken.
 */
#include "remote/helper_internal.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/path.h"

#include <daytona/files.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMAND_MAX = 64 << 10, TEXT_MAX = 1 << 20, UPLOAD_S = 30, SWEEP_DAYS = 30 };

static const struct helper_way way = {.answer_max = TEXT_MAX, .more_s = UPLOAD_S};

/* What the scripts below say of themselves: TOKEN, one of these, and "ARCH:DIR" up to the end of
 * the line. */
enum mark { MARK_RUNS = '@', MARK_READY = '=', MARK_NONE = '!' };

struct place {
    enum mark mark;
    const struct helper_program *program;
    char dir[HELPER_DIR_MAX];
};

/* What is put between double quotes in later commands, and a path that is what it seems. */
static bool dir_is_plain(const char *dir)
{
    char *resolved = dir[0] == '/' ? path_resolve("/", dir) : NULL;
    bool good = resolved && strcmp(resolved, dir) == 0;

    free(resolved);
    for (; good && *dir; dir++)
        good = isalnum((unsigned char)*dir) || strchr("/._-+@,", *dir);
    return good;
}

static const struct helper_program *program_for(const struct helper *h, const char *arch)
{
    for (size_t i = 0; i < h->program_count; i++) {
        if (strcmp(h->programs[i].arch, arch) == 0)
            return &h->programs[i];
    }
    return NULL;
}

static int say(struct buf *why, int r, const char *sentence)
{
    if (why)
        (void)buf_puts(why, sentence); /* a reason cut short is still a reason */
    return r;
}

/* Finds the mark. -EOPNOTSUPP with the reason if there is none, or it is MARK_NONE. */
static int take_place(const struct helper *h, const char *token, const char *text,
                      struct place *ret, struct buf *why)
{
    char arch[HELPER_ARCH_MAX] = "";
    const char *p = text;
    size_t n;

    do {
        p = strstr(p, token);
        if (!p)
            return say(why, -EOPNOTSUPP, "the sandbox's shell does not run commands");
        p += strlen(token);
    } while (*p != MARK_RUNS && *p != MARK_READY && *p != MARK_NONE);
    ret->mark = (enum mark) * p++;
    n = strcspn(p, ":\n");
    if (n < sizeof(arch))
        snprintf(arch, sizeof(arch), "%.*s", (int)n, p);
    ret->program = program_for(h, arch);
    if (!ret->program)
        return say(why, -EOPNOTSUPP, "there is no helper for the sandbox's architecture");
    if (ret->mark == MARK_NONE)
        return say(why, -EOPNOTSUPP, "the sandbox has no folder from which programs can be run");
    p += n + (p[n] == ':');
    n = strcspn(p, "\n");
    if (n >= sizeof(ret->dir))
        return say(why, -EOPNOTSUPP, "the sandbox's folder for it has an odd name");
    snprintf(ret->dir, sizeof(ret->dir), "%.*s", (int)n, p);
    if (!dir_is_plain(ret->dir))
        return say(why, -EOPNOTSUPP, "the sandbox's folder for it has an odd name");
    return 0;
}

/* ---- looking for it ---- */

static int put_names(const struct helper *h, struct buf *out)
{
    int r = buf_puts(out, "m=$(uname -m);n=;case $m in ");

    for (size_t i = 0; i < h->program_count && r == 0; i++)
        r = buf_printf(out, "%s) n=h-%s;;", h->programs[i].arch, h->programs[i].hash);
    return r < 0 ? r : buf_puts(out, "esac;");
}

static int put_loop(const struct helper *h, struct buf *out)
{
    return buf_printf(out,
                      "for d in \"/var/tmp/.daytonafs-%u\" \"${HOME:+$HOME/.cache/daytonafs}\" "
                      "\"/tmp/.daytonafs-%u\";do ",
                      h->info.uid, h->info.uid);
}

/* Runs what is there, unless it is broken; if nothing is, makes a folder and says which. */
static int put_search(const struct helper *h, const char *token, const char *word, bool broken,
                      struct buf *out)
{
    int r = buf_puts(out, "sh -c '{ ");

    if (r == 0)
        r = put_names(h, out);
    if (r == 0 && !broken)
        r = put_loop(h, out);
    if (r == 0 && !broken)
        r = buf_printf(out,
                       "[ -n \"$n\" ]&&[ -O \"$d\" ]&&[ ! -L \"$d\" ]&&[ -f \"$d/$n\" ]&&"
                       "\"$d/$n\" %s %s&&{ echo \"%s%c$m:$d\";exit 0; };done;",
                       token, word, token, MARK_RUNS);
    if (r == 0)
        r = put_loop(h, out);
    if (r == 0)
        r = buf_printf(out,
                       "[ -n \"$d\" ]||continue;[ -d \"$d\" ]||{ mkdir -p \"${d%%/*}\";"
                       "mkdir -m 700 \"$d\"; };"
                       "[ -O \"$d\" ]&&[ -d \"$d\" ]&&[ ! -L \"$d\" ]&&chmod 700 \"$d\"||continue;"
                       "t=\"$d/t-%s\";printf \"#!/bin/sh\\nexit 7\\n\" >\"$t\";chmod 700 \"$t\";"
                       "\"$t\";s=$?;rm -f \"$t\";"
                       "[ $s = 7 ]&&{ echo \"%s%c$m:$d\";exit 0; };done;"
                       "echo \"%s%c$m:\"; } 2>/dev/null' </dev/null",
                       token, token, MARK_READY, token, MARK_NONE);
    return r;
}

/* ret->mark says if it runs; then raw has its answer to INFO. */
static int search(struct helper *h, const char *word, bool broken, struct place *ret,
                  struct buf *raw, struct buf *why)
{
    struct buf command = BUF_INIT(COMMAND_MAX), text = BUF_INIT(TEXT_MAX);
    char token[HELPER_TOKEN_LEN + 1];
    int r = helper_token(token);

    if (r == 0)
        r = put_search(h, token, word, broken, &command);
    if (r == 0)
        r = helper_run(h, buf_str(&command), &way, &text);
    if (r == 0)
        r = take_place(h, token, buf_str(&text), ret, why);
    if (r == 0 && ret->mark == MARK_RUNS)
        r = answer_text(token, buf_str(&text), text.len, raw);
    buf_done(&command);
    buf_done(&text);
    return r;
}

/* ---- putting it there ---- */

static int upload(struct helper *h, const struct place *place, const char *token)
{
    char path[HELPER_DIR_MAX + HELPER_TOKEN_LEN + 8];
    const struct daytona_upload up = {
        .path = path, .data = place->program->bytes, .fd = -1, .len = place->program->len};

    snprintf(path, sizeof(path), "%s/u-%s", place->dir, token);
    return daytona_files_upload(h->sandbox, &up);
}

/*
 * What was uploaded gets its name only if it is what was sent; where there is no sha256sum its
 * length has to do, and the helper's own answer, which is checksummed. Files of other versions go
 * when they are old: another mount may be using them.
 */
static int put_settle(const struct place *place, const char *token, const char *word,
                      struct buf *out)
{
    const char *hash = place->program->hash;

    return buf_printf(out,
                      "sh -c '{ d=\"%s\";f=\"$d/u-%s\";n=\"$d/h-%s\";"
                      "[ -O \"$d\" ]&&[ ! -L \"$d\" ]&&[ -f \"$f\" ]||exit 1;"
                      "s=$(sha256sum <\"$f\");case \"$s\" in %s*) ;;"
                      "\"\") [ \"$(wc -c <\"$f\")\" -eq %zu ]||{ rm -f \"$f\";exit 1; };;"
                      "*) rm -f \"$f\";exit 1;;esac;"
                      "chmod 700 \"$f\"&&mv -f \"$f\" \"$n\"||exit 1;"
                      "find \"$d\" -type f ! -name \"h-%s\" -mtime +%d -exec rm -f {} \\;;"
                      "exec \"$n\" %s %s; } 2>/dev/null' </dev/null",
                      place->dir, token, hash, hash, place->program->len, hash, SWEEP_DAYS, token,
                      word);
}

/* -ENODATA: it arrived damaged, or does not run. */
static int put_there(struct helper *h, const struct place *place, const char *word, struct buf *raw)
{
    struct buf command = BUF_INIT(COMMAND_MAX), text = BUF_INIT(TEXT_MAX);
    char token[HELPER_TOKEN_LEN + 1];
    int r = helper_token(token);

    if (r == 0)
        r = upload(h, place, token);
    if (r == 0)
        r = put_settle(place, token, word, &command);
    if (r == 0)
        r = helper_run(h, buf_str(&command), &way, &text);
    if (r == 0)
        r = answer_text(token, buf_str(&text), text.len, raw);
    buf_done(&command);
    buf_done(&text);
    return r;
}

static bool is_network(int r)
{
    return r == -EHOSTDOWN || r == -ETIMEDOUT || r == -ECONNRESET || r == -ECONNREFUSED ||
           r == -EHOSTUNREACH || r == -EINTR || r == -ECANCELED || r == -ENOMEM;
}

static int find_or_put(struct helper *h, bool broken, struct place *ret, struct buf *raw,
                       struct buf *why)
{
    const size_t start = raw->len;
    struct proto_request info = {.verb = PROTO_VERB_INFO, .root = (char *)"/"};
    struct buf word = BUF_INIT(COMMAND_MAX);
    int r = helper_word(&info, &word);

    if (r == 0)
        r = search(h, buf_str(&word), broken, ret, raw, why);
    if (!broken && (r == -ENODATA || r == -EPROTO)) { /* something else has its name */
        buf_truncate(raw, start);
        r = search(h, buf_str(&word), true, ret, raw, why);
    }
    if (r == 0 && ret->mark == MARK_READY) {
        r = put_there(h, ret, buf_str(&word), raw);
        if (r < 0 && !is_network(r)) { /* once more: a broken upload is worth it */
            buf_truncate(raw, start);
            r = put_there(h, ret, buf_str(&word), raw);
        }
        if (r < 0 && !is_network(r))
            r = say(why, -EOPNOTSUPP, "the helper could not be put into the sandbox, or not run");
    }
    buf_done(&word);
    return r;
}

/* True: it is this thread's turn. False: another one has done it. -EINTR. */
static int take_turn_locked(struct helper *h, unsigned installs)
{
    static const int64_t look_again_ns = 50 * NS_PER_MS; /* a cancel does not signal */

    while (h->installing) {
        (void)lock_wait_until(&h->lock, &h->settled, clock_mono_ns() + look_again_ns);
        if (cancel_fired(cancel_bound()))
            return -EINTR;
    }
    return h->installs == installs;
}

int helper_install(struct helper *h, unsigned installs, bool broken, struct buf *raw,
                   struct buf *why)
{
    struct buf own = BUF_INIT(TEXT_MAX);
    struct place place;
    int r;

    lock_take(&h->lock);
    r = take_turn_locked(h, installs);
    if (r > 0)
        h->installing = true;
    lock_drop(&h->lock);
    if (r <= 0)
        return r;

    r = find_or_put(h, broken, &place, raw ? raw : &own, why);
    lock_take(&h->lock);
    if (r == 0) {
        memcpy(h->dir, place.dir, sizeof(h->dir));
        h->program = place.program;
        h->installs++;
    }
    h->installing = false;
    pthread_cond_broadcast(&h->settled);
    lock_drop(&h->lock);
    buf_done(&own);
    return r;
}
