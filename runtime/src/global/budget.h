/*
 * Purpose: what is known about a class over all shards: its name, its hard limit, its slots.
 * Owner:   global. Slots are reserved here before a slab is made, so a limit is never exceeded.
 * Threads: any. Design: [global.req.limit]
 */
#ifndef EMP_GLOBAL_BUDGET_H
#define EMP_GLOBAL_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"

/* Class-wide numbers. Statistics are relaxed sums. */
struct emp_budget {
    uint64_t slots;       /* atomic: budget. blocks in existing slabs */
    uint64_t limit;       /* atomic: budget. 0: none */
    uint64_t expansions;  /* atomic: budget */
    uint64_t shrinks;     /* atomic: budget */
    uint64_t failures;    /* atomic: budget */
    uint64_t tick_rounds; /* atomic: budget. ticks that gave memory of the class back */
    uint64_t tick_time;   /* atomic: budget. time of the last, ns */
    const char *name;     /* const while the class lives; NULL: a size class */
};

extern struct emp_budget emp_budgets[EMP_BINS];

/* Reserves up to `slots` for one more slab; returns how many may be used, 0: the limit is
   reached. */
unsigned emp_budget_reserve(uint32_t class_id, unsigned slots, uint64_t *before);

/* Takes back slots of a slab that ended or could not be made. */
void emp_budget_release(uint32_t class_id, unsigned slots);

/* Name of a class for events and reports: the pool's, or "class-<bytes>" written into buffer. */
const char *emp_budget_name(uint32_t class_id, char *buffer, size_t buffer_bytes);

#endif
