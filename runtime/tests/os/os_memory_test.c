/*
 * Purpose: the states of a range, alignment, zero pages, refusal of absurd requests, errno.
 * Design:  [os.req.contract] [os.inv.purged-is-zero] [os.inv.no-change-on-failure]
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "os/os_memory.h"

#define MIB ((size_t)1 << 20)

/* Can the kernel read a byte there for us? It answers without a signal. */
static bool is_readable(const void *address)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const bool is_read = write(ends[1], address, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    return is_read;
}

/* Bytes of address space that this process has mapped, by the kernel's count. */
static size_t mapped_bytes(void)
{
    unsigned long pages = 0;
    FILE *const statm = fopen("/proc/self/statm", "r");
    assert_non_null(statm);
    assert_int_equal(fscanf(statm, "%lu", &pages), 1);
    fclose(statm);
    return pages * emp_os_page_bytes();
}

/* Is the page of any mapping at all? */
static bool is_mapped(void *address)
{
    unsigned char resident;
    return mincore(address, 1, &resident) == 0 || errno != ENOMEM;
}

static bool is_zero(const unsigned char *base, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (base[i] != 0) {
            return false;
        }
    }
    return true;
}

static void a_reserved_range_is_aligned_mapped_and_not_accessible(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 1024 * MIB; align *= 4) {
        char *const base = emp_os_reserve(3 * MIB, align);
        assert_non_null(base);
        assert_int_equal((uintptr_t)base % align, 0);
        assert_true(is_mapped(base));
        assert_true(is_mapped(base + 3 * MIB - emp_os_page_bytes()));
        assert_false(is_readable(base));
        assert_true(emp_os_unmap(base, 3 * MIB));
        assert_false(is_mapped(base));
    }
}

static void the_room_for_alignment_is_given_back(void **state)
{
    (void)state;
    char *bases[64];
    const size_t before = mapped_bytes();
    for (int i = 0; i < 64; i++) {
        bases[i] = emp_os_reserve(MIB, 256 * MIB);
        assert_non_null(bases[i]);
        assert_int_equal((uintptr_t)bases[i] % (256 * MIB), 0);
    }
    const size_t grown = mapped_bytes() - before;
    for (int i = 0; i < 64; i++) {
        assert_true(emp_os_unmap(bases[i], MIB));
    }
    assert_in_range(grown, 64 * MIB, 66 * MIB);
}

static void a_committed_range_is_zero_and_writable_and_its_neighbours_stay_closed(void **state)
{
    (void)state;
    unsigned char *const base = emp_os_reserve(4 * MIB, 2 * MIB);
    assert_non_null(base);
    assert_true(emp_os_commit(base + MIB, MIB));
    assert_true(is_zero(base + MIB, MIB));
    memset(base + MIB, 0x77, MIB);
    assert_false(is_readable(base + MIB - 1));
    assert_false(is_readable(base + 2 * MIB));
    assert_true(emp_os_unmap(base, 4 * MIB));
}

/* The first purge of a process looks whether purging zeroes, the second one knows. */
static void a_purged_range_reads_as_zero_and_may_be_used_again(void **state)
{
    (void)state;
    unsigned char *const base = emp_os_map(MIB, 1, EMP_OS_PAGES_NORMAL, NULL);
    assert_non_null(base);
    for (int round = 0; round < 3; round++) {
        memset(base, 0x55, MIB);
        assert_true(emp_os_purge(base, MIB));
        assert_true(is_zero(base, MIB));
    }
    memset(base, 0x55, MIB);
    assert_true(emp_os_purge(base + MIB / 2, MIB / 4));
    assert_true(is_zero(base + MIB / 2, MIB / 4));
    assert_int_equal(base[MIB / 2 - 1], 0x55);
    assert_int_equal(base[MIB / 2 + MIB / 4], 0x55);
    assert_true(emp_os_purge(base, 0));
    assert_int_equal(base[0], 0x55);
    assert_true(emp_os_unmap(base, MIB));
}

static void purge_gives_pages_back_to_the_system(void **state)
{
    (void)state;
    const size_t bytes = 64 * MIB;
    unsigned char *const base = emp_os_map(bytes, 1, EMP_OS_PAGES_NORMAL, NULL);
    assert_non_null(base);
    const size_t before = emp_os_resident_bytes();
    memset(base, 1, bytes);
    const size_t touched = emp_os_resident_bytes();
    assert_true(emp_os_purge(base, bytes));
    const size_t purged = emp_os_resident_bytes();
    assert_true(emp_os_unmap(base, bytes));
    assert_true(before > 0);
    assert_true(touched >= before + bytes / 2);
    assert_true(purged <= touched - bytes / 2);
}

