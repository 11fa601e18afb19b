/*
 * Purpose: os_sparse.h on Linux.
 * Owner:   os; no state. Threads: any; no locks, errno is preserved.
 * Design:  [os.req.sparse] [os.req.raw]
 * Source:  Linux man-pages mmap(2) MAP_NORESERVE, madvise(2) MADV_GUARD_INSTALL, mincore(2).
 * Cost:    one system call each; map up to four, resident_tail one per 256 pages.
 */
#include "os/os_sparse.h"

#include <errno.h>
#include <linux/mman.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/align.h"
#include "base/check.h"
#include "os/linux/raw_syscall.h"
#include "os/os_fault.h"
#include "os/os_memory.h"

/* Linux 6.13; older headers do not have them. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif

#define RESIDENT_PAGES 256u

static bool sparse_call(enum emp_os_call kind, long number, struct emp_raw_args args)
{
    const int err = emp_os_fault_ask(kind);
    if (EMP_FAULT && err >= 0) {
        return false;
    }
    return !emp_raw_failed(emp_raw_syscall(number, args));
}

void *emp_os_map_sparse(size_t bytes, size_t align)
{
    const size_t page = emp_os_page_bytes();
    void *const base = emp_os_reserve(bytes, align < page ? page : align);
    if (base == NULL) {
        return NULL;
    }
    bytes = emp_align_up(bytes, page);
    if (!emp_os_commit(base, bytes)) {
        (void)emp_os_unmap(base, bytes);
        return NULL;
    }
    (void)emp_os_advise_huge(base, bytes, false);
    return base;
}

bool emp_os_guard(void *base, size_t bytes)
{
    const struct emp_raw_args args = {
        .a = (long)base,
        .b = (long)bytes,
        .c = MADV_GUARD_INSTALL,
    };
    return sparse_call(EMP_OS_CALL_GUARD, SYS_madvise, args);
}

bool emp_os_unguard(void *base, size_t bytes)
{
    const struct emp_raw_args args = {
        .a = (long)base,
        .b = (long)bytes,
        .c = MADV_GUARD_REMOVE,
    };
    return sparse_call(EMP_OS_CALL_GUARD, SYS_madvise, args);
}

bool emp_os_close(void *base, size_t bytes)
{
    const struct emp_raw_args args = {.a = (long)base, .b = (long)bytes, .c = PROT_NONE};
    return sparse_call(EMP_OS_CALL_GUARD, SYS_mprotect, args);
}

bool emp_os_is_closed(void *address)
{
    /* A call that only writes its answer there; emulators take unknown advice and do nothing. */
    const struct emp_raw_args args = {.b = RLIMIT_AS, .d = (long)address};
    return emp_raw_syscall(SYS_prlimit64, args) == -EFAULT;
}

size_t emp_os_resident_tail(void *base, size_t bytes)
{
    const size_t page = emp_os_page_bytes();
    unsigned char present[RESIDENT_PAGES] = {0};
    emp_assert(((uintptr_t)base & (page - 1)) == 0);
    for (size_t done = 0; done < bytes; done += RESIDENT_PAGES * page) {
        const size_t left = bytes - done;
        const size_t step = left < RESIDENT_PAGES * page ? left : RESIDENT_PAGES * page;
        const struct emp_raw_args args = {
            .a = (long)base + (long)done,
            .b = (long)step,
            .c = (long)present,
        };
        if (!sparse_call(EMP_OS_CALL_QUERY, SYS_mincore, args)) {
            return 0;
        }
        for (size_t i = 0; i < emp_align_up(step, page) / page; i++) {
            if ((present[i] & 1u) != 0) {
                return bytes - done - i * page;
            }
        }
    }
    return 0;
}
