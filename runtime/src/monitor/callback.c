/*
 * Purpose: the writer and the reader of callback.h.
 * Owner:   monitor. Threads: as in the header.
 * Design:  [monitor.proto.callback] [monitor.inv.callback-pair]
 * Cost:    get: four loads; set: a mutex and three stores.
 */
#include "monitor/callback.h"

#include <stddef.h>

#include "sync/atomic.h"

void emp_callback_set(struct emp_callback_cell *cell, struct emp_callback_pair pair)
{
    emp_mutex_lock(&cell->writer);
    /* order(callback): relaxed; only writers write it and this is the only one */
    const uint64_t next = emp_load_relaxed(&cell->version) + 1;
    struct emp_callback_pair *const slot = &cell->slot[next % 2];
    /* order(callback): release; who sees these fields sees the version that made the slot stale */
    emp_store_release(&slot->function, pair.function);
    emp_store_release(&slot->arg, pair.arg);
    /* order(callback): release; both fields are visible before the version that names them */
    emp_store_release(&cell->version, next);
    emp_mutex_unlock(&cell->writer);
}

struct emp_callback_pair emp_callback_get(const struct emp_callback_cell *cell)
{
    struct emp_callback_pair pair;
    uint64_t before;
    uint64_t after;
    do {
        /* order(callback): acquire; the fields of this version are visible */
        before = emp_load_acquire(&cell->version);
        const struct emp_callback_pair *const slot = &cell->slot[before % 2];
        /* order(callback): acquire; a field of a later version brings that version along */
        pair.function = emp_load_acquire(&slot->function);
        pair.arg = emp_load_acquire(&slot->arg);
        /* order(callback): relaxed; ordered behind the fields by their acquire */
        after = emp_load_relaxed(&cell->version);
    } while (before != after);
    return pair;
}

void emp_callback_reset_in_child(struct emp_callback_cell *cell)
{
    emp_mutex_reset_in_child(&cell->writer);
}
