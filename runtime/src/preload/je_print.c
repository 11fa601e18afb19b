/*
 * Purpose: malloc_stats_print: the gauges as text, or with `J` among the options as JSON in
 *          jemalloc's shape, in one piece to a callback or to standard error.
 * Owner:   preload. Threads: any. Cost: O(threads + chunks); allocates nothing.
 * Design:  [preload.req.jemalloc-facade]
 * Source:  jemalloc(3) malloc_stats_print; Redis MEMORY MALLOC-STATS passes a callback.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/memory_monitor.h"
#include "preload/malloc_names.h"
#include "preload/usage.h"

#define TEXT_BYTES     2048
#define STANDARD_ERROR 2

/* One number of the print: its name in jemalloc's words and where it is. */
struct line {
    const char *name;
    size_t offset; /* in struct emp_stats */
};

static const struct line lines[] = {
    {"allocated", offsetof(struct emp_stats, allocated)},
    {"active", offsetof(struct emp_stats, active)},
    {"metadata", offsetof(struct emp_stats, metadata)},
    {"resident", offsetof(struct emp_stats, resident)},
    {"mapped", offsetof(struct emp_stats, mapped)},
    {"retained", offsetof(struct emp_stats, retained)},
    {"dirty", offsetof(struct emp_stats, dirty)},
    {"purged", offsetof(struct emp_stats, purged)},
    {"purge_calls", offsetof(struct emp_stats, purge_calls)},
    {"allocations", offsetof(struct emp_stats, allocations)},
    {"frees", offsetof(struct emp_stats, frees)},
    {"large_blocks", offsetof(struct emp_stats, large_blocks)},
    {"large_bytes", offsetof(struct emp_stats, large_bytes)},
    {"threads", offsetof(struct emp_stats, threads)},
    {"failures", offsetof(struct emp_stats, failures)},
};
#define LINE_COUNT (sizeof(lines) / sizeof(lines[0]))

static unsigned long long line_value(const struct line *line, const struct emp_stats *stats)
{
    return *(const uint64_t *)(const void *)((const char *)stats + line->offset);
}

/* Appends to text; what does not fit is cut off. Returns the new length. */
static size_t appended(size_t used_bytes, int written)
{
    size_t after = used_bytes + (size_t)(written > 0 ? written : 0);

    return after < TEXT_BYTES ? after : TEXT_BYTES - 1;
}

static void print_text(char *text, const struct emp_stats *stats)
{
    size_t used =
        appended(0, snprintf(text, TEXT_BYTES,
                             "___ Begin echomem statistics ___\nVersion: \"%s\"\n", emp_version()));

    for (size_t i = 0; i < LINE_COUNT; ++i) {
        used = appended(used, snprintf(text + used, TEXT_BYTES - used, "%s: %llu\n", lines[i].name,
                                       line_value(&lines[i], stats)));
    }
    (void)snprintf(text + used, TEXT_BYTES - used, "--- End echomem statistics ---\n");
}

static void print_json(char *text, const struct emp_stats *stats)
{
    size_t used =
        appended(0, snprintf(text, TEXT_BYTES, "{\"jemalloc\":{\"version\":\"%s\",\"stats\":{",
                             emp_version()));

    for (size_t i = 0; i < LINE_COUNT; ++i) {
        used = appended(used,
                        snprintf(text + used, TEXT_BYTES - used, "%s\"%s\":%llu", i == 0 ? "" : ",",
                                 lines[i].name, line_value(&lines[i], stats)));
    }
    (void)snprintf(text + used, TEXT_BYTES - used, "}}}\n");
}

static void write_to_standard_error(void *arg, const char *text)
{
    size_t left = strlen(text);

    (void)arg;
    while (left != 0) {
        ssize_t written = write(STANDARD_ERROR, text, left);

        if (written <= 0) {
            return;
        }
        text += written;
        left -= (size_t)written;
    }
}

void malloc_stats_print(void (*write_cb)(void *arg, const char *text), void *arg,
                        const char *options)
{
    char text[TEXT_BYTES];
    struct emp_usage usage;

    emp_usage_read(&usage);
    if (options != NULL && strchr(options, 'J') != NULL) {
        print_json(text, &usage.stats);
    } else {
        print_text(text, &usage.stats);
    }
    if (write_cb == NULL) {
        write_cb = write_to_standard_error;
    }
    write_cb(arg, text);
}
