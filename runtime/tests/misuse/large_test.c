/*
 * What: misuse of blocks above 32 KiB (runs, chunk blocks, mapped blocks) is reported in the call
 *       in every build: freed twice, inside, misaligned, reallocated after free.
 * How:  as in_call_test. Nothing is left of a large block that was freed but its address among
 *       those freed last, which tells a second free from an invalid or a foreign pointer.
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

static void again(size_t size)
{
    char *block = emp_malloc(size);

    emp_free(block);
    misuse_free(block);
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

/* The address that a mapping had before realloc moved it. */
static void mapped_again_after_it_moved(void)
{
    char *block = emp_malloc(MAPPED);
    char *moved = emp_realloc(block, 64 * MAPPED);

    if (moved == block) {
        abort();
    }
    if (moved == NULL) { /* an address space too small for it: the plain case */
        emp_free(block);
    }
    misuse_free(block);
}

static void the_first_of_forty_again(void)
{
    char *blocks[40];

    for (unsigned i = 0; i < 40; i++) {
        blocks[i] = emp_malloc(RUN);
    }
    for (unsigned i = 0; i < 40; i++) {
        emp_free(blocks[i]);
    }
    misuse_free(blocks[0]);
}

/* The neighbour keeps the run's chunk alive. */
static void run_again_beside_a_live_one(void)
{
    char *block = emp_malloc(RUN);
    char *neighbour = emp_malloc(RUN);

    neighbour[0] = 1;
    emp_free(block);
    misuse_free(block);
}

/* Its pages went back to the system in between. */
static void run_again_after_a_purge(void)
{
    char *block = emp_malloc(RUN);
    char *neighbour = emp_malloc(RUN);

    neighbour[0] = 1;
    emp_free(block);
    (void)emp_purge();
    misuse_free(block);
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
    misuse_free(block);
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
    misuse_free(blocks[0]);
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
    misuse_free((char *)emp_malloc(RUN) + 4096);
}

static void inside_a_run_off_a_page(void)
{
    misuse_free((char *)emp_malloc(RUN) + 64);
}

static void inside_chunks(void)
{
    misuse_free((char *)emp_malloc(CHUNKS) + ((size_t)2 << 20));
}

static void inside_a_mapping(void)
{
    misuse_free((char *)emp_malloc(MAPPED) + 4096);
}

static void run_at_an_odd_address(void)
{
    misuse_free((char *)emp_malloc(RUN) + 1);
}

static void chunks_at_an_odd_address(void)
{
    misuse_free((char *)emp_malloc(CHUNKS) + 1);
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
    misuse_free(block);
}

static void sized_run_again(void)
{
    char *block = emp_malloc(RUN);

    emp_free_sized(block, RUN);
    misuse_arm(block);
    emp_free_sized(block, RUN);
}

static const struct misuse_case cases[] = {
    {"run twice", "E1002", "double free", "free", false, run_again},
    {"chunks twice", "E1002", "double free", "free", false, chunks_again},
    {"mapped twice", "E1002", "double free", "free", false, mapped_again},
    {"run twice, chunk alive", "E1002", "double free", "free", false, run_again_beside_a_live_one},
    {"run twice, purged", "E1002", "double free", "free", false, run_again_after_a_purge},
    {"run twice, two threads", "E1002", "double free", "free", false,
     run_again_after_another_thread},
    {"run twice, off its shelf", "E1002", "double free", "free", false,
     run_again_after_many_others},
    {"usable size of a freed run", "E1002", "double free", "usable_size", false,
     usable_size_of_a_freed_run},
    {"mapped twice, moved", "E1002", "double free", "free", false, mapped_again_after_it_moved},
    {"many runs twice", "E1002", "double free", "free", false, the_first_of_forty_again},
    {"inside a run", "E1001", "invalid pointer", "free", false, inside_a_run},
    {"inside a run, off a page", "E1001", "invalid pointer", "free", false,
     inside_a_run_off_a_page},
    {"inside chunks", "E1001", "invalid pointer", "free", false, inside_chunks},
    {"inside a mapping", "E1005", "foreign pointer", "free", false, inside_a_mapping},
    {"run + 1", "E1004", "misaligned pointer", "free", false, run_at_an_odd_address},
    {"chunks + 1", "E1004", "misaligned pointer", "free", false, chunks_at_an_odd_address},
    {"run realloc", "E1002", "double free", "realloc", false, run_realloc},
    {"chunks realloc", "E1002", "double free", "realloc", false, chunks_realloc},
    {"mapped realloc", "E1002", "double free", "realloc", false, mapped_realloc},
    {"old address", "E1002", "double free", "free", false, old_address_after_realloc},
    {"sized run twice", "E1002", "double free", "free_sized", false, sized_run_again},
};

int main(void)
{
    return misuse_check_all("large blocks", cases, sizeof(cases) / sizeof(cases[0]));
}
