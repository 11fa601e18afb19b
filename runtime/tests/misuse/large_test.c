/*
 * What: misuse of blocks above 32 KiB (runs, chunk blocks, mapped blocks) is reported in the call
 *       in every build: freed twice, inside, misaligned, reallocated after free.
 * How:  as in_call_test. A run or chunk that was freed is no block any more: invalid; a mapped
 *       block that was freed is gone from the address space: foreign.
 * Shows: [core.req.misuse] [span.inv.large-once]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>

#include "core/advanced_memory_pool.h"
#include "support/misuse_child.h"

#define RUN    ((size_t)100000)
#define CHUNKS ((size_t)5 << 20)
#define MAPPED ((size_t)40 << 20)

static void wrong_free(void *pointer)
{
    misuse_arm(pointer);
    emp_free(pointer);
}

static void again(size_t size)
{
    char *block = emp_malloc(size);

    emp_free(block);
    wrong_free(block);
}

static void run_again(void)
{
    again(RUN);
}

static void chunks_again(void)
{
    again(CHUNKS);
}

static void mapped_again(void)
{
    again(MAPPED);
}

/* The neighbour keeps the run's chunk alive. */
static void run_again_beside_a_live_one(void)
{
    char *block = emp_malloc(RUN);
    char *neighbour = emp_malloc(RUN);

    neighbour[0] = 1;
    emp_free(block);
    wrong_free(block);
}

/* Its pages went back to the system in between. */
static void run_again_after_a_purge(void)
{
    char *block = emp_malloc(RUN);
    char *neighbour = emp_malloc(RUN);

    neighbour[0] = 1;
    emp_free(block);
    (void)emp_purge();
    wrong_free(block);
}

static void *free_it(void *block)
{
    emp_free(block);
    return NULL;
}

static void run_again_after_another_thread(void)
{
    char *block = emp_malloc(RUN);
    pthread_t other;

    if (pthread_create(&other, NULL, free_it, block) != 0 || pthread_join(other, NULL) != 0) {
        abort();
    }
    wrong_free(block);
}

/* Others of its length were freed since: it left the shelf for them. */
static void run_again_after_many_others(void)
{
    char *blocks[32];

    for (unsigned i = 0; i < 32; i++) {
        blocks[i] = emp_malloc(RUN);
    }
    for (unsigned i = 0; i < 31; i++) {
        emp_free(blocks[i]);
    }
    wrong_free(blocks[0]);
}

static void usable_size_of_a_freed_run(void)
{
    char *block = emp_malloc(RUN);

    emp_free(block);
    misuse_arm(block);
    if (emp_usable_size(block) != 0) {
        abort();
    }
}

static void inside_a_run(void)
{
    wrong_free((char *)emp_malloc(RUN) + 4096);
}

static void inside_a_run_off_a_page(void)
{
    wrong_free((char *)emp_malloc(RUN) + 64);
}

static void inside_chunks(void)
{
    wrong_free((char *)emp_malloc(CHUNKS) + ((size_t)2 << 20));
}

static void inside_a_mapping(void)
{
    wrong_free((char *)emp_malloc(MAPPED) + 4096);
}

static void run_at_an_odd_address(void)
{
    wrong_free((char *)emp_malloc(RUN) + 1);
}

static void chunks_at_an_odd_address(void)
{
    wrong_free((char *)emp_malloc(CHUNKS) + 1);
}

static void realloc_after_free(size_t size)
{
    char *block = emp_malloc(size);

    emp_free(block);
    misuse_arm(block);
    if (emp_realloc(block, size / 2) != NULL) {
        abort();
    }
}

static void run_realloc(void)
{
    realloc_after_free(RUN);
}

static void chunks_realloc(void)
{
    realloc_after_free(CHUNKS);
}

static void mapped_realloc(void)
{
    realloc_after_free(MAPPED);
}

static void old_address_after_realloc(void)
{
    char *block = emp_malloc(RUN);
    char *neighbour = emp_malloc(RUN);
    char *moved = emp_realloc(block, CHUNKS);

    if (neighbour == NULL || moved == block) {
        abort();
    }
    wrong_free(block);
}

static void sized_run_again(void)
{
    char *block = emp_malloc(RUN);

    emp_free_sized(block, RUN);
    misuse_arm(block);
    emp_free_sized(block, RUN);
}

static const struct misuse_case cases[] = {
    {"run twice", "E1001", "invalid pointer", "free", false, run_again},
    {"chunks twice", "E1001", "invalid pointer", "free", false, chunks_again},
    {"mapped twice", "E1005", "foreign pointer", "free", false, mapped_again},
    {"run twice, chunk alive", "E1001", "invalid pointer", "free", false,
     run_again_beside_a_live_one},
    {"run twice, purged", "E1001", "invalid pointer", "free", false, run_again_after_a_purge},
    {"run twice, two threads", "E1001", "invalid pointer", "free", false,
     run_again_after_another_thread},
    {"run twice, off its shelf", "E1001", "invalid pointer", "free", false,
     run_again_after_many_others},
    {"usable size of a freed run", "E1001", "invalid pointer", "usable_size", false,
     usable_size_of_a_freed_run},
    {"inside a run", "E1001", "invalid pointer", "free", false, inside_a_run},
    {"inside a run, off a page", "E1001", "invalid pointer", "free", false,
     inside_a_run_off_a_page},
    {"inside chunks", "E1001", "invalid pointer", "free", false, inside_chunks},
    {"inside a mapping", "E1005", "foreign pointer", "free", false, inside_a_mapping},
    {"run + 1", "E1004", "misaligned pointer", "free", false, run_at_an_odd_address},
    {"chunks + 1", "E1004", "misaligned pointer", "free", false, chunks_at_an_odd_address},
    {"run realloc", "E1001", "invalid pointer", "realloc", false, run_realloc},
    {"chunks realloc", "E1001", "invalid pointer", "realloc", false, chunks_realloc},
    {"mapped realloc", "E1005", "foreign pointer", "realloc", false, mapped_realloc},
    {"old address", "E1001", "invalid pointer", "free", false, old_address_after_realloc},
    {"sized run twice", "E1001", "invalid pointer", "free_sized", false, sized_run_again},
};

static void one_report_in_the_call(void **state)
{
    const struct misuse_case *one = *state;

    misuse_check(one);
}

int main(void)
{
    enum { COUNT = sizeof(cases) / sizeof(cases[0]) };
    static struct CMUnitTest tests[COUNT];

    for (size_t i = 0; i < COUNT; i++) {
        tests[i] = (struct CMUnitTest){cases[i].name, one_report_in_the_call, NULL, NULL,
                                       (void *)(uintptr_t)&cases[i]};
    }
    return cmocka_run_group_tests_name("large blocks", tests, NULL, NULL);
}
