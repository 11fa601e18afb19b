/*
 * Purpose: see meta.h. Small blocks are runs of lines of a page, best fit by the page's longest
 *          run; larger ones are pages with a list per size, four sizes per doubling. What is free
 *          stands in an array beside the pages; a free block is not written.
 * Owner:   span. Threads: any, under meta.lock; the lock is dropped around system calls (to commit
 *          more the frontier is claimed first, to give back the pages are taken out of the lists).
 * Design:  [span.inv.meta-mapped] [span.inv.meta-lines] [span.proto.meta]
 * Cost:    O(1); a system call per EMP_META_STEP_BYTES, and per run of pages given back.
 */
#include "span/meta.h"

#include <stdint.h>
#include <string.h>

#include "base/align.h"
#include "base/bits.h"
#include "base/check.h"
#include "base/config.h"
#include "os/os_memory.h"
#include "span/arena.h"
#include "span/meta_page.h"
#include "thread/mutex.h"

#define EMP_META_STEP_BYTES  ((size_t)256 << 10) /* of pages, committed at a time */
#define EMP_META_STEP_TABLE  EMP_UNIT_BYTES      /* of the table: for 16 MiB of pages */
#define EMP_META_PURGE_PAGES 64u                 /* in one system call, and under one lock */

_Static_assert(EMP_ARENA_BYTES_MAX / 64 / EMP_META_PAGE_BYTES + 512 < EMP_META_PAGES_MAX,
               "the numbers of pages fit");
_Static_assert(EMP_META_PAGE_BYTES / EMP_LINE_BYTES == EMP_META_LINES, "a bit per line");

/* Pages next to each other. */
struct meta_range {
    uint32_t first;
    uint32_t count;
};

/* Lines of a page, next to each other. */
struct meta_lines {
    uint32_t page;
    unsigned first;
    unsigned count;
};

static struct {
    struct emp_mutex lock;
    uint32_t next;                  /* guarded by lock: first page never used */
    uint32_t committed;             /* guarded by lock: end of committed pages */
    uint32_t end;                   /* const after init */
    uint32_t young;                 /* guarded by lock: which of the lists of two ages is younger */
    char *base;                     /* const after init: page 0, which does not exist */
    struct emp_meta_page *pages;    /* const after init; elements guarded by lock */
    size_t table_committed;         /* guarded by lock: bytes of pages[] */
    struct meta_lines open;         /* guarded by lock: a free run that its page counts as in use */
    uint64_t room;                  /* guarded by lock: bit k: list EMP_META_ROOM + k has a page */
    size_t dirty;                   /* guarded by lock: free pages with old data */
    size_t clean;                   /* guarded by lock: free pages given back */
    uint32_t heads[EMP_META_LISTS]; /* guarded by lock: first page, 0: none */
} meta = {.lock = EMP_MUTEX_INIT(META)};

static void meta_link(uint32_t number, unsigned list)
{
    emp_meta_link(meta.pages, &meta.heads[list], number, list);
    if (list < EMP_META_LINES) {
        meta.room |= (uint64_t)1 << list;
    }
}

static void meta_unlink(uint32_t number)
{
    unsigned list = meta.pages[number].list;

    emp_meta_unlink(meta.pages, &meta.heads[list], number);
    if (list < EMP_META_LINES && meta.heads[list] == 0) {
        meta.room &= ~((uint64_t)1 << list);
    }
}

static char *meta_address(uint32_t number)
{
    return meta.base + ((size_t)number << EMP_META_PAGE_SHIFT);
}

static uint32_t meta_number(const void *block)
{
    return (uint32_t)((size_t)((const char *)block - meta.base) >> EMP_META_PAGE_SHIFT);
}

/* Lines of a block of at most a page. */
static unsigned lines_of(size_t bytes)
{
    return bytes <= 1 ? 1u : (unsigned)((bytes - 1) / EMP_LINE_BYTES) + 1u;
}

/* The list of a larger block; *pages receives how many its blocks have. */
static unsigned meta_large_list(size_t bytes, uint32_t *pages)
{
    size_t last = (bytes - 1) >> EMP_META_PAGE_SHIFT;
    unsigned octave = last < 8 ? 0 : emp_bits_highest(last) - 2u;
    unsigned size = octave * 4u + (unsigned)(last >> octave);

    emp_check(size < EMP_META_LARGE_SIZES);
    *pages = (uint32_t)(((last >> octave) + 1) << octave);
    return EMP_META_LARGE + size;
}

