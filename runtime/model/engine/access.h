/*
 * Purpose: the list of atomic accesses met so far, and the one that is weakened at present.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md, "Order mutants"
 */
#ifndef EMP_MODEL_ENGINE_ACCESS_H
#define EMP_MODEL_ENGINE_ACCESS_H

#include "engine/site.h"

/* One change of one order: all sites of this place and kind take the new order. */
struct model_weakening {
    const char *file; /* from the root of the project; NULL: none */
    uint32_t line;
    uint8_t kind; /* enum model_kind */
    bool is_failure;
    uint8_t order;
};

const char *model_site_file(const struct model_site *site);

/* The sites that any execution has met, newest first. */
const struct model_site *model_sites(void);

/* From now on site->uses counts anew. */
void model_sites_forget_uses(void);

const char *model_order_name(uint8_t order);

/* Puts a weakening in force, instead of the last one; NULL: none. */
void model_weaken(const struct model_weakening *change);

/* What a read-modify-write writes. */
uint64_t model_rmw_value(const struct model_access *access, uint64_t before);

#endif
