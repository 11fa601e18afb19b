/*
 * Purpose: os_memory.h on Linux.
 * Owner:   os. No state but three facts learnt once (page size, whether purging zeroes).
 * Threads: any; no locks. errno is preserved because no wrapper of the C library is called.
 * Design:  [os.req.contract] [os.req.raw] [os.inv.no-change-on-failure] [os.inv.purged-is-zero]
 * Source:  Linux man-pages mmap(2), madvise(2), mremap(2), prctl(2) PR_SET_VMA.
 * Cost:    one system call each; reserve and map up to three for alignments above a page.
 */
#include "os/os_memory.h"

#include <errno.h>
#include <linux/mman.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/align.h"
#include "base/check.h"
#include "os/linux/raw_syscall.h"
#include "os/os_fault.h"
#include "sync/atomic.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#define HUGE_2M_BYTES ((size_t)2 << 20)
#define HUGE_1G_BYTES ((size_t)1 << 30)

/* A system call with the question of the fault tests before it. */
static long memory_call(enum emp_os_call kind, long number, struct emp_raw_args args)
{
    const int err = emp_os_fault_ask(kind);
    if (EMP_FAULT && err >= 0) {
        return -(long)err;
    }
    return emp_raw_syscall(number, args);
}

/*
 * The kernel gives an address to a second thread only after the first has unmapped it. TSan does
 * not see that through raw system calls, so its builds say it with an atomic.
 */
static void memory_show_address_order(void)
{
    static uint32_t address_order; /* atomic: address-order. Written in TSan builds only */
    if (EMP_TSAN) {
        /* order(address-order): acq_rel; accesses before munmap come before those after mmap */
        emp_fetch_add_acq_rel(&address_order, 1u);
    }
}

/* mmap of anonymous private memory; NULL when refused. */
static char *memory_mmap(enum emp_os_call kind, size_t bytes, int protection, int flags)
{
    const struct emp_raw_args args = {
        .b = (long)bytes,
        .c = protection,
        .d = MAP_PRIVATE | MAP_ANONYMOUS | flags,
        .e = -1,
    };
    const long result = memory_call(kind, SYS_mmap, args);
    memory_show_address_order();
    return emp_raw_failed(result) ? NULL : (char *)result;
}

static bool memory_munmap(char *base, size_t bytes)
{
    const struct emp_raw_args args = {.a = (long)base, .b = (long)bytes};
    memory_show_address_order();
    return !emp_raw_failed(memory_call(EMP_OS_CALL_UNMAP, SYS_munmap, args));
}

static bool memory_madvise(enum emp_os_call kind, void *base, size_t bytes, int advice)
{
    const struct emp_raw_args args = {.a = (long)base, .b = (long)bytes, .c = advice};
    return !emp_raw_failed(memory_call(kind, SYS_madvise, args));
}

/* What to map, in one value. */
struct mapping_request {
    enum emp_os_call kind;
    int protection;
    int flags;
    size_t bytes; /* multiple of the page */
    size_t align; /* power of two */
};

/*
 * Maps with alignment: plainly first (the kernel often aligns large mappings by itself), then with
 * room to cut. A cut that the system refuses stays mapped: address space lost, nothing else.
 */
static void *memory_map_aligned(const struct mapping_request *request)
{
    char *base = memory_mmap(request->kind, request->bytes, request->protection, request->flags);
    if (base == NULL || ((uintptr_t)base & (request->align - 1)) == 0) {
        return base;
    }
    memory_munmap(base, request->bytes);
    const size_t room = request->align - emp_os_page_bytes();
    size_t whole_bytes;
    if (__builtin_add_overflow(request->bytes, room, &whole_bytes)) {
        return NULL;
    }
    base = memory_mmap(request->kind, whole_bytes, request->protection, request->flags);
    if (base == NULL) {
        return NULL;
    }
    char *const aligned = (char *)emp_align_up((size_t)base, request->align);
    const size_t front_bytes = (size_t)(aligned - base);
    const size_t back_bytes = room - front_bytes;
    if (front_bytes != 0) {
        memory_munmap(base, front_bytes);
    }
    if (back_bytes != 0) {
        memory_munmap(aligned + request->bytes, back_bytes);
    }
    emp_assert(((uintptr_t)aligned & (request->align - 1)) == 0);
    return aligned;
}