void emp_meta_init(void *base, size_t bytes)
{
    size_t pages = bytes >> EMP_META_PAGE_SHIFT;
    size_t table = emp_align_up((pages + 1) * sizeof(struct emp_meta_page), EMP_META_STEP_TABLE);

    meta.pages = base;
    meta.base = (char *)base + table - EMP_META_PAGE_BYTES;
    meta.next = 1;
    meta.committed = 1;
    meta.end = (uint32_t)(1 + pages - (table >> EMP_META_PAGE_SHIFT));
}

/* Commits more, `pages` of them at least; called with the lock, which is dropped meanwhile. */
static bool meta_grow(uint32_t pages)
{
    uint32_t from = meta.committed;
    size_t step = emp_align_up((size_t)pages << EMP_META_PAGE_SHIFT, EMP_META_STEP_BYTES);
    uint32_t to = from + (uint32_t)(step >> EMP_META_PAGE_SHIFT);
    char *table = (char *)meta.pages + meta.table_committed;
    size_t table_step = 0;

    to = to < meta.end ? to : meta.end;
    if (to * sizeof(struct emp_meta_page) > meta.table_committed) {
        table_step = emp_align_up(to * sizeof(struct emp_meta_page) - meta.table_committed,
                                  EMP_META_STEP_TABLE);
    }
    emp_mutex_unlock(&meta.lock);
    bool ok = (table_step == 0 || emp_os_commit(table, table_step)) &&
              emp_os_commit(meta_address(from), (size_t)(to - from) << EMP_META_PAGE_SHIFT);
    emp_mutex_lock(&meta.lock);
    if (ok && meta.committed == from) {
        meta.committed = to;
        meta.table_committed += table_step;
    }
    return ok;
}

/* Cuts pages that were never used off the front; called with the lock, 0: no memory. */
static uint32_t meta_cut(size_t bytes)
{
    size_t pages = (bytes + EMP_META_PAGE_BYTES - 1) >> EMP_META_PAGE_SHIFT;

    while (pages > meta.committed - meta.next) {
        size_t missing = pages - (meta.committed - meta.next);

        if (missing > meta.end - meta.committed || !meta_grow((uint32_t)missing)) {
            return 0;
        }
    }
    meta.next += (uint32_t)pages;
    return meta.next - (uint32_t)pages;
}

/* An empty page, out of its list: one with old data rather than one that costs a fault. */
static uint32_t meta_take_empty(void)
{
    uint32_t number = meta.heads[EMP_META_DIRTY + meta.young];

    number = number != 0 ? number : meta.heads[EMP_META_DIRTY + (meta.young ^ 1u)];
    if (number != 0) {
        meta.dirty--;
    } else {
        number = meta.heads[EMP_META_CLEAN];
        meta.clean -= number != 0;
    }
    if (number != 0) {
        meta_unlink(number);
        return number;
    }
    number = meta_cut(EMP_META_PAGE_BYTES);
    if (number != 0) {
        meta.pages[number].free = EMP_META_EMPTY;
    }
    return number;
}

/* Puts a page into another list, or none. */
static void meta_move(uint32_t number, unsigned list)
{
    if (list == meta.pages[number].list) {
        return;
    }
    if (meta.pages[number].list != EMP_META_NONE) {
        meta_unlink(number);
    }
    if (list != EMP_META_NONE) {
        meta_link(number, list);
    }
}

/* Takes back a run of lines; its page's longest run is the one it was in, or it grows here. */
static void meta_put_lines(struct meta_lines run)
{
    struct emp_meta_page *page = &meta.pages[run.page];
    uint64_t mask = emp_bits_mask(run.count) << run.first;
    unsigned longest = 0;

    emp_assert(run.count != 0 && run.first + run.count <= EMP_META_LINES);
    emp_assert((page->free & mask) == 0 && page->list < EMP_META_LINES);
    page->free |= mask;
    if (page->free == EMP_META_EMPTY) {
        meta.dirty++;
        meta_move(run.page, EMP_META_DIRTY + meta.young);
        return;
    }
    longest = emp_meta_run_around(page->free, run.first);
    if (longest > page->list) {
        meta_move(run.page, EMP_META_ROOM + longest);
    }
}

/* Gives the rest of the open run back to its page. */
static void meta_close(void)
{
    const struct meta_lines rest = meta.open;

    meta.open.count = 0;
    if (rest.count != 0) {
        meta_put_lines(rest);
    }
}

