/*
 * What scripts in the sandbox say of jobs. The first byte says which of them; nothing that comes
 * out may break what the header promises.
 */
#include "remote/plain_job.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

static void check_job(const struct remote_job *job)
{
    CHECK(job->exit_code >= 0 && job->exit_code <= 255);
    CHECK(job->started_ns >= 0 && job->ended_ns >= 0);
    CHECK(!job->input_open || job->phase == REMOTE_JOB_RUNNING);
}

static void check_list(const char *lines, const char *files)
{
    struct plain_job_status *v;
    size_t count;

    if (plain_job_parse_list(lines, files, &v, &count) < 0)
        return;
    for (size_t i = 0; i < count; i++) {
        check_job(&v[i].job);
        CHECK(v[i].job.id > 0 && v[i].job.name && v[i].job.line && v[i].job.cwd);
        CHECK(!*v[i].job.name || remote_job_name_valid(v[i].job.name));
        remote_job_done(&v[i].job);
    }
    free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plain_job_status status;
    uint64_t id;
    bool begun;
    char *text, *half;

    if (size == 0 || size > 1 << 16)
        return 0;
    text = strndup((const char *)data + 1, size - 1);
    CHECK(text);
    half = strchr(text, '\f');
    switch (data[0] % 3) {
    case 0:
        if (plain_job_parse_made(text, &id, &begun) == 0)
            CHECK(id > 0);
        break;
    case 1:
        if (plain_job_parse_status(text, 1, &status) == 0)
            check_job(&status.job);
        break;
    default:
        if (half)
            *half++ = '\0';
        check_list(text, half ? half : "");
    }
    free(text);
    return 0;
}
