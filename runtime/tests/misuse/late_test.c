/*
 * What: misuse that the default build reports at the latest when the block leaves the thread's
 *       cache, and that secure and audit builds report in the call: every double free, interior,
 *       misaligned and never-allocated pointers.
 * How:  each in a child, once for every way to leave the cache: audit, park, purge, the end of the
 *       thread, the end of the process; each with abort, continue and a callback.
 * Shows: [core.req.misuse] [global.inv.exact]
 * ctest-timeout: 300
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/config.h"
#include "core/advanced_memory_pool.h"
#include "core/runtime.h"
#include "core/typed_pool.h"
#include "slab/size_class.h"
#include "support/misuse_child.h"

struct plum {
    char bytes[96];
};
EMP_POOL_DEFINE(plum, struct plum)

/* a, b, a again: the last free does not see that a lies below b. */
static void again_after_another(size_t size)
{
    char *first = emp_malloc(size);
    char *second = emp_malloc(size);

    emp_free(first);
    emp_free(second);
    misuse_free(first);
}

static void double_free_8(void)
{
    again_after_another(8);
}

static void double_free_32(void)
{
    again_after_another(32);
}

static void double_free_200(void)
{
    again_after_another(200);
}

static void double_free_9000(void)
{
    again_after_another(9000);
}

static void double_free_32000(void)
{
    again_after_another(32000);
}

static void double_free_sized(void)
{
    void *first = emp_malloc(70);
    void *second = emp_malloc(70);

    emp_free_sized(first, 70);
    emp_free_sized(second, 70);
    misuse_arm(first);
    emp_free_sized(first, 70);
}

static void double_free_in_a_pool(void)
{
    struct emp_pool_config config = emp_pool_config_default(136);
    struct emp_pool *pool = NULL;

    config.name = "orchard";
    if (emp_pool_create(&config, &pool) != EMP_OK) {
        abort();
    }
    void *first = emp_pool_alloc(pool);
    void *second = emp_pool_alloc(pool);

    emp_pool_free(pool, first);
    emp_pool_free(pool, second);
    misuse_arm(first);
    emp_pool_free(pool, first);
}

static void double_free_in_a_typed_pool(void)
{
    struct plum *first = plum_alloc();
    struct plum *second = plum_alloc();

    plum_free(first);
    plum_free(second);
    misuse_arm(first);
    plum_free(first);
}

static void *free_it(void *block)
{
    emp_free(block);
    return NULL;
}

static void *allocate_it(void *size)
{
    return emp_malloc((size_t)(uintptr_t)size);
}

static void *in_another_thread(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    void *result = NULL;

    if (pthread_create(&thread, NULL, body, arg) != 0) {
        abort();
    }
    (void)pthread_join(thread, &result);
    return result;
}

static void another_thread_freed_it_before(void)
{
    char *block = emp_malloc(120);

    (void)in_another_thread(free_it, block);
    misuse_free(block);
}

static void its_thread_is_gone(void)
{
    char *block = in_another_thread(allocate_it, (void *)(uintptr_t)120);
    char *other = emp_malloc(120);

    emp_free(block);
    emp_free(other);
    misuse_free(block);
}

static void realloc_of_a_freed_block(void)
{
    char *first = emp_malloc(100);
    char *second = emp_malloc(100);

    emp_free(first);
    emp_free(second);
    misuse_arm(first);
    if (emp_realloc(first, 5000) == NULL) {
        return; /* secure and audit builds: nothing was reallocated */
    }
}

static void interior_16(void)
{
    misuse_free((char *)emp_malloc(16) + 8);
}

static void interior_100(void)
{
    misuse_free((char *)emp_malloc(100) + 16);
}

static void interior_8000(void)
{
    misuse_free((char *)emp_malloc(8000) + 4096);
}

static void interior_32000(void)
{
    misuse_free((char *)emp_malloc(32000) + 16384);
}

static void interior_of_an_aligned_block(void)
{
    misuse_free((char *)emp_aligned_alloc(256, 1000) + 256);
}

static void misaligned_1(void)
{
    misuse_free((char *)emp_malloc(100) + 1);
}

static void misaligned_4(void)
{
    misuse_free((char *)emp_malloc(3000) + 4);
}

/* The last block of a fresh slab of 64 KiB was never handed out. */
static void never_allocated(void)
{
    uintptr_t slab = (uintptr_t)emp_malloc(64) & ~(uintptr_t)0xffff;
    uintptr_t block_bytes = emp_classes[emp_request_class(64, 1)].geometry.size;

    misuse_free((void *)(slab + (0x10000 / block_bytes - 1) * block_bytes));
}

static const struct misuse_case cases[] = {
    {"double free 8", "E1002", "double free", "free", true, double_free_8},
    {"double free 32", "E1002", "double free", "free", true, double_free_32},
    {"double free 200", "E1002", "double free", "free", true, double_free_200},
    {"double free 9000", "E1002", "double free", "free", true, double_free_9000},
    {"double free 32000", "E1002", "double free", "free", true, double_free_32000},
    {"double free sized", "E1002", "double free", "free_sized", true, double_free_sized},
    {"double free pool", "E1002", "double free", "pool_free", true, double_free_in_a_pool},
    {"double free typed", "E1002", "double free", "pool_free", true, double_free_in_a_typed_pool},
    {"freed by another thread", "E1002", "double free", "free", true,
     another_thread_freed_it_before},
    {"its thread is gone", "E1002", "double free", "free", true, its_thread_is_gone},
    {"realloc of a freed block", "E1002", "double free", "realloc", true, realloc_of_a_freed_block},
    {"interior 16", "E1003", "interior pointer", "free", true, interior_16},
    {"interior 100", "E1003", "interior pointer", "free", true, interior_100},
    {"interior 8000", "E1003", "interior pointer", "free", true, interior_8000},
    {"interior 32000", "E1003", "interior pointer", "free", true, interior_32000},
    {"interior aligned", "E1003", "interior pointer", "free", true, interior_of_an_aligned_block},
    {"misaligned 1", "E1004", "misaligned pointer", "free", true, misaligned_1},
    {"misaligned 4", "E1004", "misaligned pointer", "free", true, misaligned_4},
    {"never allocated", "E1009", "never allocated", "free", true, never_allocated},
};

int main(void)
{
    return misuse_check_all("reported at the latest when the block leaves the cache", cases,
                            sizeof(cases) / sizeof(cases[0]));
}
