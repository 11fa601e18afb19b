/*
 * Purpose: an execution as lines that a person reads.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md, "A trace"
 */
#ifndef EMP_MODEL_ENGINE_TRACE_H
#define EMP_MODEL_ENGINE_TRACE_H

#include <stdio.h>

/* Prints the execution in model_run: thread, place, access, value and where it came from. */
void model_trace(FILE *out);

#endif
