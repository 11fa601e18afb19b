/*
 * Purpose: prints statistics as text, JSON or OpenMetrics from one table of fields.
 * Owner:   core. Threads: any. Allocates nothing, so that it can run at exit and when memory is
 *          out.
 * Design:  [core.req.stats]
 */
#include <stddef.h>

#include "core/memory_monitor.h"
#include "core/runtime.h"
#include "global/budget.h"
#include "monitor/emitter.h"
#include "slab/size_class.h"

/* One gauge or counter: where it is in struct emp_stats and how it is written. */
struct stats_field {
    const char *name;
    size_t offset;
    bool is_bytes;
};

#define EMP_FIELD(name, is_bytes)                         \
    {                                                     \
#name, offsetof(struct emp_stats, name), is_bytes \
    }

static const struct stats_field stats_fields[] = {
    EMP_FIELD(allocated, true),     EMP_FIELD(active, true),      EMP_FIELD(metadata, true),
    EMP_FIELD(resident, true),      EMP_FIELD(mapped, true),      EMP_FIELD(retained, true),
    EMP_FIELD(dirty, true),         EMP_FIELD(purged, true),      EMP_FIELD(purge_calls, false),
    EMP_FIELD(expansions, false),   EMP_FIELD(shrinks, false),    EMP_FIELD(partitions, false),
    EMP_FIELD(aligns, false),       EMP_FIELD(failures, false),   EMP_FIELD(threads, false),
    EMP_FIELD(large_blocks, false), EMP_FIELD(large_bytes, true), EMP_FIELD(allocations, false),
    EMP_FIELD(frees, false),        EMP_FIELD(l2_hits, false),    EMP_FIELD(l3_hits, false),
    EMP_FIELD(borrowed, false),     EMP_FIELD(limit_bytes, true),
};

#define EMP_FIELDS (sizeof(stats_fields) / sizeof(stats_fields[0]))

static uint64_t field_value(const struct emp_stats *stats, const struct stats_field *field)
{
    return *(const uint64_t *)(const void *)((const char *)stats + field->offset);
}

static void print_text(struct emp_emitter *out, const struct emp_stats *stats)
{
    emp_emitter_text(out, "echomem: served ");
    emp_emitter_decimal(out, stats->allocations + stats->large_blocks);
    emp_emitter_text(out, " allocations from the shared tiers, ");
    emp_emitter_bytes(out, stats->mapped);
    emp_emitter_text(out, " mapped, ");
    emp_emitter_bytes(out, stats->allocated);
    emp_emitter_text(out, " allocated\n");
    for (size_t i = 0; i < EMP_FIELDS; i++) {
        emp_emitter_text(out, "  ");
        emp_emitter_pad(out, stats_fields[i].name, 14);
        if (stats_fields[i].is_bytes) {
            emp_emitter_bytes(out, field_value(stats, &stats_fields[i]));
        } else {
            emp_emitter_decimal(out, field_value(stats, &stats_fields[i]));
        }
        emp_emitter_text(out, "\n");
    }
}

/* A number of a class and what stands before it, in the order of the output. */
struct class_field {
    const char *before;
    size_t offset; /* of a uint64_t in struct emp_pool_stats */
};

#define EMP_CLASS_FIELD(before, name)                 \
    {                                                 \
        before, offsetof(struct emp_pool_stats, name) \
    }

static const struct class_field text_fields[] = {
    EMP_CLASS_FIELD(" in use ", total_allocated), EMP_CLASS_FIELD(" of ", capacity),
    EMP_CLASS_FIELD(", left ", allocations),      EMP_CLASS_FIELD(", came back ", frees),
    EMP_CLASS_FIELD(", slabs ", slabs),
};

static const struct class_field json_fields[] = {
    EMP_CLASS_FIELD(",\"object_bytes\":", object_bytes),
    EMP_CLASS_FIELD(",\"total_allocated\":", total_allocated),
    EMP_CLASS_FIELD(",\"total_free\":", total_free),
    EMP_CLASS_FIELD(",\"allocations\":", allocations),
    EMP_CLASS_FIELD(",\"frees\":", frees),
    EMP_CLASS_FIELD(",\"slabs\":", slabs),
};

