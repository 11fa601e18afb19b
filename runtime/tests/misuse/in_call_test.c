/*
 * What: misuse that the wrong call itself reports in every build: foreign and invalid pointers, the
 *       wrong pool, the wrong size or alignment, the second free of the block freed last; and of
 *       all that does not stay in the thread's cache (batches, frees past a full bin) every double
 *       free, interior, misaligned and never-allocated pointer.
 * How:  each in a child: one report with code, pointer, call and advice, before the call returns,
 *       then SIGABRT; with on_error=continue and with a callback the program goes on with a sound
 *       heap.
 * Shows: [core.req.misuse]
 * ctest-timeout: 300
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/config.h"
#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"
#include "core/runtime.h"
#include "core/typed_pool.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "support/misuse_child.h"

#define MIB  ((size_t)1 << 20)
#define MANY 3000u

struct apple {
    char bytes[48];
};
struct pear {
    char bytes[48];
};
EMP_POOL_DEFINE(apple, struct apple)
EMP_POOL_DEFINE(pear, struct pear)
EMP_POOL_DEFINE(unborn, struct pear)

static char static_bytes[64];

static void twice(size_t size)
{
    char *block = emp_malloc(size);

    emp_free(block);
    misuse_free(block);
}

static void twice_8(void)
{
    twice(8);
}

static void twice_64(void)
{
    twice(64);
}

static void twice_1000(void)
{
    twice(1000);
}

static void twice_32000(void)
{
    twice(32000);
}

static void twice_aligned(void)
{
    char *block = emp_aligned_alloc(512, 700);

    emp_free(block);
    misuse_free(block);
}

static void twice_sized(void)
{
    char *block = emp_malloc(100);

    emp_free_sized(block, 100);
    misuse_arm(block);
    emp_free_sized(block, 100);
}

static void twice_in_a_pool(void)
{
    struct emp_pool_config config = emp_pool_config_default(80);
    struct emp_pool *pool = NULL;

    if (emp_pool_create(&config, &pool) == EMP_OK) {
        void *object = emp_pool_alloc(pool);

        emp_pool_free(pool, object);
        misuse_arm(object);
        emp_pool_free(pool, object);
    }
}

static void twice_in_a_typed_pool(void)
{
    struct apple *object = apple_alloc();

    apple_free(object);
    misuse_arm(object);
    apple_free(object);
}

static void twice_in_a_batch(void)
{
    void *blocks[4];

    if (emp_batch_alloc(100, blocks, 4) == 4) {
        blocks[1] = blocks[0];
        misuse_arm(blocks[0]);
        emp_batch_free(blocks, 4);
    }
}

static void last_of_a_batch_again(void)
{
    void *blocks[4];

    if (emp_batch_alloc(100, blocks, 4) == 4) {
        emp_batch_free(blocks, 4);
        misuse_free(blocks[3]);
    }
}

/* What has left the cache is seen by any free that does not go into a bin. */
static void again_by_a_batch(void)
{
    void *blocks[3];

    if (emp_batch_alloc(100, blocks, 3) == 3) {
        emp_free(blocks[1]);
        emp_park();
        misuse_arm(blocks[1]);
        emp_batch_free(blocks, 3);
    }
}

static void a_batch_again(void)
{
    void *blocks[2];

    if (emp_batch_alloc(3000, blocks, 2) == 2) {
        emp_batch_free(blocks, 2);
        misuse_arm(blocks[0]);
        emp_batch_free(blocks, 1);
    }
}

static void wrong_batch(void *pointer)
{
    void *blocks[3] = {emp_malloc(200), pointer, emp_malloc(200)};

    misuse_arm(pointer);
    emp_batch_free(blocks, 3);
}

static void interior_in_a_batch(void)
{
    wrong_batch((char *)emp_malloc(200) + 32);
}

static void misaligned_in_a_batch(void)
{
    wrong_batch((char *)emp_malloc(200) + 5);
}

