/*
 * Purpose: the readers and actions of je_control.def. Numbers come fresh from the statistics at
 *          each read, so writing `epoch` has nothing to refresh; it is accepted.
 * Owner:   preload. Threads: any. Cost: a statistic O(threads + chunks), others O(1).
 * Design:  [preload.req.jemalloc-facade]
 * Source:  jemalloc(3), "MALLCTL NAMESPACE"; Redis src/zmalloc.c and HAProxy src/pool.c for what
 *          servers ask. There is one arena; its number, the count of arenas and 4096 all mean it.
 */
#include "preload/je_control.h"

#include <errno.h>
#include <unistd.h>

#include "base/config.h"
#include "core/advanced_memory_pool.h"
#include "preload/usage.h"

#define ARENA_COUNT 1u
#define ARENA_ALL   4096u

static int read_constant(const struct emp_je_control *control, size_t index,
                         union emp_je_value *value)
{
    (void)index;
    switch (control->type) {
    case EMP_JE_BOOL:
        value->as_bool = control->argument != 0;
        return 0;
    case EMP_JE_UNSIGNED:
        value->as_unsigned = (unsigned)control->argument;
        return 0;
    default:
        value->as_size = control->argument;
        return 0;
    }
}

static int read_version(const struct emp_je_control *control, size_t index,
                        union emp_je_value *value)
{
    (void)control;
    (void)index;
    value->as_text = EMP_VERSION_TEXT "-echomem";
    return 0;
}

static int read_empty(const struct emp_je_control *control, size_t index, union emp_je_value *value)
{
    (void)control;
    (void)index;
    value->as_text = "";
    return 0;
}

/* Grows whenever the statistics have moved on. */
static int read_epoch(const struct emp_je_control *control, size_t index, union emp_je_value *value)
{
    struct emp_usage usage;

    (void)control;
    (void)index;
    emp_usage_read(&usage);
    value->as_u64 = 1 + usage.stats.allocations + usage.stats.frees;
    return 0;
}

static int read_stat(const struct emp_je_control *control, size_t index, union emp_je_value *value)
{
    struct emp_usage usage;
    uint64_t number;

    if (index > ARENA_COUNT && index != ARENA_ALL) {
        return ENOENT;
    }
    emp_usage_read(&usage);
    number = *(const uint64_t *)(const void *)((const char *)&usage.stats + control->argument);
    if (control->type == EMP_JE_UNSIGNED) {
        value->as_unsigned = (unsigned)number;
    } else {
        value->as_size = (size_t)number;
    }
    return 0;
}

static int read_page(const struct emp_je_control *control, size_t index, union emp_je_value *value)
{
    (void)control;
    (void)index;
    value->as_size = (size_t)sysconf(_SC_PAGESIZE);
    return 0;
}

static int read_bin_count(const struct emp_je_control *control, size_t index,
                          union emp_je_value *value)
{
    (void)control;
    (void)index;
    value->as_unsigned = emp_size_class_count();
    return 0;
}

/* jemalloc counts bins from 0, our size classes begin at 1. */
static int describe_bin(size_t index, struct emp_size_class_info *info)
{
    if (index >= emp_size_class_count()) {
        return ENOENT;
    }
    return emp_size_class_describe((uint32_t)index + 1, info) == EMP_OK ? 0 : ENOENT;
}

static int read_bin_size(const struct emp_je_control *control, size_t index,
                         union emp_je_value *value)
{
    struct emp_size_class_info info;
    int error = describe_bin(index, &info);

    (void)control;
    if (error == 0) {
        value->as_size = info.block_bytes;
    }
    return error;
}

static int read_bin_blocks(const struct emp_je_control *control, size_t index,
                           union emp_je_value *value)
{
    struct emp_size_class_info info;
    int error = describe_bin(index, &info);

    (void)control;
    if (error == 0) {
        value->as_u32 = info.slab_blocks;
    }
    return error;
}

static int read_bin_slab(const struct emp_je_control *control, size_t index,
                         union emp_je_value *value)
{
    struct emp_size_class_info info;
    int error = describe_bin(index, &info);

    (void)control;
    if (error == 0) {
        value->as_size = info.slab_bytes;
    }
    return error;
}

static int accept(size_t index)
{
    (void)index;
    return 0;
}

static int do_park(size_t index)
{
    (void)index;
    emp_park();
    return 0;
}

static int do_purge(size_t index)
{
    if (index > ARENA_COUNT && index != ARENA_ALL) {
        return EFAULT;
    }
    (void)emp_purge();
    return 0;
}

static int do_decay(size_t index)
{
    if (index > ARENA_COUNT && index != ARENA_ALL) {
        return EFAULT;
    }
    (void)emp_tick();
    return 0;
}

#define none NULL
const struct emp_je_control emp_je_controls[] = {
#define EMP_JE(name, type, read, write, argument) {name, EMP_JE_##type, argument, read, write},
#include "preload/je_control.def"
#undef EMP_JE
};
#undef none

const size_t emp_je_control_count = sizeof(emp_je_controls) / sizeof(emp_je_controls[0]);

size_t emp_je_type_bytes(enum emp_je_type type)
{
    switch (type) {
    case EMP_JE_BOOL:
        return sizeof(bool);
    case EMP_JE_UNSIGNED:
        return sizeof(unsigned);
    case EMP_JE_U32:
        return sizeof(uint32_t);
    case EMP_JE_U64:
        return sizeof(uint64_t);
    case EMP_JE_SIZE:
        return sizeof(size_t);
    case EMP_JE_TEXT:
        return sizeof(const char *);
    case EMP_JE_NONE:
        break;
    }
    return 0;
}
