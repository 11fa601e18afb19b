/*
 * Purpose: room for bins that swing: a bin that overflowed and then ran empty was too small for
 *          what its thread does. Where threads are few it gets twice its room, whatever its class
 *          and the budget say, until it holds the whole swing; a tick takes it back, half by half,
 *          from a bin that is more than half full then. Classes whose swing is more than there is
 *          to grant get nothing: a bin that takes some blocks and not the others, among many such,
 *          costs a mispredicted branch a free, which is more than it saves.
 * Owner:   local. Threads: the owner. Cost: a few dozen instructions per refill of a bin that has
 *          overflowed since the last, and per open bin and tick.
 * Design:  [local.proto.swing] [local.req.bounded]
 */
#include "local/cache_internal.h"
#include "slab/size_class.h"
#include "sync/atomic.h"

#define EMP_SWING_BLOCKS   16384u /* most blocks of one bin */
#define EMP_SLOTS_KEPT     8192u  /* slots that no bin gets for its swing */
#define EMP_SWING_REFUSALS 16u    /* refusals between two ticks that make all of it vain ... */
#define EMP_SWING_PAUSE    100u   /* ... for so many ticks */

/* Bytes that one thread may grant to bins that swing. */
static uint32_t swing_share(void)
{
    unsigned threads = emp_cache_threads();

    if (threads > EMP_SWING_THREADS) {
        return 0;
    }
    return emp_local_options.swing_bytes / (threads == 0 ? 1 : threads);
}

/* A grant that there are no bytes for; one class that asks again and again counts once. */
static void swing_refuse(struct emp_cache *cache, uint32_t class_id)
{
    if (class_id != cache->swing_class && cache->swing_refused != UINT16_MAX) {
        cache->swing_refused++;
    }
    cache->swing_class = (uint8_t)class_id;
}

void emp_cache_swing(struct emp_cache *cache, uint32_t class_id)
{
    struct emp_bin_state *state = emp_cache_state(cache, class_id);
    uint32_t size = emp_classes[class_id].geometry.size;
    uint32_t share = swing_share();
    unsigned room = state->room * 2u;

    if (cache->swing_pause != 0 || share == 0 || size > EMP_SMALL_MAX || room > EMP_SWING_BLOCKS ||
        !emp_cache_may_keep(cache, class_id) || emp_classes[class_id].room_is_fixed) {
        return;
    }
    if (cache->swing_bytes + (room - state->room) * size > share) {
        swing_refuse(cache, class_id);
        return;
    }
    /* As many slots stay as the bins of all classes have in a cache where none swings. */
    if (room > state->slots &&
        cache->far_used + 2u * room + EMP_SLOTS_KEPT > cache->far_slots_count) {
        return;
    }
    uint32_t before = cache->room_bytes;

    emp_cache_set_room(cache, class_id, room);
    cache->swing_bytes += cache->room_bytes - before;
}

void emp_cache_settle_begin(struct emp_cache *cache)
{
    if (cache->swing_refused >= EMP_SWING_REFUSALS) {
        cache->swing_pause = EMP_SWING_PAUSE;
    } else if (cache->swing_pause != 0) {
        cache->swing_pause--;
    }
    cache->swing_refused = 0;
    cache->swing_class = 0;
}

void emp_cache_settle(struct emp_cache *cache, uint32_t first, uint32_t limit)
{
    bool is_over = cache->swing_bytes > swing_share();
    bool is_vain = cache->swing_pause != 0;

    if (cache->swing_bytes == 0) {
        return;
    }
    for (uint32_t c = first; c < limit; c++) {
        struct emp_bin_state *state = emp_cache_state(cache, c);

        /* order(bin-limit): relaxed; one poked and not used since is idle: the tick's own case */
        if (emp_classes[c].geometry.size == 0 || state->room <= state->room_full ||
            emp_load_relaxed(&state->poked) != 0) {
            continue;
        }
        unsigned count = (unsigned)(cache->view.bins[c].top - emp_cache_base(cache, state));
        unsigned half = is_vain ? state->room_full : state->room / 2u;

        if (is_over || is_vain || count > half) {
            emp_cache_set_room(cache, c, half > state->room_full ? half : state->room_full);
        }
    }
}
