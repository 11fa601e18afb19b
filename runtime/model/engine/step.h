/*
 * Purpose: one execution of a case, with the choices that search.h makes.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md, "Reduction"
 */
#ifndef EMP_MODEL_ENGINE_STEP_H
#define EMP_MODEL_ENGINE_STEP_H

#include "engine/engine.h"

/* Runs the case once; what happened is in model_run. */
enum model_end model_execute(const struct model_case *test);

#endif
