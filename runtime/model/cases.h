/*
 * Purpose: the lists of programs, one per file that has some.
 * Owner:   model; const. Threads: any.
 * Design:  docs/design/model.md
 */
#ifndef EMP_MODEL_CASES_H
#define EMP_MODEL_CASES_H

#include "model.h"

extern const struct model_case litmus_two_threads[];
extern const struct model_case litmus_more_threads[];
extern const struct model_case litmus_coherence[];
extern const struct model_case bug_structures[];
extern const struct model_case bug_waiting[];
extern const struct model_case bug_lifetime[];
extern const struct model_case protocol_words[];
extern const struct model_case protocol_parked[];
extern const struct model_case protocol_ring[];
extern const struct model_case protocol_task[];
extern const struct model_case protocol_mutex[];
extern const struct model_case protocol_callback[];
extern const struct model_case protocol_slab[];
extern const struct model_case protocol_process[];
extern const struct model_case protocol_run_slot[];
extern const struct model_case protocol_stack[];
extern const struct model_case protocol_future[];
extern const struct model_case protocol_waker[];
extern const struct model_case protocol_id[];
extern const struct model_case protocol_queue[];
extern const struct model_case protocol_gate[];
extern const struct model_case protocol_channel[];

#endif
