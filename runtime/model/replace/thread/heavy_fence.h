/*
 * Purpose: takes the place of thread/heavy_fence.h in builds of the model checker: the fence is an
 *          event of its own, which orders against the light fences of other threads.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md
 */
#ifndef EMP_THREAD_HEAVY_FENCE_H
#define EMP_THREAD_HEAVY_FENCE_H

#include "sync/atomic.h"

#define emp_fence_heavy() MODEL_FENCE(HEAVY)

static inline bool emp_heavy_fence_init(void)
{
    return true;
}

#endif
