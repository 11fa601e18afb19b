/*
 * Purpose: the rows by file; list.c puts them in the order of the tables.
 * Owner:   bench/async; constants.
 */
#ifndef BENCH_ASYNC_GROUPS_H
#define BENCH_ASYNC_GROUPS_H

#include "async/row.h"

extern const struct async_group async_task_group;
extern const struct async_group async_future_group;
extern const struct async_group async_coroutine_group;
extern const struct async_group async_skynet_group;
extern const struct async_group async_channel_group;
extern const struct async_group async_ping_group;
extern const struct async_group async_select_group;
extern const struct async_group async_idle_group;
extern const struct async_group async_wake_group;
extern const struct async_group async_timer_group;
extern const struct async_group async_pool_group;

#endif
