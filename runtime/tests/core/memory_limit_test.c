/*
 * What:  out of memory for real: RLIMIT_AS and RLIMIT_DATA at many steps, no mappings left, the
 *        option limit. NULL with ENOMEM, the program goes on, earlier data intact, and everything
 *        works again when blocks were freed or the limit is gone.
 * How:   each limit in a child that allocates until nothing is left, checks every block, frees
 *        all.
 * Shows: [span.req.limit] [core.proto.allocate]
 * ctest-timeout: 300
 */
#define _GNU_SOURCE
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

#include "base/compiler.h"
#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"

#define KIB      ((size_t)1 << 10)
#define MIB      ((size_t)1 << 20)
#define HELD_MAX 60000u
#define FILLERS  65300u

/* Sanitizers map terabytes of their own. */
#define HAS_OWN_ADDRESS_SPACE (!EMP_ASAN && !EMP_TSAN)

/* What a child tells. */
static struct {
    uint64_t served; /* blocks before the first refusal */
    uint64_t bytes;
    uint32_t line;    /* of the first expectation that failed, 0: none */
    uint32_t refused; /* allocations refused */
} * told;

static void expect_at(bool condition, uint32_t line)
{
    if (!condition && told->line == 0) {
        told->line = line;
    }
}
#define expect(condition) expect_at((condition), __LINE__)

static struct {
    unsigned char *block;
    size_t size;
} held[HELD_MAX];

/* Sizes of all kinds; few pages of each are touched. */
static size_t size_of(unsigned i)
{
    static const size_t sizes[] = {24,        3000,     70 * KIB, 400 * KIB, 64,
                                   900 * KIB, 20 * KIB, 3 * MIB,  512,       150 * KIB,
                                   48,        36 * MIB, 5000,     MIB,       1000};

    return sizes[i % (sizeof(sizes) / sizeof(sizes[0]))] + i % 7;
}

/* Allocates until `enough` requests in a row were refused; returns blocks held. */
static unsigned fill(unsigned enough)
{
    unsigned count = 0;
    unsigned refused = 0;

    for (unsigned i = 0; count < HELD_MAX && refused < enough; i++) {
        held[count].size = size_of(i);
        errno = 0;
        held[count].block = emp_malloc(held[count].size);
        if (held[count].block == NULL) {
            expect(errno == ENOMEM);
            refused++;
            told->refused++;
            continue;
        }
        refused = 0;
        held[count].block[0] = (unsigned char)count;
        held[count].block[held[count].size - 1] = (unsigned char)count;
        told->served++;
        told->bytes += held[count].size;
        count++;
    }
    return count;
}

static void check_and_free(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        expect(held[i].block[0] == (unsigned char)i);
        expect(held[i].block[held[i].size - 1] == (unsigned char)i);
        emp_free(held[i].block);
    }
}

/* Small work that must succeed; what was just freed is there for it. */
static void go_on(void)
{
    void *blocks[50] = {NULL};

    for (unsigned i = 0; i < 10000; i++) {
        emp_free(blocks[i % 50]);
        blocks[i % 50] = emp_malloc(1 + i % 3000);
        expect(blocks[i % 50] != NULL);
    }
    for (unsigned i = 0; i < 50; i++) {
        emp_free(blocks[i]);
    }
    expect(emp_audit() == 0);
}

static void run_child(void (*body)(size_t arg), size_t arg)
{
    int status = 0;

    memset(told, 0, sizeof(*told));
    (void)fflush(NULL);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};

        (void)setrlimit(RLIMIT_CORE, &none);
        body(arg);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0 || told->line != 0) {
        fail_msg("argument %zu: status 0x%x, expectation in line %u, %llu blocks served", arg,
                 (unsigned)status, told->line, (unsigned long long)told->served);
    }
}

/* Sets a soft limit, which can be raised again. */
static void set_limit(int resource, size_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};

    expect(setrlimit((__rlimit_resource_t)resource, &limit) == 0);
}

/* Fills three times what the limit allows; then without the limit everything works. */
static void under_a_limit(int resource, size_t bytes)
{
    unsigned first = 0;

    set_limit(resource, bytes);
    for (unsigned round = 0; round < 3; round++) {
        unsigned count = fill(30);

        first = round == 0 ? count : first;
        expect(count + first / 8 >= first);
        check_and_free(count);
        expect(emp_audit() == 0);
    }
    set_limit(resource, RLIM_INFINITY);
    go_on();
}

static void under_an_address_limit(size_t bytes)
{
    under_a_limit(RLIMIT_AS, bytes);
}

static void address_space_runs_out_at_every_step(void **state)
{
    static const size_t steps[] = {8,  12,  16,  20,  24,  28,  32,  40,  48,  56,   64,   80,
                                   96, 128, 160, 192, 256, 320, 384, 512, 768, 1024, 2048, 4096};

    (void)state;
    if (!HAS_OWN_ADDRESS_SPACE) {
        skip();
    }
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        run_child(under_an_address_limit, steps[i] * MIB);
        assert_true(told->refused > 0);
        assert_true(told->bytes < steps[i] * MIB * 3);
        if (steps[i] >= 64) { /* half of what there is, and more, gets to the program */
            assert_true(told->bytes / 3 > steps[i] * MIB / 4);
        }
    }
}

