/*
 * Purpose: see large.h. Mapped blocks are found through an open-addressing table of fixed size.
 * Owner:   span. Threads: any. Cost: O(1) plus the system call for mapped blocks.
 * Design:  [span.proto.large] [span.inv.large-once]
 */
#include "span/large.h"

#include "base/align.h"
#include "base/check.h"
#include "base/config.h"
#include "span/arena.h"
#include "span/meta.h"
#include "sync/atomic.h"
#include "thread/mutex.h"

#define EMP_LARGE_ENTRIES 4096u /* power of two; one meta block of 64 KiB */
#define EMP_LARGE_MOVED ((uintptr_t)1)

/* One mapped block; address 0: never used, 1: used before (search goes on). */
struct emp_large_entry {
    uintptr_t address;
    size_t bytes; /* mapped, a multiple of the page */
};

static struct {
    struct emp_mutex lock;
    struct emp_large_entry *entries; /* guarded by lock; NULL until the first mapped block */
    size_t used;                     /* guarded by lock: entries with an address */
} large = {.lock = EMP_MUTEX_INIT(LARGE)};

static size_t large_slot(uintptr_t address)
{
    return (size_t)((address >> 12) * 0x9e3779b97f4a7c15u >> 40) & (EMP_LARGE_ENTRIES - 1);
}

/* The entry of an address, or NULL; lock held. */
static struct emp_large_entry *large_find_locked(uintptr_t address)
{
    size_t slot = large_slot(address);

    for (size_t i = 0; large.entries != NULL && i < EMP_LARGE_ENTRIES; i++) {
        struct emp_large_entry *entry = &large.entries[(slot + i) & (EMP_LARGE_ENTRIES - 1)];

        if (entry->address == address) {
            return entry;
        }
        if (entry->address == 0) {
            return NULL;
        }
    }
    return NULL;
}

/* Adds an address; false when the table is full or has no memory. */
static bool large_insert(uintptr_t address, size_t bytes)
{
    struct emp_large_entry *fresh = NULL;
    bool done = false;

    emp_mutex_lock(&large.lock);
    if (large.entries == NULL) {
        emp_mutex_unlock(&large.lock);
        fresh = emp_meta_alloc(EMP_LARGE_ENTRIES * sizeof(*fresh));
        emp_mutex_lock(&large.lock);
        if (large.entries == NULL) {
            large.entries = fresh;
            fresh = NULL;
        }
    }
    size_t slot = large_slot(address);
    for (size_t i = 0; large.entries != NULL && i < EMP_LARGE_ENTRIES && !done; i++) {
        struct emp_large_entry *entry = &large.entries[(slot + i) & (EMP_LARGE_ENTRIES - 1)];

        if (entry->address <= EMP_LARGE_MOVED) {
            *entry = (struct emp_large_entry){address, bytes};
            large.used++;
            done = true;
        }
    }
    emp_mutex_unlock(&large.lock);
    if (fresh != NULL) {
        emp_meta_free(fresh, EMP_LARGE_ENTRIES * sizeof(*fresh));
    }
    return done;
}

/* Removes an address; returns its bytes or 0. */
static size_t large_remove(uintptr_t address)
{
    size_t bytes = 0;

    emp_mutex_lock(&large.lock);
    struct emp_large_entry *entry = address > EMP_LARGE_MOVED ? large_find_locked(address) : NULL;

    if (entry != NULL) {
        bytes = entry->bytes;
        entry->address = EMP_LARGE_MOVED;
        large.used--;
    }
    emp_mutex_unlock(&large.lock);
    return bytes;
}

void *emp_large_take_pages(size_t bytes, size_t align, enum emp_os_pages pages, bool *limited)
{
    size_t page = emp_os_page_bytes();
    size_t unit = pages == EMP_OS_PAGES_NORMAL ? page : EMP_CHUNK_BYTES;
    size_t mapped = emp_align_up(bytes, unit);

    *limited = false;
    if (mapped < bytes) {
        return NULL;
    }
    if (!emp_arena_charge(mapped)) {
        *limited = true;
        return NULL;
    }
    void *block = emp_os_map(mapped, align < page ? page : align, pages, NULL);

    if (block != NULL && !large_insert((uintptr_t)block, mapped)) {
        (void)emp_os_unmap(block, mapped);
        block = NULL;
    }
    if (block == NULL) {
        emp_arena_uncharge(mapped);
        return NULL;
    }
    emp_os_name_range(block, mapped, "echomem-large");
    emp_span_count_large(1, (ptrdiff_t)mapped);
    return block;
}

