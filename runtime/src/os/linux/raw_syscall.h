/*
 * Purpose: system calls without the C library's wrappers: programs interpose mmap, madvise and
 *          write, and their versions may call malloc; errno is not touched either.
 * Owner:   os/linux. Threads: any; async-signal-safe.
 * Design:  [os.req.raw]
 * Source:  System V ABI AMD64 A.2.1; Linux man-pages syscall(2).
 */
#ifndef EMP_OS_LINUX_RAW_SYSCALL_H
#define EMP_OS_LINUX_RAW_SYSCALL_H

#include <stdbool.h>
#include <sys/syscall.h>

#include "base/compiler.h"

/* Arguments of a system call; what is not named is zero. */
struct emp_raw_args {
    long a, b, c, d, e, f;
};

#if EMP_ARCH_X86_64

/* Result of the call: >= 0, or minus an errno value. */
static inline long emp_raw_syscall(long number, struct emp_raw_args args)
{
    long result;
    register long r10 __asm__("r10") = args.d;
    register long r8 __asm__("r8") = args.e;
    register long r9 __asm__("r9") = args.f;
    __asm__ __volatile__("syscall"
                         : "=a"(result)
                         : "a"(number), "D"(args.a), "S"(args.b), "d"(args.c), "r"(r10), "r"(r8),
                           "r"(r9)
                         : "rcx", "r11", "memory");
    return result;
}

#else

/* Result of the call: >= 0, or minus an errno value. */
static inline long emp_raw_syscall(long number, struct emp_raw_args args)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = args.a;
    register long x1 __asm__("x1") = args.b;
    register long x2 __asm__("x2") = args.c;
    register long x3 __asm__("x3") = args.d;
    register long x4 __asm__("x4") = args.e;
    register long x5 __asm__("x5") = args.f;
    __asm__ __volatile__("svc 0"
                         : "+r"(x0)
                         : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                         : "memory");
    return x0;
}

#endif

/* True for the values that mean an error. */
static inline bool emp_raw_failed(long result)
{
    return (unsigned long)result >= (unsigned long)-4095L;
}

#endif
