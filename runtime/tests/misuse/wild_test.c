/*
 * What: a million wild pointers: never a fault, never accepted. Each is reported exactly once, in
 *       the call or when it leaves the cache, and the heap is sound afterwards.
 * How:  a child frees random 64-bit values, values near powers of two, and values inside the arena
 *       where slabs with free blocks only are; on_error=continue, standard error to nowhere; the
 *       count of reports must equal the count of frees. Then the same values through the other
 *       calls.
 * Shows: [core.req.misuse] [global.inv.exact]
 * ctest-timeout: 300
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "monitor/report.h"
#include "span/arena.h"
#include "support/misuse_child.h"

#define SEED        0x9e3779b97f4a7c15u
#define FREES       1000000u
#define OTHER_CALLS 100000u
#define WARM_BLOCKS 2000u
#define USED_BYTES  ((uintptr_t)64 << 20) /* where blocks may have been */

static uint64_t random_state = SEED;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* A value that is no live block: there is none. Never NULL. */
static void *wild_pointer(void)
{
    uint64_t random = random_next();
    uint64_t value = 0;

    switch (random % 4) {
    case 0:
        value = random_next();
        break;
    case 1:
        value = ((uint64_t)1 << (random_next() % 64)) + random_next() % 3 - 1;
        break;
    case 2:
        value = emp_arena.base + random_next() % emp_arena.bytes;
        break;
    default:
        value = emp_arena.base + random_next() % USED_BYTES;
        break;
    }
    return (void *)(uintptr_t)(value == 0 ? 1 : value);
}

/* Leaves slabs of all sizes, runs and chunks behind, with no block in use. */
static void leave_a_used_heap(void)
{
    static void *blocks[WARM_BLOCKS];

    (void)emp_option_set("background", "0"); /* a purge hides the free blocks that it works on */
    for (unsigned i = 0; i < WARM_BLOCKS; i++) {
        blocks[i] = emp_malloc(1 + random_next() % (i % 16 == 0 ? 300000 : 20000));
    }
    for (unsigned i = 0; i < WARM_BLOCKS; i++) {
        emp_free(blocks[i]);
    }
    emp_park();
}

static void go_on_silently(void)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)emp_option_set("on_error", "continue");
    (void)dup2(nowhere, STDERR_FILENO);
}

static void free_a_million(void *arg)
{
    (void)arg;
    leave_a_used_heap();
    go_on_silently();
    misuse_notes->stage = MISUSE_ARMED;
    for (unsigned i = 0; i < FREES; i++) {
        emp_free(wild_pointer());
    }
    emp_park();
    misuse_notes->pointer = (uintptr_t)emp_report_count();
    misuse_notes->stage = misuse_heap_is_sound() ? MISUSE_SOUND : MISUSE_LEFT;
}

static void a_million_wild_frees_are_a_million_reports(void **state)
{
    (void)state;
    print_message("seed 0x%llx\n", (unsigned long long)random_state);
    misuse_run(free_a_million, NULL);
    assert_true(misuse_survived());
    assert_int_equal(misuse_notes->pointer, FREES);
    assert_int_equal(misuse_notes->stage, MISUSE_SOUND);
}

/* usable_size and realloc of a free block are found only in checked builds: no count here. */
static void ask_and_resize(void *arg)
{
    struct emp_pool_config config = emp_pool_config_default(64);
    struct emp_pool *pool = NULL;

    (void)arg;
    leave_a_used_heap();
    go_on_silently();
    if (emp_pool_create(&config, &pool) != EMP_OK) {
        return;
    }
    for (unsigned i = 0; i < OTHER_CALLS; i++) {
        (void)emp_usable_size(wild_pointer());
        emp_free_sized(wild_pointer(), random_next() % 100000);
        emp_free_aligned_sized(wild_pointer(), (size_t)1 << random_next() % 20, 100);
        emp_pool_free(pool, wild_pointer());
    }
    emp_park();
    misuse_notes->stage = emp_audit() == 0 ? MISUSE_SOUND : MISUSE_LEFT;
}

static void wild_pointers_to_every_other_call_do_no_harm(void **state)
{
    (void)state;
    misuse_run(ask_and_resize, NULL);
    assert_true(misuse_survived());
    assert_int_equal(misuse_notes->stage, MISUSE_SOUND);
}

static void resize_outside(void *arg)
{
    (void)arg;
    leave_a_used_heap();
    go_on_silently();
    misuse_notes->stage = MISUSE_SOUND;
    for (unsigned i = 0; i < OTHER_CALLS; i++) {
        uintptr_t value = (uintptr_t)random_next();

        if (value - emp_arena.base >= emp_arena.bytes && value != 0 &&
            emp_realloc((void *)value, 100) != NULL) {
            misuse_notes->stage = MISUSE_LEFT;
        }
    }
    misuse_notes->callbacks = (uint32_t)emp_report_count();
}

static void realloc_of_a_wild_pointer_gives_null(void **state)
{
    (void)state;
    misuse_run(resize_outside, NULL);
    assert_true(misuse_survived());
    assert_int_equal(misuse_notes->stage, MISUSE_SOUND);
    assert_true(misuse_notes->callbacks > OTHER_CALLS - 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_wild_frees_are_a_million_reports),
        cmocka_unit_test(wild_pointers_to_every_other_call_do_no_harm),
        cmocka_unit_test(realloc_of_a_wild_pointer_gives_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