static void under_a_later_address_limit(size_t bytes)
{
    unsigned char *before = emp_malloc(MIB);

    memset(before, 7, MIB);
    set_limit(RLIMIT_AS, bytes); /* less than what is mapped already */
    errno = 0;
    unsigned char *large = emp_malloc(64 * MIB); /* reserved address space may be left for it */

    expect(large != NULL || errno == ENOMEM);
    emp_free(large);
    go_on();
    expect(before[0] == 7 && before[MIB - 1] == 7);
    emp_free(before);
}

static void a_limit_that_comes_later_spares_what_is_there(void **state)
{
    (void)state;
    if (!HAS_OWN_ADDRESS_SPACE) {
        skip();
    }
    run_child(under_a_later_address_limit, 16 * MIB);
}

static void under_a_data_limit(size_t bytes)
{
    under_a_limit(RLIMIT_DATA, bytes);
}

static void data_runs_out_at_every_step(void **state)
{
    static const size_t steps[] = {4, 8, 12, 16, 24, 32, 48, 64, 100, 200, 400, 1000};

    (void)state;
    if (!HAS_OWN_ADDRESS_SPACE) {
        skip();
    }
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        run_child(under_a_data_limit, steps[i] * MIB);
        assert_true(told->refused > 0);
    }
}

/* Many mappings that cannot be merged; returns the range, *bytes its length. */
static char *use_up_mappings(size_t *bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *range = NULL;

    *bytes = FILLERS * page;
    range = mmap(NULL, *bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (size_t i = 1; range != MAP_FAILED && i < FILLERS; i += 2) {
        if (mprotect(range + i * page, page, PROT_READ) != 0) {
            break; /* the last one is taken */
        }
    }
    return range;
}

static void without_mappings(size_t start_first)
{
    size_t bytes = 0;

    if (start_first != 0) {
        emp_free(emp_malloc(100));
    }
    char *range = use_up_mappings(&bytes);

    expect(range != MAP_FAILED);
    for (unsigned i = 0; i < 100; i++) { /* what else is left */
        if (mmap(NULL, 4096, i % 2 == 0 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                 0) == MAP_FAILED) {
            break;
        }
    }
    unsigned count = fill(30);

    (void)emp_purge();
    check_and_free(count);
    expect(emp_audit() == 0);
    expect(munmap(range, bytes) == 0);
    go_on();
    expect(emp_calloc(50, MIB) != NULL);
}

static void mappings_run_out(void **state)
{
    (void)state;
    if (!HAS_OWN_ADDRESS_SPACE) {
        skip();
    }
    run_child(without_mappings, 1);
    run_child(without_mappings, 0);
}

static void count_limit_events(const struct emp_event *event, void *arg)
{
    if (event->type == EMP_EVENT_ALLOCATION_FAILED) {
        *(uint64_t *)arg += strcmp(event->reason, "limit") == 0;
    }
}

static void under_the_option(size_t bytes)
{
    uint64_t limit_events = 0;
    struct emp_stats stats;
    char text[32];

    (void)snprintf(text, sizeof(text), "%zu", bytes);
    expect(emp_option_set("limit", text) == EMP_OK);
    expect(emp_event_set_callback(count_limit_events, &limit_events) == EMP_OK);
    unsigned count = fill(30);

    expect(count > 0);
    expect(emp_stats_read(&stats) == EMP_OK);
    expect(stats.limit_bytes == bytes);
    expect(stats.mapped <= bytes);
    expect(stats.mapped + 40 * MIB > bytes);
    expect(limit_events == told->refused);
    expect(emp_option_set("limit", "0") == EMP_OK);
    void *more = emp_malloc(bytes);

    expect(more != NULL);
    expect(emp_option_set("limit", "1m") == EMP_OK); /* below what is in use */
    expect(emp_malloc(40 * MIB) == NULL);
    emp_free(more);
    check_and_free(count);
    (void)emp_purge();
    expect(emp_option_set("limit", text) == EMP_OK);
    go_on();
    expect(fill(30) + count / 8 >= count); /* the same limit lets the same blocks through again */
}

static void the_option_limit_holds(void **state)
{
    static const size_t steps[] = {16, 64, 100, 300};

    (void)state;
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        run_child(under_the_option, steps[i] * MIB);
        assert_true(told->refused > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_space_runs_out_at_every_step),
        cmocka_unit_test(a_limit_that_comes_later_spares_what_is_there),
        cmocka_unit_test(data_runs_out_at_every_step),
        cmocka_unit_test(mappings_run_out),
        cmocka_unit_test(the_option_limit_holds),
    };

    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return told == MAP_FAILED ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
