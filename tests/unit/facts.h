/* facts.h - what was observed of the real service, as tables, and the judge of a server by them. */
#ifndef TESTS_FACTS_H
#define TESTS_FACTS_H

#include "raw_http.h"

/* A row says what it cares about. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

struct fact {
    const char *name;
    const char *method, *call; /* below /toolbox/ID, or whole when it starts with "//" */
    const char *headers;       /* lines; NULL: none */
    const char *body;
    int status;
    const char *header; /* "Name: value" that the answer has; "Name:" alone: has not. NULL */
    const char *want;   /* body, see body_fits */
    const char *keep;   /* a JSON string of the answer, which later rows call @KEEP; NULL */
};

/* Most rows: a GET, a POST of JSON, another call without a body; status and body. */
#define JSON_IN "Content-Type: application/json\r\n"
#define GET(what, call_, status_, want_) BARE(what, "GET", call_, status_, want_)
#define BARE(what, method_, call_, status_, want_)                                                 \
    {                                                                                              \
        .name = (what), .method = (method_), .call = (call_), .status = (status_), .want = (want_) \
    }
#define POST_JSON(what, call_, body_, status_, want_)                                              \
    {                                                                                              \
        .name = (what), .method = "POST", .call = (call_), .headers = JSON_IN, .body = (body_),    \
        .status = (status_), .want = (want_)                                                       \
    }

/* What the table cannot know. */
struct words {
    const char *name;
    char value[600];
};

static inline void fill_in(const char *text, const struct words *words, size_t count, char *out,
                           size_t size)
{
    size_t n = 0;

    while (text && *text && n + 1 < size) {
        bool found = false;

        for (size_t i = 0; *text == '@' && !found && i < count; i++) {
            const size_t len = strlen(words[i].name);

            if (strncmp(text, words[i].name, len) == 0) {
                n += (size_t)snprintf(out + n, size - n, "%s", words[i].value);
                text += len;
                found = true;
            }
        }
        if (!found)
            out[n++] = *text++;
    }
    out[n] = '\0';
}

static inline bool header_fits(const struct answer *a, const char *want)
{
    const char *colon = strchr(want, ':'), *value;
    char name[64];

    snprintf(name, sizeof(name), "%.*s", (int)(colon - want), want);
    value = header(a, name);
    if (colon[1] == '\0')
        return !value;
    return value && strcmp(value, colon + 2) == 0;
}

/* The value of "key":"value" in a body. */
static inline void keep_string(const struct answer *a, const char *key, char *out, size_t size)
{
    char want[64];
    const char *p;

    snprintf(want, sizeof(want), "\"%s\":\"", key);
    p = strstr(buf_str(&a->body), want);
    if (!p)
        fail_msg("no %s in %s", key, buf_str(&a->body));
    p += strlen(want);
    snprintf(out, size, "%.*s", (int)strcspn(p, "\""), p);
}

static inline unsigned check(const struct box *box, const struct fact *facts, size_t count,
                             bool isolated)
{
    struct words words[] = {{.name = "@ID"},   {.name = "@WORK"}, {.name = "@U"},   {.name = "@G"},
                            {.name = "@LONG"}, {.name = "@TMP"},  {.name = "@KEEP"}};
    unsigned wrong = 0;

    snprintf(words[0].value, 600, "%s", box->id);
    snprintf(words[1].value, 600, "%s", isolated ? "/home/daytona" : box->home);
    snprintf(words[2].value, 600, "%u", geteuid());
    snprintf(words[3].value, 600, "%u", getegid());
    memset(words[4].value, 'l', 300);
    /* Another file system: the sandbox's own /tmp, or the host's /dev/shm. */
    snprintf(words[5].value, 600, isolated ? "/tmp/moved" : "/dev/shm/moved-%d", (int)getpid());
    for (size_t i = 0; i < count; i++) {
        const struct fact *f = &facts[i];
        char call[2048], want[4096], head[1024], body[4096];
        struct answer a;

        fill_in(f->call, words, ARRAY_LEN(words), call, sizeof(call));
        fill_in(f->want, words, ARRAY_LEN(words), want, sizeof(want));
        fill_in(f->header, words, ARRAY_LEN(words), head, sizeof(head));
        fill_in(f->body, words, ARRAY_LEN(words), body, sizeof(body));
        a = strncmp(call, "//", 2) == 0
                ? ask(box, f->method, call + 1, f->headers, f->body ? body : NULL)
                : ask_box(box, f->method, call, f->headers, f->body ? body : NULL);
        if (a.status != f->status || (f->header && !header_fits(&a, head)) ||
            (a.cut && strcmp(f->method, "HEAD") != 0) || !body_fits(&a, f->want ? want : NULL)) {
            print_error("%s: wanted %d [%s] [%s]\n   got %s[%s]%s\n", f->name, f->status,
                        f->header ? head : "", f->want ? want : "", buf_str(&a.head),
                        buf_str(&a.body), a.cut ? " (cut)" : "");
            wrong++;
        }
        if (f->keep)
            keep_string(&a, f->keep, words[6].value, sizeof(words[6].value));
        answer_done(&a);
    }
    return wrong;
}

/* All rows against a server of their own. */
#define check_facts(facts, fault, isolated)                                                        \
    check_in_box((facts), ARRAY_LEN(facts), (fault), (isolated))
static inline void check_in_box(const struct fact *facts, size_t count, const char *fault,
                                bool isolated)
{
    struct box box = start_box(fault, isolated, false);
    const unsigned wrong = check(&box, facts, count, isolated);

    box_end(&box);
    assert_int_equal(wrong, 0);
}

#endif
