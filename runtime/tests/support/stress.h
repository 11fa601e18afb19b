/*
 * Purpose: the stress of the facade: threads that allocate, check, hand over and free blocks of
 *          many sizes while each keeps about the same number of bytes live; measures operations and
 *          memory.
 * Owner:   test support, on the public interface only. One run at a time.
 */
#ifndef EMP_TESTS_SUPPORT_STRESS_H
#define EMP_TESTS_SUPPORT_STRESS_H

#include <stddef.h>
#include <stdint.h>

#define STRESS_THREADS_MAX 4096u

/* What to run. */
struct stress_settings {
    unsigned threads;         /* 1..STRESS_THREADS_MAX */
    uint64_t duration_ns;     /* of the steady part; 0: until operations_each */
    uint64_t operations_each; /* per thread; 0: until duration_ns */
    size_t live_bytes;        /* per thread, about */
    uint64_t seed;
};

/* What happened. */
struct stress_result {
    uint64_t operations;    /* allocations and frees */
    uint64_t allocated;     /* blocks */
    uint64_t freed;         /* blocks */
    uint64_t handed_over;   /* blocks freed by another thread than the one that made them */
    uint64_t corrupt;       /* blocks whose cookie, zeroing, alignment or size was wrong */
    uint64_t refused;       /* allocations that returned NULL */
    uint64_t in_use_before; /* bytes the library counts as allocated before the first thread ... */
    uint64_t in_use_after;  /* ... and after the last ended */
    uint64_t inconsistencies; /* of emp_audit afterwards */
    uint64_t run_ns;          /* wall time of the steady part */
    double live_bytes;        /* mean of the samples */
    double resident_bytes;    /* mean of the samples, above the same program with idle threads */
    double resident_worst;    /* largest resident / live of one sample */
    unsigned samples;
};

/* Runs to the end. 0, or an error number when threads could not be made. */
int stress_run(const struct stress_settings *settings, struct stress_result *result);

#endif
