/*
 * Purpose: switch.h for x86-64: twenty instructions where swapcontext makes a system call.
 * Owner:   model. Threads: as switch.h says.
 * Source:  System V ABI, AMD64: rbx, rbp and r12 to r15 belong to the caller.
 */
#include "engine/switch.h"

#define SAVED_REGISTERS 6u

__asm__(".text\n"
        ".globl model_switch\n"
        ".type model_switch, @function\n"
        "model_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq (%rsi), %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size model_switch, .-model_switch\n");

void model_context_prepare(struct model_context *context, uint8_t *stack, size_t bytes,
                           void (*entry)(void))
{
    /* A function begins with its return address on a stack that was aligned before the call. */
    uintptr_t *top = (uintptr_t *)(void *)(stack + bytes) - 1;
    *--top = (uintptr_t)entry;
    for (unsigned i = 0; i < SAVED_REGISTERS; i++) {
        *--top = 0;
    }
    context->top = top;
}
