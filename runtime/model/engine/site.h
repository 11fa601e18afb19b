/*
 * Purpose: how an atomic access of the code under test reaches the checker: one site per place in
 *          the source, with its order, which a run of the mutants may weaken.
 * Owner:   model; sites are static data of the code under test, linked at their first use.
 * Threads: the checker's own.
 * Design:  docs/design/model.md
 */
#ifndef EMP_MODEL_ENGINE_SITE_H
#define EMP_MODEL_ENGINE_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Orders; a set of flags, so that weakening is taking a flag away. */
enum model_order {
    MODEL_RELAXED = 0,
    MODEL_ACQUIRE = 1,
    MODEL_RELEASE = 2,
    MODEL_ACQ_REL = 3,
    MODEL_SEQ_CST = 7,
    MODEL_DROPPED = 8, /* a fence that a mutant has taken out */
    MODEL_LIGHT = 16,  /* a fence: nothing but what its pair with a heavy one orders */
    MODEL_HEAVY = 39   /* a fence: seq_cst, and so for light ones too */
};

enum model_kind { MODEL_KIND_LOAD, MODEL_KIND_STORE, MODEL_KIND_RMW, MODEL_KIND_FENCE };

enum model_rmw { MODEL_EXCHANGE, MODEL_ADD, MODEL_SUB, MODEL_OR, MODEL_AND, MODEL_CAS_WRITE };

/* One access in the source. Owner: the code under test; the checker links it. */
struct model_site {
    const char *file;
    const char *what; /* the operand as written */
    uint32_t line;
    uint8_t kind;  /* enum model_kind */
    uint8_t order; /* enum model_order, as written */
    uint8_t failure_order;
    uint8_t order_now; /* as in force: order, or what a mutant makes of it */
    uint8_t failure_now;
    bool is_linked;
    uint64_t uses;
    struct model_site *next;
};

/* What an access does; the value fields are widened to 64 bits. */
struct model_access {
    void *place;
    uint32_t bytes;
    enum model_rmw rmw;
    uint64_t operand;
    uint64_t expected;
};

uint64_t model_load(struct model_site *site, const void *place, uint32_t bytes);
void model_store(struct model_site *site, void *place, uint32_t bytes, uint64_t value);
uint64_t model_rmw(struct model_site *site, const struct model_access *access);
bool model_cas(struct model_site *site, const struct model_access *access, uint64_t *found);
void model_fence(struct model_site *site);

/* A site of this place in the source. */
#define MODEL_SITE_FULL(kind_, text, order_, failure_)                          \
    __extension__({                                                             \
        static struct model_site site_ = {.file = __FILE__,                     \
                                          .what = (text),                       \
                                          .line = __LINE__,                     \
                                          .kind = (kind_),                      \
                                          .order = (uint8_t)MODEL_##order_,     \
                                          .failure_order = (uint8_t)(failure_), \
                                          .order_now = (uint8_t)MODEL_##order_, \
                                          .failure_now = (uint8_t)(failure_),   \
                                          .is_linked = false};                  \
        &site_;                                                                 \
    })
#define MODEL_SITE(kind, text, order) MODEL_SITE_FULL(kind, text, order, 0)

/* The type of *p without qualifiers, and any value as 64 bits. */
#define MODEL_TYPE(p) __typeof__(((void)0, *(p)))
#define MODEL_WIDE(v) ((uint64_t)(uintptr_t)(v))

#define MODEL_LOAD(p, order) \
    ((MODEL_TYPE(p))(uintptr_t)model_load(MODEL_SITE(MODEL_KIND_LOAD, #p, order), (p), sizeof *(p)))
#define MODEL_STORE(p, v, order) \
    model_store(MODEL_SITE(MODEL_KIND_STORE, #p, order), (p), sizeof *(p), MODEL_WIDE(v))
#define MODEL_RMW(p, v, operation, order)                                                   \
    __extension__({                                                                         \
        const uint64_t before_ = model_rmw(                                                 \
            MODEL_SITE(MODEL_KIND_RMW, #p, order),                                          \
            &(struct model_access){(p), sizeof *(p), MODEL_##operation, MODEL_WIDE(v), 0}); \
        (MODEL_TYPE(p))(uintptr_t) before_;                                                 \
    })
#define MODEL_CAS(p, e, v, order, failure)                                                        \
    __extension__({                                                                               \
        uint64_t found_ = 0;                                                                      \
        __typeof__(e) place_ = (e);                                                               \
        const bool done_ = model_cas(MODEL_SITE_FULL(MODEL_KIND_RMW, #p, order, MODEL_##failure), \
                                     &(struct model_access){(p), sizeof *(p), MODEL_CAS_WRITE,    \
                                                            MODEL_WIDE(v), MODEL_WIDE(*place_)},  \
                                     &found_);                                                    \
        if (!done_) {                                                                             \
            *place_ = (MODEL_TYPE(p))(uintptr_t)found_;                                           \
        }                                                                                         \
        done_;                                                                                    \
    })
#define MODEL_FENCE(order) model_fence(MODEL_SITE(MODEL_KIND_FENCE, "", order))

#endif
