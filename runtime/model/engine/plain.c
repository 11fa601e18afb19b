/*
 * Purpose: plain memory under the model: data races, and memory used after its end. The code under
 *          test is compiled with the thread sanitizer's hooks, and these are ours.
 * Owner:   model. Threads: the checker's own.
 * Design:  docs/design/model.md, "Plain memory"
 * Source:  race detection by vector clocks: Flanagan and Freund, "FastTrack", 2009, without its
 *          compression.
 */
#include "engine/engine.h"

#include <string.h>

#define ARENA_BYTES (16u << 10)
#define BLOCKS      64u
#define NOTED       64u

/* A block of model_alloc. */
struct block {
    uint8_t *place;
    size_t bytes;
    bool is_freed;
};

static uint8_t arena[ARENA_BYTES] __attribute__((aligned(128)));
static size_t arena_used;
static struct block blocks[BLOCKS];
static unsigned block_count;
static uint16_t noted[NOTED]; /* locations of plain writes since the thread's last request */
static unsigned noted_count;
static enum model_fault conflict = MODEL_RACE; /* what a conflict is called at present */

void model_plain_reset(void)
{
    arena_used = 0;
    block_count = 0;
    noted_count = 0;
    conflict = MODEL_RACE;
}

static const char *place_name(const struct model_location *location)
{
    return location->site != NULL ? location->site->what : "plain memory";
}

/* Reports the first access of another thread in a list that does not happen before. */
static void check_against(struct model_location *location, const uint16_t *clocks,
                          const char *kinds, const void *where)
{
    const unsigned self = model_run.current;
    const struct model_clock *const now = &model_run.thread[self].clock;
    for (unsigned i = 1; i < model_run.threads; i++) {
        if (i != self && clocks[i] != 0 && !model_before(i, clocks[i], now)) {
            model_run.race_code[0] = location->shadow.where[i];
            model_run.race_code[1] = where;
            model_fail(conflict, "%s: %s of T%u and T%u at %s (%u bytes)",
                       conflict == MODEL_RACE ? "data race" : "freed beside a use", kinds, i, self,
                       place_name(location), location->bytes);
        }
    }
}

static struct block *block_of(const void *place)
{
    for (unsigned i = 0; i < block_count; i++) {
        const size_t offset = (size_t)((const uint8_t *)place - blocks[i].place);
        if (offset < blocks[i].bytes) {
            return &blocks[i];
        }
    }
    return NULL;
}

/* Fails when the place is in a block that was freed. */
static void check_life(const void *place)
{
    const size_t offset = (size_t)((const uint8_t *)place - arena);
    if (offset < sizeof arena) {
        const struct block *const block = block_of(place);
        if (block != NULL && block->is_freed) {
            model_fail(MODEL_LIFETIME, "memory used after it was freed (offset %u of its block)",
                       (unsigned)((const uint8_t *)place - block->place));
        }
    }
}

static void plain_at(struct model_location *location, bool is_write, const void *where)
{
    const unsigned self = model_run.current;
    /* After this access comes the next event: only what that one releases is ordered after it. */
    const uint16_t clock = (uint16_t)(model_run.thread[self].clock.at[self] + 1);
    struct model_shadow *const shadow = &location->shadow;
    check_against(location, shadow->plain_write, is_write ? "two writes" : "write and read", where);
    check_against(location, shadow->atomic_write,
                  is_write ? "atomic and plain write" : "atomic write and plain read", where);
    if (is_write) {
        check_against(location, shadow->plain_read, "read and write", where);
        check_against(location, shadow->atomic_read, "atomic read and plain write", where);
        shadow->plain_write[self] = clock;
    } else {
        shadow->plain_read[self] = clock;
    }
    shadow->where[self] = where;
}

/* A plain write that atomics may read becomes a message; its value is known after the write. */
static void note_write(const struct model_location *location)
{
    if (location->count != 0 && noted_count < NOTED) {
        noted[noted_count++] = (uint16_t)(location - model_run.location);
    }
}

