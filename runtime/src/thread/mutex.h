/*
 * Purpose: the mutex of the slow paths: try-lock, spin briefly, then sleep on a futex.
 * Owner:   thread. A mutex is 8 bytes; zero-initialised plus a rank.
 * Threads: any. Not recursive. In debug builds the rank order of thread/lock_rank.def is asserted.
 * Design:  [thread.proto.mutex] [thread.inv.mutual-exclusion] [thread.inv.lock-order]
 * Source:  U. Drepper, "Futexes Are Tricky" (2011), section 5, mutex 2.
 * Cost:    uncontended: one compare-and-swap to take, one exchange to give back, no system call.
 *
 * States and who moves between them:
 *
 *      0 free --try_lock, lock--> 1 held --lock_slow of another--> 2 held, somebody may sleep
 *      1 --unlock--> 0                     2 --unlock--> 0, then one sleeper is woken
 *      0 --lock_slow that has slept or found 2--> 2  (it cannot know whether others still sleep)
 */
#ifndef EMP_THREAD_MUTEX_H
#define EMP_THREAD_MUTEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/config.h"
#include "sync/atomic.h"

/* Ranks, lowest taken first; one enumerator per line of lock_rank.def. */
enum emp_lock_rank {
#define EMP_LOCK_RANK(name, what) EMP_RANK_##name,
#include "thread/lock_rank.def"
#undef EMP_LOCK_RANK
    EMP_RANK_COUNT
};

/* Values of emp_mutex.state. */
enum emp_mutex_state { EMP_MUTEX_FREE = 0, EMP_MUTEX_HELD = 1, EMP_MUTEX_AWAITED = 2 };

struct emp_mutex {
    uint32_t state; /* atomic: mutex. enum emp_mutex_state */
    uint32_t rank;  /* const after init: enum emp_lock_rank */
};

#define EMP_MUTEX_INIT(rank_name)            \
    {                                        \
        EMP_MUTEX_FREE, EMP_RANK_##rank_name \
    }

/* Sets the rank; the mutex is free. */
void emp_mutex_init(struct emp_mutex *mutex, enum emp_lock_rank rank);

/* In a forked child: makes the mutex free whoever held it. */
void emp_mutex_reset_in_child(struct emp_mutex *mutex);

/* The parts of lock and unlock that spin, sleep or wake. */
EMP_COLD void emp_mutex_lock_slow(struct emp_mutex *mutex);
EMP_COLD void emp_mutex_wake_one(struct emp_mutex *mutex);

/* Debug builds: what this thread holds; check_wait asserts that waiting keeps the order. */
void emp_lock_rank_check_wait(const struct emp_mutex *mutex);
void emp_lock_rank_push(const struct emp_mutex *mutex);
void emp_lock_rank_pop(const struct emp_mutex *mutex);
void emp_lock_rank_forget(const struct emp_mutex *mutex);

/* Takes the mutex if it is free; never waits, so any order is allowed. */
static inline bool emp_mutex_try_lock(struct emp_mutex *mutex)
{
    uint32_t expected = EMP_MUTEX_FREE;
    /* order(mutex): acquire; what the last holder wrote is visible */
    if (emp_unlikely(!emp_cas_acquire(&mutex->state, &expected, (uint32_t)EMP_MUTEX_HELD))) {
        return false;
    }
    if (EMP_DEBUG) {
        emp_lock_rank_push(mutex);
    }
    return true;
}

/* Takes the mutex, waiting if need be. */
static inline void emp_mutex_lock(struct emp_mutex *mutex)
{
    uint32_t expected = EMP_MUTEX_FREE;
    if (EMP_DEBUG) {
        emp_lock_rank_check_wait(mutex);
    }
    /* order(mutex): acquire; what the last holder wrote is visible */
    if (emp_unlikely(!emp_cas_acquire(&mutex->state, &expected, (uint32_t)EMP_MUTEX_HELD))) {
        emp_mutex_lock_slow(mutex);
    }
    if (EMP_DEBUG) {
        emp_lock_rank_push(mutex);
    }
}

/* Gives the mutex back; the caller holds it. */
static inline void emp_mutex_unlock(struct emp_mutex *mutex)
{
    if (EMP_DEBUG) {
        emp_lock_rank_pop(mutex);
    }
    /* order(mutex): release; what the holder wrote is visible to the next one */
    const uint32_t before = emp_exchange_release(&mutex->state, (uint32_t)EMP_MUTEX_FREE);
    if (emp_unlikely(before == EMP_MUTEX_AWAITED)) {
        emp_mutex_wake_one(mutex);
    }
}

/* True when the mutex is held by somebody; for assertions. */
static inline bool emp_mutex_is_held(const struct emp_mutex *mutex)
{
    /* order(mutex): relaxed; the answer may be stale unless the caller is the holder */
    return emp_load_relaxed(&mutex->state) != EMP_MUTEX_FREE;
}

#endif
