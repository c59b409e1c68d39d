/* sandbox_due.c - what becomes of sandboxes by themselves: when they are idle, or old. */
#include "server/server_internal.h"

#include "util/clock.h"

/* NULL: nothing is due. */
typedef int (*due_action)(struct sandbox *sb);

/* Times in ms. */
static due_action due_locked(const struct sandbox *sb, int64_t now, int64_t minute)
{
    const bool stopped = sb->state == SB_STOPPED;
    const int64_t age = now - sb->state_ms;

    if (sb->state != SB_STARTED && sb->state != SB_ARCHIVED && !stopped)
        return NULL;
    if (sb->ttl_min > 0 && now - sb->created_ms > sb->ttl_min * minute)
        return sandbox_delete;
    if (sb->state == SB_STARTED && sb->auto_pause_min > 0 && sb->in_use == 0 &&
        now - sb->active_ms > sb->auto_pause_min * minute)
        return sandbox_pause;
    if (sb->state == SB_STARTED)
        return sb->auto_stop_min > 0 && sb->in_use == 0 &&
                       now - sb->active_ms > sb->auto_stop_min * minute
                   ? sandbox_stop
                   : NULL;
    if (sb->auto_delete_min > 0 && age > sb->auto_delete_min * minute)
        return sandbox_delete;
    if (stopped && sb->auto_archive_min > 0 && sb->auto_delete_min != 0 &&
        age > sb->auto_archive_min * minute)
        return sandbox_archive;
    return NULL;
}

bool sandbox_do_due(struct server *s)
{
    struct fault_settings settings;
    due_action action = NULL;
    struct sandbox *sb;
    int r;

    fault_settings(s->fault, &settings);
    lock_take(&s->lock);
    sandbox_sweep_locked(s);
    for (sb = s->sandboxes; sb; sb = sb->next) {
        action = due_locked(sb, clock_real_ns() / NS_PER_MS, settings.minute_ns / NS_PER_MS);
        if (action)
            break;
    }
    if (sb)
        sandbox_ref_locked(sb);
    lock_drop(&s->lock);
    if (!sb)
        return false;
    r = action(sb);
    sandbox_unref(sb);
    return r == 0; /* else somebody was quicker; the next round sees what there is */
}