void *emp_large_take(size_t bytes, size_t align, bool *zero, bool *limited)
{
    size_t count = emp_align_up(bytes, EMP_CHUNK_BYTES) >> EMP_CHUNK_SHIFT;

    if (bytes <= EMP_CHUNKED_MAX && align <= EMP_CHUNK_BYTES) {
        size_t index = emp_arena_take(count, EMP_CHUNK_LARGE, zero, limited);

        if (index != SIZE_MAX) {
            emp_arena.chunks[index].large_bytes = count << EMP_CHUNK_SHIFT;
            emp_span_count_large(1, (ptrdiff_t)(count << EMP_CHUNK_SHIFT));
            return emp_arena_chunk_base(index);
        }
        if (*limited) {
            return NULL;
        }
    }
    *zero = true;
    return emp_large_take_pages(bytes, align, EMP_OS_PAGES_NORMAL, limited);
}

/* Turns a chunk block into free chunks exactly once; returns its bytes or 0. */
static size_t large_give_chunks(void *ptr)
{
    struct emp_chunk *chunk = emp_arena_chunk_of((uintptr_t)ptr);
    size_t bytes = 0;
    size_t count = 0;

    if (((uintptr_t)ptr - emp_arena.base) % EMP_CHUNK_BYTES != 0) {
        return 0;
    }
    emp_span_lock();
    if (chunk->kind == EMP_CHUNK_LARGE) {
        bytes = chunk->large_bytes;
        count = chunk->large_chunks;
        chunk->kind = EMP_CHUNK_LARGE_REST;
    }
    emp_span_unlock();
    if (bytes != 0) {
        emp_arena_give((size_t)(chunk - emp_arena.chunks), count, true);
    }
    return bytes;
}

size_t emp_large_give(void *ptr)
{
    size_t bytes = 0;

    if (emp_arena_contains(ptr)) {
        bytes = large_give_chunks(ptr);
    } else {
        bytes = large_remove((uintptr_t)ptr);
        if (bytes != 0) {
            emp_arena_uncharge(bytes);
            if (emp_os_unmap(ptr, bytes)) {
                emp_span_count_purge(bytes);
            } else {
                (void)emp_os_purge(ptr, bytes);
            }
        }
    }
    if (bytes != 0) {
        emp_span_count_large(-1, -(ptrdiff_t)bytes);
    }
    return bytes;
}

size_t emp_large_bytes(const void *ptr)
{
    size_t bytes = 0;

    if (emp_arena_contains(ptr)) {
        struct emp_chunk *chunk = emp_arena_chunk_of((uintptr_t)ptr);

        emp_span_lock();
        if (chunk->kind == EMP_CHUNK_LARGE &&
            ((uintptr_t)ptr - emp_arena.base) % EMP_CHUNK_BYTES == 0) {
            bytes = chunk->large_bytes;
        }
        emp_span_unlock();
        return bytes;
    }
    emp_mutex_lock(&large.lock);
    struct emp_large_entry *entry =
        (uintptr_t)ptr > EMP_LARGE_MOVED ? large_find_locked((uintptr_t)ptr) : NULL;

    bytes = entry != NULL ? entry->bytes : 0;
    emp_mutex_unlock(&large.lock);
    return bytes;
}

void *emp_large_resize(void *ptr, size_t bytes)
{
    size_t mapped = emp_align_up(bytes, emp_os_page_bytes());

    if (emp_arena_contains(ptr) || mapped < bytes) {
        return NULL;
    }
    size_t old = large_remove((uintptr_t)ptr);

    if (old == 0) {
        return NULL;
    }
    bool charged = mapped <= old || emp_arena_charge(mapped - old);
    void *moved = charged ? emp_os_remap(ptr, old, mapped, true) : NULL;

    if (moved == NULL) {
        if (charged && mapped > old) {
            emp_arena_uncharge(mapped - old);
        }
        emp_check(large_insert((uintptr_t)ptr, old));
        return NULL;
    }
    if (mapped < old) {
        emp_arena_uncharge(old - mapped);
    }
    emp_check(large_insert((uintptr_t)moved, mapped));
    emp_span_count_large(0, (ptrdiff_t)mapped - (ptrdiff_t)old);
    return moved;
}

void emp_large_fork_prepare(void)
{
    emp_mutex_lock(&large.lock);
}

void emp_large_fork_parent(void)
{
    emp_mutex_unlock(&large.lock);
}

void emp_large_fork_child(void)
{
    emp_mutex_reset_in_child(&large.lock);
}
