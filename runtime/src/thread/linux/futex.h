/*
 * Purpose: sleeping until a word changes.
 * Owner:   thread/linux. Threads: any; errno preserved.
 * Design:  [thread.req.futex]
 * Source:  Linux man-pages futex(2).
 */
#ifndef EMP_THREAD_LINUX_FUTEX_H
#define EMP_THREAD_LINUX_FUTEX_H

#include <stdint.h>

/* No time limit. */
#define EMP_FUTEX_FOREVER UINT64_MAX

/* Sleeps while *word == expected, at most ns. May return early for no reason: look again. */
void emp_futex_wait(uint32_t *word, uint32_t expected, uint64_t ns);

/* Wakes at most count sleepers of this process. */
void emp_futex_wake(uint32_t *word, uint32_t count);

#endif
