/*
 * Purpose: the calls of <malloc.h> that look at or tune the allocator: mallinfo, mallinfo2,
 *          malloc_info, malloc_stats, malloc_trim, mallopt.
 * Owner:   preload. Threads: any. Cost: O(threads + chunks); malloc_trim O(free pages).
 * Design:  [preload.req.moving-numbers]
 * Source:  glibc manual "Statistics of malloc"; mallinfo(3), malloc_info(3), malloc_trim(3).
 */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "preload/malloc_names.h"
#include "preload/usage.h"

#define STANDARD_ERROR 2

/* arena = uordblks + fordblks, as glibc's consumers expect; hblks and hblkhd are part of it. */
EMP_API struct mallinfo2 mallinfo2(void)
{
    struct emp_usage usage;
    struct mallinfo2 info = {0};

    emp_usage_read(&usage);
    info.uordblks = usage.stats.allocated;
    info.fordblks =
        usage.stats.mapped > usage.stats.allocated ? usage.stats.mapped - usage.stats.allocated : 0;
    info.arena = info.uordblks + info.fordblks;
    info.ordblks = usage.cached_blocks;
    info.hblks = usage.stats.large_blocks;
    info.hblkhd = usage.stats.large_bytes;
    info.keepcost = usage.stats.dirty;
    return info;
}

/* The old structure has int fields: what does not fit reads as the largest int. */
static int clamp_to_int(size_t value)
{
    return value > (size_t)INT_MAX ? INT_MAX : (int)value;
}

EMP_API struct mallinfo mallinfo(void)
{
    struct mallinfo2 wide = mallinfo2();
    struct mallinfo info = {0};

    info.arena = clamp_to_int(wide.arena);
    info.ordblks = clamp_to_int(wide.ordblks);
    info.hblks = clamp_to_int(wide.hblks);
    info.hblkhd = clamp_to_int(wide.hblkhd);
    info.uordblks = clamp_to_int(wide.uordblks);
    info.fordblks = clamp_to_int(wide.fordblks);
    info.keepcost = clamp_to_int(wide.keepcost);
    return info;
}

/* The elements of glibc's version 1 that have a meaning here, for one heap. */
EMP_API int malloc_info(int options, FILE *fp)
{
    struct mallinfo2 info;

    if (options != 0) {
        return EINVAL;
    }
    info = mallinfo2();
    fprintf(fp,
            "<malloc version=\"1\">\n"
            "<heap nr=\"0\">\n<sizes>\n</sizes>\n"
            "<total type=\"fast\" count=\"%zu\" size=\"0\"/>\n"
            "<total type=\"rest\" count=\"0\" size=\"%zu\"/>\n"
            "<system type=\"current\" size=\"%zu\"/>\n"
            "</heap>\n",
            info.ordblks, info.fordblks, info.arena);
    fprintf(fp,
            "<total type=\"rest\" count=\"0\" size=\"%zu\"/>\n"
            "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n"
            "<system type=\"current\" size=\"%zu\"/>\n"
            "<aspace type=\"total\" size=\"%zu\"/>\n"
            "</malloc>\n",
            info.fordblks, info.hblks, info.hblkhd, info.arena, info.arena);
    return 0;
}

EMP_API void malloc_stats(void)
{
    (void)emp_stats_print(STANDARD_ERROR, EMP_STATS_TEXT);
}

/* The padding is not kept: every free page goes back, and the next request maps what it needs. */
EMP_API int malloc_trim(size_t pad)
{
    int saved_errno = errno;
    size_t returned_bytes = emp_purge();

    (void)pad;
    errno = saved_errno;
    return returned_bytes != 0 ? 1 : 0;
}

/* Every parameter is accepted and has no effect: the options of ECHOMEM_* replace them. */
EMP_API int mallopt(int param, int val)
{
    (void)param;
    (void)val;
    return 1;
}
