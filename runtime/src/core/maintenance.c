/*
 * Purpose: see maintenance.h. One round: poke the caches, tick the shards, purge the spans.
 *
 *   thread: none --free hook, something to give back--> running --nothing left--> none
 *
 * Owner:   core. Threads: one round at a time (a mutex that is only tried). The thread is started
 *          on the free side only, with no lock held and all signals blocked, and never from a free
 *          of the C library: pthread_join frees with the lock of the stack cache held, which
 *          pthread_create takes.
 * Design:  [core.proto.maintenance]. Source: BR-MEM-008, row D7; glibc nptl/nptl-stack.c,
 *          __nptl_free_stacks.
 * Cost:    a round is O(chunks + partial slabs); nothing when nothing changed.
 */
#include "core/maintenance.h"

#include <errno.h>

#include "async/stack_process.h"
#include "core/advanced_memory_pool.h"
#include "core/options.h"
#include "core/runtime.h"
#include "global/shard_tick.h"
#include "local/thread_cache.h"
#include "monitor/stopwatch.h"
#include "os/os_memory.h"
#include "span/arena.h"
#include "span/run.h"
#include "span/unit.h"
#include "sync/atomic.h"
#include "thread/lifecycle.h"
#include "thread/mutex.h"

#define EMP_THREAD_MIN_STACKS 2048u /* of coroutines; they have a page each */
#define EMP_STACK_STEPS       64u   /* of ticks for stacks, in one round */
#define EMP_DELAY_ROUNDS      3u    /* rounds in one purge delay */
#define EMP_QUIET_ROUNDS      6u    /* rounds without work before the thread ends */
#define EMP_DENSE_ROUNDS      8u    /* rounds a chunk is full before it is advised */
#define EMP_LIBC_RANGES       8u    /* pieces of code of the C library and its loader */

static struct {
    struct emp_mutex turnstile; /* held while waiting for lock: who waits is the next to get it */
    struct emp_mutex lock;
    uint32_t running; /* atomic: maintenance. 1: the thread exists or is being made */
    uint32_t wake;    /* atomic: maintenance. futex word of the thread's sleep */
    uint64_t last_ns; /* guarded by lock: last round that aged memory */
} maintenance = {.turnstile = EMP_MUTEX_INIT(TURNSTILE), .lock = EMP_MUTEX_INIT(TICK)};

EMP_TLS uintptr_t emp_maintenance_caller;
uint32_t emp_maintenance_wanted;

static struct {
    uintptr_t first;
    uintptr_t limit;
} libc_code[EMP_LIBC_RANGES];    /* const once threads exist */
static uint32_t libc_code_count; /* const once threads exist */

/* Pages inside a slab: a huge page there would be filled again behind our back. */
static bool give_pages(void *base, size_t bytes)
{
    (void)emp_unit_withdraw_advice(base);
    bool ok = emp_os_purge(base, bytes);

    if (ok) {
        emp_span_count_purge(bytes);
    }
    return ok;
}

/* Purges what is due; the lock is held. */
static size_t round_purge(bool all, bool *more)
{
    struct emp_tick_result result = {0};
    struct emp_span_counts counts;

    emp_shard_tick(all, emp_stopwatch_ns(), give_pages, &result);
    (void)emp_unit_withdraw_sparse();
    result.given_bytes += emp_unit_purge(all);
    result.given_bytes += emp_run_purge(all);
    result.given_bytes += emp_arena_purge(all);
    if (emp_option_value(EMP_OPTION_thp) == 0) {
        (void)emp_unit_advise_dense(EMP_DENSE_ROUNDS);
    }
    emp_arena_read_counts(&counts);
    *more = result.more || counts.dirty_bytes != 0;
    return result.given_bytes;
}

/* Waits for the round under way, ahead of every round that has not begun. */
static void maintenance_lock(void)
{
    emp_mutex_lock(&maintenance.turnstile);
    emp_mutex_lock(&maintenance.lock);
    emp_mutex_unlock(&maintenance.turnstile);
}

/* Begins a round unless one is under way or waited for. */
static bool maintenance_try_lock(void)
{
    if (!emp_mutex_try_lock(&maintenance.turnstile)) {
        return false;
    }
    bool locked = emp_mutex_try_lock(&maintenance.lock);

    emp_mutex_unlock(&maintenance.turnstile);
    return locked;
}

static size_t maintenance_round_guarded(bool all, bool *more)
{
    int saved = errno;
    uint64_t now = emp_stopwatch_ns();
    size_t given = 0;

    *more = false;
    if (all) {
        maintenance_lock(); /* "now" waits for a round that is under way */
    } else if (!maintenance_try_lock()) {
        return 0;
    }
    /* Memory ages from round to round; three rounds make a delay. */
    if (all ||
        now - maintenance.last_ns >= emp_option_value(EMP_OPTION_purge_delay) / EMP_DELAY_ROUNDS) {
        maintenance.last_ns = now;
        emp_cache_poke_all();
        given = round_purge(all, more);
    } else {
        *more = true;
    }
    emp_mutex_unlock(&maintenance.lock);
    errno = saved;
    return given;
}