/* Brings bytes and align into the form mapping_request wants; false: not possible. */
static bool memory_normalise(size_t *bytes, size_t *align)
{
    const size_t page = emp_os_page_bytes();
    if (*bytes == 0 || *bytes > (size_t)PTRDIFF_MAX || !emp_align_is_pow2(*align)) {
        return false;
    }
    *bytes = emp_align_up(*bytes, page);
    *align = *align < page ? page : *align;
    return true;
}

void *emp_os_reserve(size_t bytes, size_t align)
{
    if (!memory_normalise(&bytes, &align)) {
        return NULL;
    }
    const struct mapping_request request = {
        .kind = EMP_OS_CALL_RESERVE,
        .protection = PROT_NONE,
        .flags = MAP_NORESERVE,
        .bytes = bytes,
        .align = align,
    };
    return memory_map_aligned(&request);
}

bool emp_os_commit(void *base, size_t bytes)
{
    emp_assert(((uintptr_t)base & (emp_os_page_bytes() - 1)) == 0);
    const struct emp_raw_args args = {
        .a = (long)base,
        .b = (long)bytes,
        .c = PROT_READ | PROT_WRITE,
    };
    return !emp_raw_failed(memory_call(EMP_OS_CALL_COMMIT, SYS_mprotect, args));
}

/* What is known about MADV_DONTNEED: emulators and other kernels accept it and do nothing. */
enum purge_knowledge { PURGE_UNKNOWN = 0, PURGE_ZEROES, PURGE_KEEPS };

static uint32_t purge_knowledge; /* atomic, relaxed: a fact that every thread finds alike */

/* Marks a page of its own, purges it and looks: the caller's range may be closed to tools. */
static enum purge_knowledge purge_probe(void)
{
    const struct emp_raw_args map_args = {
        .b = (long)emp_os_page_bytes(),
        .c = PROT_READ | PROT_WRITE,
        .d = MAP_PRIVATE | MAP_ANONYMOUS,
        .e = -1,
    };
    const long page = emp_raw_syscall(SYS_mmap, map_args);
    if (emp_raw_failed(page)) {
        return PURGE_UNKNOWN;
    }
    enum purge_knowledge found = PURGE_UNKNOWN;
    uint32_t *const mark = (uint32_t *)page;
    /* order(purge-fact): relaxed; a word of this thread, atomic so that it is really written */
    emp_store_relaxed(mark, 1u);
    if (memory_madvise(EMP_OS_CALL_PURGE, mark, emp_os_page_bytes(), MADV_DONTNEED)) {
        /* order(purge-fact): relaxed; as above, really read */
        found = emp_load_relaxed(mark) == 0 ? PURGE_ZEROES : PURGE_KEEPS;
        /* order(purge-fact): relaxed; the fact stands alone, no other data comes with it */
        emp_store_relaxed(&purge_knowledge, (uint32_t)found);
    }
    emp_raw_syscall(SYS_munmap, (struct emp_raw_args){.a = page, .b = map_args.b});
    return found;
}

bool emp_os_purge(void *base, size_t bytes)
{
    emp_assert(((uintptr_t)base & (emp_os_page_bytes() - 1)) == 0);
    if (bytes == 0) {
        return true;
    }
    /* order(purge-fact): relaxed; the fact stands alone */
    enum purge_knowledge knowledge = (enum purge_knowledge)emp_load_relaxed(&purge_knowledge);
    if (emp_unlikely(knowledge == PURGE_UNKNOWN)) {
        knowledge = purge_probe();
    }
    if (!memory_madvise(EMP_OS_CALL_PURGE, base, bytes, MADV_DONTNEED)) {
        return false;
    }
    if (emp_unlikely(knowledge != PURGE_ZEROES)) {
        memset(base, 0, bytes);
    }
    return true;
}

bool emp_os_unmap(void *base, size_t bytes)
{
    emp_assert(((uintptr_t)base & (emp_os_page_bytes() - 1)) == 0);
    return memory_munmap(base, bytes);
}

