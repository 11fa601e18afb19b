/*
 * Purpose: whether this process has one thread, so that an atomic read-modify-write may be a load
 *          and a store.
 * Owner:   thread. Threads: any; the answer holds as long as the caller creates no thread.
 * Design:  [thread.req.alone]
 * Source:  glibc manual 36.2, "Detecting whether a process is single-threaded".
 * Cost:    one load.
 */
#ifndef EMP_THREAD_ALONE_H
#define EMP_THREAD_ALONE_H

#include <stdbool.h>
#include <stddef.h>

#include "sync/atomic.h"

/* glibc 2.32 and later: not 0 while there is one thread. */
extern char __libc_single_threaded __attribute__((weak));

/* True: nobody else runs. False: somebody may. */
static inline bool emp_thread_is_alone(void)
{
    /* order(alone): relaxed; only this thread could make it change, by creating one */
    return &__libc_single_threaded != NULL && emp_load_relaxed(&__libc_single_threaded) != 0;
}

#endif
