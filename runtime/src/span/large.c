/*
 * Purpose: see large.h. Mapped blocks are found through an open-addressing table of fixed size.
 * Owner:   span. Threads: any. Cost: O(1) plus the system call for mapped blocks.
 *
 *   entry: free --insert--> block --give--> free
 *          block --resize begins--> held --resize ends--> block (the same or another address)
 *
 * Design:  [span.proto.large] [span.inv.large-once]
 * Source:  Knuth, The Art of Computer Programming 3, 6.4, algorithm R (removal without marks).
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
#define EMP_LARGE_HELD    ((uintptr_t)1)
#define EMP_LARGE_SHIFT   ((size_t)0xff) /* the part of `mapping` that is no bytes */

/*
 * One mapped block. Invariant: no entry is free between the slot an address hashes to and its own.
 * While a block is being resized its address carries EMP_LARGE_HELD: nobody finds it, but its room
 * in the table stays. Two threads may hold the same address for a moment, when the kernel gave it
 * on after the first had moved away; then either entry serves either thread.
 */
struct emp_large_entry {
    uintptr_t address; /* 0: free */
    size_t mapping;    /* bytes, a multiple of the mapping's pages, plus log2 of such a page */
};

static struct {
    struct emp_mutex lock;
    struct emp_large_entry *entries; /* guarded by lock; NULL until the first mapped block */
} large = {.lock = EMP_MUTEX_INIT(LARGE)};

/* The slot an address hashes to, held or not. */
static size_t large_home(uintptr_t address)
{
    return (size_t)((address >> 12) * 0x9e3779b97f4a7c15u >> 40) & (EMP_LARGE_ENTRIES - 1);
}

static size_t large_entry_bytes(const struct emp_large_entry *entry)
{
    return entry->mapping & ~EMP_LARGE_SHIFT;
}

/* The entry of a key (an address, held or not), or NULL; lock held. */
static struct emp_large_entry *large_find_locked(uintptr_t key)
{
    size_t slot = large_home(key);

    for (size_t i = 0; large.entries != NULL && i < EMP_LARGE_ENTRIES; i++) {
        struct emp_large_entry *entry = &large.entries[(slot + i) & (EMP_LARGE_ENTRIES - 1)];

        if (entry->address == key) {
            return entry;
        }
        if (entry->address == 0) {
            return NULL;
        }
    }
    return NULL;
}

/* The entry of a block by a pointer from outside, or NULL; lock held. */
static struct emp_large_entry *large_block_locked(const void *ptr)
{
    uintptr_t address = (uintptr_t)ptr;

    return address == 0 || (address & EMP_LARGE_HELD) != 0 ? NULL : large_find_locked(address);
}

/* Stores an entry in the first free slot from its home on; false: the table is full. Lock held. */
static bool large_place_locked(struct emp_large_entry fresh)
{
    size_t slot = large_home(fresh.address);

    for (size_t i = 0; large.entries != NULL && i < EMP_LARGE_ENTRIES; i++) {
        struct emp_large_entry *entry = &large.entries[(slot + i) & (EMP_LARGE_ENTRIES - 1)];

        if (entry->address == 0) {
            *entry = fresh;
            return true;
        }
    }
    return false;
}

/* Frees an entry; those behind it that may, move up, so that searches end early. Lock held. */
static void large_remove_locked(struct emp_large_entry *entry)
{
    size_t hole = (size_t)(entry - large.entries);

    for (size_t i = 1; i < EMP_LARGE_ENTRIES; i++) {
        size_t at = ((size_t)(entry - large.entries) + i) & (EMP_LARGE_ENTRIES - 1);
        struct emp_large_entry *next = &large.entries[at];
        size_t from_hole = (at - hole) & (EMP_LARGE_ENTRIES - 1);

        if (next->address == 0) {
            break;
        }
        if (((at - large_home(next->address)) & (EMP_LARGE_ENTRIES - 1)) >= from_hole) {
            large.entries[hole] = *next;
            hole = at;
        }
    }
    large.entries[hole] = (struct emp_large_entry){0};
}

/* Makes the table if there is none yet; the lock is held on entry and return. */
static void large_table_locked(void)
{
    size_t bytes = EMP_LARGE_ENTRIES * sizeof(struct emp_large_entry);

    emp_mutex_unlock(&large.lock);
    void *fresh = emp_meta_alloc(bytes);
    emp_mutex_lock(&large.lock);
    if (large.entries == NULL) {
        large.entries = fresh;
        return;
    }
    emp_mutex_unlock(&large.lock);
    if (fresh != NULL) {
        emp_meta_free(fresh, bytes);
    }
    emp_mutex_lock(&large.lock);
}

/* Adds a block; false when the table is full or has no memory. */
static bool large_insert(struct emp_large_entry fresh)
{
    emp_mutex_lock(&large.lock);
    if (large.entries == NULL) {
        large_table_locked();
    }
    bool done = large_place_locked(fresh);
    emp_mutex_unlock(&large.lock);
    return done;
}

/* Removes a block; returns its bytes or 0. */
static size_t large_remove(const void *ptr)
{
    size_t bytes = 0;

    emp_mutex_lock(&large.lock);
    struct emp_large_entry *entry = large_block_locked(ptr);

    if (entry != NULL) {
        bytes = large_entry_bytes(entry);
        large_remove_locked(entry);
    }
    emp_mutex_unlock(&large.lock);
    return bytes;
}

