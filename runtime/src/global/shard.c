/*
 * Purpose: see shard.h.
 * Owner:   global. Threads: the holder, except notify. Cost: O(1) per link; a count
 *          about 2 ns for 64 slots.
 * Design:  [global.proto.shard] [global.inv.lists]
 */
#include "global/shard.h"

#include "base/check.h"
#include "span/meta.h"
#include "sync/atomic.h"

#define EMP_RECOUNT_BATCH 64u /* slabs counted for each time the lock is taken */

struct emp_shard *emp_shards[EMP_SHARDS_MAX];
uint32_t emp_shard_count;
struct emp_ring *emp_rings[EMP_BINS];

_Static_assert(sizeof(struct emp_shard_class) % 8 == 0, "an array of them stays aligned");

static bool shard_make(uint32_t index)
{
    /* 256 classes are larger than one meta block: the classes are laid out by the span's own pages.
       */
    size_t bytes = sizeof(struct emp_shard);
    /* A start that failed half way is tried again: what it has made stays. */
    void *memory = emp_shards[index] != NULL ? emp_shards[index] : emp_meta_alloc_pages(bytes);

    if (memory == NULL) {
        return false;
    }
    struct emp_shard *shard = memory;

    shard->index = index;
    emp_mutex_init(&shard->lock, EMP_RANK_SHARD);
    emp_shards[index] = shard;
    return true;
}

bool emp_shard_init(unsigned cpus)
{
    uint32_t count = 1;

    while (count < cpus && count < EMP_SHARDS_MAX) {
        count *= 2;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!shard_make(i)) {
            return false;
        }
    }
    struct emp_ring *rings = emp_meta_alloc_pages(sizeof(*rings) * EMP_BINS);

    if (rings == NULL) {
        return false;
    }
    for (unsigned c = 0; c < EMP_BINS; c++) {
        emp_rings[c] = &rings[c]; /* zeroed memory is an empty ring */
    }
    emp_shard_count = count;
    return true;
}

/*
 * List for a slab that is told of: 0 for the fullest quarter ... 3, or EMPTY. Never FULL: that no
 * free block is known does not mean that there is none, and nobody would announce it again.
 */
static unsigned list_for(const struct emp_slab *slab)
{
    if (slab->free_count == slab->slots) {
        return EMP_LIST_EMPTY;
    }
    return (unsigned)slab->free_count * EMP_LIST_BUCKETS / slab->slots;
}

/* Counts a slab into or out of its kind of list; holder. */
static void list_count(struct emp_shard_class *class_state, unsigned list, int change)
{
    uint32_t *count = list == EMP_LIST_FULL ? &class_state->full_count : &class_state->open_count;

    /* order(shard-count): relaxed; the holder is the only writer, others read it as a hint */
    emp_store_relaxed(count, *count + (uint32_t)change);
}

void emp_shard_link_in(struct emp_shard_class *class_state, struct emp_slab *slab, unsigned list,
                       bool first)
{
    uint32_t item = (uint32_t)emp_slab_number(slab) + 1;

    emp_assert(slab->list == EMP_LIST_DETACHED);
    slab->list = (uint8_t)list;
    slab->prev = first ? 0 : class_state->tail[list];
    slab->next = first ? class_state->list[list] : 0;
    *(slab->prev != 0 ? &emp_slab_at(slab->prev - 1)->next : &class_state->list[list]) = item;
    *(slab->next != 0 ? &emp_slab_at(slab->next - 1)->prev : &class_state->tail[list]) = item;
    list_count(class_state, list, 1);
}

void emp_shard_link(struct emp_shard_class *class_state, struct emp_slab *slab)
{
    emp_shard_link_in(class_state, slab, list_for(slab), false);
}

void emp_shard_unlink(struct emp_shard_class *class_state, struct emp_slab *slab)
{
    unsigned list = slab->list;

    if (list < EMP_LIST_COUNT) {
        *(slab->prev != 0 ? &emp_slab_at(slab->prev - 1)->next : &class_state->list[list]) =
            slab->next;
        *(slab->next != 0 ? &emp_slab_at(slab->next - 1)->prev : &class_state->tail[list]) =
            slab->prev;
        list_count(class_state, list, -1);
    }
    slab->prev = 0;
    slab->next = 0;
    slab->list = EMP_LIST_DETACHED;
}

void emp_shard_forget(struct emp_shard_class *class_state, struct emp_slab *slab)
{
    emp_assert(slab->free_count == slab->slots);
    emp_shard_unlink(class_state, slab);
    class_state->slots -= slab->slots;
    class_state->free_blocks -= slab->slots;
    emp_slab_retire(slab);
}

/* Counts a slab and books the news; true when there was any. */
static bool slab_news(struct emp_shard_class *class_state, struct emp_slab *slab)
{
    unsigned news = emp_slab_count(slab);

    class_state->free_blocks += news;
    class_state->given += news;
    return news != 0;
}

