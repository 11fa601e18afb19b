/*
 * What: every system call of the library fails at every index: no crash, NULL with ENOMEM where a
 *       call fails, earlier data intact; with the fault gone 10,000 operations succeed and the
 *       audit is clean.
 * How:  per kind of call and mode a child for every n until the workload no longer reaches the n-th
 *       call; the library starts in the child, so its start is under fault too.
 * Shows: [os.inv.no-change-on-failure] [core.proto.start] [core.proto.allocate]
 * ctest-timeout: 600
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "os/os_fault.h"

#if EMP_FAULT

#define KIB        ((size_t)1 << 10)
#define MIB        ((size_t)1 << 20)
#define NTH_MAX    600u
#define LIVE       64u
#define OPERATIONS 10000u

/* What a child tells. */
static struct {
    uint64_t hits;
    uint64_t served;
    uint32_t line; /* of the first expectation that failed, 0: none */
} * told;

static void expect_at(bool condition, uint32_t line)
{
    if (!condition && told->line == 0) {
        told->line = line;
    }
}
#define expect(condition) expect_at((condition), __LINE__)

/* A block of a workload. */
struct held {
    unsigned char *block;
    size_t size;
};

static uint64_t random_state;

static size_t random_below(size_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state % limit);
}

static void mark(struct held *held, unsigned char with)
{
    if (held->block == NULL) {
        expect(errno == ENOMEM);
        return;
    }
    held->block[0] = with;
    held->block[held->size / 2] = with;
    held->block[held->size - 1] = with;
    told->served++;
}

static void check_and_free(struct held *held, unsigned char with)
{
    if (held->block != NULL) {
        expect(held->block[0] == with);
        expect(held->block[held->size / 2] == with);
        expect(held->block[held->size - 1] == with);
    }
    emp_free(held->block);
    held->block = NULL;
}

/* Sizes of slabs and runs come and go, some zeroed, some aligned. */
static void mix(void)
{
    struct held held[LIVE] = {{0}};

    for (unsigned i = 0; i < 1500; i++) {
        unsigned at = (unsigned)random_below(LIVE);

        check_and_free(&held[at], (unsigned char)at);
        held[at].size = 1 + random_below(i % 8 == 0 ? 300 * KIB : 4 * KIB);
        errno = 0;
        if (i % 3 == 0) {
            held[at].block = emp_calloc(1, held[at].size);
            expect(held[at].block == NULL || held[at].block[held[at].size - 1] == 0);
        } else if (i % 3 == 1) {
            held[at].block = emp_aligned_alloc((size_t)1 << random_below(16), held[at].size);
        } else {
            held[at].block = emp_malloc(held[at].size);
        }
        mark(&held[at], (unsigned char)at);
        if (i % 300 == 299) {
            (void)emp_purge();
        }
    }
    for (unsigned at = 0; at < LIVE; at++) {
        check_and_free(&held[at], (unsigned char)at);
    }
}

static void pools(void)
{
    for (unsigned round = 0; round < 6; round++) {
        struct emp_pool_config config = emp_pool_config_default(40 + round * 900);
        struct emp_pool *pool = NULL;
        struct held held[LIVE] = {{0}};
        size_t live = 0;

        config.initial_capacity = round % 2 == 0 ? 0 : 300;
        enum emp_status status = emp_pool_create(&config, &pool);

        expect(status == EMP_OK || status == EMP_ERR_NOMEM);
        if (status != EMP_OK) {
            expect(pool == NULL);
            continue;
        }
        for (unsigned at = 0; at < LIVE; at++) {
            errno = 0;
            held[at].size = config.object_size;
            held[at].block = emp_pool_alloc(pool);
            mark(&held[at], (unsigned char)at);
        }
        for (unsigned at = 0; at < LIVE; at++) {
            expect(held[at].block == NULL ||
                   held[at].block[held[at].size - 1] == (unsigned char)at);
            emp_pool_free(pool, held[at].block);
        }
        (void)emp_tick();
        expect(emp_pool_destroy(pool, &live) == EMP_OK);
        expect(live == 0);
    }
}

