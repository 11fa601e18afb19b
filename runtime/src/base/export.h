/*
 * What it is for: visibility, branch hints and the two inline atomics of the public headers.
 * When not to use it: it is included by the other headers; applications need not name it.
 * Life cycle: none. Threads: any. Errors: none.
 */
#ifndef EMP_BASE_EXPORT_H
#define EMP_BASE_EXPORT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define EMP_EXTERN_C_BEGIN extern "C" {
#define EMP_EXTERN_C_END   }
#else
#define EMP_EXTERN_C_BEGIN
#define EMP_EXTERN_C_END
#endif

#if defined(__x86_64__)
#define EMP_PUBLIC_X86_64 1
#else
#define EMP_PUBLIC_X86_64 0
#endif

#define EMP_API            __attribute__((visibility("default")))
#define EMP_API_MALLOC     __attribute__((malloc, warn_unused_result))
#define EMP_INLINE         static inline __attribute__((always_inline, unused))
#define EMP_IF_LIKELY(x)   (__builtin_expect(!!(x), 1))
#define EMP_IF_UNLIKELY(x) (__builtin_expect(!!(x), 0))

/* Built under a thread sanitizer, gcc's or clang's: both take a volatile load for a race. */
#if defined(__SANITIZE_THREAD__)
#define EMP_PUBLIC_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EMP_PUBLIC_UNDER_TSAN 1
#endif
#endif
#ifndef EMP_PUBLIC_UNDER_TSAN
#define EMP_PUBLIC_UNDER_TSAN 0
#endif

/* A word that another thread may lower at any time: read and written whole, no order needed. */
#if EMP_PUBLIC_UNDER_TSAN
#define EMP_PUBLIC_LOAD_RELAXED(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#else
/* One machine load, like the atomic, but compilers may keep other values in registers across it. */
#define EMP_PUBLIC_LOAD_RELAXED(p) (*(const volatile __typeof__(*(p)) *)(p))
#endif
/*
 * A word that leads to memory which was made ready before it was published: what is reached through
 * the value is seen as it was then, because processors order a load behind the one that gave its
 * address. The thread sanitizer knows no such order and gets an acquire.
 */
#if EMP_PUBLIC_UNDER_TSAN
#define EMP_PUBLIC_LOAD_DEPENDENT(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#else
#define EMP_PUBLIC_LOAD_DEPENDENT(p) EMP_PUBLIC_LOAD_RELAXED(p)
#endif
#define EMP_PUBLIC_STORE_RELAXED(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)

/*
 * Comparisons with a word that others may change at any time, as one instruction where that
 * matters: no compiler folds an atomic or a volatile load into a comparison.
 */
#if EMP_PUBLIC_X86_64 && !EMP_PUBLIC_UNDER_TSAN
#define EMP_PUBLIC_IS_BELOW(is, value, p) \
    __asm__("cmpq %2, %1" : "=@ccb"(is) : "r"(value), "m"(*(p)))
#define EMP_PUBLIC_LOW_EQUALS(is, value, p) \
    __asm__("cmpw %w1, %2" : "=@cce"(is) : "r"((uint32_t)(value)), "m"(*(p)))
#else
#define EMP_PUBLIC_IS_BELOW(is, value, p) ((is) = (value) < EMP_PUBLIC_LOAD_RELAXED(p))
#define EMP_PUBLIC_LOW_EQUALS(is, value, p) \
    ((is) = (uint16_t)(value) == (uint16_t)EMP_PUBLIC_LOAD_RELAXED(p))
#endif

/* For core/cache_utils.h: an index one thread publishes and another observes, and plain fences. */
#define EMP_PUBLIC_LOAD_ACQUIRE(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define EMP_PUBLIC_STORE_RELEASE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define EMP_PUBLIC_FENCE_ACQUIRE()     __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define EMP_PUBLIC_FENCE_RELEASE()     __atomic_thread_fence(__ATOMIC_RELEASE)
#define EMP_PUBLIC_FENCE_FULL()        __atomic_thread_fence(__ATOMIC_SEQ_CST)

#endif
