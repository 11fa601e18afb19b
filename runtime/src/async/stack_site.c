/*
 * Purpose: see stack_site.h.
 * Owner:   async. Threads: any.
 * Design:  [async.proto.stack-site]
 */
#include "async/stack_site.h"

#include "async/task_core.h"
#include "sync/atomic.h"

#define SAMPLE_EVERY 1024u /* and the 1st, 2nd, 4th, 8th ... */
#define PEAK_DECAY   16u   /* a lower sample lowers the peak by this part of it */

/* What is known of a site; both are hints. */
static struct {
    uint32_t peak_bytes; /* atomic: stack-site */
    uint32_t spawns;     /* atomic: stack-site. since the last sample */
} sites[EMP_SPAWN_SITES];

unsigned emp_stack_site_size(const struct emp_spawn_site *site, size_t wanted)
{
    unsigned size = EMP_STACK_DEFAULT;

    if (wanted != 0) {
        return emp_stack_size_for(wanted);
    }
    /* order(stack-site): relaxed; a number that stands alone */
    const uint32_t id = site == NULL ? 0 : emp_load_relaxed(&site->id);

    if (id != 0 && id < EMP_SPAWN_SITES) {
        /* order(stack-site): relaxed; a hint */
        size = emp_stack_size_for(2u * (size_t)emp_load_relaxed(&sites[id].peak_bytes));
    }
    return size < EMP_STACK_DEFAULT ? EMP_STACK_DEFAULT : size;
}

bool emp_stack_site_is_sampled(uint16_t site)
{
    if (site == 0 || emp_fiber_watched) {
        return false;
    }
    /* order(stack-site): relaxed; two threads may count one spawn */
    const uint32_t spawns = emp_load_relaxed(&sites[site].spawns);

    /* order(stack-site): relaxed; as above */
    emp_store_relaxed(&sites[site].spawns, spawns + 1);
    return (spawns & (spawns - 1)) == 0 || spawns % SAMPLE_EVERY == 0;
}

void emp_stack_site_prepare(const struct emp_stack_manager *stacks, unsigned size, uint32_t slot)
{
    (void)emp_stack_map_purge(&stacks->sizes[size].map, slot, 1);
}

void emp_stack_site_measure(const struct emp_stack_manager *stacks, unsigned size, uint32_t slot,
                            uint16_t site)
{
    const uint32_t used = (uint32_t)emp_stack_map_used(&stacks->sizes[size].map, slot);
    /* order(stack-site): relaxed; a hint */
    const uint32_t peak = emp_load_relaxed(&sites[site].peak_bytes);
    const uint32_t lower = peak - peak / PEAK_DECAY;

    /* order(stack-site): relaxed; a hint */
    emp_store_relaxed(&sites[site].peak_bytes, used > lower ? used : lower);
}