void emp_shard_quiet(struct emp_shard_class *class_state, struct emp_slab *slab)
{
    emp_assert(slab->free_count == 0);
    emp_shard_unlink(class_state, slab);
    emp_shard_link_in(class_state, slab, EMP_LIST_FULL, false);
    emp_inbox_quiet(&slab->inbox);
    /* When somebody else has marked it, it comes through the inbox. */
    if (emp_slab_has_free(slab) && slab_news(class_state, slab) && emp_inbox_mark(&slab->inbox)) {
        emp_shard_unlink(class_state, slab);
        emp_shard_link(class_state, slab);
    }
}

/* Counts a slab, books the news and links it anew by what it has. Holder. */
static void slab_recount(struct emp_shard_class *class_state, struct emp_slab *slab)
{
    bool was_full = slab->list == EMP_LIST_FULL;
    bool news = slab_news(class_state, slab);

    if (was_full && (!news || !emp_inbox_mark(&slab->inbox))) {
        emp_shard_unlink(class_state, slab); /* nothing, or on its way through the inbox */
        emp_shard_link_in(class_state, slab, EMP_LIST_FULL, false);
    } else if (slab->free_count == 0) {
        emp_shard_quiet(class_state, slab);
    } else {
        emp_shard_unlink(class_state, slab);
        emp_shard_link(class_state, slab);
    }
}

bool emp_shard_recount_some(struct emp_shard_class *class_state, unsigned lists, uint32_t round,
                            unsigned most)
{
    for (unsigned list = 0; list < lists; list++) {
        for (uint32_t item = class_state->list[list]; item != 0; item = class_state->list[list]) {
            struct emp_slab *slab = emp_slab_at(item - 1);

            if (slab->counted == round) {
                break;
            }
            if (most-- == 0) {
                return true;
            }
            slab->counted = round;
            slab_recount(class_state, slab);
        }
    }
    return false;
}

uint32_t emp_shard_new_round(void)
{
    static uint32_t rounds; /* atomic: count-round */

    /* order(count-round): relaxed; only that it differs from the last ones matters */
    return emp_fetch_add_relaxed(&rounds, 1) + 1;
}

uint32_t emp_shard_recount_steps(const struct emp_shard_class *class_state, unsigned most)
{
    /* Rounds at the same time turn lists under each other: a bound, with some to spare. */
    return (class_state->open_count + class_state->full_count) / most + 2;
}

void emp_shard_recount_all(struct emp_shard *shard, uint32_t class_id)
{
    struct emp_shard_class *state = &shard->classes[class_id];
    uint32_t round = emp_shard_new_round();
    uint32_t steps = 0;
    bool more = true;

    for (uint32_t step = 0; more && step <= steps; step++) {
        emp_mutex_lock(&shard->lock);
        (void)emp_shard_drain_inbox(shard);
        steps = step == 0 ? emp_shard_recount_steps(state, EMP_RECOUNT_BATCH) : steps;
        more = emp_shard_recount_some(state, EMP_LIST_COUNT, round, EMP_RECOUNT_BATCH);
        emp_mutex_unlock(&shard->lock);
    }
}

void emp_shard_notify(struct emp_slab *slab)
{
    if (emp_inbox_mark(&slab->inbox)) {
        emp_inbox_push(&emp_shards[emp_slab_owner(slab)]->inbox, &slab->inbox,
                       (uint32_t)emp_slab_number(slab) + 1);
    }
}

unsigned emp_shard_drain_inbox(struct emp_shard *shard)
{
    uint32_t item = emp_inbox_take(&shard->inbox);
    unsigned opened = 0;

    for (; item != 0; opened++) {
        struct emp_slab *slab = emp_slab_at(item - 1);
        struct emp_shard_class *state = &shard->classes[slab->class_id];

        item = emp_inbox_next(&slab->inbox);
        emp_assert(slab->list == EMP_LIST_FULL && emp_slab_owner(slab) == shard->index);
        /* Last in the list: until its turn more of its blocks come back. */
        emp_shard_unlink(state, slab);
        emp_shard_link_in(state, slab, 0, false);
    }
    return opened;
}

void emp_shard_notify_all(size_t unit_limit)
{
    for (uint32_t s = 0; s < emp_shard_count; s++) {
        emp_shards[s]->inbox = 0;
    }
    for (size_t unit = 0; unit < unit_limit; unit++) {
        struct emp_slab *slab = emp_slab_at(unit);

        if (emp_arena.tags[unit] == 0 || !emp_slab_exists(slab) || slab->list != EMP_LIST_FULL) {
            continue;
        }
        emp_inbox_quiet(&slab->inbox);
        (void)slab_news(&emp_shards[slab->owner]->classes[slab->class_id], slab);
        if (slab->free_count != 0) {
            emp_shard_notify(slab);
        }
    }
}
