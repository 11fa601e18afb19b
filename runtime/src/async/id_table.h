/*
 * Purpose: numbers for objects: an id names an object until that ends, and never another one after.
 *          A table per pool; slots lie in leaves of doubling size that never move.
 * Owner:   async; core makes and ends the table with its pool. Leaves come from the heap on demand
 *          and go back with the table.
 * Threads: any, without locks.
 * Design:  [async.proto.id]
 */
#ifndef EMP_ASYNC_ID_TABLE_H
#define EMP_ASYNC_ID_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "async/handle.h"

/* The short flavour of the first 2^20 slots. 31-20: low bits of the generation | 19-0: slot. */
#define EMP_ID32_SLOT_BITS 20u

/* 29 bits, so that an id also fits into a tagged handle. */
#define EMP_ID_SLOTS_MAX (UINT32_C(1) << 29)

/*
 * A returned slot is used again only when at least so many wait, so a slot serves once per turn of
 * that length: a short id names another object after 4096 turns, more than 4 million ids, at the
 * earliest; a long one never, its slot is retired then.
 */
#define EMP_ID_TURN 1024u

/* emp_id_table_new and emp_id_table_end are in object.h, for core. */
struct emp_id_table;

/* Gives an object an id and takes over one reference of it; 0: out of memory or numbers. */
emp_id emp_id_begin(struct emp_id_table *table, void *object);

/*
 * Ends an id of the caller's. True: the reference is the caller's again. False: somebody is on his
 * way to the object, and gives it back.
 */
bool emp_id_end(struct emp_id_table *table, emp_id id);

/* Goes to the object of an id. NULL: none. Else retain it, and call emp_id_leave. */
void *emp_id_find(struct emp_id_table *table, emp_id id);

/* The same by a short id; *id receives the whole. */
void *emp_id_find32(struct emp_id_table *table, uint32_t id32, emp_id *id);

/* After emp_id_find. True: the id ended meanwhile, the caller gives its reference back. */
bool emp_id_leave(struct emp_id_table *table, emp_id id);

/* The short flavour of an id; 0: its slot has none. */
static inline uint32_t emp_id_to_short(emp_id id)
{
    const uint32_t slots = UINT32_C(1) << EMP_ID32_SLOT_BITS;
    uint32_t slot = (uint32_t)id;

    return slot < slots ? (uint32_t)(id >> 32) << EMP_ID32_SLOT_BITS | slot : 0;
}

#endif
