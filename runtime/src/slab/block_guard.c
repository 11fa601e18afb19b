/*
 * Purpose: see block_guard.h. Owner: slab. Threads: any. Design: [slab.proto.guard]
 * Cost:    what is here runs once, or on the way to a report.
 */
#include "slab/block_guard.h"

#include "span/arena.h"

uint64_t emp_guard_key;

void emp_block_guard_init(void)
{
    /* The load address differs from process to process; a key, not a secret. */
    emp_guard_key = ((uint64_t)(uintptr_t)&emp_guard_key ^ emp_arena.base) * 0x9e3779b97f4a7c15u;
}

enum emp_report_code emp_block_guard_fault(const void *ptr)
{
    uintptr_t start = (uintptr_t)ptr;
    uint32_t size = 0;
    const uint8_t *state = emp_guard_slot(start, &size);

    if (state == NULL) {
        return start % 8 != 0 ? EMP_REPORT_MISALIGNED : EMP_REPORT_INTERIOR;
    }
    size_t unit = (start - emp_arena.base) >> EMP_UNIT_SHIFT;
    size_t units = (emp_slab_at(unit)->guard.slab_mask + 1u) >> EMP_UNIT_SHIFT;
    const struct emp_slab *slab = emp_slab_at(unit & ~(units - 1));
    size_t slot = (size_t)(state - slab->states);

    if (slot >= slab->slots) {
        return EMP_REPORT_INVALID;
    }
    return emp_slab_is_never_used(slab, slot) ? EMP_REPORT_NEVER_ALLOCATED : EMP_REPORT_DOUBLE_FREE;
}

bool emp_block_guard_is_whole(const void *block)
{
    uint32_t size = 0;
    const uint8_t *state = emp_guard_slot((uintptr_t)block, &size);

    /* order(slot-state): relaxed; who holds the block got it from the thread that wrote it */
    return state == NULL || emp_guard_is_whole((uintptr_t)block + size, emp_load_relaxed(state));
}

size_t emp_block_guard_usable(const void *ptr, enum emp_report_code *fault)
{
    uint32_t size = 0;
    const uint8_t *state = emp_guard_slot((uintptr_t)ptr, &size);
    /* order(slot-state): relaxed; who holds the block got it from the thread that wrote it */
    uint8_t found = state != NULL ? emp_load_relaxed(state) : (uint8_t)EMP_SLOT_NONE;

    if (found < EMP_GUARD_LIVE) {
        *fault = emp_block_guard_fault(ptr);
        return 0;
    }
    return size - (found - (uint32_t)EMP_GUARD_LIVE);
}
