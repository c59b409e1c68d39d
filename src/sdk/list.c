/* The sandboxes of the organization, page by page. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "util/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_PAGES_MAX = 1000 };

void daytona_sandbox_list_free(struct daytona_sandbox_info *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        daytona_sandbox_info_done(&list[i]);
    free(list);
}

static int labels_json(const struct daytona_pair *labels, size_t count, struct buf *out)
{
    struct json_out o = {.buf = out};

    if (count == 0)
        return 0;
    call_pairs(&o, labels, count);
    return o.err;
}

struct info_list {
    struct daytona_sandbox_info *list;
    size_t count;
};

static int add_page(struct info_list *all, const struct wire_page *page)
{
    struct daytona_sandbox_info *more =
        realloc(all->list, (all->count + page->count + 1) * sizeof(*more));

    if (!more)
        return -ENOMEM;
    all->list = more;
    for (size_t i = 0; i < page->count; i++) {
        const int r = sandbox_info_fill(&page->items[i], &all->list[all->count]);

        if (r < 0)
            return r;
        all->count++;
    }
    return 0;
}

/* What does not change from page to page. */
static int fill_query(const struct daytona_sandbox_query *q, const char *labels, struct call *call)
{
    const struct call_query fixed[] = {{"labels", labels},
                                       {"id", q->id},
                                       {"name", q->name},
                                       {"sort", q->sort},
                                       {"order", q->order}};
    size_t n = 2; /* behind the cursor and the limit */

    if (q->state_count > ARRAY_LEN(call->query) - ARRAY_LEN(fixed) - n)
        return error_set(-EINVAL, "too many states to ask for");
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        call->query[n++] = fixed[i];
    for (size_t i = 0; i < q->state_count; i++)
        call->query[n++] = (struct call_query){"states", q->states[i]};
    return 0;
}

/* Moves *cursor on; "" after the last page. */
static int list_page(struct daytona_client *client, struct call *call, char **cursor,
                     struct info_list *all)
{
    struct http_response response;
    struct wire_page page = {0};
    int r;

    call->query[0] = (struct call_query){"cursor", **cursor ? *cursor : NULL};
    r = call_api(client, call, &response);
    if (r < 0)
        return r;
    r = wire_page_read(buf_str(&response.body), response.body.len, &page);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    if (r == 0)
        r = error_default(add_page(all, &page));
    if (r == 0 && page.next_cursor[0] && strcmp(page.next_cursor, *cursor) == 0)
        r = error_set(-EPROTO, "the list of sandboxes does not come to an end");
    if (r == 0) {
        free(*cursor);
        *cursor = page.next_cursor;
        page.next_cursor = NULL;
    }
    wire_page_done(&page);
    return r;
}

int daytona_sandbox_find(struct daytona_client *client, const struct daytona_sandbox_query *query,
                         struct daytona_sandbox_info **ret, size_t *ret_count)
{
    static const struct daytona_sandbox_query everything;
    const struct daytona_sandbox_query *q = query ? query : &everything;
    struct call call = {
        .name = "listSandboxes",
        .method = "GET",
        .path = "",
        .query = {{"cursor", NULL}, {"limit", "100"}},
        .flags = HTTP_IDEMPOTENT,
        .body_max = 16 << 20,
    };
    struct buf labels = BUF_INIT(32 << 10);
    struct info_list all = {0};
    char *cursor = strdup("");
    unsigned pages = 0;
    int r;

    error_begin("listSandboxes");
    r = error_default(cursor ? labels_json(q->labels, q->label_count, &labels) : -ENOMEM);
    if (r == 0)
        r = fill_query(q, labels.len > 0 ? labels.data : NULL, &call);
    while (r == 0) {
        if (pages++ == LIST_PAGES_MAX)
            r = error_set(-EFBIG, "more than %d pages of sandboxes", LIST_PAGES_MAX);
        else
            r = list_page(client, &call, &cursor, &all);
        if (r == 0 && !cursor[0])
            break;
    }
    free(cursor);
    buf_done(&labels);
    if (r < 0) {
        daytona_sandbox_list_free(all.list, all.count);
        return r;
    }
    *ret = all.list;
    *ret_count = all.count;
    return 0;
}

int daytona_sandbox_list(struct daytona_client *client, const struct daytona_pair *labels,
                         size_t label_count, struct daytona_sandbox_info **ret, size_t *ret_count)
{
    const struct daytona_sandbox_query query = {.labels = labels, .label_count = label_count};

    return daytona_sandbox_find(client, &query, ret, ret_count);
}
