/*
 * Purpose: os_numa.h on Linux: sysfs for what exists, raw system calls for where memory lies.
 * Owner:   os; no state.
 * Threads: any; errno preserved (no wrapper of the C library but getcpu, which does not fail here).
 * Design:  [os.req.numa] [os.req.raw]
 * Source:  Linux man-pages numa(7), mbind(2), move_pages(2), get_mempolicy(2); kernel document
 *          "ABI/stable/sysfs-devices-node"; no libnuma: it allocates and is not always there.
 * Cost:    three system calls per sysfs file, one for the others.
 */
#define _GNU_SOURCE /* getcpu */
#include "os/os_numa.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>

#include "base/check.h"
#include "os/linux/number_list.h"
#include "os/linux/raw_syscall.h"
#include "os/os_fault.h"

#define READ_BYTES     256
#define PATH_BYTES     64
#define MASK_WORD_BITS 64u
#define ONLINE_FILE    "/sys/devices/system/node/online"

static long numa_call(long number, struct emp_raw_args args)
{
    const int err = emp_os_fault_ask(EMP_OS_CALL_NUMA);

    if (EMP_FAULT && err >= 0) {
        return -(long)err;
    }
    return emp_raw_syscall(number, args);
}

/* Reads a list file; a file that is not there leaves an empty list. */
static struct emp_number_list list_read(const char *path, unsigned wanted)
{
    struct emp_number_list list = {.wanted = wanted};
    char text[READ_BYTES];
    long got = 0;
    const struct emp_raw_args open_args = {
        .a = AT_FDCWD,
        .b = (long)path,
        .c = O_RDONLY | O_CLOEXEC,
    };
    const long fd = numa_call(SYS_openat, open_args);

    if (emp_raw_failed(fd)) {
        return list;
    }
    do {
        got = numa_call(SYS_read, (struct emp_raw_args){.a = fd, .b = (long)text, .c = READ_BYTES});
        emp_number_list_take(&list, text, emp_raw_failed(got) ? 0 : (size_t)got);
    } while (!emp_raw_failed(got) && got > 0);
    emp_number_list_end(&list);
    list.is_complete = !emp_raw_failed(got);
    emp_raw_syscall(SYS_close, (struct emp_raw_args){.a = fd});
    return list;
}

unsigned emp_os_numa_count(void)
{
    const struct emp_number_list online = list_read(ONLINE_FILE, 0);

    return online.is_complete && online.count > 0 ? online.count : 1;
}

unsigned emp_os_numa_limit(void)
{
    const struct emp_number_list online = list_read(ONLINE_FILE, 0);

    if (!online.is_complete || online.limit == 0) {
        return 1;
    }
    return online.limit < EMP_OS_NUMA_NODES_MAX ? online.limit : EMP_OS_NUMA_NODES_MAX;
}

unsigned emp_os_numa_current(void)
{
    unsigned cpu = 0;
    unsigned node = 0;

    return getcpu(&cpu, &node) == 0 ? node : 0;
}

/* Writes "/sys/devices/system/node/node<n>/cpulist"; snprintf may allocate, this may not. */
static void path_of_node(char path[PATH_BYTES], unsigned node)
{
    static const char head[] = "/sys/devices/system/node/node";
    static const char tail[] = "/cpulist";
    char digits[10];
    size_t length = sizeof head - 1;
    size_t count = 0;

    _Static_assert(sizeof head + sizeof digits + sizeof tail <= PATH_BYTES, "the path fits");
    do {
        digits[count++] = (char)('0' + node % 10);
        node /= 10;
    } while (node != 0);
    memcpy(path, head, length);
    while (count > 0) {
        path[length++] = digits[--count];
    }
    memcpy(path + length, tail, sizeof tail);
}

unsigned emp_os_numa_of_cpu(unsigned cpu)
{
    const unsigned limit = emp_os_numa_limit();
    bool any_list = false;
    char path[PATH_BYTES];

    for (unsigned node = 0; node < limit; node++) {
        path_of_node(path, node);
        const struct emp_number_list cpus = list_read(path, cpu);
        if (cpus.has_wanted) {
            return node;
        }
        any_list |= cpus.is_complete;
    }
    if (any_list) {
        return EMP_OS_NUMA_NONE;
    }
    /* A kernel without nodes: every processor there is belongs to node 0. */
    return list_read("/sys/devices/system/cpu/present", cpu).has_wanted ? 0 : EMP_OS_NUMA_NONE;
}

unsigned emp_os_numa_of_address(const void *address)
{
    const void *pages[1] = {address};
    int status[1] = {-ENOENT};
    int node = -1;
    const struct emp_raw_args query = {
        .b = 1,
        .c = (long)pages,
        .e = (long)status,
    };
    const struct emp_raw_args policy = {
        .a = (long)&node,
        .d = (long)address,
        .e = MPOL_F_NODE | MPOL_F_ADDR,
    };

    if (!emp_raw_failed(numa_call(SYS_move_pages, query))) {
        return status[0] >= 0 ? (unsigned)status[0] : EMP_OS_NUMA_NONE;
    }
    if (!emp_raw_failed(numa_call(SYS_get_mempolicy, policy)) && node >= 0) {
        return (unsigned)node;
    }
    return EMP_OS_NUMA_NONE;
}

bool emp_os_numa_prefer(void *base, size_t bytes, unsigned node)
{
    uint64_t mask[EMP_OS_NUMA_NODES_MAX / MASK_WORD_BITS] = {0};
    const struct emp_number_list online = list_read(ONLINE_FILE, node);
    const bool has_nodes = online.is_complete && online.count > 0;
    const struct emp_raw_args args = {
        .a = (long)base,
        .b = (long)bytes,
        .c = MPOL_PREFERRED,
        .d = (long)mask,
        .e = EMP_OS_NUMA_NODES_MAX + 1, /* the kernel takes one bit less than it is told */
    };

    emp_assert(bytes > 0);
    if (node >= EMP_OS_NUMA_NODES_MAX || (has_nodes && !online.has_wanted)) {
        return false;
    }
    mask[node / MASK_WORD_BITS] = (uint64_t)1 << (node % MASK_WORD_BITS);
    const long result = numa_call(SYS_mbind, args);
    if (result == -ENOSYS && !has_nodes) {
        return node == 0;
    }
    return !emp_raw_failed(result);
}