/* The last block of a fresh slab of 64 KiB. */
static void never_allocated_in_a_batch(void)
{
    uintptr_t slab = (uintptr_t)emp_malloc(64) & ~(uintptr_t)0xffff;
    uintptr_t block_bytes = emp_classes[emp_size_class_of(64 + EMP_CANARY_BYTES)].geometry.size;

    wrong_batch((void *)(slab + (0x10000 / block_bytes - 1) * block_bytes));
}

/* So many frees that the bin takes none of the last ones: they go straight to their slabs. */
static void *overflow_a_bin(size_t size)
{
    static void *blocks[MANY];

    (void)emp_option_set("rate_limits", "0"); /* no tick makes room in between */
    for (unsigned i = 0; i < MANY; i++) {
        blocks[i] = emp_malloc(size);
    }
    for (unsigned i = 0; i < MANY; i++) {
        emp_free(blocks[i]);
    }
    return blocks[MANY - 1 - MANY / 10];
}

static void twice_past_a_full_bin(void)
{
    misuse_free(overflow_a_bin(300));
}

static void twice_past_a_full_bin_wide(void)
{
    misuse_free(overflow_a_bin(9000));
}

static void interior_past_a_full_bin(void)
{
    char *kept = emp_malloc(300);

    (void)overflow_a_bin(300);
    misuse_free(kept + 16);
}

static void misaligned_past_a_full_bin(void)
{
    char *kept = emp_malloc(300);

    (void)overflow_a_bin(300);
    misuse_free(kept + 1);
}

static void realloc_of_the_block_freed_last(void)
{
    char *block = emp_malloc(100);

    emp_free(block);
    misuse_arm(block);
    if (emp_realloc(block, 5000) == NULL) {
        return; /* secure and audit builds: nothing was reallocated */
    }
}

static void stack_pointer(void)
{
    char bytes[64] = {0};

    misuse_free(bytes + ((uintptr_t)bytes % 16 != 0 ? 8 : 0));
}

static void static_pointer(void)
{
    misuse_free(static_bytes);
}

static void code_pointer(void)
{
    misuse_free((void *)(uintptr_t)&stack_pointer);
}

static void libc_pointer(void)
{
    misuse_free(malloc(100));
}

static void environment_pointer(void)
{
    misuse_free(getenv("PATH"));
}

static void low_address(void)
{
    misuse_free((void *)(uintptr_t)16);
}

static void kernel_address(void)
{
    misuse_free((void *)(uintptr_t)0xffffffff81000000u);
}

static void impossible_address(void)
{
    misuse_free((void *)(uintptr_t)0x8000000000001230u);
}

static void address_never_used(void)
{
    emp_free(emp_malloc(10));
    misuse_free((void *)(emp_arena.base + emp_arena.bytes - 65536));
}

static void misaligned_address_never_used(void)
{
    emp_free(emp_malloc(10));
    misuse_free((void *)(emp_arena.base + emp_arena.bytes - 65535));
}

/* Two pools of the same object size. */
static void make_pools(struct emp_pool *pools[2])
{
    struct emp_pool_config config = emp_pool_config_default(80);

    for (int i = 0; i < 2; i++) {
        if (emp_pool_create(&config, &pools[i]) != EMP_OK) {
            abort();
        }
    }
}

static void object_of_another_pool(void)
{
    struct emp_pool *pools[2];

    make_pools(pools);
    void *object = emp_pool_alloc(pools[0]);

    misuse_arm(object);
    emp_pool_free(pools[1], object);
}

static void object_of_another_pool_in_a_batch(void)
{
    struct emp_pool *pools[2];
    void *objects[3];

    make_pools(pools);
    objects[0] = emp_pool_alloc(pools[1]);
    objects[1] = emp_pool_alloc(pools[0]);
    objects[2] = emp_pool_alloc(pools[1]);
    misuse_arm(objects[1]);
    emp_pool_free_batch(pools[1], objects, 3);
}

static void object_of_another_type(void)
{
    struct apple *object = apple_alloc();

    pear_free(pear_alloc());
    misuse_arm(object);
    pear_free((struct pear *)(void *)object);
}

static void object_to_a_typed_pool_never_used(void)
{
    void *block = emp_malloc(48);

    misuse_arm(block);
    unborn_free(block);
}

