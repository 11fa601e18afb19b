/*
 * Purpose: starts the library at its first slow path, and joins what the C library tells about
 *          forks.
 * Owner:   core. Threads: the first caller starts, others wait; a call from inside the start (the C
 *          library may allocate when it registers handlers) finds the allocator already usable.
 * Design:  [core.proto.start] [core.proto.fork]
 */
#include "core/runtime.h"

#include "async/stack_process.h"
#include "base/check.h"
#include "core/maintenance.h"
#include "core/options.h"
#include "core/thread_cache_view.h"
#include "global/shard.h"
#include "local/annotate.h"
#include "local/thread_cache.h"
#include "monitor/event.h"
#include "monitor/report.h"
#include "slab/block_guard.h"
#include "slab/size_class.h"
#include "span/arena.h"
#include "span/large.h"
#include "span/meta.h"
#include "span/unit.h"
#include "sync/atomic.h"
#include "thread/cpu.h"
#include "thread/lifecycle.h"
#include "thread/mutex.h"

_Static_assert(sizeof(struct emp_cache_view) == sizeof(struct emp_l1), "one layout, two names");
_Static_assert(offsetof(struct emp_cache_view, bins) == offsetof(struct emp_l1, bins), "bins");
_Static_assert(offsetof(struct emp_cache_view, tags) == offsetof(struct emp_l1, tags), "tags");
_Static_assert(offsetof(struct emp_cache_view, arena_base) == offsetof(struct emp_l1, arena_base),
               "arena");
_Static_assert(offsetof(struct emp_cache_view, home_bit) == offsetof(struct emp_l1, home_bit),
               "home bit");
_Static_assert(EMP_VIEW_UNIT_SHIFT == EMP_UNIT_SHIFT && EMP_VIEW_BINS == EMP_BINS, "constants");

bool emp_runtime_annotates;

/*
 * How far the start is. Between USABLE and READY only the starter allocates: the C library may,
 * when it registers handlers. Another thread that came in then would get a cache that does not end
 * with it.
 */
enum { RUNTIME_NONE = 0, RUNTIME_USABLE, RUNTIME_READY, RUNTIME_FAILED };
static uint32_t runtime_state; /* atomic: runtime-start */
static EMP_TLS bool runtime_is_starter;
static struct emp_mutex runtime_lock = EMP_MUTEX_INIT(START);

bool emp_runtime_is_started(void)
{
    /* order(runtime-start): acquire; everything the starter prepared */
    uint32_t state = emp_load_acquire(&runtime_state);

    return state == RUNTIME_READY || state == RUNTIME_USABLE;
}

static void fork_prepare(void)
{
    emp_typed_fork_prepare();
    emp_maintenance_fork_prepare();
    emp_cache_fork_prepare();
    emp_stack_fork_prepare();
    for (uint32_t i = 0; i < emp_shard_count; i++) {
        emp_mutex_lock(&emp_shards[i]->lock);
    }
    emp_large_fork_prepare();
    emp_span_lock();
    emp_meta_fork_prepare();
    emp_options_fork_prepare();
    emp_listeners_fork_prepare();
}

static void fork_parent(void)
{
    emp_listeners_fork_parent();
    emp_options_fork_parent();
    emp_meta_fork_parent();
    emp_span_unlock();
    emp_large_fork_parent();
    for (uint32_t i = emp_shard_count; i-- > 0;) {
        emp_mutex_unlock(&emp_shards[i]->lock);
    }
    emp_stack_fork_parent();
    emp_cache_fork_parent();
    emp_maintenance_fork_parent();
    emp_typed_fork_parent();
}

/* Not under a checker: it would report what the C library keeps for our thread as lost at exit. */
static void runtime_init_maintenance(void)
{
    if (!emp_runtime_annotates) {
        emp_maintenance_init();
    }
}

static void fork_child(void)
{
    emp_listeners_fork_child();
    emp_options_fork_child();
    emp_meta_fork_child();
    emp_span_fork_child();
    emp_large_fork_child();
    for (uint32_t i = 0; i < emp_shard_count; i++) {
        emp_mutex_reset_in_child(&emp_shards[i]->lock);
    }
    emp_stack_fork_child();
    emp_shard_notify_all(emp_unit_limit());
    emp_maintenance_fork_child();
    emp_typed_fork_child();
    emp_event_reset_in_child();
    emp_report_reset_in_child();
    emp_cache_fork_child();
    /* The starter may be gone on its last step: that handlers run at all says the rest is done. */
    emp_mutex_reset_in_child(&runtime_lock);
    runtime_init_maintenance();
    /* order(runtime-start): relaxed; the child has one thread */
    emp_store_relaxed(&runtime_state, RUNTIME_READY);
}

/* Everything that needs no help of the C library; one thread. */
static bool runtime_prepare(void)
{
    emp_check_set_hook(emp_report_fatal);
    if (!emp_arena_init()) {
        return false;
    }
    emp_bitmap_dispatch_init();
    emp_size_class_init(emp_arena.base);
    if (EMP_SECURE) {
        emp_block_guard_init();
    }
    if (!emp_shard_init(emp_cpu_count())) {
        return false;
    }
    emp_local_init();
    emp_async_hooks_init();
    emp_options_init();
    bool annotates = emp_annotate_asan() ||
                     (emp_annotate_on_valgrind() && emp_option_value(EMP_OPTION_valgrind) == 0);

    /* order(runtime-start): relaxed; who is not behind the start finds nothing by it */
    emp_store_relaxed(&emp_runtime_annotates, annotates);
    emp_local_options.checked = annotates || EMP_AUDIT;
    return true;
}

static EMP_COLD bool runtime_start_slow(void)
{
    static const struct emp_fork_hooks hooks = {fork_prepare, fork_parent, fork_child};

    if (runtime_is_starter) {
        return true;
    }
    emp_mutex_lock(&runtime_lock);
    /* order(runtime-start): relaxed; written under the lock */
    uint32_t found = emp_load_relaxed(&runtime_state);

    if (found == RUNTIME_NONE || found == RUNTIME_FAILED) { /* memory may be there by now */
        found = runtime_prepare() ? RUNTIME_USABLE : RUNTIME_FAILED;
        /* order(runtime-start): release; see emp_runtime_is_started */
        emp_store_release(&runtime_state, found);
    }
    if (found == RUNTIME_USABLE) {
        runtime_is_starter = true;
        (void)emp_lifecycle_init(emp_cache_on_exit, &hooks);
        runtime_init_maintenance();
        runtime_is_starter = false;
        found = RUNTIME_READY;
        /* order(runtime-start): release; whoever sees it finds the exit key made */
        emp_store_release(&runtime_state, found);
    }
    emp_mutex_unlock(&runtime_lock);
    return found == RUNTIME_READY;
}

/*
 * The last of our code in a process that ends by exit or by return from main: what the ending
 * thread freed twice is still in its cache. Other threads may go on, their caches are left alone.
 */
__attribute__((destructor)) static void runtime_report_at_exit(void)
{
    if (emp_runtime_is_started()) {
        emp_cache_flush("process exit");
    }
}

bool emp_runtime_start(void)
{
    /* order(runtime-start): acquire; everything the starter prepared, the exit key included */
    return emp_likely(emp_load_acquire(&runtime_state) == RUNTIME_READY) || runtime_start_slow();
}
