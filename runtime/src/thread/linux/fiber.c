/*
 * Purpose: the rare half of fiber.h.
 * Owner:   thread; one fact, found once. Threads: any.
 * Design:  [thread.req.fiber]
 * Cost:    nothing outside the tools but a look at a variable.
 */
#include "thread/fiber.h"

#include <stdint.h>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND                 0
#define VALGRIND_STACK_REGISTER(low, limit) 0u
#define VALGRIND_STACK_DEREGISTER(id)       ((void)(id))
#define VALGRIND_MAKE_MEM_UNDEFINED(low, n) ((void)(n))
#endif

#if EMP_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_UNPOISON_MEMORY_REGION(low, bytes) ((void)(bytes))
#endif

#if EMP_TSAN
#define TSAN_CREATE()       __tsan_create_fiber(0)
#define TSAN_DESTROY(fiber) __tsan_destroy_fiber(fiber)
#else
#define TSAN_CREATE()       NULL
#define TSAN_DESTROY(fiber) ((void)(fiber))
#endif

bool emp_fiber_watched;

void emp_fiber_init(void)
{
    const bool is_watched = EMP_ASAN || EMP_TSAN || RUNNING_ON_VALGRIND != 0;

    if (is_watched) {
        emp_fiber_watched = true;
    }
}

void emp_fiber_make(struct emp_fiber *fiber, void *low, size_t bytes)
{
    fiber->low = low;
    fiber->bytes = bytes;
    fiber->own = TSAN_CREATE();
    if (!EMP_TSAN) {
        fiber->own = (void *)(uintptr_t)VALGRIND_STACK_REGISTER(low, (char *)low + bytes);
    }
}

void emp_fiber_unmake(struct emp_fiber *fiber)
{
    if (fiber->low == NULL) {
        return;
    }
    if (EMP_TSAN) {
        TSAN_DESTROY(fiber->own);
    } else {
        VALGRIND_STACK_DEREGISTER((unsigned)(uintptr_t)fiber->own);
    }
    emp_fiber_renew(fiber);
    fiber->low = NULL;
}

void emp_fiber_renew(struct emp_fiber *fiber)
{
    fiber->own_fake = NULL;
    ASAN_UNPOISON_MEMORY_REGION(fiber->low, fiber->bytes);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(fiber->low, fiber->bytes);
}