static void maintenance_want(bool wanted)
{
    /* order(maintenance-wanted): relaxed; a hint for the free side */
    emp_store_relaxed(&emp_maintenance_wanted, wanted);
}

/* There is no thread any more: somebody may make one. */
static void maintenance_end(void)
{
    /* order(maintenance): release; pairs with the exchange of the next starter */
    emp_store_release(&maintenance.running, 0);
    maintenance_want(true);
}

/* Parks the stacks of coroutines that sleep long; no lock is held. True: more may be due later. */
static bool maintenance_park_stacks(void)
{
    bool asleep = false;
    bool more = true;

    for (unsigned i = 0; more && i < EMP_STACK_STEPS; i++) {
        more = emp_stack_tick_all(emp_stopwatch_ns(), &asleep);
    }
    return more || asleep;
}

/* Body of the thread. */
static void maintenance_thread(void *arg)
{
    unsigned quiet = 0;

    (void)arg;
    while (quiet < EMP_QUIET_ROUNDS) {
        bool more = false;
        uint64_t pause_ns = emp_option_value(EMP_OPTION_purge_delay) / EMP_DELAY_ROUNDS + 1000000u;

        emp_lifecycle_sleep(&maintenance.wake, 0, pause_ns);
        size_t given = maintenance_round_guarded(false, &more);

        more = maintenance_park_stacks() || more;
        quiet = given == 0 && !more ? quiet + 1 : 0;
    }
    emp_park();
    maintenance_end();
}

/* True when starting a thread inside the free in progress could wait for a lock of its caller. */
static bool caller_may_hold_locks(void)
{
    uintptr_t caller = emp_maintenance_caller;

    if (caller == EMP_CALLER_PROGRAM) {
        return false;
    }
    for (uint32_t i = 0; i < libc_code_count; i++) {
        if (caller >= libc_code[i].first && caller < libc_code[i].limit) {
            return true;
        }
    }
    return caller == EMP_CALLER_NOBODY || libc_code_count == 0;
}

void emp_maintenance_add_libc(uintptr_t first, uintptr_t limit)
{
    if (libc_code_count < EMP_LIBC_RANGES) {
        libc_code[libc_code_count].first = first;
        libc_code[libc_code_count++].limit = limit;
    }
}

void emp_maintenance_start(void)
{
    if ((emp_arena_mapped() < EMP_THREAD_MIN_BYTES &&
         emp_stack_made_total() < EMP_THREAD_MIN_STACKS) ||
        emp_option_value(EMP_OPTION_background) == 0 || caller_may_hold_locks()) {
        return;
    }
    /* order(maintenance): acq_rel; the thread before us, if any, is past its last round */
    if (emp_exchange_acq_rel(&maintenance.running, 1) != 0) {
        return;
    }
    maintenance_want(false);
    if (!emp_lifecycle_spawn(maintenance_thread, NULL, "echomem/bg")) {
        maintenance_end();
    }
}

/* Called now and then by the rooms below. */
static void maintenance_free_hook(void)
{
    emp_maintenance_offer();
}

void emp_maintenance_offer_for_stacks(void)
{
    const uintptr_t before = emp_maintenance_caller;

    emp_maintenance_caller = EMP_CALLER_PROGRAM;
    emp_maintenance_offer();
    emp_maintenance_caller = before;
}

void emp_maintenance_init(void)
{
    maintenance_want(true);
    emp_cache_set_free_hook(maintenance_free_hook);
}

bool emp_tick(void)
{
    bool more = false;

    if (emp_runtime_start()) {
        emp_cache_tick();
        (void)maintenance_round_guarded(false, &more);
        more = maintenance_park_stacks() || more;
    }
    return more;
}

void emp_park(void)
{
    if (emp_runtime_is_started()) {
        emp_cache_flush("park");
    }
}

size_t emp_purge(void)
{
    bool more = false;

    if (!emp_runtime_is_started()) {
        return 0;
    }
    emp_cache_flush("purge");
    return maintenance_round_guarded(true, &more);
}

void emp_maintenance_pause(void)
{
    maintenance_lock();
}

void emp_maintenance_resume(void)
{
    emp_mutex_unlock(&maintenance.lock);
}

void emp_maintenance_fork_prepare(void)
{
    emp_maintenance_pause();
}

void emp_maintenance_fork_parent(void)
{
    emp_maintenance_resume();
}

void emp_maintenance_fork_child(void)
{
    emp_mutex_reset_in_child(&maintenance.turnstile);
    emp_mutex_reset_in_child(&maintenance.lock);
    /* order(maintenance): relaxed; the child has one thread */
    emp_store_relaxed(&maintenance.running, 0);
    maintenance_want(false); /* until it is registered anew */
}