static void block_of_the_heap_to_a_pool(size_t size)
{
    struct emp_pool *pools[2];
    void *block = emp_malloc(size);

    make_pools(pools);
    misuse_arm(block);
    emp_pool_free(pools[0], block);
}

static void small_block_to_a_pool(void)
{
    block_of_the_heap_to_a_pool(80);
}

static void run_to_a_pool(void)
{
    block_of_the_heap_to_a_pool(100000);
}

static void mapped_block_to_a_pool(void)
{
    block_of_the_heap_to_a_pool(40 * MIB);
}

static void stack_pointer_to_a_pool(void)
{
    struct emp_pool *pools[2];
    char bytes[80] = {0};

    make_pools(pools);
    misuse_arm(bytes);
    emp_pool_free(pools[0], bytes);
}

static void wrong_sized(size_t size, size_t said)
{
    void *block = emp_malloc(size);

    misuse_arm(block);
    emp_free_sized(block, said);
}

static void sized_too_small(void)
{
    wrong_sized(200, 20);
}

static void sized_too_large(void)
{
    wrong_sized(200, 2000);
}

static void sized_as_large(void)
{
    wrong_sized(200, 100000);
}

static void run_sized_small(void)
{
    wrong_sized(100000, 200);
}

static void run_sized_larger(void)
{
    wrong_sized(100000, 200000);
}

static void mapped_sized_small(void)
{
    wrong_sized(40 * MIB, 4000);
}

static void aligned_not_a_power_of_two(void)
{
    void *block = emp_aligned_alloc(64, 128);

    misuse_arm(block);
    emp_free_aligned_sized(block, 48, 128);
}

static void aligned_more_than_it_is(void)
{
    char *block = emp_malloc(40);

    while ((uintptr_t)block % 64 == 0) {
        block = emp_malloc(40);
    }
    misuse_arm(block);
    emp_free_aligned_sized(block, 64, 40);
}

static void wrong_realloc(void *pointer)
{
    misuse_arm(pointer);
    errno = 0;
    if (emp_realloc(pointer, 300) != NULL || errno != EINVAL) {
        abort();
    }
}

static void realloc_of_the_stack(void)
{
    char bytes[64] = {0};

    wrong_realloc(bytes);
}

static void realloc_inside_a_block(void)
{
    wrong_realloc((char *)emp_malloc(200) + 64);
}

static void realloc_at_an_odd_address(void)
{
    wrong_realloc((char *)emp_malloc(200) + 3);
}

static void realloc_inside_a_run(void)
{
    wrong_realloc((char *)emp_malloc(100000) + 4096);
}

static void wrong_usable_size(const void *pointer)
{
    misuse_arm(pointer);
    if (emp_usable_size(pointer) != 0) {
        abort();
    }
}

static void usable_size_of_the_stack(void)
{
    char bytes[64] = {0};

    wrong_usable_size(bytes);
}

static void usable_size_inside_a_block(void)
{
    wrong_usable_size((char *)emp_malloc(200) + 64);
}

