/*
 * Purpose: the dear half of an asymmetric pair of fences: who does something rarely pays, so that
 *          who does something often has only emp_fence_light of sync/atomic.h, which is no
 *          instruction.
 * Owner:   thread. Threads: any; errno preserved.
 * Design:  [thread.req.heavy-fence]
 * Source:  membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED; P1202 "Asymmetric fences".
 * Cost:    a system call: about 100 ns, and an interrupt for every other processor that runs a
 *          thread of this process, about 1.7 us with one.
 */
#ifndef EMP_THREAD_HEAVY_FENCE_H
#define EMP_THREAD_HEAVY_FENCE_H

#include <stdbool.h>

/* Asks the system once for the service; false: it has none, and light fences must be full ones. */
bool emp_heavy_fence_init(void);

/* A seq_cst fence of this thread and, at some point during the call, of every other one. */
void emp_fence_heavy(void);

#endif
