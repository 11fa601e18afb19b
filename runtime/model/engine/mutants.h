/*
 * Purpose: weakens one order of the product at a time and sees which programs notice.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md, "Order mutants"
 */
#ifndef EMP_MODEL_ENGINE_MUTANTS_H
#define EMP_MODEL_ENGINE_MUTANTS_H

/* Tries every mutant with the programs whose name contains the filter (NULL: all); 0: enough. */
int model_mutants(const char *filter);

#endif
