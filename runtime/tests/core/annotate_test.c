/*
 * What: a checker is told of the whole of a block that is freed: slab blocks, runs of every length,
 *       blocks of whole chunks.
 * How:  under AddressSanitizer, which says of every byte whether it may be touched; in other builds
 *       there is nobody to tell.
 * Shows: [local.req.annotate] [core.proto.release]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "core/advanced_memory_pool.h"

#if EMP_ASAN

#include <sanitizer/asan_interface.h>

static bool is_closed(const char *at)
{
    return __asan_address_is_poisoned(at) != 0;
}

static bool is_open(char *begin, size_t bytes)
{
    return __asan_region_is_poisoned(begin, bytes) == NULL;
}

#else

static bool is_closed(const char *at)
{
    return at != NULL;
}

static bool is_open(const char *begin, size_t bytes)
{
    return begin != NULL && bytes != 0;
}

#endif

static void the_whole_of_a_freed_block_is_out_of_bounds(void **state)
{
    static const size_t sizes[] = {24, 3000, 33000, 100000, 500000, 900000, (size_t)5 << 20};

    (void)state;
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *const block = emp_malloc(sizes[i]);

        assert_non_null(block);
        assert_true(is_open(block, sizes[i]));
        emp_free(block);
        for (size_t at = 0; at < sizes[i]; at += sizes[i] / 8) {
            assert_true(is_closed(block + at));
        }
        assert_true(is_closed(block + sizes[i] - 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_of_a_freed_block_is_out_of_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