/* Blocks of every kind grow and shrink; a refused one stays as it was. */
static void large_and_realloc(void)
{
    static const size_t sizes[] = {20 * KIB, 100 * KIB, 500 * KIB, 2 * MIB,  5 * MIB,   40 * MIB,
                                   90 * MIB, 35 * MIB,  MIB,       64 * KIB, 200 * KIB, 50 * MIB};
    struct held held[8] = {{0}};

    for (unsigned i = 0; i < 96; i++) {
        struct held *one = &held[i % 8];
        unsigned char with = (unsigned char)(i % 8 + 1);
        size_t size = sizes[(i * 5 + i / 12) % 12];

        errno = 0;
        if (one->block == NULL) {
            one->size = size;
            one->block = i % 2 == 0 ? emp_malloc(size) : emp_calloc(size, 1);
            mark(one, with);
            continue;
        }
        size_t least = size < one->size ? size : one->size;
        unsigned char *moved = emp_realloc(one->block, size);

        if (moved == NULL) {
            expect(errno == ENOMEM);
            expect(one->block[0] == with);
            expect(one->block[one->size - 1] == with);
        } else {
            expect(moved[0] == with);
            expect(least < one->size || moved[least - 1] == with);
            *one = (struct held){moved, size};
            mark(one, with);
        }
        if (i % 24 == 23) {
            check_and_free(one, with);
            (void)emp_purge();
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        check_and_free(&held[i], (unsigned char)(i + 1));
    }
}

/* A child of the child allocates under the same plan. */
static void forks(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct held before = {emp_malloc(100 * KIB), 100 * KIB};
        int status = 0;

        errno = ENOMEM;
        mark(&before, 9);
        pid_t child = fork();

        if (child == 0) {
            check_and_free(&before, 9);
            struct held more = {NULL, 300 * KIB};

            errno = 0;
            more.block = emp_malloc(more.size);
            mark(&more, 8);
            check_and_free(&more, 8);
            expect(emp_audit() == 0);
            _exit(told->line == 0 ? 0 : 1);
        }
        expect(child > 0);
        expect(waitpid(child, &status, 0) == child && status == 0);
        check_and_free(&before, 9);
    }
}

struct workload {
    const char *name;
    void (*run)(void);
};

static const struct workload workloads[] = {
    {"mix", mix}, {"pools", pools}, {"large", large_and_realloc}, {"forks", forks}};

static const struct {
    const char *name;
    enum emp_os_call kind;
    int err;
} kinds[] = {
#define EMP_OS_CALL(name, what) {#name, EMP_OS_CALL_##name, ENOMEM},
#include "os/os_call.def"
#include "support/settled.h"
#undef EMP_OS_CALL
    {"PURGE with EINVAL", EMP_OS_CALL_PURGE, EINVAL},
    {"ANY", EMP_OS_CALL_ANY, ENOMEM},
};

/* With the fault gone everything works again. */
static void go_on(void)
{
    struct held held[LIVE] = {{0}};

    for (unsigned i = 0; i < OPERATIONS; i++) {
        unsigned at = (unsigned)random_below(LIVE);

        check_and_free(&held[at], (unsigned char)at);
        held[at].size = 1 + random_below(i % 200 == 0 ? 3 * MIB : 3 * KIB);
        held[at].block = emp_malloc(held[at].size);
        expect(held[at].block != NULL);
        errno = ENOMEM;
        mark(&held[at], (unsigned char)at);
    }
    for (unsigned at = 0; at < LIVE; at++) {
        check_and_free(&held[at], (unsigned char)at);
    }
    expect(emp_audit() == 0);
    struct emp_stats stats;

    expect(settled_stats_read(&stats) == EMP_OK);
    expect(stats.large_blocks == 0);
    expect(stats.allocated == 0);
}

