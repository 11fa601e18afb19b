/*
 * Purpose: see shard.h.
 * Owner:   global. Threads: the holder, except notify. Cost: O(1) per link; draining O(words).
 * Design:  [global.proto.shard] [global.inv.lists]
 */
#include "global/shard.h"

#include "base/check.h"
#include "span/meta.h"
#include "sync/atomic.h"
#include "thread/cpu.h"

struct emp_shard *emp_shards[EMP_SHARDS_MAX];
uint32_t emp_shard_count;
struct emp_ring *emp_rings[EMP_BINS];

#define EMP_DOUBLE_FREES_MAX 512u

/* Blocks freed twice, waiting to be reported outside the lock; more than these are not told. */
static void *double_frees[EMP_DOUBLE_FREES_MAX]; /* atomic: double-free */
static uint32_t double_free_count;               /* atomic: double-free */

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

uint32_t emp_shard_current(void)
{
    return emp_cpu_current() & (emp_shard_count - 1);
}

/* List for a slab: 0 for the fullest quarter ... 3, EMPTY, or FULL. */
static unsigned list_for(const struct emp_slab *slab)
{
    if (slab->free_count == 0) {
        return EMP_LIST_FULL;
    }
    if (slab->free_count == slab->slots) {
        return EMP_LIST_EMPTY;
    }
    return (unsigned)slab->free_count * EMP_LIST_BUCKETS / slab->slots;
}

/* Counts a slab into or out of its kind of list; holder. */
static void shard_count(struct emp_shard_class *class_state, unsigned list, int change)
{
    uint32_t *count =
        list == EMP_LIST_EMPTY ? &class_state->empty_count : &class_state->partial_count;

    /* order(shard-count): relaxed; the holder is the only writer, others read it as a hint */
    emp_store_relaxed(count, *count + (uint32_t)change);
}

void emp_shard_link(struct emp_shard_class *class_state, struct emp_slab *slab)
{
    unsigned list = list_for(slab);
    uint32_t item = (uint32_t)emp_slab_number(slab) + 1;

    emp_assert(slab->list == EMP_LIST_FULL || slab->list == EMP_LIST_DETACHED);
    slab->list = (uint8_t)list;
    if (list == EMP_LIST_FULL) {
        return;
    }
    slab->prev = 0;
    slab->next = class_state->list[list];
    if (slab->next != 0) {
        emp_slab_at(slab->next - 1)->prev = item;
    }
    class_state->list[list] = item;
    shard_count(class_state, list, 1);
}

void emp_shard_unlink(struct emp_shard_class *class_state, struct emp_slab *slab)
{
    if (slab->list < EMP_LIST_COUNT) {
        if (slab->prev != 0) {
            emp_slab_at(slab->prev - 1)->next = slab->next;
        } else {
            class_state->list[slab->list] = slab->next;
        }
        if (slab->next != 0) {
            emp_slab_at(slab->next - 1)->prev = slab->prev;
        }
        shard_count(class_state, slab->list, -1);
    }
    slab->prev = 0;
    slab->next = 0;
    slab->list = EMP_LIST_DETACHED;
}

void emp_shard_notify(struct emp_slab *slab)
{
    if (emp_inbox_mark(&slab->inbox)) {
        /* a stale one forwards the slab to the right shard */
        uint32_t owner = emp_slab_owner(slab);

        emp_inbox_push(&emp_shards[owner]->inbox, &slab->inbox,
                       (uint32_t)emp_slab_number(slab) + 1);
    }
}

/* Drains one slab that is ours; returns blocks that came back. */
static unsigned shard_drain_slab(struct emp_shard *shard, struct emp_slab *slab)
{
    struct emp_shard_class *state = &shard->classes[slab->class_id];
    unsigned moved = emp_slab_drain(slab, emp_shard_put_double_free);

    if (moved == 0) {
        return 0;
    }
    state->free_blocks += moved;
    state->given += moved;
    if (slab->list == EMP_LIST_FULL) {
        emp_shard_link(state, slab);
    } else if (slab->list < EMP_LIST_COUNT && slab->free_count == slab->slots) {
        emp_shard_unlink(state, slab);
        emp_shard_link(state, slab);
    }
    return moved;
}

unsigned emp_shard_drain_inbox(struct emp_shard *shard)
{
    uint32_t item = emp_inbox_take(&shard->inbox);
    unsigned moved = 0;

    while (item != 0) {
        struct emp_slab *slab = emp_slab_at(item - 1);

        item = emp_inbox_next(&slab->inbox);
        emp_inbox_unmark(&slab->inbox);
        if (!emp_slab_exists(slab)) {
            continue; /* ended since; its last blocks were drained before */
        }
        if (emp_slab_owner(slab) == shard->index) {
            moved += shard_drain_slab(shard, slab);
        } else {
            emp_shard_notify(slab);
        }
    }
    return moved;
}

void emp_shard_notify_all(size_t unit_limit)
{
    for (uint32_t s = 0; s < emp_shard_count; s++) {
        emp_shards[s]->inbox = 0;
    }
    for (size_t unit = 0; unit < unit_limit; unit++) {
        struct emp_slab *slab = emp_slab_at(unit);

        /* Ended slabs too: their unit will be a slab again. Untouched pages stay shared. */
        if ((slab->inbox.queued | slab->inbox.next) != 0) {
            slab->inbox = (struct emp_inbox_link){0, 0};
        }
        if (emp_arena.tags[unit] == 0 || !emp_slab_exists(slab)) {
            continue;
        }
        if (emp_bitmap_ops.find_nonzero(slab->remote, emp_classes[slab->class_id].words, 0) <
            emp_classes[slab->class_id].words) {
            emp_shard_notify(slab);
        }
    }
}

void emp_shard_put_double_free(void *block)
{
    for (unsigned i = 0; i < EMP_DOUBLE_FREES_MAX; i++) {
        void *empty = NULL;

        /* order(double-free): relaxed; the pointer itself is all that is passed on */
        if (emp_cas_relaxed(&double_frees[i], &empty, block)) {
            /* order(double-free): relaxed; a hint that there is something to take */
            emp_fetch_add_relaxed(&double_free_count, 1);
            return;
        }
    }
}

void *emp_shard_take_double_free(void)
{
    /* order(double-free): relaxed; usually 0; what is put a moment later is taken by the next */
    if (emp_load_relaxed(&double_free_count) == 0) {
        return NULL;
    }
    for (unsigned i = 0; i < EMP_DOUBLE_FREES_MAX; i++) {
        /* order(double-free): relaxed; the pointer itself is all that is passed on */
        void *block = emp_exchange_relaxed(&double_frees[i], NULL);

        if (block != NULL) {
            /* order(double-free): relaxed; as above */
            emp_fetch_sub_relaxed(&double_free_count, 1);
            return block;
        }
    }
    return NULL;
}
