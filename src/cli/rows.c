/* Answers that are tables: aligned text for people, JSON for programs. */
#include "cli/cli.h"

#include "wire/json.h"

#include "util/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX = 256 << 20 };

void cli_rows_init(struct cli_rows *rows, const struct cli_column *columns, size_t width)
{
    *rows = (struct cli_rows){.columns = columns, .width = width};
}

void cli_rows_done(struct cli_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        free(rows->cells[i]);
    free(rows->cells);
    rows->cells = NULL;
    rows->count = 0;
}

int cli_rows_add(struct cli_rows *rows, const char *const *cells)
{
    const size_t count = rows->count;
    char **more = realloc(rows->cells, (count + rows->width) * sizeof(*more));

    if (!more)
        return -ENOMEM;
    rows->cells = more;
    for (size_t i = 0; i < rows->width; i++) {
        more[count + i] = cells[i] ? strdup(cells[i]) : NULL;
        rows->count++;
        if (cells[i] && !more[count + i]) {
            while (rows->count > count)
                free(more[--rows->count]);
            return -ENOMEM;
        }
    }
    return 0;
}

static void put_json_row(struct json_out *o, const struct cli_rows *rows, char *const *cells)
{
    json_open(o, '{');
    for (size_t i = 0; i < rows->width; i++) {
        json_key(o, rows->columns[i].key);
        if (!cells[i])
            json_null(o);
        else if (rows->columns[i].type == CELL_TEXT)
            json_string(o, cells[i]);
        else if (rows->columns[i].type == CELL_BOOL)
            json_bool(o, strcmp(cells[i], "true") == 0);
        else
            json_double(o, strtod(cells[i], NULL));
    }
    json_close(o, '}');
}

/* Columns of the terminal that UTF-8 text takes, near enough: one a character. */
static size_t columns_of(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static int put_padded(struct buf *out, const char *text, size_t width, bool last)
{
    int r = text_plain(out, text);

    for (size_t n = columns_of(text); r == 0 && !last && n < width + 2; n++)
        r = buf_putc(out, ' ');
    return r;
}

static size_t width_of(const struct cli_rows *rows, size_t column)
{
    size_t width = strlen(rows->columns[column].title);

    for (size_t i = column; i < rows->count; i += rows->width) {
        const size_t n = rows->cells[i] ? columns_of(rows->cells[i]) : 1;

        width = n > width ? n : width;
    }
    return width;
}

static int put_text(const struct cli_rows *rows, struct buf *out)
{
    size_t *widths = calloc(rows->width, sizeof(*widths)), last = 0;
    int r = widths ? 0 : -ENOMEM;

    for (size_t c = 0; r == 0 && c < rows->width; c++) {
        if (!rows->columns[c].title)
            continue;
        widths[c] = width_of(rows, c);
        last = c;
    }
    for (size_t row = 0; r == 0 && row <= rows->count / rows->width; row++) {
        for (size_t c = 0; r == 0 && c <= last; c++) {
            const char *cell;

            if (!rows->columns[c].title)
                continue;
            cell = row == 0 ? rows->columns[c].title : rows->cells[(row - 1) * rows->width + c];
            r = put_padded(out, cell && *cell ? cell : "-", widths[c], c == last);
        }
        if (r == 0)
            r = buf_putc(out, '\n');
    }
    free(widths);
    return r;
}

static int finish(struct buf *out, int r)
{
    int code = EXITCODE_OK;

    if (r < 0)
        code = cli_fail_errno(r, "the answer is too large");
    else
        fwrite(out->data, 1, out->len, stdout);
    buf_done(out);
    return code;
}

int cli_rows_print(const struct cli_rows *rows, bool json)
{
    struct buf out = BUF_INIT(ANSWER_MAX);
    struct json_out o = {.buf = &out};

    if (!json)
        return finish(&out, put_text(rows, &out));
    json_open(&o, '[');
    for (size_t i = 0; i < rows->count; i += rows->width)
        put_json_row(&o, rows, rows->cells + i);
    json_close(&o, ']');
    return finish(&out, o.err < 0 ? o.err : buf_putc(&out, '\n'));
}

int cli_rows_print_one(const struct cli_rows *rows, bool json)
{
    struct buf out = BUF_INIT(ANSWER_MAX);
    struct json_out o = {.buf = &out};
    size_t width = 0;
    int r = 0;

    if (json) {
        put_json_row(&o, rows, rows->cells);
        return finish(&out, o.err < 0 ? o.err : buf_putc(&out, '\n'));
    }
    for (size_t i = 0; i < rows->width; i++) {
        const size_t n = strlen(rows->columns[i].key);

        width = n > width ? n : width;
    }
    for (size_t i = 0; r == 0 && i < rows->width; i++) {
        if (!rows->cells[i] || !*rows->cells[i])
            continue;
        r = put_padded(&out, rows->columns[i].key, width, false);
        if (r == 0)
            r = put_padded(&out, rows->cells[i], 0, true);
        if (r == 0)
            r = buf_putc(&out, '\n');
    }
    return finish(&out, r);
}
