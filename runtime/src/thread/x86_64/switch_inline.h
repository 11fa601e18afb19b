/*
 * Purpose: emp_switch on x86-64, inline: all registers are given up, so that only what lives is
 *          saved.
 * Owner:   thread. Threads: see thread/switch.h.
 * Design:  [thread.proto.switch]
 * Source:  System V ABI x86-64 3.2.2: the 128 bytes below the stack pointer are not touched by
 *          signals, so the two words are written there without moving it, and every instruction
 *          has the frame that the compiler described.
 */
#ifndef EMP_THREAD_X86_64_SWITCH_INLINE_H
#define EMP_THREAD_X86_64_SWITCH_INLINE_H

#include <stdint.h>

#include "base/compiler.h"

/*
 * Swaps the stack at hand with the one that *word names. Must stand in a function that also calls
 * another one: a leaf would have variables of its own below the stack pointer.
 */
static EMP_ALWAYS_INLINE void emp_switch(void **word)
{
    __asm__ __volatile__("movq %%rbp, -16(%%rsp)\n\t"
                         "leaq 1f(%%rip), %%rax\n\t"
                         "movq %%rax, -8(%%rsp)\n\t"
                         "leaq -16(%%rsp), %%rax\n\t"
                         "movq (%%rdi), %%rcx\n\t"
                         "movq %%rax, (%%rdi)\n\t"
                         "movq (%%rcx), %%rbp\n\t"
                         "leaq 16(%%rcx), %%rsp\n\t"
                         "jmpq *8(%%rcx)\n"
                         "1:\n\t"
                         "endbr64"
                         : "+D"(word)
                         :
                         : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12",
                           "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
                           "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
                           "xmm14", "xmm15", "cc", "memory");
}

/* The control words that a callee must keep: rounding, masks. Sticky flags are left out. */
static inline uint64_t emp_switch_float_control(void)
{
    uint32_t mxcsr;
    uint16_t x87;

    __asm__ __volatile__("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(x87));
    return (uint64_t)(mxcsr & ~0x3fu) | (uint64_t)x87 << 32;
}

#endif
