/*
 * Purpose: small numbers for static things, such as types: given at the first use, kept for ever.
 * Owner:   sync. Roles: users (any thread).
 *
 *   thing without number --give (the first, or several first at once)--> number n, entry n known
 *
 * Invariants: I1 an entry is written once, by who took its number, before the number is shown. I2
 *   of threads that come first at once each takes a number; all of them name the thing.
 * Linearisation: the swap of `used`; the store of the number.
 * Order table: number-table: the store of the number releases the entry, whoever reads it
 *   acquires.
 * Progress: lock-free. ABA: numbers only grow.
 * Does not promise: one number per thing.
 * Threads: any. Design: [sync.proto.number-table]
 */
#ifndef EMP_SYNC_NUMBER_TABLE_H
#define EMP_SYNC_NUMBER_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "sync/atomic.h"

struct emp_number_table {
    const void **entries; /* const; by number, entry 0 stays NULL */
    uint32_t limit;       /* const; entries */
    uint32_t used;        /* atomic: number-table. the last number given */
};

/* The number of a thing, which keeps it in *number (0: none yet); 0: there are no more. */
static inline uint32_t emp_number_table_give(struct emp_number_table *table, const void *thing,
                                             uint32_t *number)
{
    /* order(number-table): acquire; the entry */
    uint32_t known = emp_load_acquire(number);

    if (known != 0) {
        return known;
    }
    /* order(number-table): relaxed; a number, the swap decides who has it */
    uint32_t last = emp_load_relaxed(&table->used);

    do {
        if (last + 1 >= table->limit) {
            return 0;
        }
        /* order(number-table): relaxed; as above */
    } while (!emp_cas_relaxed(&table->used, &last, last + 1));
    table->entries[last + 1] = thing;
    /* order(number-table): release; the entry */
    emp_store_release(number, last + 1);
    return last + 1;
}

/* The thing of a number that was given; NULL for 0. */
static inline const void *emp_number_table_at(const struct emp_number_table *table, uint32_t number)
{
    return number == 0 ? NULL : table->entries[number];
}

#endif
