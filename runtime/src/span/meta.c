/*
 * Purpose: see meta.h. A bump pointer with a free list per size, four sizes per doubling.
 * Owner:   span. Threads: any, under meta.lock; the lock is dropped around the system call that
 *          commits more (the frontier is claimed first).
 * Design:  [span.inv.meta-mapped]. Cost: O(1); a system call per EMP_META_STEP_BYTES.
 */
#include "span/meta.h"

#include <stdint.h>
#include <string.h>

#include "base/align.h"
#include "base/bits.h"
#include "base/check.h"
#include "base/config.h"
#include "os/os_memory.h"
#include "sync/atomic.h"
#include "thread/mutex.h"

#define EMP_META_SHIFT_MIN  6u  /* the smallest block, and the step up to eight of them */
#define EMP_META_SHIFT_MAX  19u /* the largest block */
#define EMP_META_SIZES      (4u * (EMP_META_SHIFT_MAX - EMP_META_SHIFT_MIN - 1u))
#define EMP_META_STEP_BYTES ((size_t)256 << 10)

/* A free block; its first word links to the next of its size. */
struct emp_meta_block {
    struct emp_meta_block *next;
};

static struct {
    struct emp_mutex lock;
    char *next;                                  /* guarded by lock: first unused byte */
    char *committed;                             /* guarded by lock: end of committed */
    char *end;                                   /* const after init */
    struct emp_meta_block *free[EMP_META_SIZES]; /* guarded by lock */
    size_t committed_bytes;                      /* atomic: meta-count */
} meta = {.lock = EMP_MUTEX_INIT(META)};

/* Number of the free list for a request; *size receives the bytes of its blocks. */
static unsigned meta_list(size_t bytes, size_t *size)
{
    size_t last = bytes <= 1 ? 0 : (bytes - 1) >> EMP_META_SHIFT_MIN; /* in smallest blocks */
    unsigned octave = last < 8 ? 0 : emp_bits_highest(last) - 2u;

    *size = ((last >> octave) + 1) << (octave + EMP_META_SHIFT_MIN);
    return octave * 4u + (unsigned)(last >> octave);
}

void emp_meta_init(void *base, size_t bytes)
{
    meta.next = base;
    meta.committed = base;
    meta.end = (char *)base + bytes;
}

/* Commits so that the next `bytes` are usable; called with the lock, which is dropped meanwhile. */
static bool meta_grow(size_t bytes)
{
    char *from = meta.committed;
    size_t step = emp_align_up(bytes, EMP_META_STEP_BYTES);

    if ((size_t)(meta.end - from) < step) {
        return false;
    }
    emp_mutex_unlock(&meta.lock);
    bool ok = emp_os_commit(from, step);
    emp_mutex_lock(&meta.lock);
    if (ok && meta.committed == from) {
        meta.committed = from + step;
        /* order(meta-count): relaxed; a statistic */
        emp_fetch_add_relaxed(&meta.committed_bytes, step);
    }
    return ok;
}

/* Cuts size bytes at a multiple of align off the front; called with the lock, NULL: no memory. */
static void *meta_cut(size_t size, size_t align)
{
    for (;;) {
        char *at = (char *)emp_align_up((uintptr_t)meta.next, align);

        if (at + size <= meta.committed) {
            meta.next = at + size;
            return at;
        }
        if (!meta_grow(size + 4096)) {
            return NULL;
        }
    }
}

void *emp_meta_alloc_uncleared(size_t bytes)
{
    size_t size = 0;
    unsigned list = meta_list(bytes, &size);
    void *result = NULL;

    emp_check(list < EMP_META_SIZES);
    emp_mutex_lock(&meta.lock);
    if (meta.free[list] != NULL) {
        struct emp_meta_block *block = meta.free[list];
        meta.free[list] = block->next;
        emp_mutex_unlock(&meta.lock);
        block->next = NULL;
        return block;
    }
    result = meta_cut(size, size < 4096 ? EMP_LINE_BYTES : 4096);
    emp_mutex_unlock(&meta.lock);
    return result;
}

void *emp_meta_alloc(size_t bytes)
{
    void *block = emp_meta_alloc_uncleared(bytes);

    if (block != NULL) {
        memset(block, 0, bytes);
    }
    return block;
}

void *emp_meta_alloc_pages(size_t bytes)
{
    size_t size = emp_align_up(bytes, 4096);
    void *result = NULL;

    emp_mutex_lock(&meta.lock);
    result = meta_cut(size, 4096);
    emp_mutex_unlock(&meta.lock);
    return result;
}

void emp_meta_free(void *block, size_t bytes)
{
    size_t size = 0;
    unsigned list = meta_list(bytes, &size);
    struct emp_meta_block *freed = block;

    emp_assert(list < EMP_META_SIZES);
    emp_mutex_lock(&meta.lock);
    freed->next = meta.free[list];
    meta.free[list] = freed;
    emp_mutex_unlock(&meta.lock);
}

size_t emp_meta_committed_bytes(void)
{
    /* order(meta-count): relaxed; a statistic */
    return emp_load_relaxed(&meta.committed_bytes);
}

void emp_meta_fork_prepare(void)
{
    emp_mutex_lock(&meta.lock);
}

void emp_meta_fork_parent(void)
{
    emp_mutex_unlock(&meta.lock);
}

void emp_meta_fork_child(void)
{
    emp_mutex_reset_in_child(&meta.lock);
}
