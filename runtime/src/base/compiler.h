/*
 * Purpose: the one place that asks which compiler and which processor this is.
 * Owner:   base; no state, any thread.
 * Design:  [base.req.one-place]
 * Source:  GCC and Clang manuals, "Function Attributes" and "Other Builtins".
 */
#ifndef EMP_BASE_COMPILER_H
#define EMP_BASE_COMPILER_H

#define emp_likely(x)   __builtin_expect(!!(x), 1)
#define emp_unlikely(x) __builtin_expect(!!(x), 0)

#define EMP_NOINLINE      __attribute__((noinline))
#define EMP_COLD          __attribute__((cold, noinline))
#define EMP_ALWAYS_INLINE inline __attribute__((always_inline))
#define EMP_NORETURN      __attribute__((noreturn))
#define EMP_NODISCARD     __attribute__((warn_unused_result))
#define EMP_EXPORT        __attribute__((visibility("default")))
#define EMP_PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define EMP_ALIGNED(n)    __attribute__((aligned(n)))

/* One pointer of static TLS only, so that a late dlopen never runs out of it. */
#define EMP_TLS __thread __attribute__((tls_model("initial-exec")))

#if defined(__x86_64__)
#define EMP_ARCH_X86_64  1
#define EMP_ARCH_AARCH64 0
#elif defined(__aarch64__)
#define EMP_ARCH_X86_64  0
#define EMP_ARCH_AARCH64 1
#else
#error "libechomem supports x86-64 and aarch64"
#endif

/* True when counting bits is one instruction; else the compiler would call its library for it. */
#if defined(__POPCNT__) || defined(__aarch64__)
#define EMP_HAS_POPCOUNT 1
#else
#define EMP_HAS_POPCOUNT 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define EMP_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMP_ASAN 1
#endif
#endif
#ifndef EMP_ASAN
#define EMP_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define EMP_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EMP_TSAN 1
#endif
#endif
#ifndef EMP_TSAN
#define EMP_TSAN 0
#endif

#if EMP_ARCH_X86_64
#define EMP_CPU_RELAX "pause"
#else
#define EMP_CPU_RELAX "yield"
#endif

/* Tells the processor that this thread spins, so that its sibling may run. */
static inline void emp_cpu_relax(void)
{
    __asm__ __volatile__(EMP_CPU_RELAX ::: "memory");
}

#endif
