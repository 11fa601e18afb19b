/*
 * Purpose: the vocabulary of the old bugs: each is one program that runs in two forms, as it was
 *          wrong and as it was mended.
 * Owner:   model; `fixed` says which form runs.
 * Threads: the checker's own.
 * Design:  docs/design/model.md, "Old bugs"
 */
#ifndef EMP_MODEL_BUGS_BUGS_H
#define EMP_MODEL_BUGS_BUGS_H

#include "model.h"

/* const while threads run */
static bool fixed;

/* The mended order or the faulty one. */
#define LOAD_IF(p, good, bad)     (fixed ? MODEL_LOAD(p, good) : MODEL_LOAD(p, bad))
#define STORE_IF(p, v, good, bad) (fixed ? MODEL_STORE(p, v, good) : MODEL_STORE(p, v, bad))
#define FENCE_IF(order)         \
    do {                        \
        if (fixed) {            \
            MODEL_FENCE(order); \
        }                       \
    } while (0)

/* Both forms of a program whose functions begin with prefix_. */
#define BUG_SET_UPS(prefix)         \
    static void prefix##_bug(void)  \
    {                               \
        fixed = false;              \
        prefix##_set_up();          \
    }                               \
    static void prefix##_twin(void) \
    {                               \
        fixed = true;               \
        prefix##_set_up();          \
    }

#define BUG_AND_TWIN(name_, prefix, fault_, finish_, text, ...)               \
    {.name = "bug/" name_,                                                    \
     .property = (text),                                                      \
     .set_up = prefix##_bug,                                                  \
     .thread = {__VA_ARGS__},                                                 \
     .finish = (finish_),                                                     \
     .fault = (fault_)},                                                      \
    {                                                                         \
        .name = "twin/" name_, .property = (text), .set_up = prefix##_twin,   \
        .thread = {__VA_ARGS__}, .finish = (finish_), .fault = MODEL_NO_FAULT \
    }

#endif
