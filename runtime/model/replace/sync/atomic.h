/*
 * Purpose: takes the place of sync/atomic.h in builds of the model checker: the same names, each
 *          handed to the checker with its place in the source.
 * Owner:   model; a site is static data of the translation unit that contains the access.
 * Threads: the checker's own.
 * Design:  docs/design/model.md
 */
#ifndef EMP_SYNC_ATOMIC_H
#define EMP_SYNC_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/site.h"

#define emp_load_relaxed(p)         MODEL_LOAD(p, RELAXED)
#define emp_load_acquire(p)         MODEL_LOAD(p, ACQUIRE)
#define emp_store_relaxed(p, v)     MODEL_STORE(p, v, RELAXED)
#define emp_store_release(p, v)     MODEL_STORE(p, v, RELEASE)
#define emp_exchange_relaxed(p, v)  MODEL_RMW(p, v, EXCHANGE, RELAXED)
#define emp_exchange_acquire(p, v)  MODEL_RMW(p, v, EXCHANGE, ACQUIRE)
#define emp_exchange_release(p, v)  MODEL_RMW(p, v, EXCHANGE, RELEASE)
#define emp_exchange_acq_rel(p, v)  MODEL_RMW(p, v, EXCHANGE, ACQ_REL)
#define emp_fetch_add_relaxed(p, v) MODEL_RMW(p, v, ADD, RELAXED)
#define emp_fetch_sub_relaxed(p, v) MODEL_RMW(p, v, SUB, RELAXED)
#define emp_fetch_add_acq_rel(p, v) MODEL_RMW(p, v, ADD, ACQ_REL)
#define emp_fetch_sub_acq_rel(p, v) MODEL_RMW(p, v, SUB, ACQ_REL)
#define emp_fetch_or_relaxed(p, v)  MODEL_RMW(p, v, OR, RELAXED)
#define emp_fetch_or_release(p, v)  MODEL_RMW(p, v, OR, RELEASE)
#define emp_fetch_or_acq_rel(p, v)  MODEL_RMW(p, v, OR, ACQ_REL)
#define emp_fetch_and_acq_rel(p, v) MODEL_RMW(p, v, AND, ACQ_REL)

#define emp_cas_relaxed(p, e, v) MODEL_CAS(p, e, v, RELAXED, RELAXED)
#define emp_cas_acquire(p, e, v) MODEL_CAS(p, e, v, ACQUIRE, RELAXED)
#define emp_cas_release(p, e, v) MODEL_CAS(p, e, v, RELEASE, RELAXED)
#define emp_cas_acq_rel(p, e, v) MODEL_CAS(p, e, v, ACQ_REL, ACQUIRE)
/* The failure order of this one is relaxed. */
#define emp_cas_acq_rel_relaxed(p, e, v) MODEL_CAS(p, e, v, ACQ_REL, RELAXED)

#define emp_fence_acquire() MODEL_FENCE(ACQUIRE)
#define emp_fence_seq_cst() MODEL_FENCE(SEQ_CST)
#define emp_fence_light()   MODEL_FENCE(LIGHT)

#endif