static const struct misuse_case cases[] = {
    {"twice 8", "E1002", "double free", "free", false, twice_8},
    {"twice 64", "E1002", "double free", "free", false, twice_64},
    {"twice 1000", "E1002", "double free", "free", false, twice_1000},
    {"twice 32000", "E1002", "double free", "free", false, twice_32000},
    {"twice aligned", "E1002", "double free", "free", false, twice_aligned},
    {"twice sized", "E1002", "double free", "free_sized", false, twice_sized},
    {"twice pool", "E1002", "double free", "pool_free", false, twice_in_a_pool},
    {"twice typed", "E1002", "double free", "pool_free", false, twice_in_a_typed_pool},
    {"twice in a batch", "E1002", "double free", "batch_free", false, twice_in_a_batch},
    {"last of a batch", "E1002", "double free", "free", false, last_of_a_batch_again},
    {"again by a batch", "E1002", "double free", "batch_free", false, again_by_a_batch},
    {"a batch again", "E1002", "double free", "batch_free", false, a_batch_again},
    {"interior in a batch", "E1003", "interior pointer", "batch_free", false, interior_in_a_batch},
    {"misaligned in a batch", "E1004", "misaligned pointer", "batch_free", false,
     misaligned_in_a_batch},
    {"never allocated in a batch", "E1009", "never allocated", "batch_free", false,
     never_allocated_in_a_batch},
    {"twice past a full bin", "E1002", "double free", "free", false, twice_past_a_full_bin},
    {"twice past a full bin, wide", "E1002", "double free", "free", false,
     twice_past_a_full_bin_wide},
    {"interior past a full bin", "E1003", "interior pointer", "free", false,
     interior_past_a_full_bin},
    {"misaligned past a full bin", "E1004", "misaligned pointer", "free", false,
     misaligned_past_a_full_bin},
    {"realloc of the last", "E1002", "double free", "realloc", false,
     realloc_of_the_block_freed_last},
    {"stack", "E1005", "foreign pointer", "free", false, stack_pointer},
    {"static", "E1005", "foreign pointer", "free", false, static_pointer},
    {"code", "E1005", "foreign pointer", "free", false, code_pointer},
    {"libc", "E1005", "foreign pointer", "free", false, libc_pointer},
    {"environment", "E1005", "foreign pointer", "free", false, environment_pointer},
    {"low", "E1005", "foreign pointer", "free", false, low_address},
    {"kernel", "E1005", "foreign pointer", "free", false, kernel_address},
    {"impossible", "E1005", "foreign pointer", "free", false, impossible_address},
    {"never used", "E1001", "invalid pointer", "free", false, address_never_used},
    {"odd, never used", "E1004", "misaligned pointer", "free", false,
     misaligned_address_never_used},
    {"other pool", "E1008", "wrong pool", "pool_free", false, object_of_another_pool},
    {"other pool in a batch", "E1008", "wrong pool", "pool_free", false,
     object_of_another_pool_in_a_batch},
    {"other type", "E1008", "wrong pool", "pool_free", false, object_of_another_type},
    {"unused type", "E1008", "wrong pool", "typed_free", false, object_to_a_typed_pool_never_used},
    {"heap to pool", "E1008", "wrong pool", "pool_free", false, small_block_to_a_pool},
    {"run to pool", "E1008", "wrong pool", "pool_free", false, run_to_a_pool},
    {"mapped to pool", "E1008", "wrong pool", "pool_free", false, mapped_block_to_a_pool},
    {"stack to pool", "E1005", "foreign pointer", "pool_free", false, stack_pointer_to_a_pool},
    {"sized small", "E1006", "size mismatch", "free_sized", false, sized_too_small},
    {"sized large", "E1006", "size mismatch", "free_sized", false, sized_too_large},
    {"sized as run", "E1006", "size mismatch", "free_sized", false, sized_as_large},
    {"run sized small", "E1006", "size mismatch", "free_sized", false, run_sized_small},
    {"run sized larger", "E1006", "size mismatch", "free_sized", false, run_sized_larger},
    {"mapped sized small", "E1006", "size mismatch", "free_sized", false, mapped_sized_small},
    {"align 48", "E1007", "alignment mismatch", "free_aligned_sized", false,
     aligned_not_a_power_of_two},
    {"align 64", "E1007", "alignment mismatch", "free_aligned_sized", false,
     aligned_more_than_it_is},
    {"realloc stack", "E1005", "foreign pointer", "realloc", false, realloc_of_the_stack},
    {"realloc interior", "E1003", "interior pointer", "realloc", false, realloc_inside_a_block},
    {"realloc odd", "E1004", "misaligned pointer", "realloc", false, realloc_at_an_odd_address},
    {"realloc in a run", "E1001", "invalid pointer", "realloc", false, realloc_inside_a_run},
    {"usable stack", "E1005", "foreign pointer", "usable_size", false, usable_size_of_the_stack},
    {"usable interior", "E1003", "interior pointer", "usable_size", false,
     usable_size_inside_a_block},
};

int main(void)
{
    return misuse_check_all("reported in the call", cases, sizeof(cases) / sizeof(cases[0]));
}
