/*
 * What: a switch keeps everything that a callee must keep, in both forms and mixed; arguments and
 *       alignment of the first frame; signals at any moment of many switches; a walk over frames
 *       ends at the first one.
 * How:  a piece of assembly fills every such register, switches, and compares; a timer interrupts
 *       switches thousands of times, and its handler looks where it runs.
 * Shows: [thread.proto.switch] [thread.inv.switch-preserves]
 * ctest-not-under: address thread
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <execinfo.h>
#include <fenv.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unwind.h>

#include "base/compiler.h"
#include "sync/atomic.h"
#include "thread/switch.h"

#define STACK_BYTES 65536u
#define SWITCHES    20000u

/* A stack that the second side runs on; no coroutine, only a context. */
struct side {
    _Alignas(64) char stack[STACK_BYTES];
    void *word;
    uintptr_t seen_argument;
    uintptr_t seen_frame;
    unsigned entries;
    unsigned walked;
};

static struct side side;

static void side_begin(void (*entry)(void *arg))
{
    memset(&side, 0, sizeof side);
    side.word = emp_switch_prepare(side.stack + sizeof side.stack, entry, &side);
}

/* Keeps a function from being a leaf, which emp_switch asks for. */
static EMP_NOINLINE void not_a_leaf(void)
{
    __asm__ __volatile__("" ::: "memory");
}

static EMP_NOINLINE void switch_inline(void)
{
    emp_switch(&side.word);
    not_a_leaf();
}

static void switch_called(void)
{
    emp_switch_call(&side.word);
}

static void entry_counts(void *arg)
{
    struct side *const self = arg;
    char here;

    self->seen_argument = (uintptr_t)arg;
    self->seen_frame = (uintptr_t)__builtin_frame_address(0);
    assert_true(&here >= self->stack && &here < self->stack + sizeof self->stack);
    for (;;) {
        self->entries++;
        if (self->entries % 2 == 0) {
            switch_inline();
        } else {
            switch_called();
        }
    }
}

static void first_frame_gets_the_argument_and_an_aligned_stack(void **state)
{
    (void)state;
    side_begin(entry_counts);
    switch_called();
    assert_int_equal(side.seen_argument, (uintptr_t)&side);
    assert_int_equal(side.seen_frame % 16, 0);
    assert_int_equal(side.entries, 1);
}

static void both_forms_meet_each_other(void **state)
{
    (void)state;
    side_begin(entry_counts);
    for (unsigned i = 0; i < 8; i++) {
        (i % 3 == 0 ? switch_inline : switch_called)();
    }
    assert_int_equal(side.entries, 8);
}

#if EMP_ARCH_X86_64
#define KEPT 6u
/* Fills rbx, rbp, r12 to r15 from values, calls go, stores them to found. */
void keep_registers(const uint64_t *values, uint64_t *found, void (*go)(void));
__asm__(".text\n"
        ".globl keep_registers\n"
        ".type keep_registers, @function\n"
        "keep_registers:\n"
        "    pushq %rbx\n    pushq %rbp\n    pushq %r12\n    pushq %r13\n    pushq %r14\n"
        "    pushq %r15\n    pushq %rsi\n"
        "    movq %rdx, %rax\n"
        "    movq (%rdi), %rbx\n    movq 8(%rdi), %rbp\n    movq 16(%rdi), %r12\n"
        "    movq 24(%rdi), %r13\n    movq 32(%rdi), %r14\n    movq 40(%rdi), %r15\n"
        "    callq *%rax\n"
        "    popq %rsi\n"
        "    movq %rbx, (%rsi)\n    movq %rbp, 8(%rsi)\n    movq %r12, 16(%rsi)\n"
        "    movq %r13, 24(%rsi)\n    movq %r14, 32(%rsi)\n    movq %r15, 40(%rsi)\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbp\n    popq %rbx\n"
        "    retq\n"
        ".size keep_registers, .-keep_registers\n");
#else
#define KEPT 19u
/* Fills x19 to x29 and d8 to d15 from values, calls go, stores them to found. */
void keep_registers(const uint64_t *values, uint64_t *found, void (*go)(void));
__asm__(".text\n"
        ".globl keep_registers\n"
        ".type keep_registers, %function\n"
        "keep_registers:\n"
        "    sub sp, sp, #176\n"
        "    stp x19, x20, [sp]\n    stp x21, x22, [sp, #16]\n    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n    stp x27, x28, [sp, #64]\n    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n    stp d10, d11, [sp, #112]\n    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n    str x1, [sp, #160]\n"
        "    ldp x19, x20, [x0]\n    ldp x21, x22, [x0, #16]\n    ldp x23, x24, [x0, #32]\n"
        "    ldp x25, x26, [x0, #48]\n    ldp x27, x28, [x0, #64]\n    ldr x29, [x0, #80]\n"
        "    ldp d8, d9, [x0, #88]\n    ldp d10, d11, [x0, #104]\n    ldp d12, d13, [x0, #120]\n"
        "    ldp d14, d15, [x0, #136]\n"
        "    blr x2\n"
        "    ldr x1, [sp, #160]\n"
        "    stp x19, x20, [x1]\n    stp x21, x22, [x1, #16]\n    stp x23, x24, [x1, #32]\n"
        "    stp x25, x26, [x1, #48]\n    stp x27, x28, [x1, #64]\n    str x29, [x1, #80]\n"
        "    stp d8, d9, [x1, #88]\n    stp d10, d11, [x1, #104]\n    stp d12, d13, [x1, #120]\n"
        "    stp d14, d15, [x1, #136]\n"
        "    ldp x19, x20, [sp]\n    ldp x21, x22, [sp, #16]\n    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n    ldp x27, x28, [sp, #64]\n    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n    ldp d10, d11, [sp, #112]\n    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #176\n"
        "    ret\n"
        ".size keep_registers, .-keep_registers\n");
