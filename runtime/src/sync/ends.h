/*
 * Purpose: counts who holds either end of a channel, and says who must do what when one leaves.
 * Owner:   sync. Roles: any holder retains, releases, closes.
 *
 *   63-51: 0 | 50: closed | 49-48: ends that are alive (0..2) | 47-24: receivers | 23-0: senders
 *
 *   {senders > 1} --release--> one less      {senders 1} --release: last--> 0; the caller does what
 *   its end owes and then leaves: ends - 1;  {ends 1} --leave--> 0: the caller frees the channel
 *
 * Invariants: I1 one release of each end is told that it was the last. I2 one leave is told that it
 *   was the last, after both ends have done what they owe. I3 closed is never taken back.
 * Linearisation: the read-modify-write.
 * Order table: ends: release and leave are acq_rel: what a holder did with the channel comes before
 *   what the last one does. closed is released by who closes and acquired by who relies on it.
 * Progress: wait-free. ABA: none, the word is a sum.
 * Does not promise: anything to who uses an end after it gave it back.
 * Threads: any. Design: [sync.proto.ends]
 */
#ifndef EMP_SYNC_ENDS_H
#define EMP_SYNC_ENDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "sync/atomic.h"

#define EMP_ENDS_COUNT_BITS 24u
#define EMP_ENDS_COUNT_MAX  (((uint64_t)1 << EMP_ENDS_COUNT_BITS) - 1)
#define EMP_ENDS_SENDER     ((uint64_t)1)
#define EMP_ENDS_RECEIVER   ((uint64_t)1 << EMP_ENDS_COUNT_BITS)
#define EMP_ENDS_END        ((uint64_t)1 << 48)
#define EMP_ENDS_END_MASK   ((uint64_t)3 << 48)
#define EMP_ENDS_CLOSED     ((uint64_t)1 << 50)

/* One sender, one receiver. */
#define EMP_ENDS_START (EMP_ENDS_SENDER + EMP_ENDS_RECEIVER + 2 * EMP_ENDS_END)

/* How many hold the end whose unit is given. */
static inline uint64_t emp_ends_count(uint64_t word, uint64_t unit)
{
    return word / unit & EMP_ENDS_COUNT_MAX;
}

/* One more holder; the caller has one already. */
static inline void emp_ends_retain(uint64_t *ends, uint64_t unit)
{
    /* order(ends): relaxed; a holder cannot be the last while it makes another */
    uint64_t before = emp_fetch_add_relaxed(ends, unit);

    emp_check(emp_ends_count(before, unit) != 0);
    emp_check(emp_ends_count(before, unit) != EMP_ENDS_COUNT_MAX);
}

/* One holder less; true: it was the last, it must do what its end owes and then leave. */
EMP_NODISCARD static inline bool emp_ends_release(uint64_t *ends, uint64_t unit)
{
    /* order(ends): acq_rel; what the holders did comes before what the last one does */
    uint64_t before = emp_fetch_sub_acq_rel(ends, unit);

    emp_check(emp_ends_count(before, unit) != 0);
    return emp_ends_count(before, unit) == 1;
}

/* An end has done what it owed; true: the other one too, the channel is the caller's alone. */
EMP_NODISCARD static inline bool emp_ends_leave(uint64_t *ends)
{
    /* order(ends): acq_rel; what both ends did comes before the end of the memory */
    uint64_t before = emp_fetch_sub_acq_rel(ends, EMP_ENDS_END);

    return (before & EMP_ENDS_END_MASK) == EMP_ENDS_END;
}

/* Closes; true for the one that did. */
static inline bool emp_ends_close(uint64_t *ends)
{
    /* order(ends): release; what was sent before is visible to who sees that it is closed */
    return (emp_fetch_or_release(ends, EMP_ENDS_CLOSED) & EMP_ENDS_CLOSED) == 0;
}

/* Whether it is closed; what was sent before is visible then. */
static inline bool emp_ends_is_closed(const uint64_t *ends)
{
    /* order(ends): acquire; pairs with emp_ends_close: the last items are seen */
    return (emp_load_acquire(ends) & EMP_ENDS_CLOSED) != 0;
}

#endif
