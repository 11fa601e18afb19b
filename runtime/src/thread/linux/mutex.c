/*
 * Purpose: the slow half of mutex.h.
 * Owner:   thread. Threads: any; errno preserved.
 * Design:  [thread.proto.mutex]
 * Source:  U. Drepper, "Futexes Are Tricky" (2011), section 5, mutex 2.
 * Cost:    a spin of SPIN_ROUNDS at most, then one system call per sleep.
 */
#include "thread/mutex.h"

#include "base/check.h"
#include "thread/cpu.h"
#include "thread/linux/futex.h"

/* Longer than a critical section of ours on another processor, shorter than sleep and wake. */
#define SPIN_ROUNDS 100u

void emp_mutex_init(struct emp_mutex *mutex, enum emp_lock_rank rank)
{
    emp_assert(rank < EMP_RANK_COUNT);
    /* order(mutex): relaxed; nobody else knows the mutex yet */
    emp_store_relaxed(&mutex->state, (uint32_t)EMP_MUTEX_FREE);
    mutex->rank = (uint32_t)rank;
}

/* Watches a held mutex for a moment; true when it was taken. Pointless with one processor. */
static bool mutex_spin(struct emp_mutex *mutex)
{
    const unsigned rounds = emp_cpu_count() > 1 ? SPIN_ROUNDS : 0;
    for (unsigned i = 0; i < rounds; i++) {
        /* order(mutex): relaxed; only a hint that the swap below may succeed */
        uint32_t seen = emp_load_relaxed(&mutex->state);
        if (seen == EMP_MUTEX_AWAITED) {
            return false;
        }
        /* order(mutex): acquire; what the last holder wrote is visible */
        if (seen == EMP_MUTEX_FREE && emp_cas_acquire(&mutex->state, &seen, EMP_MUTEX_HELD)) {
            return true;
        }
        emp_cpu_relax();
    }
    return false;
}

void emp_mutex_lock_slow(struct emp_mutex *mutex)
{
    if (mutex_spin(mutex)) {
        return;
    }
    /* order(mutex): acquire; what the last holder wrote is visible */
    while (emp_exchange_acquire(&mutex->state, (uint32_t)EMP_MUTEX_AWAITED) != EMP_MUTEX_FREE) {
        emp_futex_wait(&mutex->state, EMP_MUTEX_AWAITED, EMP_FUTEX_FOREVER);
    }
}

void emp_mutex_wake_one(struct emp_mutex *mutex)
{
    emp_futex_wake(&mutex->state, 1);
}

void emp_mutex_reset_in_child(struct emp_mutex *mutex)
{
    if (EMP_DEBUG) {
        emp_lock_rank_forget(mutex);
    }
    /* order(mutex): relaxed; the child has one thread */
    emp_store_relaxed(&mutex->state, (uint32_t)EMP_MUTEX_FREE);
}
