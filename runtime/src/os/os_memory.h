/*
 * Purpose: the contract with the operating system about memory; the only way to it.
 * Owner:   os. States of a range: unmapped -> reserved -> committed -> purged (committed, zero, no
 *          pages) -> unmapped. Every function may fail; failure changes nothing.
 * Threads: any; no locks, no allocation, errno is preserved by every function.
 * Design:  [os.req.contract]
 */
#ifndef EMP_OS_OS_MEMORY_H
#define EMP_OS_OS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What kind of pages emp_os_map is asked for. */
enum emp_os_pages {
    EMP_OS_PAGES_NORMAL = 0,
    EMP_OS_PAGES_HUGE_2M, /* MAP_HUGETLB 2 MiB; falls back to normal pages with MADV_HUGEPAGE */
    EMP_OS_PAGES_HUGE_1G  /* MAP_HUGETLB 1 GiB; falls back to 2 MiB, then normal */
};

/* Address space without access, aligned to align (power of two >= page); NULL when refused. */
void *emp_os_reserve(size_t bytes, size_t align);

/* Makes a reserved range readable and writable, zero-filled. False: refused, nothing changed. */
bool emp_os_commit(void *base, size_t bytes);

/* Gives the pages back, keeps the range committed. True: the range now reads as zero. */
bool emp_os_purge(void *base, size_t bytes);

/* Unmaps. False: the system refused (mapping count), the range is still mapped. */
bool emp_os_unmap(void *base, size_t bytes);

/*
 * Maps committed zero memory, bytes a multiple of the page, aligned to align. *got receives the
 * kind of pages obtained (may be NULL). NULL when refused.
 */
void *emp_os_map(size_t bytes, size_t align, enum emp_os_pages pages, enum emp_os_pages *got);

/*
 * Resizes a mapping made by emp_os_map, possibly moving it; both sizes multiples of its own pages
 * (the huge ones too). NULL: refused, unchanged.
 */
void *emp_os_remap(void *base, size_t old_bytes, size_t new_bytes, bool may_move);

/* Asks for transparent huge pages on (true) or against them (false). False: not supported. */
bool emp_os_advise_huge(void *base, size_t bytes, bool want);

/* Names the range in /proc/<pid>/smaps where the kernel can; best effort. */
void emp_os_name_range(void *base, size_t bytes, const char *name);

/* Bytes of a system page, read once. */
size_t emp_os_page_bytes(void);

/* Soft limit of the address space (RLIMIT_AS) in bytes, SIZE_MAX when none. */
size_t emp_os_address_limit(void);

/* Resident bytes of this process by the kernel's count; 0 when unknown. */
size_t emp_os_resident_bytes(void);

#endif
