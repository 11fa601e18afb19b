/*
 * Purpose: pairs of allocation and free that hit the thread's cache every time, a given number of
 *          them, for counting instructions. The inlined calls stand in functions of their own, so
 *          that a tool that counts by function sees each of them.
 * Owner:   a child process, one thread.
 */
#include "micro/hit_path.h"

#include <stdlib.h>
#include <string.h>

#include "micro/async_path.h"
#include "support/workload.h"
#include "workload/serve.h"

#define OUTLINED __attribute__((noinline, noclone))

void *bench_hit_typed_alloc(void);
void bench_hit_typed_free(void *block);

/* An inlined allocation; the return is the only instruction that a caller would not have. */
OUTLINED void *bench_hit_typed_alloc(void)
{
    return bench_typed_64_alloc();
}

/* The same for the free. */
OUTLINED void bench_hit_typed_free(void *block)
{
    bench_typed_64_free(block);
}

static void hit_path_malloc(size_t size, size_t pairs)
{
    for (size_t i = 0; i < pairs; i++) {
        void *block = malloc(size);

        bench_touch(block, i);
        free(block);
    }
}

static void hit_path_typed(size_t pairs)
{
    for (size_t i = 0; i < pairs; i++) {
        void *block = bench_hit_typed_alloc();

        bench_touch(block, i);
        bench_hit_typed_free(block);
    }
}

int bench_hit_path_main(int count, char **arguments)
{
    size_t size;
    size_t pairs;

    if (count != 3) {
        return 2;
    }
    size = strtoul(arguments[1], NULL, 10);
    pairs = strtoul(arguments[2], NULL, 10);
    if (strcmp(arguments[0], "typed") == 0) {
        hit_path_typed(pairs);
    } else if (strcmp(arguments[0], "malloc") == 0) {
        hit_path_malloc(size, pairs);
    } else if (!bench_async_path(arguments[0], pairs)) {
        return 2;
    }
    return 0;
}
