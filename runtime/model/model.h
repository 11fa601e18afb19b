/*
 * Purpose: what a program of the model checker is made of: two to four threads over shared memory,
 *          a property, and the few calls that they may use besides the atomics.
 * Owner:   model. A case is const; its shared memory is static data that set_up puts in its first
 *          state before each execution.
 * Threads: the checker's own, which run one at a time.
 * Design:  docs/design/model.md
 */
#ifndef EMP_MODEL_MODEL_H
#define EMP_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/atomic.h"

#define MODEL_THREADS 4u /* of a case, at most */

/* What may go wrong; also what a historical bug must be found as. */
enum model_fault {
    MODEL_NO_FAULT,
    MODEL_ASSERTION, /* model_assert, emp_check, or the wrong outcome */
    MODEL_RACE,      /* two accesses, one plain, one a write, neither before the other */
    MODEL_LIFETIME,  /* used after it was freed, freed twice */
    MODEL_LEAK,      /* memory of model_alloc left at the end */
    MODEL_STUCK,     /* threads wait and nobody will wake them: deadlock or a lost wake */
    MODEL_FAULTS
};

/*
 * One program. Executions are independent: every thread begins after set_up, finish begins after
 * every thread. Both run alone and may use the atomics and plain memory freely.
 */
struct model_case {
    const char *name;     /* group/words-with-dashes */
    const char *property; /* one sentence */
    void (*set_up)(void);
    void (*thread[MODEL_THREADS])(void);
    void (*finish)(void);
    const char *outcomes;   /* what model_outcome may say, separated by |; NULL: anything */
    enum model_fault fault; /* what the checker must find; MODEL_NO_FAULT: nothing */
    unsigned rereads;       /* a load may meet one value this often at one place; 0: 2 */
    unsigned spurious;      /* sleeps that end for no reason, in one execution at most */
    bool is_protocol;       /* of the product: order mutants are tried with it */
    bool is_long;           /* only in the long set */
};

/* A list of cases, ended by one without a name. */
extern const struct model_case *const model_groups[];

/* Fails the execution with the condition's text. Usable everywhere. */
#define model_assert(condition)                                  \
    do {                                                         \
        if (!(condition)) {                                      \
            model_assert_failed(#condition, __FILE__, __LINE__); \
        }                                                        \
    } while (0)
void model_assert_failed(const char *what, const char *file, unsigned line);

/* Says how an execution ended; for finish. */
__attribute__((format(printf, 1, 2))) void model_outcome(const char *format, ...);

/* Memory whose life is watched; never NULL, zeroed, not used again in this execution. */
void *model_alloc(size_t bytes);
void model_free(void *memory);

/* Any number below count: the checker tries each. */
unsigned model_choose(unsigned count);

/* Waits until *place has (or no longer has) the value: a loop around a load, without the loop. */
#define model_await_equal(p, value, order) \
    model_await(MODEL_SITE(MODEL_KIND_LOAD, #p, order), (p), sizeof *(p), MODEL_WIDE(value))
#define model_await_other(p, value, order) \
    model_await_not(MODEL_SITE(MODEL_KIND_LOAD, #p, order), (p), sizeof *(p), MODEL_WIDE(value))
uint64_t model_await(struct model_site *site, const void *place, uint32_t bytes, uint64_t value);
uint64_t model_await_not(struct model_site *site, const void *place, uint32_t bytes,
                         uint64_t value);

/* futex(2): sleeps when *word is expected, as the kernel compares it; wakes at most count. */
void model_futex_wait(uint32_t *word, uint32_t expected);
void model_futex_wake(uint32_t *word, uint32_t count);

/* Which thread of the case runs, from 0. */
unsigned model_self(void);

/* Orders that the product does not use; the litmus tests and the old bugs do. */
#define emp_load_seq_cst(p)         MODEL_LOAD(p, SEQ_CST)
#define emp_store_seq_cst(p, v)     MODEL_STORE(p, v, SEQ_CST)
#define emp_exchange_seq_cst(p, v)  MODEL_RMW(p, v, EXCHANGE, SEQ_CST)
#define emp_fetch_add_acquire(p, v) MODEL_RMW(p, v, ADD, ACQUIRE)
#define emp_fetch_add_release(p, v) MODEL_RMW(p, v, ADD, RELEASE)
#define emp_fetch_sub_release(p, v) MODEL_RMW(p, v, SUB, RELEASE)
#define emp_cas_seq_cst(p, e, v)    MODEL_CAS(p, e, v, SEQ_CST, SEQ_CST)
#define emp_fence_release()         MODEL_FENCE(RELEASE)
#define emp_fence_acq_rel()         MODEL_FENCE(ACQ_REL)

#endif
