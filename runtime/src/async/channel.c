/*
 * Purpose: channels: creation, ends, close, and the calls that go to one kind or the other.
 * Owner:   async. The block of a channel is freed by the last of both ends.
 * Threads: any.
 * Design:  [async.proto.channel]
 */
#include "async/channel.h"

#include "async/channel_internal.h"
#include "async/channel_spsc.h"

static bool is_power_of_two(uint32_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static uint32_t round_up_power(uint32_t n)
{
    while (!is_power_of_two(n)) {
        n += n & (0u - n);
    }
    return n;
}

static bool config_is_valid(const struct emp_channel_config *config)
{
    if (config->element_bytes == 0 || config->element_bytes > EMP_CHANNEL_ELEMENT_MAX) {
        return false;
    }
    switch (config->kind) {
    case EMP_CHANNEL_COMPACT:
        return config->capacity <= EMP_CHANNEL_COMPACT_MAX;
    case EMP_CHANNEL_SPSC:
    case EMP_CHANNEL_BOUNDED:
        return config->capacity != 0 && config->capacity <= EMP_CHANNEL_RING_MAX;
    case EMP_CHANNEL_UNBOUNDED_MPSC:
    case EMP_CHANNEL_UNBOUNDED:
        return config->capacity == 0;
    }
    return false;
}

/* What every kind has; the memory is zeroed up to the cells. */
static void channel_begin(struct emp_channel *channel, struct emp_async_pool *pool,
                          const struct emp_channel_config *config)
{
    channel->bytes = (uint16_t)config->element_bytes;
    channel->kind = (uint8_t)config->kind;
    channel->ends = EMP_ENDS_START;
    channel->pool = pool;
    channel->drop = config->drop;
    emp_mutex_init(&channel->lock, EMP_RANK_CHANNEL);
}

static struct emp_channel *compact_create(struct emp_async_pool *pool,
                                          const struct emp_channel_config *config)
{
    struct emp_channel *channel = emp_object_take(pool, EMP_OBJECT_CHANNEL);

    if (channel == NULL) {
        return NULL;
    }
    memset(channel, 0, sizeof(*channel));
    if (config->capacity != 0) {
        channel->buffer =
            emp_object_hooks.memory_take((size_t)config->capacity * config->element_bytes);
        if (channel->buffer == NULL) {
            emp_object_give(channel);
            return NULL;
        }
    }
    channel_begin(channel, pool, config);
    channel->capacity = (uint8_t)config->capacity;
    return channel;
}

static struct emp_channel *large_create(struct emp_async_pool *pool,
                                        const struct emp_channel_config *config)
{
    uint32_t cells = config->capacity == 0 ? 0 : round_up_power(config->capacity);
    size_t bytes = sizeof(struct emp_channel_large) +
                   (size_t)cells * emp_channel_stride(config->kind, config->element_bytes);
    struct emp_channel_large *large = emp_object_hooks.memory_take(
        (bytes + EMP_CHANNEL_APART - 1) & ~(size_t)(EMP_CHANNEL_APART - 1));

    if (large == NULL) {
        return NULL;
    }
    memset(large, 0, sizeof(*large));
    channel_begin(&large->channel, pool, config);
    if (emp_queue_create(large, cells) != EMP_OK) {
        emp_object_hooks.memory_give(large);
        return NULL;
    }
    return &large->channel;
}

enum emp_status emp_channel_create(struct emp_async_pool *pool,
                                   const struct emp_channel_config *config,
                                   struct emp_channel **out)
{
    if (pool == NULL || pool->signature != EMP_ASYNC_POOL_SIGNATURE || config == NULL ||
        out == NULL || !config_is_valid(config)) {
        return EMP_ERR_INVALID;
    }
    struct emp_channel *channel = config->kind == EMP_CHANNEL_COMPACT ? compact_create(pool, config)
                                                                      : large_create(pool, config);

    if (channel == NULL) {
        return EMP_ERR_NOMEM;
    }
    channel->signature = EMP_CHANNEL_SIGNATURE;
    *out = channel;
    return EMP_OK;
}

/* Everything that is queued is dropped; the last receiver, or who is alone. */
static void drop_queued(struct emp_channel *channel)
{
    size_t done = 0;

    if (channel->kind == EMP_CHANNEL_COMPACT) {
        emp_compact_drop_all(channel);
        return;
    }
    do {
        done = 0;
    } while (emp_queue_take(emp_channel_large(channel), NULL, EMP_CHANNEL_RING_MAX, &done) ==
             EMP_OK);
}

/* Both ends are gone. */
static void channel_free(struct emp_channel *channel)
{
    emp_check(channel->waiting[EMP_RECEIVING] == NULL);
    drop_queued(channel);
    emp_check(channel->waiting[EMP_SENDING] == NULL);
    channel->signature = 0;
    if (channel->kind == EMP_CHANNEL_COMPACT) {
        if (channel->buffer != NULL) {
            emp_object_hooks.memory_give(channel->buffer);
        }
        emp_object_give(channel);
        return;
    }
    emp_queue_destroy(emp_channel_large(channel));
    emp_object_hooks.memory_give(channel);
}

struct emp_channel *emp_channel_sender_retain(struct emp_channel *channel)
{
    emp_check(emp_channel_is_alive(channel));
    emp_ends_retain(&channel->ends, EMP_ENDS_SENDER);
    return channel;
}

void emp_channel_sender_release(struct emp_channel *channel)
{
    if (channel == NULL) {
        return;
    }
    emp_check(emp_channel_is_alive(channel));
    if (emp_ends_release(&channel->ends, EMP_ENDS_SENDER)) {
        emp_channel_close(channel);
        if (emp_ends_leave(&channel->ends)) {
            channel_free(channel);
        }
    }
}

struct emp_channel *emp_channel_receiver_retain(struct emp_channel *channel)
{
    emp_check(emp_channel_is_alive(channel));
    emp_ends_retain(&channel->ends, EMP_ENDS_RECEIVER);
    return channel;
}

void emp_channel_receiver_release(struct emp_channel *channel)
{
    if (channel == NULL) {
        return;
    }
    emp_check(emp_channel_is_alive(channel));
    if (emp_ends_release(&channel->ends, EMP_ENDS_RECEIVER)) {
        emp_channel_close(channel);
        drop_queued(channel);
        if (emp_ends_leave(&channel->ends)) {
            channel_free(channel);
        }
    }
}

void emp_channel_close(struct emp_channel *channel)
{
    emp_check(emp_channel_is_alive(channel));
    emp_mutex_lock(&channel->lock);
    bool first = emp_ends_close(&channel->ends);

    if (first && channel->kind != EMP_CHANNEL_COMPACT) {
        emp_queue_close_locked(emp_channel_large(channel));
    }
    emp_mutex_unlock(&channel->lock);
    if (first) {
        emp_channel_wake(channel, EMP_SENDING, SIZE_MAX);
        emp_channel_wake(channel, EMP_RECEIVING, SIZE_MAX);
    }
}

/* All but a word into an SPSC channel; apart, so that the word needs no frame. */
static EMP_NOINLINE enum emp_status try_send_slow(struct emp_channel *channel, const void *value)
{
    size_t done = 0;

    switch (channel->kind) {
    case EMP_CHANNEL_SPSC:
        return emp_spsc_send_one(emp_channel_large(channel), value);
    case EMP_CHANNEL_COMPACT:
        /* Only read from when sending. */
        return emp_compact_try(channel, EMP_SENDING, (void *)(uintptr_t)value);
    default:
        return emp_queue_put(emp_channel_large(channel), value, 1, &done);
    }
}

enum emp_status emp_channel_try_send(struct emp_channel *channel, const void *value)
{
    emp_assert(emp_channel_is_alive(channel));
    return emp_likely(emp_spsc_send_word(channel, value)) ? EMP_OK : try_send_slow(channel, value);
}

/* All but a word of an SPSC channel. */
static EMP_NOINLINE enum emp_status try_recv_slow(struct emp_channel *channel, void *value)
{
    size_t done = 0;

    switch (channel->kind) {
    case EMP_CHANNEL_SPSC:
        return emp_spsc_recv_one(emp_channel_large(channel), value);
    case EMP_CHANNEL_COMPACT:
        return emp_compact_try(channel, EMP_RECEIVING, value);
    default:
        return emp_queue_take(emp_channel_large(channel), value, 1, &done);
    }
}

enum emp_status emp_channel_try_recv(struct emp_channel *channel, void *value)
{
    emp_assert(emp_channel_is_alive(channel));
    return emp_likely(emp_spsc_recv_word(channel, value)) ? EMP_OK : try_recv_slow(channel, value);
}

enum emp_status emp_channel_try_send_batch(struct emp_channel *channel, const void *values,
                                           size_t count, size_t *sent)
{
    enum emp_status status = EMP_OK;
    const char *next = values;

    emp_assert(emp_channel_is_alive(channel));
    *sent = 0;
    while (*sent < count && status == EMP_OK) {
        size_t done = 1;

        if (channel->kind == EMP_CHANNEL_COMPACT) {
            status = emp_compact_try(channel, EMP_SENDING, (void *)(uintptr_t)next);
        } else {
            status = emp_queue_put(emp_channel_large(channel), next, count - *sent, &done);
        }
        if (status == EMP_OK) {
            *sent += done;
            next += done * channel->bytes;
        }
    }
    return status;
}

enum emp_status emp_channel_try_recv_batch(struct emp_channel *channel, void *values, size_t count,
                                           size_t *received)
{
    enum emp_status status = EMP_OK;
    char *next = values;

    emp_assert(emp_channel_is_alive(channel));
    *received = 0;
    while (*received < count && status == EMP_OK) {
        size_t done = 1;

        if (channel->kind == EMP_CHANNEL_COMPACT) {
            status = emp_compact_try(channel, EMP_RECEIVING, next);
        } else {
            status = emp_queue_take(emp_channel_large(channel), next, count - *received, &done);
        }
        if (status == EMP_OK) {
            *received += done;
            next += done * channel->bytes;
        }
    }
    return *received != 0 ? EMP_OK : status;
}

enum emp_status emp_channel_send_poll(struct emp_channel *channel, struct emp_channel_wait *wait,
                                      const struct emp_waker *waker, const void *value)
{
    /* Only read from when sending. */
    void *from = (void *)(uintptr_t)value;

    emp_assert(emp_channel_is_alive(channel));
    return channel->kind == EMP_CHANNEL_COMPACT
               ? emp_compact_poll(channel, EMP_SENDING, wait, waker, from)
               : emp_queue_poll(channel, EMP_SENDING, wait, waker, from);
}

enum emp_status emp_channel_recv_poll(struct emp_channel *channel, struct emp_channel_wait *wait,
                                      const struct emp_waker *waker, void *value)
{
    emp_assert(emp_channel_is_alive(channel));
    return channel->kind == EMP_CHANNEL_COMPACT
               ? emp_compact_poll(channel, EMP_RECEIVING, wait, waker, value)
               : emp_queue_poll(channel, EMP_RECEIVING, wait, waker, value);
}

enum emp_status emp_channel_forget(struct emp_channel *channel, struct emp_channel_wait *wait)
{
    emp_assert(emp_channel_is_alive(channel));
    if (wait->node == NULL) {
        return EMP_OK;
    }
    if (channel->kind == EMP_CHANNEL_COMPACT) {
        return emp_compact_forget(channel, wait);
    }
    emp_queue_wait_end(channel, wait);
    return EMP_OK;
}
