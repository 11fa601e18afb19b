/*
 * Purpose: all programs of the checker, in the order in which they run: the checker's own proof
 *          first, then the project's protocols.
 * Owner:   model; const. Threads: any.
 * Design:  docs/design/model.md
 */
#include "cases.h"

const struct model_case *const model_groups[] = {
    litmus_two_threads,
    litmus_more_threads,
    litmus_coherence,
    bug_structures,
    bug_waiting,
    bug_lifetime,
    protocol_words,
    protocol_parked,
    protocol_ring,
    protocol_mutex,
    protocol_task,
    protocol_callback,
    protocol_slab,
    protocol_process,
    protocol_stack,
    protocol_future,
    protocol_waker,
    protocol_id,
    protocol_queue,
    protocol_gate,
    protocol_channel,
    protocol_run_slot,
    NULL,
};
