/*
 * Purpose: a block goes back to its slab: one byte says that its slot is free. The same for blocks
 *          of this shard and of any other; every double, interior, misaligned or never allocated
 *          block is found here.
 * Owner:   global. Threads: any; no lock, no read-modify-write, but for one exchange when the slab
 *          was full and nobody has told its shard yet.
 * Cost:    a multiplication, two cache lines. Design: [global.proto.give] [global.inv.exact]
 */
#include "global/central.h"
#include "global/shard.h"
#include "monitor/report.h"
#include "sync/atomic.h"

/* Why a slot that is not in use is being freed. */
static EMP_COLD int give_state_code(const struct emp_slab *slab, uint32_t slot)
{
    if (slot >= slab->slots) {
        return EMP_REPORT_INVALID;
    }
    return emp_slab_is_never_used(slab, slot) ? EMP_REPORT_NEVER_ALLOCATED : EMP_REPORT_DOUBLE_FREE;
}

int emp_central_give(uint32_t class_id, void *ptr)
{
    const struct emp_class *info = &emp_classes[class_id];
    uintptr_t offset = ((uintptr_t)ptr - emp_arena.base) & info->geometry.slab_mask;
    uint32_t slot = (uint32_t)(((uint64_t)offset * info->geometry.reciprocal) >> 32);
    struct emp_slab *slab = emp_slab_at(emp_slab_number_of((uintptr_t)ptr, info));

    if (emp_unlikely(!emp_slab_exists(slab) || slab->class_id != class_id)) {
        return EMP_REPORT_INVALID;
    }
    if (emp_unlikely((uintptr_t)slot * info->geometry.size != offset)) {
        return (uintptr_t)ptr % 8 != 0 ? EMP_REPORT_MISALIGNED : EMP_REPORT_INTERIOR;
    }
    if (emp_unlikely(slot >= slab->slots || !emp_slot_release(&slab->states[slot]))) {
        return give_state_code(slab, slot);
    }
    if (emp_unlikely(emp_inbox_is_quiet(&slab->inbox))) {
        emp_shard_notify(slab);
    }
    return EMP_PROBE_GOOD;
}
