/*
 * Purpose: reads the byte counts of the arena by walking the chunk descriptors.
 * Owner:   span. Threads: any. Cost: O(frontier). Nothing is counted on a fast path.
 * Design:  [span.req.counts]
 */
#include "base/bits.h"
#include "span/arena.h"
#include "span/arena_internal.h"
#include "span/run.h"

/* Adds what one chunk holds. */
static void counts_add_chunk(struct emp_span_counts *out, size_t index)
{
    const struct emp_chunk *chunk = &emp_arena.chunks[index];
    size_t free_bytes = 0;
    size_t dirty_bytes = 0;

    if (chunk->kind == EMP_CHUNK_FREE) {
        free_bytes = EMP_CHUNK_BYTES;
        dirty_bytes = chunk->dirty ? EMP_CHUNK_BYTES : 0;
    } else if (chunk->kind == EMP_CHUNK_SLAB || chunk->kind == EMP_CHUNK_WIDE) {
        free_bytes = emp_bits_count(chunk->free_units) * EMP_UNIT_BYTES;
        dirty_bytes = emp_bits_count(chunk->dirty_units) * EMP_UNIT_BYTES;
    } else if (chunk->kind == EMP_CHUNK_RUN && chunk->runs != NULL) {
        struct emp_run_counts runs;

        emp_run_count_locked(index, &runs);
        free_bytes = runs.free_pages * EMP_RUN_PAGE_BYTES;
        dirty_bytes = runs.dirty_pages * EMP_RUN_PAGE_BYTES;
        out->large_blocks += runs.runs;
        out->large_bytes += runs.used_pages * EMP_RUN_PAGE_BYTES;
    }
    if (chunk->kind != EMP_CHUNK_NONE) {
        out->free_bytes += free_bytes;
        out->dirty_bytes += dirty_bytes;
        out->used_bytes += EMP_CHUNK_BYTES - free_bytes;
    }
}

void emp_arena_read_counts(struct emp_span_counts *out)
{
    *out = (struct emp_span_counts){0};
    emp_span_lock();
    size_t frontier = emp_span_read_totals(out);

    for (size_t i = 0; i < frontier; i++) {
        counts_add_chunk(out, i);
    }
    emp_span_unlock();
    out->used_bytes += out->mapped_bytes - (out->used_bytes + out->free_bytes);
}
