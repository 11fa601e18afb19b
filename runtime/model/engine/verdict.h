/*
 * Purpose: a case explored, and whether what was found is what the case says.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md, "Bounds"
 */
#ifndef EMP_MODEL_ENGINE_VERDICT_H
#define EMP_MODEL_ENGINE_VERDICT_H

#include "engine/engine.h"

#define MODEL_OUTCOMES      64u
#define MODEL_OUTCOME_BYTES 48u

/* How far an exploration goes. */
struct model_limits {
    uint64_t executions; /* exhaustive ones; then random ones */
    uint64_t random;     /* random executions when the exhaustive ones were not all */
    uint64_t seed;
    uint64_t shorter; /* executions after a fault, to find a shorter one */
    bool is_noisy;    /* progress on stderr */
};

struct model_verdict {
    uint64_t complete;
    uint64_t blocked;      /* ended early: covered by other executions */
    uint64_t inconsistent; /* forbidden by the memory model */
    uint64_t cut;          /* ended by a bound */
    uint64_t random;
    uint64_t events; /* over all executions: the states looked at */
    double seconds;
    enum model_fault fault;
    bool is_exhausted; /* every execution within the bounds was seen */
    bool passed;
    unsigned outcomes;
    char outcome[MODEL_OUTCOMES][MODEL_OUTCOME_BYTES];
    char text[MODEL_TEXT_BYTES]; /* of the shortest fault */
};

const char *model_fault_name(enum model_fault fault);

/* Explores the case; the shortest fault can be replayed then. */
void model_judge(const struct model_case *test, const struct model_limits *limits,
                 struct model_verdict *verdict);

/* Makes the kept execution again, for its trace. */
void model_replay(const struct model_case *test);

#endif