static void print_class_fields(struct emp_emitter *out, const struct emp_pool_stats *one,
                               const struct class_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        emp_emitter_text(out, fields[i].before);
        emp_emitter_decimal(
            out, *(const uint64_t *)(const void *)((const char *)one + fields[i].offset));
    }
}

static void print_class_text(struct emp_emitter *out, const char *name,
                             const struct emp_pool_stats *one)
{
    emp_emitter_text(out, "  ");
    emp_emitter_pad(out, name, 20);
    print_class_fields(out, one, text_fields, sizeof(text_fields) / sizeof(text_fields[0]));
    emp_emitter_text(out, "\n");
}

static void print_class_json(struct emp_emitter *out, const char *name,
                             const struct emp_pool_stats *one, bool first)
{
    emp_emitter_text(out, first ? "{\"name\":" : ",{\"name\":");
    emp_emitter_json_string(out, name);
    print_class_fields(out, one, json_fields, sizeof(json_fields) / sizeof(json_fields[0]));
    emp_emitter_text(out, ",\"fragmentation_rate\":");
    emp_emitter_milli(out, (uint64_t)(one->fragmentation_rate * 1000.0));
    emp_emitter_text(out, "}");
}

/* One row per class that was ever used. */
static void print_classes(struct emp_emitter *out, enum emp_stats_format format)
{
    bool first = true;

    for (uint32_t c = 1; c < EMP_CLASS_LIMIT; c++) {
        struct emp_pool_stats one;
        char buffer[32];

        if (emp_classes[c].geometry.size == 0) {
            continue;
        }
        emp_class_stats(c, &one);
        if (one.allocations == 0 && one.capacity == 0) {
            continue;
        }
        const char *name = emp_budget_name(c, buffer, sizeof(buffer));

        if (format == EMP_STATS_JSON) {
            print_class_json(out, name, &one, first);
        } else {
            print_class_text(out, name, &one);
        }
        first = false;
    }
}

static void print_json(struct emp_emitter *out, const struct emp_stats *stats)
{
    emp_emitter_text(out, "{\"schema\":\"echomem.stats/1\"");
    for (size_t i = 0; i < EMP_FIELDS; i++) {
        emp_emitter_text(out, ",\"");
        emp_emitter_text(out, stats_fields[i].name);
        emp_emitter_text(out, "\":");
        emp_emitter_decimal(out, field_value(stats, &stats_fields[i]));
    }
    emp_emitter_text(out, ",\"classes\":[");
    print_classes(out, EMP_STATS_JSON);
    emp_emitter_text(out, "]}\n");
}

static void print_openmetrics(struct emp_emitter *out, const struct emp_stats *stats)
{
    for (size_t i = 0; i < EMP_FIELDS; i++) {
        const struct stats_field *field = &stats_fields[i];
        bool named_bytes = field->offset == offsetof(struct emp_stats, large_bytes) ||
                           field->offset == offsetof(struct emp_stats, limit_bytes);
        const char *suffix = field->is_bytes && !named_bytes ? "_bytes" : "";

        emp_emitter_text(out, "# TYPE emp_");
        emp_emitter_text(out, field->name);
        emp_emitter_text(out, suffix);
        emp_emitter_text(out, " gauge\nemp_");
        emp_emitter_text(out, field->name);
        emp_emitter_text(out, suffix);
        emp_emitter_text(out, " ");
        emp_emitter_decimal(out, field_value(stats, field));
        emp_emitter_text(out, "\n");
    }
    emp_emitter_text(out, "# EOF\n");
}

enum emp_status emp_stats_print(int fd, enum emp_stats_format format)
{
    struct emp_emitter out;
    struct emp_stats stats;

    if (format > EMP_STATS_OPENMETRICS || emp_stats_read(&stats) != EMP_OK) {
        return EMP_ERR_INVALID;
    }
    emp_emitter_init(&out, fd);
    if (format == EMP_STATS_TEXT) {
        print_text(&out, &stats);
        print_classes(&out, EMP_STATS_TEXT);
    } else if (format == EMP_STATS_JSON) {
        print_json(&out, &stats);
    } else {
        print_openmetrics(&out, &stats);
    }
    emp_emitter_flush(&out);
    return EMP_OK;
}
