/*
 * Purpose: see search.h.
 * Owner:   model. Threads: the checker's own.
 * Cost:    memory for MODEL_DEPTH choices; per execution O(choices).
 * Design:  docs/design/model.md, "Reduction"
 * Source:  P. Godefroid, "Partial-Order Methods for the Verification of Concurrent Systems", 1996:
 *          sleep sets and persistent sets.
 */
#include "engine/search.h"

#include <string.h>

#include "engine/engine.h"

#define MODEL_DEPTH MODEL_EVENTS
#define SLEEPERS    64u

/* A choice on the path of the present execution. */
struct node {
    uint16_t count;
    uint16_t taken;
    bool is_number; /* made by model_search_number: nothing sleeps */
    uint16_t sleeping;
    struct model_option sleep[SLEEPERS]; /* on entry */
    struct model_option option[MODEL_OPTIONS];
};

/* What a kept execution chose: a number, or an option. */
struct kept_choice {
    uint16_t number;
    struct model_option option;
};

static struct node path[MODEL_DEPTH];
static unsigned length; /* choices known */
static unsigned depth;  /* of the execution now */
static struct model_option sleep[SLEEPERS];
static unsigned sleeping;
static enum model_mode mode;
static bool has_reduction = true;
static uint64_t random_state;
static struct kept_choice kept[MODEL_DEPTH];
static unsigned kept_length;

void model_search_begin(enum model_mode new_mode, uint64_t seed)
{
    mode = new_mode;
    random_state = seed * 2 + 1;
    length = 0;
    depth = 0;
}

void model_search_reduce(bool reduces)
{
    has_reduction = reduces;
}

bool model_search_reduces(void)
{
    return has_reduction;
}

void model_search_restart(void)
{
    depth = 0;
    sleeping = 0;
}

/* xorshift64*: enough to choose among a few. */
static unsigned random_below(unsigned count)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (unsigned)((random_state * 0x2545f4914f6cdd1dull) >> 33) % count;
}

static bool same_step(const struct model_option *a, const struct model_option *b)
{
    return a->actor == b->actor && a->message == b->message;
}

static bool is_asleep(const struct model_option *option, const struct model_option *list,
                      unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (same_step(option, &list[i])) {
            return true;
        }
    }
    return false;
}

/*
 * Steps of different threads commute, unless both update from one message: then only one can.
 * What a later write adds for a sleeping load is another option, which does not sleep.
 */
static bool commute(const struct model_option *a, const struct model_option *b)
{
    return a->actor != b->actor && !(a->is_update && b->is_update && a->message == b->message);
}

static void sleep_add(const struct model_option *option, const struct model_option *taken)
{
    if (has_reduction && sleeping < SLEEPERS && !option->never_sleeps && commute(option, taken)) {
        sleep[sleeping++] = *option;
    }
}

/* Behind a choice sleep: what slept before it or was tried before it, and commutes with it. */
static void sleep_after(const struct node *node)
{
    const struct model_option *const taken = &node->option[node->taken];
    sleeping = 0;
    for (unsigned i = 0; i < node->sleeping; i++) {
        sleep_add(&node->sleep[i], taken);
    }
    for (unsigned i = 0; i < node->taken; i++) {
        if (!is_asleep(&node->option[i], node->sleep, node->sleeping)) {
            sleep_add(&node->option[i], taken);
        }
    }
}

/* First option from `from` on that does not sleep, or count. */
static unsigned next_awake(const struct node *node, unsigned from)
{
    while (from < node->count && !node->is_number &&
           is_asleep(&node->option[from], node->sleep, node->sleeping)) {
        from++;
    }
    return from;
}

bool model_search_next(void)
{
    if (mode != MODEL_EXHAUSTIVE) {
        return mode == MODEL_RANDOM;
    }
    length = depth;
    while (length > 0) {
        struct node *const node = &path[length - 1];
        node->taken = (uint16_t)next_awake(node, node->taken + 1u);
        if (node->taken < node->count) {
            return true;
        }
        length--;
    }
    return false;
}

/* The node of the next choice; NULL when the bound is met. */
static struct node *node_next(void)
{
    if (depth == MODEL_DEPTH) {
        model_run.end = MODEL_CUT;
        return NULL;
    }
    return &path[depth++];
}

unsigned model_search_number(unsigned count)
{
    if (count == 1) {
        return 0;
    }
    if (mode == MODEL_REPLAY) {
        return depth < kept_length ? kept[depth++].number : 0;
    }
    const bool is_new = mode == MODEL_RANDOM || depth >= length;
    struct node *const node = node_next();
    if (node == NULL) {
        return 0;
    }
    if (is_new) {
        node->is_number = true;
        node->count = (uint16_t)count;
        node->taken = (uint16_t)(mode == MODEL_RANDOM ? random_below(count) : 0);
    }
    return node->taken;
}

/* The option that the kept execution took, among those possible now. */
static const struct model_option *replayed(const struct model_option *options, unsigned count)
{
    for (unsigned i = 0; depth < kept_length && i < count; i++) {
        if (same_step(&options[i], &kept[depth].option)) {
            depth++;
            return &options[i];
        }
    }
    return NULL;
}

const struct model_option *model_search_option(const struct model_option *options, unsigned count)
{
    if (mode == MODEL_REPLAY) {
        return replayed(options, count);
    }
    const bool is_new = mode == MODEL_RANDOM || depth >= length;
    struct node *const node = node_next();
    if (node == NULL) {
        return &options[0];
    }
    if (is_new) {
        node->is_number = false;
        node->count = (uint16_t)count;
        node->sleeping = (uint16_t)sleeping;
        memcpy(node->sleep, sleep, sleeping * sizeof sleep[0]);
        memcpy(node->option, options, count * sizeof options[0]);
        node->taken = (uint16_t)next_awake(node, 0);
    }
    if (mode == MODEL_RANDOM) {
        node->taken = (uint16_t)random_below(count);
        return &node->option[node->taken];
    }
    if (node->taken == node->count) {
        return NULL;
    }
    sleep_after(node);
    return &node->option[node->taken];
}

void model_search_keep(void)
{
    kept_length = depth;
    for (unsigned i = 0; i < depth; i++) {
        kept[i].number = path[i].taken;
        if (!path[i].is_number) {
            kept[i].option = path[i].option[path[i].taken];
        }
    }
}