/* Opens the longest run of the page that fits best; the lock is held. */
static bool meta_open(unsigned lines)
{
    meta_close();
    uint64_t room = meta.room & ~emp_bits_mask(lines);
    uint32_t number = room != 0 ? meta.heads[emp_bits_lowest(room)] : meta_take_empty();

    if (number == 0) {
        return false;
    }
    struct emp_meta_page *page = &meta.pages[number];
    unsigned longest = page->list != EMP_META_NONE ? page->list : EMP_META_LINES;

    meta_close(); /* the lock may have been dropped: that of another thread */
    meta.open = (struct meta_lines){number, emp_meta_first_run(page->free, longest), longest};
    page->free &= ~(emp_bits_mask(longest) << meta.open.first);
    meta_move(number, EMP_META_ROOM + emp_meta_longest(page->free));
    return true;
}

/* A block of lines; the lock is held. */
static void *meta_take_lines(unsigned lines)
{
    if (lines == EMP_META_LINES) {
        uint32_t number = meta_take_empty();

        if (number == 0) {
            return NULL;
        }
        meta.pages[number].free = 0;
        return meta_address(number);
    }
    if (lines > meta.open.count && !meta_open(lines)) {
        return NULL;
    }
    char *block = meta_address(meta.open.page) + (size_t)meta.open.first * EMP_LINE_BYTES;

    meta.open.first += lines;
    meta.open.count -= lines;
    return block;
}

/* A block of pages; the lock is held. */
static void *meta_take_large(size_t bytes)
{
    uint32_t pages = 0;
    uint32_t number = meta.heads[meta_large_list(bytes, &pages)];

    if (number == 0) {
        number = meta_cut((size_t)pages << EMP_META_PAGE_SHIFT);
        if (number == 0) {
            return NULL;
        }
        meta.pages[number].free = pages;
        return meta_address(number);
    }
    meta_unlink(number);
    if (meta.pages[number + 1].list != EMP_META_NONE) {
        meta_unlink(number + 1);
        meta.dirty -= pages;
    } else {
        meta.clean -= pages;
    }
    return meta_address(number);
}

void *emp_meta_alloc_uncleared(size_t bytes)
{
    emp_mutex_lock(&meta.lock);
    void *block =
        bytes <= EMP_META_PAGE_BYTES ? meta_take_lines(lines_of(bytes)) : meta_take_large(bytes);

    emp_mutex_unlock(&meta.lock);
    return block;
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
    emp_mutex_lock(&meta.lock);
    uint32_t number = meta_cut(bytes);

    emp_mutex_unlock(&meta.lock);
    return number != 0 ? meta_address(number) : NULL;
}

void emp_meta_free(void *block, size_t bytes)
{
    emp_mutex_lock(&meta.lock);
    if (bytes <= EMP_META_PAGE_BYTES) {
        uint32_t page = meta_number(block);

        meta_put_lines((struct meta_lines){
            page, (unsigned)((char *)block - meta_address(page)) / EMP_LINE_BYTES,
            lines_of(bytes)});
    } else {
        uint32_t pages = 0;
        unsigned list = meta_large_list(bytes, &pages);
        uint32_t number = meta_number(block);

        emp_assert(meta.pages[number].free == pages);
        meta_link(number, list);
        meta_link(number + 1, EMP_META_AGES + meta.young);
        meta.dirty += pages;
    }
    emp_mutex_unlock(&meta.lock);
}

/* True for a page that is empty and was so, with old data, for a round; or for any time. */
static bool meta_is_due(uint32_t number, bool all)
{
    unsigned list = meta.pages[number].list;

    return list == EMP_META_DIRTY + (meta.young ^ 1u) ||
           (all && list == EMP_META_DIRTY + meta.young);
}

/* Takes a run of empty pages around one that is due out of the lists. */
static struct meta_range meta_claim_empty(uint32_t number, bool all)
{
    struct meta_range range = {number, 1};

    while (range.count < EMP_META_PURGE_PAGES && meta_is_due(range.first - 1, all)) {
        range.first--;
        range.count++;
    }
    while (range.count < EMP_META_PURGE_PAGES && range.first + range.count < meta.next &&
           meta_is_due(range.first + range.count, all)) {
        range.count++;
    }
    for (uint32_t i = 0; i < range.count; i++) {
        meta_unlink(range.first + i);
    }
    return range;
}

/* Takes pages that are due out of the lists; none: count 0. The lock is held. */
static struct meta_range meta_claim(bool all)
{
    unsigned age = meta.young ^ 1u;

    for (unsigned i = 0; i < (all ? 2u : 1u); i++, age ^= 1u) {
        uint32_t empty = meta.heads[EMP_META_DIRTY + age];
        uint32_t second = meta.heads[EMP_META_AGES + age];

        if (empty != 0) {
            return meta_claim_empty(empty, all);
        }
        if (second != 0) {
            meta_unlink(second);
            meta_unlink(second - 1);
            return (struct meta_range){second - 1, (uint32_t)meta.pages[second - 1].free};
        }
    }
    return (struct meta_range){0, 0};
}

