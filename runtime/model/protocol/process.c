/*
 * What: harnesses of what happens around threads and processes: a spawn slot (sync/claim.h), the
 *       registry of thread caches at the exit of a thread, the order of locks at a fork.
 * How:  claim.h and the mutex run as they stand; the list of caches and the handlers of fork are
 *       redrawn here in a few lines, because the product's are tied to thread-local storage.
 * Design: [sync.proto.claim] [thread.proto.lifecycle] [core.proto.fork] [local.proto.cache]
 */
#include "cases.h"
#include "model.h"
#include "protocol/world.h"
#include "sync/claim.h"
#include "thread/mutex.h"

/* A spawner fills the slot; the new thread copies it and gives it back. */
static struct {
    uint32_t taken;  /* atomic: claim */
    uint32_t handed; /* atomic: stands for pthread_create, which releases to the new thread */
    uint32_t body, arg;
} slot;

static void slot_set_up(void)
{
    slot.taken = 0;
    slot.handed = 0;
    slot.body = 0;
    slot.arg = 0;
}

static void slot_spawn(uint32_t number)
{
    if (emp_claim_take(&slot.taken)) {
        slot.body = number;
        slot.arg = number;
        emp_store_release(&slot.handed, number);
    }
}

static void slot_spawn_1(void)
{
    slot_spawn(1);
}

static void slot_spawn_2(void)
{
    slot_spawn(2);
}

static void slot_start(void)
{
    const uint32_t number = emp_load_acquire(&slot.handed);
    if (number != 0) {
        model_assert(slot.body == number && slot.arg == number);
        emp_claim_give_back(&slot.taken);
    }
}

/* The registry of caches: a list under a lock; a cache ends with its thread. */
struct cache {
    struct cache *next;
    struct cache *prev;
    uint32_t limit; /* atomic: bin-limit. lowered by maintenance */
};

static struct {
    struct emp_mutex lock;
    struct cache *first;
    struct cache *early[2]; /* attached by set_up */
} registry;

static void registry_add(struct cache *cache)
{
    emp_mutex_lock(&registry.lock);
    cache->prev = NULL;
    cache->next = registry.first;
    if (cache->next != NULL) {
        cache->next->prev = cache;
    }
    registry.first = cache;
    emp_mutex_unlock(&registry.lock);
}

static void registry_exit(struct cache *cache)
{
    emp_mutex_lock(&registry.lock);
    if (cache->prev != NULL) {
        cache->prev->next = cache->next;
    } else {
        registry.first = cache->next;
    }
    if (cache->next != NULL) {
        cache->next->prev = cache->prev;
    }
    emp_mutex_unlock(&registry.lock);
    model_free(cache);
}

static void registry_set_up(void)
{
    world_set_up();
    emp_mutex_init(&registry.lock, EMP_RANK_REGISTRY);
    registry.first = NULL;
    for (unsigned i = 0; i < 2; i++) {
        registry.early[i] = model_alloc(sizeof *registry.early[i]);
        registry_add(registry.early[i]);
    }
}

static void registry_exit_0(void)
{
    registry_exit(registry.early[0]);
}

static void registry_exit_1(void)
{
    registry_exit(registry.early[1]);
}

static void registry_come_and_go(void)
{
    struct cache *const cache = model_alloc(sizeof *cache);
    registry_add(cache);
    registry_exit(cache);
}

static void registry_visit(void)
{
    emp_mutex_lock(&registry.lock);
    unsigned steps = 0;
    for (struct cache *cache = registry.first; cache != NULL; cache = cache->next) {
        /* order(bin-limit): relaxed; a hint, the owner looks at it at its next miss */
        emp_store_relaxed(&cache->limit, 0);
        model_assert(++steps <= 3);
    }
    emp_mutex_unlock(&registry.lock);
}

static void registry_end(void)
{
    while (registry.first != NULL) {
        struct cache *const cache = registry.first;
        registry.first = cache->next;
        model_free(cache);
    }
}

/* What three locks guard, each a pair that is equal whenever its lock is free. */
static struct {
    struct emp_mutex lock[3]; /* pools, registry, shard, in the order of their ranks */
    uint32_t pair[3][2];
} state;

static void fork_set_up(void)
{
    world_set_up();
    for (unsigned i = 0; i < 3; i++) {
        emp_mutex_init(&state.lock[i], i == 0   ? EMP_RANK_POOLS
                                       : i == 1 ? EMP_RANK_REGISTRY
                                                : EMP_RANK_SHARD);
        state.pair[i][0] = 0;
        state.pair[i][1] = 0;
    }
}

static void change(unsigned i)
{
    state.pair[i][0]++;
    state.pair[i][1]++;
}

/* What the child would find: every structure whole. */
static void fork_process(void)
{
    for (unsigned i = 0; i < 3; i++) {
        emp_mutex_lock(&state.lock[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        model_assert(state.pair[i][0] == state.pair[i][1]);
    }
    for (unsigned i = 3; i-- > 0;) {
        emp_mutex_unlock(&state.lock[i]);
    }
}

/* A pool that is created: pools, then the caches. */
static void fork_create_pool(void)
{
    emp_mutex_lock(&state.lock[0]);
    emp_mutex_lock(&state.lock[1]);
    change(0);
    change(1);
    emp_mutex_unlock(&state.lock[1]);
    emp_mutex_unlock(&state.lock[0]);
}

/* A thread that ends: its cache, then a shard. */
static void fork_end_thread(void)
{
    emp_mutex_lock(&state.lock[1]);
    emp_mutex_lock(&state.lock[2]);
    change(1);
    change(2);
    emp_mutex_unlock(&state.lock[2]);
    emp_mutex_unlock(&state.lock[1]);
}

static void fork_use_shard(void)
{
    emp_mutex_lock(&state.lock[2]);
    change(2);
    emp_mutex_unlock(&state.lock[2]);
}

const struct model_case protocol_process[] = {
    {.name = "claim/spawn-slot",
     .is_protocol = true,
     .property = "a slot has one spawner at a time, and the new thread reads what that one wrote",
     .set_up = slot_set_up,
     .thread = {slot_spawn_1, slot_spawn_2, slot_start}},
    {.name = "registry/exit-visit",
     .property = "a visitor touches no cache whose thread has gone",
     .set_up = registry_set_up,
     .thread = {registry_exit_0, registry_exit_1, registry_visit},
     .finish = registry_end},
    {.name = "registry/come-and-go",
     .property = "the list stays whole while threads come and go",
     .set_up = registry_set_up,
     .thread = {registry_come_and_go, registry_exit_0},
     .finish = registry_end},
    {.name = "fork/order",
     .property =
         "a fork that takes all locks by rank is never stuck, and its child finds all whole",
     .set_up = fork_set_up,
     .thread = {fork_process, fork_create_pool, fork_use_shard}},
    {.name = "fork/order-exit",
     .property = "the same beside a thread that ends",
     .set_up = fork_set_up,
     .thread = {fork_process, fork_end_thread}},
    {.name = "fork/order-three",
     .property = "the same beside both",
     .set_up = fork_set_up,
     .thread = {fork_process, fork_create_pool, fork_end_thread}},
    {.name = NULL},
};