/* log2 of the pages of a mapping: of the system, or of the huge page pool. */
static size_t large_page_shift(enum emp_os_pages kind)
{
    if (kind == EMP_OS_PAGES_NORMAL) {
        return (size_t)__builtin_ctzll(emp_os_page_bytes());
    }
    return kind == EMP_OS_PAGES_HUGE_1G ? 30 : 21;
}

void *emp_large_take_pages(size_t bytes, size_t align, enum emp_os_pages pages, bool *limited)
{
    size_t page = emp_os_page_bytes();
    size_t unit = pages == EMP_OS_PAGES_NORMAL ? page : EMP_CHUNK_BYTES;
    size_t mapped = emp_align_up(bytes, unit);
    enum emp_os_pages got = EMP_OS_PAGES_NORMAL;

    *limited = false;
    if (mapped < bytes) {
        return NULL;
    }
    if (!emp_arena_charge(mapped)) {
        *limited = true;
        return NULL;
    }
    void *block = emp_os_map(mapped, align < page ? page : align, pages, &got);
    struct emp_large_entry fresh = {(uintptr_t)block, mapped + large_page_shift(got)};

    if (block != NULL && !large_insert(fresh)) {
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

/* Takes whole chunks of the arena; NULL: there are none, or *limited. */
static void *large_take_chunks(size_t bytes, bool *zero, bool *limited)
{
    size_t count = emp_align_up(bytes, EMP_CHUNK_BYTES) >> EMP_CHUNK_SHIFT;
    size_t index = emp_arena_take(count, EMP_CHUNK_LARGE, zero, limited);

    if (index == SIZE_MAX) {
        return NULL;
    }
    emp_arena.chunks[index].large_bytes = count << EMP_CHUNK_SHIFT;
    emp_span_count_large(1, (ptrdiff_t)(count << EMP_CHUNK_SHIFT));
    return emp_arena_chunk_base(index);
}

void *emp_large_take(size_t bytes, size_t align, bool *zero, bool *limited)
{
    bool fits_chunks = align <= EMP_CHUNK_BYTES;
    bool chunks_first = fits_chunks && bytes <= EMP_CHUNKED_MAX;
    void *block = NULL;

    *limited = false;
    if (chunks_first) {
        block = large_take_chunks(bytes, zero, limited);
    }
    if (block == NULL && !*limited) {
        *zero = true;
        block = emp_large_take_pages(bytes, align, EMP_OS_PAGES_NORMAL, limited);
    }
    /* The table or the system's number of mappings may be used up: the arena needs neither. */
    if (block == NULL && !*limited && fits_chunks && !chunks_first) {
        block = large_take_chunks(bytes, zero, limited);
    }
    return block;
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
        bytes = large_remove(ptr);
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
    const struct emp_large_entry *entry = large_block_locked(ptr);

    bytes = entry != NULL ? large_entry_bytes(entry) : 0;
    emp_mutex_unlock(&large.lock);
    return bytes;
}

/* Hides a block for a resize; its room in the table stays. Address 0: there is none. */
static struct emp_large_entry large_hold(const void *ptr)
{
    struct emp_large_entry old = {0};

    emp_mutex_lock(&large.lock);
    struct emp_large_entry *entry = large_block_locked(ptr);

    if (entry != NULL) {
        old = *entry;
        entry->address |= EMP_LARGE_HELD;
    }
    emp_mutex_unlock(&large.lock);
    return old;
}

/* Ends what large_hold began: the room of `old` now is that of `fresh`. */
static void large_settle(struct emp_large_entry old, struct emp_large_entry fresh)
{
    emp_mutex_lock(&large.lock);
    struct emp_large_entry *held = large_find_locked(old.address | EMP_LARGE_HELD);

    emp_check(held != NULL);
    large_remove_locked(held);
    emp_check(large_place_locked(fresh));
    emp_mutex_unlock(&large.lock);
}

void *emp_large_resize(void *ptr, size_t bytes)
{
    if (emp_arena_contains(ptr) || bytes == 0 || bytes > EMP_ALLOC_MAX / 2) {
        return NULL;
    }
    struct emp_large_entry old = large_hold(ptr);

    if (old.address == 0) {
        return NULL;
    }
    size_t old_bytes = large_entry_bytes(&old);
    size_t shift = old.mapping & EMP_LARGE_SHIFT;
    size_t mapped = emp_align_up(bytes, (size_t)1 << shift);
    bool charged = mapped <= old_bytes || emp_arena_charge(mapped - old_bytes);
    struct emp_large_entry fresh = {0, mapped + shift};
    void *moved = ptr;

    if (mapped != old_bytes) {
        moved = charged ? emp_os_remap(ptr, old_bytes, mapped, true) : NULL;
    }
    fresh.address = (uintptr_t)moved;
    large_settle(old, moved != NULL ? fresh : old);
    if (moved == NULL) {
        emp_arena_uncharge(charged && mapped > old_bytes ? mapped - old_bytes : 0);
        return NULL;
    }
    emp_arena_uncharge(mapped < old_bytes ? old_bytes - mapped : 0);
    emp_span_count_large(0, (ptrdiff_t)mapped - (ptrdiff_t)old_bytes);
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
