/*
 * Purpose: `echomem options` and `echomem classes`: what the library says of itself, as table or
 *          JSON.
 * Owner:   tool. Threads: one.
 * Design:  [tool.req.verbs]
 */
#include <stdio.h>
#include <string.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "tool/tool.h"

/* Reads the arguments of a listing verb. Returns 0 table, 1 JSON, or EMP_TOOL_FAILED. */
static int listing_format(int argc, char **argv)
{
    if (argc == 1) {
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--json") == 0) {
        return 1;
    }
    return emp_tool_fail("usage: echomem %s [--json]", argv[0]);
}

static void print_option_json(const struct emp_option_info *option)
{
    const char *const fields[][2] = {
        {"name", option->name},
        {"type", option->type},
        {"default", option->default_text},
        {"current", option->current_text},
        {"origin", option->origin},
        {"meaning", option->meaning},
    };

    putchar('{');
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); ++i) {
        emp_tool_json_string(fields[i][0]);
        putchar(':');
        emp_tool_json_string(fields[i][1]);
        putchar(',');
    }
    printf("\"run_time\":%s}", option->run_time ? "true" : "false");
}

int emp_tool_options(int argc, char **argv)
{
    int format = listing_format(argc, argv);
    struct emp_option_info option;

    if (format == EMP_TOOL_FAILED) {
        return format;
    }
    if (format == 0) {
        printf("%-20s %-7s %-12s %-12s %-12s %s\n", "option", "type", "default", "current", "from",
               "meaning (* may change while running)");
    }
    for (size_t index = 0; emp_option_describe(index, &option) == EMP_OK; ++index) {
        if (format == 1) {
            fputs(index == 0 ? "[" : ",\n ", stdout);
            print_option_json(&option);
        } else {
            printf("%-20s %-7s %-12s %-12s %-12s %s%s\n", option.name, option.type,
                   option.default_text, option.current_text, option.origin, option.meaning,
                   option.run_time ? " *" : "");
        }
    }
    puts(format == 1 ? "]"
                     : "\nset one by the environment, ECHOMEM_<OPTION IN CAPITALS>=VALUE, or by "
                       "echomem run --set OPTION=VALUE");
    return EMP_TOOL_YES;
}

int emp_tool_classes(int argc, char **argv)
{
    int format = listing_format(argc, argv);
    struct emp_size_class_info info;

    if (format == EMP_TOOL_FAILED) {
        return format;
    }
    if (format == 0) {
        printf("%5s %11s %11s %10s %11s %16s\n", "class", "block bytes", "align bytes",
               "slab bytes", "slab blocks", "blocks per cache");
    }
    for (uint32_t i = 1; emp_size_class_describe(i, &info) == EMP_OK; ++i) {
        if (format == 1) {
            printf("%s{\"class\":%u,\"block_bytes\":%u,\"align_bytes\":%u,\"slab_bytes\":%u,"
                   "\"slab_blocks\":%u,\"l1_blocks\":%u}",
                   i == 1 ? "[" : ",\n ", info.index, info.block_bytes, info.align_bytes,
                   info.slab_bytes, info.slab_blocks, info.l1_blocks);
        } else {
            printf("%5u %11u %11u %10u %11u %16u\n", info.index, info.block_bytes, info.align_bytes,
                   info.slab_bytes, info.slab_blocks, info.l1_blocks);
        }
    }
    if (format == 1) {
        puts("]");
    }
    return EMP_TOOL_YES;
}
