/*
 * Purpose: emp_switch on aarch64, inline: all registers are given up, so that only what lives is
 *          saved.
 * Owner:   thread. Threads: see thread/switch.h.
 * Design:  [thread.proto.switch]
 * Source:  AAPCS64 6.1: x19 to x29 and the low halves of v8 to v15 are the callee's to keep; x18 is
 *          nobody's on Linux, so a compiler uses it like x17. There is nothing to write below the
 *          stack pointer, so it moves.
 */
#ifndef EMP_THREAD_AARCH64_SWITCH_INLINE_H
#define EMP_THREAD_AARCH64_SWITCH_INLINE_H

#include <stdint.h>

#include "base/compiler.h"

/* Swaps the stack at hand with the one that *word names. "hint #36" is bti j. */
static EMP_ALWAYS_INLINE void emp_switch(void **word)
{
    register void **at __asm__("x0") = word;

    __asm__ __volatile__("adr x1, 1f\n\t"
                         "stp x29, x1, [sp, #-16]!\n\t"
                         "ldr x2, [x0]\n\t"
                         "mov x3, sp\n\t"
                         "str x3, [x0]\n\t"
                         "ldp x29, x1, [x2], #16\n\t"
                         "mov sp, x2\n\t"
                         "br x1\n"
                         "1:\n\t"
                         "hint #36"
                         : "+r"(at)
                         :
                         : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",
                           "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",
                           "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2",
                           "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13",
                           "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",
                           "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "cc", "memory");
}

/* The control word that a callee must keep: rounding, traps. */
static inline uint64_t emp_switch_float_control(void)
{
    uint64_t fpcr;

    __asm__ __volatile__("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
}

#endif
