/*
 * Purpose: address space for stacks of one size: one mapping cut into slots, a guard at the low end
 *          of each.
 *
 *   | guard | grows down ............ top |  guard | ...     slot = guard + stack, a power of two
 *
 * Owner:   span. A map belongs to whoever opened it, who also says which slots are whose.
 * States of a slot here: bare (no guard) --guard--> guarded --strip--> bare; purge keeps the guard.
 * Threads: any; calls about one slot are the caller's to order. No locks.
 * Design:  [span.proto.stack-map] [span.inv.stack-guard]
 */
#ifndef EMP_SPAN_STACK_MAP_H
#define EMP_SPAN_STACK_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a slot is kept from running over. */
enum emp_stack_guard {
    EMP_STACK_GUARD_LIGHT = 0, /* page table entries, no mapping of its own */
    EMP_STACK_GUARD_MAPPING,   /* a mapping of its own: bounded in number, never taken away */
    EMP_STACK_GUARD_WORD       /* a word at the low end that is looked at after every switch */
};

/* Address space for stacks of one size. Const after open but for mappings. */
struct emp_stack_map {
    char *base;           /* NULL: not open */
    uint32_t shift;       /* of the slot's bytes */
    uint32_t slots;       /* in the mapping */
    uint32_t guard_bytes; /* at the low end of a slot */
    uint32_t kind;        /* enum emp_stack_guard: what this system offers */
    uint32_t mappings;    /* atomic: stack-guards. guards of the MAPPING kind made so far */
    uint32_t is_weak;     /* atomic: stack-guards. a slot has but a word for a guard */
};

/* Opens a map of slots of 2^shift bytes, slots_max of them or as many as there is room for. */
bool emp_stack_map_open(struct emp_stack_map *map, uint32_t shift, uint32_t slots_max);

/* Gives the address space back. */
void emp_stack_map_close(struct emp_stack_map *map);

/* Sparse zeroed memory for a table beside the stacks; NULL: refused. */
void *emp_stack_map_table(size_t bytes);
void emp_stack_map_table_end(void *table, size_t bytes);

/* Makes sure that the slot has its guard; returns the kind it has got. */
enum emp_stack_guard emp_stack_map_guard(struct emp_stack_map *map, uint32_t slot);

/* Whether any slot has got no more than a word: the system may refuse a guard at any moment. */
bool emp_stack_map_is_weak(const struct emp_stack_map *map);

/* Gives the pages of neighbouring slots back. False: refused, they are as they were. */
bool emp_stack_map_purge(const struct emp_stack_map *map, uint32_t slot, uint32_t count);

/* The same, and their guards: then no page table is left either. False: pages may be left. */
bool emp_stack_map_strip(const struct emp_stack_map *map, uint32_t slot, uint32_t count);

/* Bytes from the lowest page of the stack that exists to the top. */
size_t emp_stack_map_used(const struct emp_stack_map *map, uint32_t slot);

/* Slots whose page tables end together: those of 2 MiB, at least 1. */
uint32_t emp_stack_map_group(const struct emp_stack_map *map);

/* Lowest address of the stack in a slot, above its guard. */
static inline char *emp_stack_map_low(const struct emp_stack_map *map, uint32_t slot)
{
    return map->base + ((size_t)slot << map->shift) + map->guard_bytes;
}

/* The address behind the stack in a slot. */
static inline char *emp_stack_map_top(const struct emp_stack_map *map, uint32_t slot)
{
    return map->base + ((size_t)(slot + 1) << map->shift);
}

/* Bytes of a stack. */
static inline size_t emp_stack_map_bytes(const struct emp_stack_map *map)
{
    return ((size_t)1 << map->shift) - map->guard_bytes;
}

/* Whether the address lies in the map; *slot receives the slot. */
static inline bool emp_stack_map_find(const struct emp_stack_map *map, const void *address,
                                      uint32_t *slot)
{
    const size_t offset = (uintptr_t)address - (uintptr_t)map->base;

    if (map->base == NULL || offset >= (size_t)map->slots << map->shift) {
        return false;
    }
    *slot = (uint32_t)(offset >> map->shift);
    return true;
}

#endif
