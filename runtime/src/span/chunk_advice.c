/*
 * Purpose: takes back the advice that emp_unit_advise_dense gave: a chunk that is not full any
 *          more, or that gives pages back, must not be filled up again with huge pages.
 * Owner:   span. Threads: any; the span lock inside, dropped around the system call.
 * Design:  [span.proto.unit]
 * Source:  Linux Documentation/admin-guide/mm/transhuge.rst: khugepaged collapses a range when up
 *          to max_ptes_none of its pages are missing, by default all but one.
 * Cost:    O(frontier) a round; a system call per chunk that stopped being dense.
 */
#include "os/os_memory.h"
#include "span/arena.h"
#include "span/arena_internal.h"
#include "span/unit.h"

/* Forgets the advice of a chunk; true when there was one. Lock held. */
static bool advice_forget_locked(struct emp_chunk *chunk)
{
    bool was_advised = chunk->advised_huge != 0;

    chunk->advised_huge = 0;
    chunk->full_ticks = 0;
    return was_advised;
}

bool emp_unit_withdraw_advice(const void *inside)
{
    struct emp_chunk *chunk = emp_arena_chunk_of((uintptr_t)inside);

    emp_span_lock();
    bool was_advised = advice_forget_locked(chunk);
    emp_span_unlock();
    if (was_advised) {
        (void)emp_os_advise_huge(emp_arena_chunk_base((size_t)(chunk - emp_arena.chunks)),
                                 EMP_CHUNK_BYTES, false);
    }
    return was_advised;
}

size_t emp_unit_withdraw_sparse(void)
{
    struct emp_span_counts counts;
    size_t withdrawn = 0;

    emp_span_lock();
    for (size_t i = 0; i < emp_span_read_totals(&counts); i++) {
        struct emp_chunk *chunk = &emp_arena.chunks[i];
        bool is_full = (chunk->kind == EMP_CHUNK_SLAB || chunk->kind == EMP_CHUNK_WIDE) &&
                       chunk->free_units == 0;

        if (is_full || !chunk->advised_huge) {
            continue;
        }
        (void)advice_forget_locked(chunk);
        emp_span_unlock();
        (void)emp_os_advise_huge(emp_arena_chunk_base(i), EMP_CHUNK_BYTES, false);
        withdrawn++;
        emp_span_lock();
    }
    emp_span_unlock();
    return withdrawn;
}