struct plan {
    const struct workload *workload;
    unsigned kind;
    enum emp_os_fault_mode mode;
    uint64_t nth;
};

static void run_child(const struct plan *plan)
{
    struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    random_state = 0x2545f4914f6cdd1du + plan->nth;
    emp_os_fault_arm(kinds[plan->kind].kind, plan->nth, plan->mode, kinds[plan->kind].err);
    plan->workload->run();
    emp_os_fault_disarm();
    told->hits = emp_os_fault_hits();
    go_on();
    _exit(0);
}

/* True when the n-th call was reached. */
static bool run_plan(const struct plan *plan)
{
    int status = 0;

    memset(told, 0, sizeof(*told));
    (void)fflush(NULL);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        run_child(plan);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0 || told->line != 0) {
        fail_msg("workload %s, %s number %llu, mode %d: status %d, expectation in line %u",
                 plan->workload->name, kinds[plan->kind].name, (unsigned long long)plan->nth,
                 (int)plan->mode, status, told->line);
    }
    return told->hits != 0;
}

static void every_call_of_a_workload_fails_once(void **state)
{
    const struct workload *workload = *state;
    uint64_t points = 0;

    for (unsigned kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        for (int mode = EMP_OS_FAULT_ONCE; mode <= EMP_OS_FAULT_EVERY_SECOND; mode++) {
            struct plan plan = {workload, kind, (enum emp_os_fault_mode)mode, 1};

            while (run_plan(&plan)) {
                /* of many calls, the first ones densely, later ones by steps */
                plan.nth += 1 + plan.nth / 16;
                points++;
                assert_true(plan.nth < NTH_MAX * 100);
            }
        }
    }
    print_message("%llu points of failure\n", (unsigned long long)points);
    assert_true(points > 30);
}

/* A system that accepts the purge and does nothing: zeroed memory must be zero all the same. */
static void purge_and_calloc(void)
{
    static const size_t sizes[] = {64, 4096, 100 * KIB, 3 * MIB};

    for (unsigned i = 0; i < 4; i++) {
        unsigned char *blocks[32];

        for (unsigned b = 0; b < 32; b++) {
            blocks[b] = emp_malloc(sizes[i]);
            memset(blocks[b], 0xa5, sizes[i]);
        }
        for (unsigned b = 0; b < 32; b++) {
            emp_free(blocks[b]);
        }
        (void)emp_purge();
        for (unsigned b = 0; b < 32; b++) {
            blocks[b] = emp_calloc(sizes[i], 1);
            expect(blocks[b][0] == 0 && memcmp(blocks[b], blocks[b] + 1, sizes[i] - 1) == 0);
        }
        for (unsigned b = 0; b < 32; b++) {
            emp_free(blocks[b]);
        }
    }
}

static void a_purge_that_only_pretends_is_noticed(void **state)
{
    int status = 0;

    (void)state;
    memset(told, 0, sizeof(*told));
    (void)fflush(NULL);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        emp_os_fault_arm(EMP_OS_CALL_PURGE, 1, EMP_OS_FAULT_FROM_ON, EMP_OS_FAULT_LIE);
        purge_and_calloc();
        told->hits = emp_os_fault_hits();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(told->line, 0);
    assert_true(told->hits > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"mix", every_call_of_a_workload_fails_once, NULL, NULL, (void *)(uintptr_t)&workloads[0]},
        {"pools", every_call_of_a_workload_fails_once, NULL, NULL,
         (void *)(uintptr_t)&workloads[1]},
        {"large", every_call_of_a_workload_fails_once, NULL, NULL,
         (void *)(uintptr_t)&workloads[2]},
        {"forks", every_call_of_a_workload_fails_once, NULL, NULL,
         (void *)(uintptr_t)&workloads[3]},
        cmocka_unit_test(a_purge_that_only_pretends_is_noticed),
    };

    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return told == MAP_FAILED ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void only_a_build_with_faults_can_refuse(void **state)
{
    (void)state;
    skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_a_build_with_faults_can_refuse)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
