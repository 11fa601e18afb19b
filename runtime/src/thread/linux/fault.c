/*
 * Purpose: fault.h by sigaction and sigaltstack.
 * Owner:   thread. The stack of a thread is mapped here and unmapped by a key destructor; one that
 *          the program has set stays in use.
 * Threads: any; errno preserved.
 * Design:  [thread.proto.fault] [thread.inv.fault-chain]
 * Source:  POSIX sigaltstack; Linux man-pages sigaction(2), getauxval(3) AT_MINSIGSTKSZ.
 * Cost:    prepare: four system calls, once per thread.
 */
#include "thread/fault.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sync/atomic.h"
#include "thread/fault_context.h"
#include "thread/thread_fault.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

/* What a signal needs at least where the kernel does not say more. */
#define SIGNAL_FRAME_BYTES ((size_t)5 << 10)

#define HANDLER_BYTES ((size_t)64 << 10) /* for us, and for who is called after us */

EMP_TLS bool emp_fault_thread_is_prepared;

static emp_fault_explain *fault_explain; /* const after init */
static struct sigaction before_segv;     /* const after init */
static struct sigaction before_bus;      /* const after init */
static pthread_key_t stack_key;          /* const after init */
static uint32_t fault_state;             /* atomic: fault-start. 0 none, 1 being made, 2 ready */

static size_t page_bytes(void)
{
    return (size_t)getauxval(AT_PAGESZ);
}

/* Bytes of the mapping of a stack, its guard included. */
static size_t stack_bytes(void)
{
    const size_t least = (size_t)getauxval(AT_MINSIGSTKSZ);
    const size_t page = page_bytes();

    return ((HANDLER_BYTES + least + page - 1) & ~(page - 1)) + page;
}

/* Lets the fault happen again, with what was there before us, or with nothing. */
static void fault_pass_on(int number, siginfo_t *info, void *context)
{
    const struct sigaction *const before = number == SIGSEGV ? &before_segv : &before_bus;

    if ((before->sa_flags & SA_SIGINFO) != 0) {
        before->sa_sigaction(number, info, context);
    } else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
        before->sa_handler(number);
    } else if (before->sa_handler == SIG_DFL || info->si_code > 0) {
        const struct sigaction none = {.sa_handler = SIG_DFL};

        sigaction(number, &none, NULL);
        if (info->si_code <= 0) {
            /* Sent by a process: there is no instruction that would fault again. */
            raise(number);
        }
    }
    /* What a process sends to a program that ignores it is over. */
}

/*
 * Whether the fault is known, and has been told. A signal whose frame does not fit on the stack at
 * hand becomes a fault without an address: what lies below the stack pointer is asked then, page by
 * page, since no guard is smaller.
 */
static bool fault_explained(const siginfo_t *info, const void *context)
{
    const size_t least = (size_t)getauxval(AT_MINSIGSTKSZ);
    const size_t frame_bytes = least != 0 ? least : SIGNAL_FRAME_BYTES;
    const uintptr_t top = emp_fault_stack_pointer(context);

    if (info->si_code != SI_KERNEL) {
        return info->si_code > 0 && fault_explain(info->si_addr);
    }
    if (emp_fault_is_by_instruction(context)) {
        return false;
    }
    for (size_t below = 0; below < frame_bytes; below += page_bytes()) {
        if (fault_explain((const void *)(top - below))) {
            return true;
        }
    }
    return fault_explain((const void *)(top - frame_bytes));
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    const int saved_errno = errno;

    if (fault_explained(info, context)) {
        const struct sigaction none = {.sa_handler = SIG_DFL};

        sigaction(number, &none, NULL);
    } else {
        fault_pass_on(number, info, context);
    }
    errno = saved_errno;
}

/* Unmaps the stack of an ending thread. */
static void stack_end(void *mapping)
{
    stack_t now;

    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == (char *)mapping + page_bytes()) {
        const stack_t none = {.ss_flags = SS_DISABLE};

        sigaltstack(&none, NULL);
    }
    munmap(mapping, stack_bytes());
    emp_fault_thread_is_prepared = false;
}

bool emp_fault_init(emp_fault_explain *explain)
{
    const struct sigaction ours = {
        .sa_sigaction = on_fault,
        .sa_flags = SA_SIGINFO | SA_ONSTACK,
    };
    const int saved_errno = errno;
    uint32_t none = 0;

    /* order(fault-start): acquire; who finds it ready needs nothing more, who makes it begins */
    if (!emp_cas_acquire(&fault_state, &none, 1u)) {
        return none == 2;
    }
    fault_explain = explain;
    bool ok = pthread_key_create(&stack_key, stack_end) == 0;

    if (ok && sigaction(SIGSEGV, &ours, &before_segv) != 0) {
        pthread_key_delete(stack_key);
        ok = false;
    }
    if (ok) {
        (void)sigaction(SIGBUS, &ours, &before_bus);
    }
    /* order(fault-start): release; key and handlers, for threads that prepare themselves */
    emp_store_release(&fault_state, ok ? 2u : 0u);
    errno = saved_errno;
    return ok;
}

/* Maps a stack with a guard below; NULL: refused. */
static char *stack_map(void)
{
    if (emp_thread_fault_ask(EMP_THREAD_CALL_STACK)) {
        return NULL;
    }
    char *const mapping = mmap(NULL, stack_bytes(), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (mapping == MAP_FAILED) {
        return NULL;
    }
    mprotect(mapping, page_bytes(), PROT_NONE);
    return mapping;
}

/* A thread that has all signals blocked would be ended by a fault without the handler. */
static void faults_unblock(void)
{
    sigset_t faults;

    sigemptyset(&faults);
    sigaddset(&faults, SIGSEGV);
    sigaddset(&faults, SIGBUS);
    pthread_sigmask(SIG_UNBLOCK, &faults, NULL);
}

void emp_fault_prepare_thread_slow(void)
{
    const int saved_errno = errno;
    stack_t now = {0};

    /* order(fault-start): acquire; key and handlers */
    const uint32_t seen = emp_load_acquire(&fault_state);

    faults_unblock();
    /* While another thread makes the handler, this one comes again at its next coroutine. */
    emp_fault_thread_is_prepared = seen != 1;
    if (seen == 2 && sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_DISABLE) != 0) {
        char *const mapping = stack_map();
        const size_t guard = page_bytes();

        if (mapping != NULL) {
            const stack_t ours = {.ss_sp = mapping + guard, .ss_size = stack_bytes() - guard};

            if (pthread_setspecific(stack_key, mapping) != 0) {
                munmap(mapping, stack_bytes());
            } else {
                (void)sigaltstack(&ours, NULL);
            }
        }
    }
    errno = saved_errno;
}
