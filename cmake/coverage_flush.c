/*
 * Purpose: coverage of processes that end early; the counters are written before abort or _exit
 *          ends them.
 * Owner:   the coverage build; linked to every test.
 * Threads: whichever ends the process.
 * Source:  GCC manual, "Profiling and Test Coverage in Freestanding Environments" (__gcov_dump).
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

extern void __gcov_dump(void);
void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));

static void dump_then_abort(int signal_number)
{
    __gcov_dump();
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

static __attribute__((constructor)) void install(void)
{
    (void)signal(SIGABRT, dump_then_abort);
}

/* The linker sends calls of _exit here (--wrap). */
void __wrap__exit(int status)
{
    __gcov_dump();
    __real__exit(status);
}