/* Puts pages back that meta_claim took; the lock is held. */
static void meta_return(struct meta_range range, bool purged)
{
    bool large = meta.pages[range.first].free == range.count;

    if (large) {
        uint32_t pages = 0;
        unsigned list = meta_large_list((size_t)range.count << EMP_META_PAGE_SHIFT, &pages);

        meta_link(range.first, list);
        if (purged) {
            meta.heads[list] = meta.pages[range.first].next; /* the last to be taken */
        } else {
            meta_link(range.first + 1, EMP_META_AGES + meta.young);
        }
    }
    for (uint32_t i = 0; !large && i < range.count; i++) {
        meta_link(range.first + i, purged ? EMP_META_CLEAN : EMP_META_DIRTY + meta.young);
    }
    if (purged) {
        meta.dirty -= range.count;
        meta.clean += range.count;
    }
}

/* Where the system's pages are larger, neighbours would go too: nothing is given back. */
static bool meta_can_purge(void)
{
    return emp_os_page_bytes() == EMP_META_PAGE_BYTES;
}

size_t emp_meta_purge(bool all)
{
    size_t given = 0;
    bool ok = meta_can_purge();

    emp_mutex_lock(&meta.lock);
    meta_close();
    /* What is freed meanwhile waits for the next round: a bound. */
    for (size_t left = meta.dirty; ok && left != 0;) {
        struct meta_range range = meta_claim(all);
        size_t bytes = (size_t)range.count << EMP_META_PAGE_SHIFT;

        if (range.count == 0) {
            break;
        }
        emp_mutex_unlock(&meta.lock);
        ok = emp_os_purge(meta_address(range.first), bytes);
        if (ok) {
            emp_span_count_purge(bytes);
            given += bytes;
        }
        emp_mutex_lock(&meta.lock);
        meta_return(range, ok);
        left -= left < range.count ? left : range.count;
    }
    meta.young ^= 1u;
    emp_mutex_unlock(&meta.lock);
    return given;
}

void emp_meta_read_counts(struct emp_meta_counts *out)
{
    emp_mutex_lock(&meta.lock);
    *out = (struct emp_meta_counts){
        .committed = (size_t)(meta.committed - 1) << EMP_META_PAGE_SHIFT,
        .dirty = meta_can_purge() ? meta.dirty << EMP_META_PAGE_SHIFT : 0,
        .clean = meta.clean << EMP_META_PAGE_SHIFT,
        .unused = (size_t)(meta.committed - meta.next) << EMP_META_PAGE_SHIFT,
    };
    emp_mutex_unlock(&meta.lock);
}

/* Checks one list and counts its pages, in blocks of pages those of the block. */
static const char *meta_audit_list(unsigned list, size_t *dirty, size_t *clean)
{
    uint32_t head = meta.heads[list];
    uint32_t number = head;

    for (uint32_t steps = 0; number != 0 && (steps == 0 || number != head); steps++) {
        const struct emp_meta_page *page = &meta.pages[number];

        if (steps >= meta.next || number >= meta.next || page->list != list) {
            return "a list of metadata pages is broken";
        }
        if (list < EMP_META_DIRTY && emp_meta_longest(page->free) != list) {
            return "a metadata page is in the list of another length";
        }
        if (list >= EMP_META_DIRTY && list <= EMP_META_CLEAN) {
            if (page->free != EMP_META_EMPTY) {
                return "a metadata page that is in use waits to be given back";
            }
            *(list == EMP_META_CLEAN ? clean : dirty) += 1;
        }
        if (list >= EMP_META_LARGE) {
            *(page[1].list == EMP_META_NONE ? clean : dirty) += page->free;
        }
        number = page->next;
    }
    return (meta.room >> list % 64u & 1) == (head != 0) || list >= EMP_META_LINES
               ? NULL
               : "the summary of metadata pages with room is wrong";
}

const char *emp_meta_audit(void)
{
    const char *broken = NULL;
    size_t dirty = 0;
    size_t clean = 0;

    emp_mutex_lock(&meta.lock);
    for (unsigned list = 1; broken == NULL && list < EMP_META_LISTS; list++) {
        broken = meta_audit_list(list, &dirty, &clean);
    }
    if (broken == NULL && (dirty != meta.dirty || clean != meta.clean)) {
        broken = "the counts of free metadata pages are wrong";
    }
    emp_mutex_unlock(&meta.lock);
    return broken;
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
