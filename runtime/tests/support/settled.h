/*
 * What: statistics whose every number is exact.
 * How:  read while no round of maintenance is under way. Pages on their way back to the system
 *       count as in use as long as a round has them, and a program of some size has a thread for
 *       such rounds.
 */
#ifndef EMP_TESTS_SUPPORT_SETTLED_H
#define EMP_TESTS_SUPPORT_SETTLED_H

#include "core/advanced_memory_pool.h"
#include "core/maintenance.h"
#include "core/memory_monitor.h"

/* As emp_stats_read. */
static inline enum emp_status settled_stats_read(struct emp_stats *out)
{
    emp_maintenance_pause();
    enum emp_status status = emp_stats_read(out);

    emp_maintenance_resume();
    return status;
}

/* As emp_pool_get_stats. */
static inline enum emp_status settled_pool_stats(struct emp_pool *pool, struct emp_pool_stats *out)
{
    emp_maintenance_pause();
    enum emp_status status = emp_pool_get_stats(pool, out);

    emp_maintenance_resume();
    return status;
}

#endif
