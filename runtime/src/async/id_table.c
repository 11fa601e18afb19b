/*
 * Purpose: the id table: leaves of slots, the lists of free ones.
 * Owner:   async. Threads: any; the steps are those of sync/id_slot.h and sync/id_list.h.
 * Design:  [async.proto.id]
 */
#include "async/id_table.h"

#include <stddef.h>

#include "async/object.h"
#include "sync/atomic.h"
#include "sync/id_list.h"
#include "sync/id_slot.h"

#define LEAF_SLOTS_LOG 8u /* slots of the first leaf; each one is twice the one before */
#define LEAVES         (29u - LEAF_SLOTS_LOG)

/* A zeroed block of the heap. */
struct leaf {
    uint32_t slots; /* const */
    struct emp_id_slot slot[];
};

struct emp_id_table {
    struct emp_id_list list;
    uint32_t used;             /* atomic: id-used. slots that ever were used, and slot 0 */
    struct leaf *leaf[LEAVES]; /* atomic: id-leaf. const once set */
};

/* Slots of a leaf. */
static uint32_t leaf_slots(unsigned leaf)
{
    return UINT32_C(1) << (leaf + LEAF_SLOTS_LOG);
}

/* The leaf of a slot. */
static unsigned leaf_of(uint32_t number)
{
    return 31u - (unsigned)__builtin_clz(number + leaf_slots(0)) - LEAF_SLOTS_LOG;
}

/* A slot whose leaf may be missing: then, or for a number that is none, NULL. */
static struct emp_id_slot *slot_find(struct emp_id_table *table, uint32_t number)
{
    if (number == 0 || number >= EMP_ID_SLOTS_MAX - leaf_slots(0)) {
        return NULL;
    }
    unsigned leaf = leaf_of(number);

    /* order(id-leaf): acquire; the leaf as it was made */
    struct leaf *found = emp_load_acquire(&table->leaf[leaf]);

    if (found == NULL) {
        return NULL;
    }
    number += leaf_slots(0) - leaf_slots(leaf);
    emp_assert(number < found->slots);
    return &found->slot[number];
}

/* A slot of a number that the caller has: its leaf is there. */
static struct emp_id_slot *slot_at(struct emp_id_table *table, uint32_t number)
{
    struct emp_id_slot *slot = slot_find(table, number);

    emp_check(slot != NULL);
    return slot;
}

/* Makes sure that a leaf is there; false: out of memory. */
static bool leaf_make(struct emp_id_table *table, unsigned leaf)
{
    struct leaf *expected = NULL;

    /* order(id-leaf): relaxed; who goes to a slot acquires */
    if (emp_load_relaxed(&table->leaf[leaf]) != NULL) {
        return true;
    }
    struct leaf *made = emp_object_hooks.memory_take_zeroed(
        sizeof(*made) + leaf_slots(leaf) * sizeof(struct emp_id_slot));

    if (made == NULL) {
        return false;
    }
    made->slots = leaf_slots(leaf);
    /* order(id-leaf): release; the leaf */
    if (!emp_cas_release(&table->leaf[leaf], &expected, made)) {
        emp_object_hooks.memory_give(made);
    }
    return true;
}

struct emp_id_table *emp_id_table_new(void)
{
    struct emp_id_table *table = emp_object_hooks.memory_take_zeroed(sizeof(*table));

    if (table != NULL) {
        table->used = 1;
    }
    return table;
}

void emp_id_table_end(struct emp_id_table *table)
{
    if (table == NULL) {
        return;
    }
    for (unsigned leaf = 0; leaf < LEAVES; leaf++) {
        if (table->leaf[leaf] != NULL) {
            emp_object_hooks.memory_give(table->leaf[leaf]);
        }
    }
    emp_object_hooks.memory_give(table);
}

/* A slot that never was used; 0: out of memory or numbers. */
static uint32_t slot_fresh(struct emp_id_table *table)
{
    /* order(id-used): relaxed; a number, the swap decides who has it */
    uint32_t number = emp_load_relaxed(&table->used);

    do {
        if (number >= EMP_ID_SLOTS_MAX - leaf_slots(0) || !leaf_make(table, leaf_of(number))) {
            return 0;
        }
        /* order(id-used): relaxed; as above */
    } while (!emp_cas_relaxed(&table->used, &number, number + 1));
    return number;
}

