/* The public names of util/cancel.h: a struct daytona_cancel is a struct cancel. */
#include "util/cancel.h"

#include <daytona/cancel.h>
#include <stddef.h>

struct daytona_cancel *daytona_cancel_new(void)
{
    return (struct daytona_cancel *)cancel_new();
}

struct daytona_cancel *daytona_cancel_free(struct daytona_cancel *cancel)
{
    cancel_unref((struct cancel *)cancel);
    return NULL;
}

void daytona_cancel_fire(struct daytona_cancel *cancel)
{
    cancel_fire((struct cancel *)cancel);
}

struct daytona_cancel *daytona_cancel_bind(struct daytona_cancel *cancel)
{
    return (struct daytona_cancel *)cancel_bind((struct cancel *)cancel);
}