/* A locked page cannot be purged: the answer is no, and the contents are as before. */
static void a_refused_purge_changes_nothing(void **state)
{
    (void)state;
    const size_t page = emp_os_page_bytes();
    if (EMP_ASAN || EMP_TSAN) {
        skip(); /* their mlock does nothing */
    }
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        unsigned char *const base = emp_os_map(page, 1, EMP_OS_PAGES_NORMAL, NULL);
        memset(base, 0x33, page);
        if (mlock(base, page) != 0) {
            _exit(2);
        }
        const bool is_purged = emp_os_purge(base, page);
        _exit(!is_purged && base[0] == 0x33 && base[page - 1] == 0x33 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 2) {
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_mapped_range_is_aligned_zero_and_writable(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 64 * MIB; align *= 8) {
        enum emp_os_pages got = EMP_OS_PAGES_HUGE_1G;
        unsigned char *const base = emp_os_map(MIB, align, EMP_OS_PAGES_NORMAL, &got);
        assert_non_null(base);
        assert_int_equal(got, EMP_OS_PAGES_NORMAL);
        assert_int_equal((uintptr_t)base % align, 0);
        assert_true(is_zero(base, MIB));
        memset(base, 0xff, MIB);
        assert_true(emp_os_unmap(base, MIB));
    }
}

/* Few machines have a huge page pool; either way the memory is there and got says what it is. */
static void huge_pages_are_got_or_replaced_by_smaller_ones(void **state)
{
    (void)state;
    for (int asked = EMP_OS_PAGES_HUGE_2M; asked <= EMP_OS_PAGES_HUGE_1G; asked++) {
        enum emp_os_pages got = EMP_OS_PAGES_HUGE_1G;
        unsigned char *const base = emp_os_map(4 * MIB, 1, (enum emp_os_pages)asked, &got);
        assert_non_null(base);
        assert_int_equal((uintptr_t)base % (2 * MIB), 0);
        assert_true(got <= EMP_OS_PAGES_HUGE_2M);
        base[0] = 1;
        base[4 * MIB - 1] = 1;
        assert_true(emp_os_unmap(base, 4 * MIB));
    }
}

static void remap_grows_and_shrinks_and_keeps_the_contents(void **state)
{
    (void)state;
    unsigned char *base = emp_os_map(MIB, 1, EMP_OS_PAGES_NORMAL, NULL);
    assert_non_null(base);
    memset(base, 0x66, MIB);
    base = emp_os_remap(base, MIB, 16 * MIB, true);
    assert_non_null(base);
    assert_int_equal(base[0], 0x66);
    assert_int_equal(base[MIB - 1], 0x66);
    assert_true(is_zero(base + MIB, 15 * MIB));
    unsigned char *const shrunk = emp_os_remap(base, 16 * MIB, MIB, false);
    assert_ptr_equal(shrunk, base);
    assert_false(is_mapped(base + 2 * MIB));
    assert_true(emp_os_unmap(base, MIB));
}

static void remap_that_may_not_move_and_has_no_room_leaves_all_as_it_was(void **state)
{
    (void)state;
    unsigned char *const base = emp_os_map(2 * MIB, 1, EMP_OS_PAGES_NORMAL, NULL);
    assert_non_null(base);
    memset(base, 0x66, 2 * MIB);
    assert_null(emp_os_remap(base, MIB, 2 * MIB, false));
    assert_int_equal(base[0], 0x66);
    assert_int_equal(base[2 * MIB - 1], 0x66);
    assert_null(emp_os_remap(base, 2 * MIB, SIZE_MAX / 4, true));
    assert_null(emp_os_remap(base, 2 * MIB, 0, true));
    assert_int_equal(base[0], 0x66);
    assert_true(emp_os_unmap(base, 2 * MIB));
}

static void absurd_requests_are_refused(void **state)
{
    (void)state;
    assert_null(emp_os_reserve(0, 4096));
    assert_null(emp_os_reserve(SIZE_MAX, 4096));
    assert_null(emp_os_reserve((size_t)PTRDIFF_MAX, 4096));
    assert_null(emp_os_reserve(4096, 3));
    assert_null(emp_os_reserve(4096, 0));
    assert_null(emp_os_reserve(4096, (size_t)1 << 63));
    assert_null(emp_os_map(0, 4096, EMP_OS_PAGES_NORMAL, NULL));
    assert_null(emp_os_map(SIZE_MAX, 4096, EMP_OS_PAGES_HUGE_2M, NULL));
    assert_null(emp_os_map(4096, 24, EMP_OS_PAGES_NORMAL, NULL));
}

static void the_page_is_that_of_the_system(void **state)
{
    (void)state;
    assert_int_equal(emp_os_page_bytes(), (size_t)sysconf(_SC_PAGESIZE));
}

/* The limit is set in a child, where it then also refuses a reservation. */
static void the_address_limit_is_told_and_respected(void **state)
{
    (void)state;
    if (EMP_ASAN || EMP_TSAN) {
        skip();
    }
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit limit = {1024 * MIB, RLIM_INFINITY};
        setrlimit(RLIMIT_AS, &limit);
        const bool is_told = emp_os_address_limit() == 1024 * MIB;
        const bool is_refused = emp_os_reserve(2048 * MIB, 4096) == NULL;
        _exit(is_told && is_refused ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Does this kernel name anonymous memory (CONFIG_ANON_VMA_NAME)? */
static bool prctl_names(void *base, size_t bytes)
{
    return prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, base, bytes, "probe") == 0;
}

/* Does /proc/self/smaps have a line that contains text? */
static bool smaps_has(const char *text)
{
    char line[512];
    bool is_found = false;
    FILE *const smaps = fopen("/proc/self/smaps", "r");
    assert_non_null(smaps);
    while (!is_found && fgets(line, sizeof line, smaps) != NULL) {
        is_found = strstr(line, text) != NULL;
    }
    fclose(smaps);
    return is_found;
}

static void a_name_shows_in_smaps_where_the_kernel_has_names(void **state)
{
    (void)state;
    void *const base = emp_os_map(MIB, 1, EMP_OS_PAGES_NORMAL, NULL);
    void *const probe = emp_os_map(MIB, 1, EMP_OS_PAGES_NORMAL, NULL);
    assert_non_null(base);
    assert_non_null(probe);
    const bool has_names = prctl_names(probe, MIB);
    emp_os_name_range(base, MIB, "echomem-test");
    const bool is_found = smaps_has("[anon:echomem-test]");
    assert_true(emp_os_unmap(base, MIB));
    assert_true(emp_os_unmap(probe, MIB));
    assert_int_equal(is_found, has_names);
}

static void errno_is_preserved_by_success_and_by_failure(void **state)
{
    (void)state;
    errno = 4711;
    void *const base = emp_os_reserve(4 * MIB, 2 * MIB);
    assert_true(emp_os_commit(base, MIB));
    emp_os_advise_huge(base, 2 * MIB, true);
    emp_os_advise_huge(base, 2 * MIB, false);
    emp_os_name_range(base, MIB, "x");
    assert_true(emp_os_purge(base, MIB));
    assert_null(emp_os_remap(base, 4 * MIB, (size_t)1 << 62, true));
    assert_true(emp_os_unmap(base, 4 * MIB));
    assert_null(emp_os_reserve((size_t)1 << 62, 4096));
    assert_null(emp_os_map((size_t)1 << 62, 4096, EMP_OS_PAGES_HUGE_2M, NULL));
    assert_false(emp_os_commit(NULL, MIB));
    emp_os_resident_bytes();
    emp_os_address_limit();
    emp_os_page_bytes();
    assert_int_equal(errno, 4711);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reserved_range_is_aligned_mapped_and_not_accessible),
        cmocka_unit_test(the_room_for_alignment_is_given_back),
        cmocka_unit_test(a_refused_purge_changes_nothing),
        cmocka_unit_test(a_committed_range_is_zero_and_writable_and_its_neighbours_stay_closed),
        cmocka_unit_test(a_purged_range_reads_as_zero_and_may_be_used_again),
        cmocka_unit_test(purge_gives_pages_back_to_the_system),
        cmocka_unit_test(a_mapped_range_is_aligned_zero_and_writable),
        cmocka_unit_test(huge_pages_are_got_or_replaced_by_smaller_ones),
        cmocka_unit_test(remap_grows_and_shrinks_and_keeps_the_contents),
        cmocka_unit_test(remap_that_may_not_move_and_has_no_room_leaves_all_as_it_was),
        cmocka_unit_test(absurd_requests_are_refused),
        cmocka_unit_test(the_page_is_that_of_the_system),
        cmocka_unit_test(the_address_limit_is_told_and_respected),
        cmocka_unit_test(a_name_shows_in_smaps_where_the_kernel_has_names),
        cmocka_unit_test(errno_is_preserved_by_success_and_by_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
