/*
 * What: the audit of runs: each invariant of the map of a run chunk that is broken is found and
 *       reported with the chunk; a sound one is not, beside a round of maintenance either.
 * How:  a map is damaged by hand, in one field at a time, and mended; a thread that audits while
 *       maintenance is held back.
 * Shows: [core.req.audit] [span.proto.run]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <pthread.h>

#include "core/advanced_memory_pool.h"
#include "core/maintenance.h"
#include "core/memory_monitor.h"
#include "span/run_map.h"
#include "support/misuse_note.h"
#include "sync/atomic.h"

#define RUN_BYTES ((size_t)100000)

static char *run; /* in use; behind it free pages */

static size_t page_of(const char *address)
{
    return ((uintptr_t)address - emp_arena.base) % EMP_CHUNK_BYTES / EMP_RUN_PAGE_BYTES;
}

static struct emp_run_map *map_of_run(void)
{
    return emp_run_map_of(emp_arena_chunk_of((uintptr_t)run));
}

/* What a wild write may do to a map. */
static void dirty_in_use(struct emp_run_map *map)
{
    emp_run_bits_fill(map->dirty, page_of(run), 1, true);
}

static void aged_not_dirty(struct emp_run_map *map)
{
    const size_t page = emp_run_bits_next(map->free, 0, true);

    emp_run_bits_fill(map->dirty, page, 1, false);
    emp_run_bits_fill(map->aged, page, 1, true);
}

static void free_in_use(struct emp_run_map *map)
{
    emp_run_bits_fill(map->free, page_of(run) + 1, 1, true);
    map->free_pages++;
}

static void too_long(struct emp_run_map *map)
{
    /* order(test): relaxed; nobody else looks */
    emp_store_relaxed(&map->state[page_of(run)], (uint16_t)EMP_CHUNK_RUN_PAGES);
}

static void too_few_free(struct emp_run_map *map)
{
    map->free_pages--;
}

static void each_broken_invariant_of_a_map_is_found(void **state)
{
    static void (*const damages[])(struct emp_run_map *) = {dirty_in_use, aged_not_dirty,
                                                            free_in_use, too_long, too_few_free};

    (void)state;
    for (unsigned i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        struct emp_run_map *map = map_of_run();
        const struct emp_run_map sound = *map;

        assert_int_equal(emp_audit(), 0);
        assert_int_equal(reports, 0);
        damages[i](map);
        assert_int_equal(emp_audit(), 1);
        *map = sound;
        assert_int_equal(reports, 1);
        assert_string_equal(code, "E3002");
        assert_ptr_equal(pointer, (uintptr_t)run & ~(EMP_CHUNK_BYTES - 1));
        reports = 0;
    }
}

static uint32_t has_audited; /* atomic: test */

static void *audit(void *arg)
{
    *(size_t *)arg = emp_audit();
    /* order(test): release; what it found */
    emp_store_release(&has_audited, 1u);
    return NULL;
}

/* A round that purges holds pages outside their map, which are not broken. */
static void it_waits_for_the_round_of_maintenance(void **state)
{
    const struct timespec moment = {0, 50000000};
    pthread_t thread;
    size_t found = 99;

    (void)state;
    emp_maintenance_pause();
    const struct emp_run_map sound = *map_of_run();

    too_few_free(map_of_run()); /* as a purge has it */
    assert_int_equal(pthread_create(&thread, NULL, audit, &found), 0);
    (void)nanosleep(&moment, NULL);
    /* order(test): acquire; too early, if it is there */
    assert_int_equal(emp_load_acquire(&has_audited), 0);
    *map_of_run() = sound;
    emp_maintenance_resume();
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(found, 0);
    assert_int_equal(reports, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_broken_invariant_of_a_map_is_found),
        cmocka_unit_test(it_waits_for_the_round_of_maintenance),
    };

    if (emp_option_set("background", "0") != EMP_OK ||
        emp_misuse_set_callback(note_report, NULL) != EMP_OK) {
        return 1;
    }
    run = emp_malloc(RUN_BYTES);
    return run == NULL ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
