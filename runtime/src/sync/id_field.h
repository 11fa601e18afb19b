/*
 * Purpose: where an object notes its id: none yet, one, or closed for ever because it has ended.
 * Owner:   sync. Roles: askers (any thread that holds the object), one closer (who ends it).
 *
 *   none 0 --set (the first asker)--> id --close--> closed            none --close--> closed
 *
 * Invariants: I1 an object has one id at most. I2 the closer gets every id that was set, so it can
 *   end it; behind it none is set.
 * Linearisation: the swap; the exchange.
 * Order table: id-field: set releases the slot that was begun; close and look acquire it.
 * Progress: wait-free. ABA: closed is for ever.
 * Does not promise: that an asker who lost knows the id: it may be closed meanwhile.
 * Threads: any. Design: [sync.proto.id-field]
 */
#ifndef EMP_SYNC_ID_FIELD_H
#define EMP_SYNC_ID_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/atomic.h"

#define EMP_ID_CLOSED UINT64_MAX

/* The id; 0: none yet; EMP_ID_CLOSED. */
static inline uint64_t emp_id_field_look(const uint64_t *field)
{
    /* order(id-field): acquire; the slot: who has the id finds the object */
    return emp_load_acquire(field);
}

/* Notes an id that was begun for the object; false: there is one, or it is closed. */
static inline bool emp_id_field_set(uint64_t *field, uint64_t id)
{
    uint64_t expected = 0;

    /* order(id-field): release; the slot, for who ends it */
    return emp_cas_release(field, &expected, id);
}

/* No id from now on. Returns the one that there was; 0: none. */
static inline uint64_t emp_id_field_close(uint64_t *field)
{
    /* order(id-field): acquire; the slot, which the caller ends */
    return emp_exchange_acquire(field, EMP_ID_CLOSED);
}

#endif
