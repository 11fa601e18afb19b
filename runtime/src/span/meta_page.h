/*
 * Purpose: a page of metadata: which of its 64 lines are free, and the list it is in.
 * Owner:   span, for span/meta.c. Pages have numbers from 1 on; 0 is nobody.
 *
 *   in use, full (NONE) <--> room (1..63: longest run of free lines) --free--> empty, dirty
 *   empty, dirty (young) --round--> (old) --round, purged--> clean     any empty --alloc--> in use
 *   a large block, two pages or more, stands for all its pages by its first; while it is free and
 *   dirty, its second page is in a list too, that of its age
 *
 * Threads: callers hold the lock of the metadata allocator.
 * Design:  [span.proto.meta]
 */
#ifndef EMP_SPAN_META_PAGE_H
#define EMP_SPAN_META_PAGE_H

#include <stdint.h>

#include "base/bits.h"
#include "base/check.h"

#define EMP_META_PAGE_SHIFT  12u
#define EMP_META_PAGE_BYTES  ((size_t)1 << EMP_META_PAGE_SHIFT)
#define EMP_META_LINES       64u            /* of a page, a bit each */
#define EMP_META_EMPTY       (~(uint64_t)0) /* every line is free */
#define EMP_META_LARGE_SHIFT 8u             /* the largest block, in pages */
#define EMP_META_LARGE_SIZES (4u * (EMP_META_LARGE_SHIFT - 1u))
#define EMP_META_PAGES_MAX   ((uint32_t)1 << 24) /* numbers of pages are below */

/* The lists. A page is in one at most. */
enum emp_meta_list {
    EMP_META_NONE = 0,   /* full, part of a block in use or of start-up memory, being purged */
    EMP_META_ROOM = 0,   /* plus the longest run of free lines, 1 to 63 */
    EMP_META_DIRTY = 64, /* two, by age: empty pages that may hold old data */
    EMP_META_CLEAN = 66, /* empty pages that were given back */
    EMP_META_AGES = 67,  /* two, by age: second pages of free large blocks with old data */
    EMP_META_LARGE = 69, /* one per size: first pages of free large blocks */
    EMP_META_LISTS = EMP_META_LARGE + EMP_META_LARGE_SIZES
};

/* A page; all zero until it is first taken. Guarded by the lock of the metadata allocator. */
struct emp_meta_page {
    uint64_t free; /* bit set: the line is free; first page of a large block: its pages */
    uint32_t next; /* in its list, a ring */
    uint32_t prev : 24;
    uint32_t list : 8; /* enum emp_meta_list */
};

_Static_assert(sizeof(struct emp_meta_page) == 16, "four pages on a line");

/* Bit i of runs[k]: 2^k lines from line i on are free. */
struct emp_meta_runs {
    uint64_t runs[6];
};

static inline struct emp_meta_runs emp_meta_runs_of(uint64_t free)
{
    struct emp_meta_runs of = {{free}};

    for (unsigned k = 1; k < 6; k++) {
        of.runs[k] = of.runs[k - 1] & of.runs[k - 1] >> (1u << (k - 1));
    }
    return of;
}

/* Length of the longest run of free lines of a page that is not empty. */
static inline unsigned emp_meta_longest(uint64_t free)
{
    const struct emp_meta_runs of = emp_meta_runs_of(free);
    uint64_t starts = EMP_META_EMPTY;
    unsigned length = 0;

    emp_assert(free != EMP_META_EMPTY);
    for (unsigned k = 6; k-- > 0;) {
        uint64_t longer = starts & of.runs[k] >> length;

        if (longer != 0) {
            starts = longer;
            length += 1u << k;
        }
    }
    return length;
}

/* First line of the lowest run of at least `lines` free ones, of which there is one. */
static inline unsigned emp_meta_first_run(uint64_t free, unsigned lines)
{
    const struct emp_meta_runs of = emp_meta_runs_of(free);
    uint64_t starts = EMP_META_EMPTY;
    unsigned length = 0;

    if (free == EMP_META_EMPTY) {
        return 0;
    }
    for (unsigned k = 6; k-- > 0;) {
        if ((lines >> k & 1) != 0) {
            starts &= of.runs[k] >> length;
            length += 1u << k;
        }
    }
    emp_assert(starts != 0);
    return emp_bits_lowest(starts);
}

/* Length of the run of free lines that a line, itself free, lies in; the page is not empty. */
static inline unsigned emp_meta_run_around(uint64_t free, unsigned line)
{
    const uint64_t used_above = ~free >> line;
    const uint64_t used_below = ~free & emp_bits_mask(line);
    const unsigned first = used_below != 0 ? emp_bits_highest(used_below) + 1u : 0;

    emp_assert((free >> line & 1) != 0);
    return (used_above != 0 ? line + emp_bits_lowest(used_above) : EMP_META_LINES) - first;
}

/* Puts a page that is in no list at the front of one; head is the number of its first page. */
static inline void emp_meta_link(struct emp_meta_page *pages, uint32_t *head, uint32_t number,
                                 unsigned list)
{
    struct emp_meta_page *page = &pages[number];

    emp_assert(number != 0 && page->list == EMP_META_NONE && list != EMP_META_NONE);
    page->list = list & 0xffu;
    page->next = *head != 0 ? *head : number;
    page->prev = *head != 0 ? pages[*head].prev : number & (EMP_META_PAGES_MAX - 1);
    pages[page->prev].next = number;
    pages[page->next].prev = number & (EMP_META_PAGES_MAX - 1);
    *head = number;
}

/* Takes a page out of the list whose first is *head. */
static inline void emp_meta_unlink(struct emp_meta_page *pages, uint32_t *head, uint32_t number)
{
    struct emp_meta_page *page = &pages[number];

    emp_assert(page->list != EMP_META_NONE);
    pages[page->prev].next = page->next;
    pages[page->next].prev = page->prev & (EMP_META_PAGES_MAX - 1);
    if (*head == number) {
        *head = page->next != number ? page->next : 0;
    }
    page->list = EMP_META_NONE;
}

#endif
