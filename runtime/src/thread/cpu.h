/*
 * Purpose: which processor runs this thread, and how many there are.
 * Owner:   thread. Threads: any; async-signal-safe, errno preserved.
 * Design:  [thread.req.cpu-id] [thread.inv.cpu-bounded]
 * Source:  glibc manual "Restartable Sequences"; the area is only read.
 * Cost:    three loads and a branch where glibc (2.35 or later) has registered the area.
 */
#ifndef EMP_THREAD_CPU_H
#define EMP_THREAD_CPU_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "sync/atomic.h"

/* Offset of struct rseq from the thread pointer; glibc 2.35 and later define it. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));

/* Offset of cpu_id in struct rseq, part of the kernel's interface. */
#define EMP_CPU_RSEQ_ID_OFFSET 4

/* The answer without the area: getcpu, and where that fails a hash of the thread. */
EMP_COLD unsigned emp_cpu_current_slow(void);

/* Processors this process may use, at least 1; read once. */
unsigned emp_cpu_count(void);

#if EMP_ARCH_X86_64
/* Base of the static thread-local storage of this thread. */
static inline const char *emp_cpu_thread_pointer(void)
{
    const char *base;
    __asm__("mov %%fs:0, %0" : "=r"(base));
    return base;
}
#else
/* Base of the static thread-local storage of this thread. */
static inline const char *emp_cpu_thread_pointer(void)
{
    const char *base;
    __asm__("mrs %0, tpidr_el0" : "=r"(base));
    return base;
}
#endif

/*
 * The processor that runs the caller, where that costs no call; negative: ask emp_cpu_current. For
 * paths that may keep nothing over a call.
 */
static inline int32_t emp_cpu_glance(void)
{
    if (emp_unlikely(&__rseq_offset == NULL)) {
        return -1;
    }
    const char *const area = emp_cpu_thread_pointer() + __rseq_offset;

    /* order(cpu-id): relaxed; the kernel writes it for this thread only, a hint anyway */
    return emp_load_relaxed((const int32_t *)(const void *)(area + EMP_CPU_RSEQ_ID_OFFSET));
}

/*
 * Number of the current processor, read from glibc's rseq area (three loads); where that is not
 * registered, getcpu; where that fails, a hash of the thread. A hint: may be stale on return, and
 * may be larger than emp_cpu_count (a process confined to processors 6 and 7 has two).
 */
static inline unsigned emp_cpu_current(void)
{
    const int32_t id = emp_cpu_glance();

    return emp_likely(id >= 0) ? (unsigned)id : emp_cpu_current_slow();
}

#endif