/* Pages of the huge page pool; they are aligned by nature, larger alignments are not tried. */
static void *memory_map_hugetlb(size_t bytes, size_t align, enum emp_os_pages pages)
{
    const bool is_1g = pages == EMP_OS_PAGES_HUGE_1G;
    const size_t huge_bytes = is_1g ? HUGE_1G_BYTES : HUGE_2M_BYTES;
    if (bytes % huge_bytes != 0 || align > huge_bytes) {
        return NULL;
    }
    const int flags = MAP_HUGETLB | (is_1g ? MAP_HUGE_1GB : MAP_HUGE_2MB);
    return memory_mmap(EMP_OS_CALL_MAP_HUGE, bytes, PROT_READ | PROT_WRITE, flags);
}

void *emp_os_map(size_t bytes, size_t align, enum emp_os_pages pages, enum emp_os_pages *got)
{
    if (!memory_normalise(&bytes, &align)) {
        return NULL;
    }
    void *base = NULL;
    enum emp_os_pages kind = pages;
    for (; kind != EMP_OS_PAGES_NORMAL; kind--) {
        base = memory_map_hugetlb(bytes, align, kind);
        if (base != NULL) {
            break;
        }
    }
    if (base == NULL) {
        const bool wants_huge = pages != EMP_OS_PAGES_NORMAL && bytes >= HUGE_2M_BYTES;
        const struct mapping_request request = {
            .kind = EMP_OS_CALL_MAP,
            .protection = PROT_READ | PROT_WRITE,
            .bytes = bytes,
            .align = wants_huge && align < HUGE_2M_BYTES ? HUGE_2M_BYTES : align,
        };
        base = memory_map_aligned(&request);
        if (base != NULL && wants_huge) {
            emp_os_advise_huge(base, bytes, true);
        }
    }
    if (base != NULL && got != NULL) {
        *got = kind;
    }
    return base;
}

void *emp_os_remap(void *base, size_t old_bytes, size_t new_bytes, bool may_move)
{
    if (new_bytes == 0 || new_bytes > (size_t)PTRDIFF_MAX) {
        return NULL;
    }
    const struct emp_raw_args args = {
        .a = (long)base,
        .b = (long)old_bytes,
        .c = (long)new_bytes,
        .d = may_move ? MREMAP_MAYMOVE : 0,
    };
    memory_show_address_order();
    const long result = memory_call(EMP_OS_CALL_REMAP, SYS_mremap, args);
    memory_show_address_order();
    return emp_raw_failed(result) ? NULL : (void *)result;
}

bool emp_os_advise_huge(void *base, size_t bytes, bool want)
{
    const int advice = want ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;
    return memory_madvise(EMP_OS_CALL_ADVISE, base, bytes, advice);
}

void emp_os_name_range(void *base, size_t bytes, const char *name)
{
    const struct emp_raw_args args = {
        .a = PR_SET_VMA,
        .b = PR_SET_VMA_ANON_NAME,
        .c = (long)base,
        .d = (long)bytes,
        .e = (long)name,
    };
    memory_call(EMP_OS_CALL_NAME, SYS_prctl, args);
}

size_t emp_os_page_bytes(void)
{
    static size_t page_bytes; /* atomic, relaxed: a constant of the machine */
    /* order(page-size): relaxed; every thread finds the same number, nothing comes with it */
    size_t page = emp_load_relaxed(&page_bytes);
    if (emp_unlikely(page == 0)) {
        page = (size_t)getauxval(AT_PAGESZ);
        emp_check(emp_align_is_pow2(page));
        /* order(page-size): relaxed; as above */
        emp_store_relaxed(&page_bytes, page);
    }
    return page;
}

size_t emp_os_address_limit(void)
{
    struct rlimit limit = {0};
    const struct emp_raw_args args = {.b = RLIMIT_AS, .d = (long)&limit};
    const long result = memory_call(EMP_OS_CALL_QUERY, SYS_prlimit64, args);
    if (emp_raw_failed(result) || limit.rlim_cur == RLIM_INFINITY) {
        return SIZE_MAX;
    }
    return (size_t)limit.rlim_cur;
}
