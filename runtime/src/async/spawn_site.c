/*
 * Purpose: the table of spawn sites: a number of 16 bits for each place that spawns tasks.
 * Owner:   async. Grows only; a site is static data of the program and never leaves.
 * Threads: any; lock-free. Two first spawns at one site may take two numbers, which both name it.
 * Design:  [async.proto.task]
 */
#include <stddef.h>

#include "async/task_core.h"
#include "sync/atomic.h"

static const struct emp_spawn_site *sites[EMP_SPAWN_SITES]; /* atomic: spawn-site. [0] unused */
static uint32_t sites_taken = 1;                            /* atomic: spawn-site. numbers given */

EMP_COLD uint16_t emp_spawn_site_register(struct emp_spawn_site *site)
{
    uint32_t known = 0;

    /* order(spawn-site): relaxed; a number, the entry publishes the site */
    if (emp_load_relaxed(&sites_taken) >= EMP_SPAWN_SITES) {
        return 0;
    }
    /* order(spawn-site): relaxed; a number of which nobody else gets the same */
    const uint32_t id = emp_fetch_add_relaxed(&sites_taken, 1u);

    if (id >= EMP_SPAWN_SITES) {
        return 0;
    }
    /* order(spawn-site): release; the site's texts, for who looks the number up */
    emp_store_release(&sites[id], site);
    /* order(spawn-site): relaxed; the number alone, the entry is looked up by an acquire */
    (void)emp_cas_relaxed(&site->id, &known, id); /* unless another thread was first */
    return (uint16_t)id;
}

const struct emp_spawn_site *emp_spawn_site_of(uint16_t id)
{
    /* order(spawn-site): acquire; the texts of the site */
    return id < EMP_SPAWN_SITES ? emp_load_acquire(&sites[id]) : NULL;
}
