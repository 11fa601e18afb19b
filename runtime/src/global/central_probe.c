/*
 * Purpose: looks whether an address is the start of a block in use, without changing anything.
 * Owner:   global. Threads: any; no lock. The answer about one's own block is exact; blocks in a
 *          thread's cache count as in use.
 * Cost:    one multiplication, two cache lines. Design: [global.inv.exact]
 */
#include "base/config.h"
#include "global/central.h"
#include "monitor/report.h"
#include "slab/slab.h"
#include "sync/atomic.h"

int emp_central_probe_start(uint32_t class_id, const void *ptr)
{
    const struct emp_bitmap_geometry *geometry = &emp_classes[class_id].geometry;
    uintptr_t offset = ((uintptr_t)ptr - geometry->arena_base) & geometry->slab_mask;
    uint64_t slot = ((uint64_t)offset * geometry->reciprocal) >> 32;

    if (slot * geometry->size != offset) {
        return (uintptr_t)ptr % 8 != 0 ? EMP_REPORT_MISALIGNED : EMP_REPORT_INTERIOR;
    }
    return slot < geometry->slots ? EMP_PROBE_GOOD : EMP_REPORT_INVALID;
}

int emp_central_probe(uint32_t class_id, const void *ptr)
{
    const struct emp_class *info = &emp_classes[class_id];
    const struct emp_slab *slab = emp_slab_at(emp_slab_number_of((uintptr_t)ptr, info));
    int code = emp_central_probe_start(class_id, ptr);

    /* order(slab-magic): relaxed; the slab of a block in use stays */
    if (emp_load_relaxed(&slab->magic) != EMP_SLAB_MAGIC || slab->class_id != class_id) {
        return EMP_REPORT_INVALID;
    }
    if (code != EMP_PROBE_GOOD) {
        return code;
    }
    unsigned slot = (unsigned)(((uintptr_t)ptr - emp_slab_base(slab)) / info->geometry.size);

    if (slot >= slab->slots) {
        return EMP_REPORT_INVALID;
    }
    /* order(slot-state): relaxed; whoever holds the block has the taker's store behind him */
    uint8_t state = emp_load_relaxed(&slab->states[slot]);

    if (state == EMP_SLOT_USED || state >= EMP_SLOT_LIVE) {
        return EMP_PROBE_GOOD;
    }
    return emp_slab_is_never_used(slab, slot) ? EMP_REPORT_NEVER_ALLOCATED : EMP_REPORT_DOUBLE_FREE;
}
