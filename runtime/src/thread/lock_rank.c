/*
 * Purpose: asserts in debug builds that locks are waited for in the order of lock_rank.def. Empty
 *          in others, which have no memory to spare in every thread.
 * Owner:   thread; one array per thread.
 * Threads: each its own.
 * Design:  [thread.inv.lock-order]
 * Source:  the idea of jemalloc's witness.c.
 * Cost:    debug builds: O(locks held), at most one per shard and rank.
 */
#include "thread/mutex.h"

#if EMP_DEBUG

#include "base/check.h"

#define HELD_MAX (EMP_SHARDS_MAX + EMP_RANK_COUNT)

/* Locks of this thread in the order in which they were taken; released in any order. */
struct held_locks {
    unsigned count;
    const struct emp_mutex *locks[HELD_MAX];
};

static EMP_TLS struct held_locks held;

void emp_lock_rank_check_wait(const struct emp_mutex *mutex)
{
    for (unsigned i = 0; i < held.count; i++) {
        const struct emp_mutex *const other = held.locks[i];
        emp_check(other != mutex);
        emp_check(other->rank <= mutex->rank);
        if (other->rank == mutex->rank) {
            emp_check(mutex->rank == EMP_RANK_SHARD || mutex->rank == EMP_RANK_CHANNEL);
            emp_check((uintptr_t)other < (uintptr_t)mutex);
        }
    }
}

void emp_lock_rank_push(const struct emp_mutex *mutex)
{
    emp_check(mutex->rank < EMP_RANK_COUNT);
    emp_check(held.count < HELD_MAX);
    held.locks[held.count++] = mutex;
}

/* Index of a lock in the array, or held.count. */
static unsigned held_find(const struct emp_mutex *mutex)
{
    unsigned i = 0;
    while (i < held.count && held.locks[i] != mutex) {
        i++;
    }
    return i;
}

void emp_lock_rank_pop(const struct emp_mutex *mutex)
{
    const unsigned found = held_find(mutex);
    emp_check(found < held.count);
    held.count--;
    for (unsigned i = found; i < held.count; i++) {
        held.locks[i] = held.locks[i + 1];
    }
}

void emp_lock_rank_forget(const struct emp_mutex *mutex)
{
    if (held_find(mutex) < held.count) {
        emp_lock_rank_pop(mutex);
    }
}

#endif
