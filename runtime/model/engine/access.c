/*
 * Purpose: what the code under test calls: each access becomes a request that the checker answers;
 *          outside an execution it goes straight to memory.
 * Owner:   model; the list of sites. Threads: the checker's own.
 * Design:  docs/design/model.md
 */
#include "engine/access.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/engine.h"

static struct model_site *sites;
static struct model_weakening weakening;

/* The name of a source file from the root of the project. */
const char *model_site_file(const struct model_site *site)
{
    const char *found = site->file;
    for (const char *at = found; (at = strstr(at, "runtime/")) != NULL; at++) {
        found = at;
    }
    return found;
}

static void site_apply(struct model_site *site)
{
    const bool is_meant = weakening.file != NULL && weakening.line == site->line &&
                          weakening.kind == site->kind &&
                          strcmp(weakening.file, model_site_file(site)) == 0;
    site->order_now = is_meant && !weakening.is_failure ? weakening.order : site->order;
    site->failure_now = is_meant && weakening.is_failure ? weakening.order : site->failure_order;
}

const char *model_order_name(uint8_t order)
{
    switch (order) {
    case MODEL_ACQUIRE:
        return "acquire";
    case MODEL_RELEASE:
        return "release";
    case MODEL_ACQ_REL:
        return "acq_rel";
    case MODEL_SEQ_CST:
        return "seq_cst";
    case MODEL_DROPPED:
        return "nothing";
    case MODEL_LIGHT:
        return "light";
    case MODEL_HEAVY:
        return "heavy";
    default:
        return "relaxed";
    }
}

static void site_link(struct model_site *site)
{
    site->uses += model_run.is_tracking;
    if (!site->is_linked) {
        site->is_linked = true;
        site->next = sites;
        sites = site;
        site_apply(site);
    }
}

const struct model_site *model_sites(void)
{
    return sites;
}

void model_sites_forget_uses(void)
{
    for (struct model_site *site = sites; site != NULL; site = site->next) {
        site->uses = 0;
    }
}

void model_weaken(const struct model_weakening *change)
{
    weakening = change != NULL ? *change : (struct model_weakening){0};
    for (struct model_site *site = sites; site != NULL; site = site->next) {
        site_apply(site);
    }
}

static uint64_t memory_get(const void *place, uint32_t bytes)
{
    uint64_t value = 0;
    memcpy(&value, place, bytes);
    return value;
}

static uint64_t ask(enum model_request_kind kind, struct model_site *site,
                    const struct model_access *access)
{
    struct model_request request = {.kind = kind, .site = site};
    if (access != NULL) {
        request.access = *access;
    }
    model_actor_ask(&request);
    return request.result;
}

/* A value as wide as its location. */
static uint64_t cut_to(uint64_t value, uint32_t bytes)
{
    return bytes >= sizeof value ? value : value & (((uint64_t)1 << (bytes * 8)) - 1);
}

uint64_t model_rmw_value(const struct model_access *access, uint64_t before)
{
    switch (access->rmw) {
    case MODEL_ADD:
        return cut_to(before + access->operand, access->bytes);
    case MODEL_SUB:
        return cut_to(before - access->operand, access->bytes);
    case MODEL_OR:
        return before | access->operand;
    case MODEL_AND:
        return before & access->operand;
    case MODEL_EXCHANGE:
    case MODEL_CAS_WRITE:
        break;
    }
    return access->operand;
}

uint64_t model_load(struct model_site *site, const void *place, uint32_t bytes)
{
    site_link(site);
    if (!model_run.is_tracking) {
        return memory_get(place, bytes);
    }
    const struct model_access access = {.place = (void *)(uintptr_t)place, .bytes = bytes};
    return ask(MODEL_REQUEST_LOAD, site, &access);
}

void model_store(struct model_site *site, void *place, uint32_t bytes, uint64_t value)
{
    site_link(site);
    if (!model_run.is_tracking) {
        memcpy(place, &value, bytes);
        return;
    }
    const struct model_access access = {
        .place = place, .bytes = bytes, .operand = cut_to(value, bytes)};
    ask(MODEL_REQUEST_STORE, site, &access);
}

/* The access with its values as wide as the location. */
static struct model_access narrowed(const struct model_access *access)
{
    struct model_access result = *access;
    result.operand = cut_to(access->operand, access->bytes);
    result.expected = cut_to(access->expected, access->bytes);
    return result;
}

uint64_t model_rmw(struct model_site *site, const struct model_access *access)
{
    const struct model_access narrow = narrowed(access);
    site_link(site);
    if (!model_run.is_tracking) {
        const uint64_t before = memory_get(access->place, access->bytes);
        const uint64_t after = model_rmw_value(&narrow, before);
        memcpy(access->place, &after, access->bytes);
        return before;
    }
    return ask(MODEL_REQUEST_RMW, site, &narrow);
}

bool model_cas(struct model_site *site, const struct model_access *access, uint64_t *found)
{
    const struct model_access narrow = narrowed(access);
    site_link(site);
    if (!model_run.is_tracking) {
        *found = memory_get(access->place, access->bytes);
        if (*found == narrow.expected) {
            memcpy(access->place, &narrow.operand, access->bytes);
        }
    } else {
        *found = ask(MODEL_REQUEST_CAS, site, &narrow);
    }
    return *found == narrow.expected;
}

void model_fence(struct model_site *site)
{
    site_link(site);
    if (model_run.is_tracking) {
        ask(MODEL_REQUEST_FENCE, site, NULL);
    }
}

uint64_t model_await(struct model_site *site, const void *place, uint32_t bytes, uint64_t value)
{
    const struct model_access access = {
        .place = (void *)(uintptr_t)place, .bytes = bytes, .expected = cut_to(value, bytes)};
    site_link(site);
    return ask(MODEL_REQUEST_AWAIT, site, &access);
}

uint64_t model_await_not(struct model_site *site, const void *place, uint32_t bytes, uint64_t value)
{
    const struct model_access access = {
        .place = (void *)(uintptr_t)place, .bytes = bytes, .expected = cut_to(value, bytes)};
    site_link(site);
    return ask(MODEL_REQUEST_AWAIT_NOT, site, &access);
}

void model_futex_wait(uint32_t *word, uint32_t expected)
{
    static struct model_site site = {.file = "kernel", .what = "futex", .kind = MODEL_KIND_LOAD};
    const struct model_access access = {.place = word, .bytes = sizeof *word, .expected = expected};
    if (model_run.is_tracking) {
        ask(MODEL_REQUEST_SLEEP, &site, &access);
    }
}

void model_futex_wake(uint32_t *word, uint32_t count)
{
    static struct model_site site = {.file = "kernel", .what = "futex", .kind = MODEL_KIND_LOAD};
    const struct model_access access = {.place = word, .bytes = sizeof *word, .operand = count};
    if (model_run.is_tracking) {
        ask(MODEL_REQUEST_WAKE, &site, &access);
    }
}

unsigned model_choose(unsigned count)
{
    const struct model_access access = {.operand = count};
    return model_run.is_tracking ? (unsigned)ask(MODEL_REQUEST_CHOOSE, NULL, &access) : 0;
}

unsigned model_self(void)
{
    return model_run.current - 1u;
}

void model_assert_failed(const char *what, const char *file, unsigned line)
{
    const struct model_site site = {.file = file};
    model_fail(MODEL_ASSERTION, "%s:%u: not so: %s", model_site_file(&site), line, what);
}

void model_outcome(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(model_run.outcome, sizeof model_run.outcome, format, list);
    va_end(list);
}