#endif

/* The other side fills the same registers with values of its own before it switches back. */
static void entry_spoils(void *arg)
{
    uint64_t values[KEPT];
    uint64_t found[KEPT];

    (void)arg;
    for (unsigned turn = 0;; turn++) {
        for (unsigned i = 0; i < KEPT; i++) {
            values[i] = 0xbad0000000000000u + turn * 1000u + i;
        }
        keep_registers(values, found, turn % 2 == 0 ? switch_inline : switch_called);
        for (unsigned i = 0; i < KEPT; i++) {
            assert_int_equal(found[i], values[i]);
        }
    }
}

static void every_register_of_a_callee_is_kept(void **state)
{
    uint64_t values[KEPT];
    uint64_t found[KEPT];

    (void)state;
    side_begin(entry_spoils);
    for (unsigned turn = 0; turn < 100; turn++) {
        for (unsigned i = 0; i < KEPT; i++) {
            values[i] = 0x600d000000000000u + turn * 1000u + i;
        }
        keep_registers(values, found, turn % 3 == 0 ? switch_inline : switch_called);
        for (unsigned i = 0; i < KEPT; i++) {
            assert_int_equal(found[i], values[i]);
        }
    }
}

static void control_words_of_floating_point_are_seen_and_left_alone(void **state)
{
    (void)state;
    const uint64_t before = emp_switch_float_control();

    side_begin(entry_counts);
    fesetround(FE_UPWARD);
    const uint64_t upward = emp_switch_float_control();

    switch_called();
    assert_int_equal(emp_switch_float_control(), upward);
    switch_inline();
    assert_int_equal(emp_switch_float_control(), upward);
    fesetround(FE_TONEAREST);
    assert_int_not_equal(upward, before);
    assert_int_equal(emp_switch_float_control(), before);
}

/* Counts of the handler; read after the timer is off. */
static struct {
    const char *main_low; /* of the test's own frame, within 1 MiB */
    unsigned signals;
    unsigned elsewhere;
    unsigned walks;
} storm;

static _Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *arg)
{
    unsigned *const frames = arg;

    (void)context;
    *frames += 1;
    return *frames > 200 ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static void on_alarm(int number)
{
    const char *const here = __builtin_frame_address(0);
    const bool in_side = here >= side.stack && here < side.stack + sizeof side.stack;
    const bool in_main = here >= storm.main_low - (1 << 20) && here < storm.main_low + (1 << 20);
    unsigned frames = 0;

    (void)number;
    storm.signals++;
    storm.elsewhere += !in_side && !in_main;
    /* The frames below the handler's may be those of a half done switch: it must end. */
    (void)_Unwind_Backtrace(count_frame, &frames);
    storm.walks += frames > 0 && frames <= 200;
}

static void signals_at_any_moment_of_a_switch_find_a_stack(void **state)
{
    const struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    const struct itimerval often = {{0, 50}, {0, 50}};
    const struct itimerval off = {{0, 0}, {0, 0}};
    struct sigaction before;
    const time_t limit = time(NULL) + 20;

    (void)state;
    side_begin(entry_counts);
    storm.main_low = __builtin_frame_address(0);
    storm.signals = 0;
    storm.elsewhere = 0;
    storm.walks = 0;
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    unsigned switches = 0;

    while ((switches < SWITCHES || emp_load_relaxed(&storm.signals) < 500) && time(NULL) < limit) {
        (switches++ % 2 == 0 ? switch_inline : switch_called)();
    }
    assert_int_equal(setitimer(ITIMER_REAL, &off, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    assert_int_equal(side.entries, switches);
    assert_true(storm.signals > 100);
    assert_int_equal(storm.elsewhere, 0);
    assert_int_equal(storm.walks, storm.signals);
}

static void entry_walks(void *arg)
{
    struct side *const self = arg;
    void *frames[64];

    for (;;) {
        self->walked = (unsigned)backtrace(frames, 64);
        switch_called();
    }
}

static void a_walk_over_frames_ends_at_the_first(void **state)
{
    void *warm[4];

    (void)state;
    (void)backtrace(warm, 4); /* loads the unwinder on this stack */
    side_begin(entry_walks);
    switch_called();
    /* entry_walks and the start; the walk does not wander into what lies above. */
    assert_in_range(side.walked, 1, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_frame_gets_the_argument_and_an_aligned_stack),
        cmocka_unit_test(both_forms_meet_each_other),
        cmocka_unit_test(every_register_of_a_callee_is_kept),
        cmocka_unit_test(control_words_of_floating_point_are_seen_and_left_alone),
        cmocka_unit_test(signals_at_any_moment_of_a_switch_find_a_stack),
        cmocka_unit_test(a_walk_over_frames_ends_at_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
