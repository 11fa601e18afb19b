/*
 * Purpose: all rows in the order of the tables.
 * Owner:   bench/async; constants, any thread.
 */
#include "async/groups.h"

#include <string.h>

static const struct async_group *const groups[] = {
    &async_task_group,    &async_future_group, &async_coroutine_group, &async_skynet_group,
    &async_channel_group, &async_ping_group,   &async_select_group,    &async_idle_group,
    &async_wake_group,    &async_timer_group,  &async_pool_group,
};

#define GROUPS (sizeof groups / sizeof groups[0])

size_t async_row_count(void)
{
    size_t count = 0;

    for (size_t i = 0; i < GROUPS; i++) {
        count += groups[i]->count;
    }
    return count;
}

const struct async_row *async_row_at(size_t index)
{
    for (size_t i = 0; i < GROUPS; i++) {
        if (index < groups[i]->count) {
            return &groups[i]->rows[index];
        }
        index -= groups[i]->count;
    }
    return NULL;
}

const struct async_row *async_row_find(const char *name)
{
    for (size_t i = 0; i < async_row_count(); i++) {
        if (strcmp(async_row_at(i)->name, name) == 0) {
            return async_row_at(i);
        }
    }
    return NULL;
}