static bool overlaps(const struct model_location *a, const struct model_location *b)
{
    return a->place < b->place + b->bytes && b->place < a->place + a->bytes;
}

static void plain_with(struct model_location *location, bool is_write, const void *where)
{
    plain_at(location, is_write, where);
    if (is_write) {
        note_write(location);
    }
}

void model_plain(void *place, uint32_t bytes, bool is_write, const void *where)
{
    if (!model_run.is_tracking || !model_run.in_thread || model_on_stack(place)) {
        return;
    }
    check_life(place);
    struct model_location *const location = model_locate(place, bytes, NULL);
    plain_with(location, is_write, where);
    for (unsigned i = 0; location->has_peers && i < model_run.locations; i++) {
        struct model_location *const peer = &model_run.location[i];
        if (peer != location && overlaps(peer, location)) {
            plain_with(peer, is_write, where);
        }
    }
}

static void atomic_at(struct model_location *location, bool is_write)
{
    struct model_shadow *const shadow = &location->shadow;
    const unsigned self = model_run.current;
    const uint16_t clock = model_run.thread[self].clock.at[self];
    check_against(location, shadow->plain_write, "plain write and atomic access", NULL);
    if (is_write) {
        check_against(location, shadow->plain_read, "plain read and atomic write", NULL);
        shadow->atomic_write[self] = clock;
    } else {
        shadow->atomic_read[self] = clock;
    }
}

void model_atomic_shadow(struct model_location *location, bool is_write)
{
    check_life(location->place);
    atomic_at(location, is_write);
    for (unsigned i = 0; location->has_peers && i < model_run.locations; i++) {
        struct model_location *const peer = &model_run.location[i];
        if (peer != location && overlaps(peer, location)) {
            atomic_at(peer, is_write);
        }
    }
}

void model_plain_flush(void)
{
    for (unsigned i = 0; i < noted_count; i++) {
        model_do_plain_write(model_run.current, &model_run.location[noted[i]]);
    }
    noted_count = 0;
}

void *model_alloc(size_t bytes)
{
    const size_t rounded = (bytes + 15) & ~(size_t)15;
    /* As the product's pools do: what is made of lines is aligned to pairs of them. */
    if (bytes % 128 == 0) {
        arena_used = (arena_used + 127) & ~(size_t)127;
    }
    if (block_count == BLOCKS || rounded > sizeof arena - arena_used) {
        model_fail(MODEL_ASSERTION, "the case allocates more than the checker has");
        return arena;
    }
    struct block *const block = &blocks[block_count++];
    *block = (struct block){arena + arena_used, bytes, false};
    arena_used += rounded;
    memset(block->place, 0, bytes);
    return block->place;
}

void model_free(void *memory)
{
    struct block *const block = block_of(memory);
    if (block == NULL || block->place != memory) {
        model_fail(MODEL_LIFETIME, "freed what is no block");
    } else if (block->is_freed) {
        model_fail(MODEL_LIFETIME, "freed twice (block %u)", (unsigned)(block - blocks));
    } else {
        /* Ending a block conflicts with every access to it, like a write. */
        conflict = MODEL_LIFETIME;
        for (unsigned i = 0; model_run.is_tracking && i < model_run.locations; i++) {
            struct model_location *const location = &model_run.location[i];
            if ((size_t)(location->place - block->place) < block->bytes) {
                plain_at(location, true, __builtin_return_address(0));
            }
        }
        conflict = MODEL_RACE;
        block->is_freed = true;
    }
}

void model_plain_finish(void)
{
    for (unsigned i = 0; i < block_count; i++) {
        if (!blocks[i].is_freed) {
            model_fail(MODEL_LEAK, "block %u (%u bytes) was not freed", i,
                       (unsigned)blocks[i].bytes);
        }
    }
}