/* A ready slot, or 0. */
static uint32_t slot_ready(struct emp_id_table *table)
{
    uint64_t seen = 0;
    uint32_t number = 0;

    while ((number = emp_id_list_top(&table->list, &seen)) != 0) {
        if (emp_id_list_take(&table->list, seen, slot_at(table, number))) {
            return number;
        }
    }
    return 0;
}

/* Begins a turn: one of the returned slots for the caller, the others become ready. 0: none. */
static uint32_t slot_turn(struct emp_id_table *table)
{
    uint32_t number = emp_id_list_take_returned(&table->list);
    uint32_t count = 1;

    if (number == 0) {
        return 0;
    }
    uint32_t first = emp_id_list_below(slot_at(table, number));

    if (first != 0) {
        struct emp_id_slot *last = slot_at(table, first);

        for (uint32_t below = 0; (below = emp_id_list_below(last)) != 0; count++) {
            last = slot_at(table, below);
        }
        count++;
        emp_id_list_put(&table->list, first, last);
    }
    emp_id_list_counted(&table->list, count);
    return number;
}

/* A free slot: ready, then returned if they are many, then a fresh one, then any that there is. */
static uint32_t slot_take(struct emp_id_table *table)
{
    uint32_t number = slot_ready(table);

    if (number == 0 && emp_id_list_count(&table->list) >= EMP_ID_TURN) {
        number = slot_turn(table);
    }
    if (number == 0) {
        number = slot_fresh(table);
    }
    return number != 0 ? number : slot_turn(table);
}

emp_id emp_id_begin(struct emp_id_table *table, void *object)
{
    uint32_t number = slot_take(table);

    if (number == 0) {
        return 0;
    }
    struct emp_id_slot *slot = slot_at(table, number);
    uint32_t generation = emp_id_slot_generation(slot);

    generation = generation == 0 ? 1 : generation; /* a fresh slot is zeroes */
    emp_id_slot_begin(slot, object, generation);
    return (emp_id)generation << 32 | number;
}

/* The last in a slot hands it on. */
static void slot_give(struct emp_id_table *table, uint32_t number, struct emp_id_slot *slot)
{
    if (emp_id_slot_renew(slot)) {
        emp_id_list_return(&table->list, number, slot);
    }
}

bool emp_id_end(struct emp_id_table *table, emp_id id)
{
    struct emp_id_slot *slot = slot_at(table, (uint32_t)id);
    bool is_last = emp_id_slot_end(slot);

    if (is_last) {
        slot_give(table, (uint32_t)id, slot);
    }
    return is_last;
}

void *emp_id_find(struct emp_id_table *table, emp_id id)
{
    struct emp_id_slot *slot = slot_find(table, (uint32_t)id);

    return slot == NULL ? NULL : emp_id_slot_pin(slot, (uint32_t)(id >> 32), UINT32_MAX);
}

void *emp_id_find32(struct emp_id_table *table, uint32_t id32, emp_id *id)
{
    const uint32_t slots = UINT32_C(1) << EMP_ID32_SLOT_BITS;
    uint32_t number = id32 & (slots - 1);
    struct emp_id_slot *slot = slot_find(table, number);
    void *object = NULL;

    if (slot == NULL) {
        return NULL;
    }
    object = emp_id_slot_pin(slot, id32 >> EMP_ID32_SLOT_BITS, UINT32_MAX >> EMP_ID32_SLOT_BITS);
    if (object != NULL) {
        *id = (emp_id)emp_id_slot_generation(slot) << 32 | number;
    }
    return object;
}

bool emp_id_leave(struct emp_id_table *table, emp_id id)
{
    struct emp_id_slot *slot = slot_at(table, (uint32_t)id);
    bool is_last = emp_id_slot_unpin(slot);

    if (is_last) {
        slot_give(table, (uint32_t)id, slot);
    }
    return is_last;
}
