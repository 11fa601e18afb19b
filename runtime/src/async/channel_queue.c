/*
 * Purpose: the queues of the large channels behind one pair of calls, put and take, by kind.
 * Owner:   async. Threads: as the kind says; the turn of receivers of an unbounded channel is taken
 *          here.
 * Design:  [async.proto.channel]
 */
#include "async/channel_internal.h"

#include "async/channel_spsc.h"
#include "thread/heavy_fence.h"

static bool is_closed(const struct emp_channel_large *large)
{
    return emp_ends_is_closed(&large->channel.ends);
}

/* An element leaves: to the receiver's place, or dropped where it lies. */
static void hand_out(const struct emp_channel_large *large, char *values, size_t i, void *element)
{
    uint32_t bytes = large->channel.bytes;

    if (emp_likely(values != NULL)) {
        emp_channel_copy(values + i * bytes, element, bytes);
    } else if (large->channel.drop != NULL) {
        large->channel.drop(element);
    }
}

/* ---- SPSC ---- */

static enum emp_status spsc_put(struct emp_channel_large *large, const char *values, size_t count,
                                size_t *done)
{
    struct emp_spsc_producer *own = &large->producer.at.spsc;
    uint32_t wanted = count < large->room ? (uint32_t)count : large->room;
    uint32_t bytes = large->channel.bytes;

    if (emp_unlikely(is_closed(large))) {
        return EMP_ERR_CLOSED;
    }
    uint32_t room = emp_spsc_room(own, &large->consumer.at.spsc, large->room, wanted);
    uint32_t tail = emp_spsc_tail(own);

    if (emp_unlikely(room == 0)) {
        return EMP_ERR_AGAIN;
    }
    uint32_t row = emp_spsc_in_a_row(large, tail, room);

    memcpy(emp_spsc_cell(large, tail), values, (size_t)row * bytes);
    memcpy(large->cells, values + (size_t)row * bytes, (size_t)(room - row) * bytes);
    emp_spsc_publish(own, room);
    emp_channel_tell(large, EMP_RECEIVING, room);
    *done = room;
    return EMP_OK;
}

static enum emp_status spsc_take(struct emp_channel_large *large, char *values, size_t count,
                                 size_t *done)
{
    struct emp_spsc_consumer *own = &large->consumer.at.spsc;
    uint32_t wanted = count < large->room ? (uint32_t)count : large->room;
    enum emp_status status = EMP_OK;
    uint32_t ready = emp_spsc_look(large, wanted, &status);

    if (ready == 0) {
        return status;
    }
    uint32_t head = emp_spsc_head(own);

    if (values != NULL) {
        uint32_t bytes = large->channel.bytes;
        uint32_t row = emp_spsc_in_a_row(large, head, ready);

        memcpy(values, emp_spsc_cell(large, head), (size_t)row * bytes);
        memcpy(values + (size_t)row * bytes, large->cells, (size_t)(ready - row) * bytes);
    } else {
        for (uint32_t i = 0; i < ready; i++) {
            hand_out(large, NULL, i, emp_spsc_cell(large, head + i));
        }
    }
    emp_spsc_consume(own, ready);
    emp_channel_tell(large, EMP_SENDING, ready);
    *done = ready;
    return EMP_OK;
}

/* ---- bounded, many to many ---- */

static enum emp_status mpmc_put(struct emp_channel_large *large, const char *values, size_t count,
                                size_t *done)
{
    uint32_t wanted = count < large->room ? (uint32_t)count : large->room;
    uint32_t bytes = large->channel.bytes;
    uint64_t position = 0;
    bool closed = false;
    uint32_t got = emp_mpmc_claim_push(&large->mpmc, wanted, &position, &closed);

    if (got == 0) {
        return closed ? EMP_ERR_CLOSED : EMP_ERR_AGAIN;
    }
    for (uint32_t i = 0; i < got; i++, position += EMP_MPMC_STEP) {
        emp_channel_copy(emp_mpmc_cell(&large->mpmc, position)->item, values + (size_t)i * bytes,
                         bytes);
        emp_mpmc_publish(&large->mpmc, position);
    }
    emp_channel_tell(large, EMP_RECEIVING, got);
    *done = got;
    return EMP_OK;
}

static enum emp_status mpmc_take(struct emp_channel_large *large, char *values, size_t count,
                                 size_t *done)
{
    uint32_t wanted = count < large->room ? (uint32_t)count : large->room;
    uint64_t position = 0;
    uint32_t got = emp_mpmc_claim_pop(&large->mpmc, wanted, &position);

    if (got == 0) {
        /* The tail is the producers' line: it is looked at only when there is a reason. */
        return is_closed(large) && emp_mpmc_is_drained(&large->mpmc) ? EMP_ERR_CLOSED
                                                                     : EMP_ERR_AGAIN;
    }
    for (uint32_t i = 0; i < got; i++, position += EMP_MPMC_STEP) {
        hand_out(large, values, i, emp_mpmc_cell(&large->mpmc, position)->item);
        emp_mpmc_free(&large->mpmc, position);
    }
    emp_channel_tell(large, EMP_SENDING, got);
    *done = got;
    return EMP_OK;
}

/* ---- unbounded, words in blocks ---- */

static struct emp_block *block_new(struct emp_channel_large *large)
{
    struct emp_block *block = emp_block_unkeep(&large->spare);

    if (block == NULL) {
        block = emp_object_take(large->channel.pool, EMP_OBJECT_BLOCK);
    }
    if (block != NULL) {
        emp_block_clear(block);
    }
    return block;
}

/* The last block is full: one more, unless somebody was faster. */
static EMP_NOINLINE bool blocks_grow(struct emp_channel_large *large)
{
    struct emp_block *block = block_new(large);

    if (block == NULL) {
        return false;
    }
    emp_mutex_lock(&large->channel.lock);
    bool used = emp_block_grow(&large->producer.at.last, block);
    emp_mutex_unlock(&large->channel.lock);
    if (!used) {
        emp_object_give(block);
    }
    return true;
}

static enum emp_status blocks_put(struct emp_channel_large *large, const char *values, size_t count,
                                  size_t *done)
{
    uint32_t bytes = large->channel.bytes;
    uint32_t wanted = count < EMP_BLOCK_SLOTS ? (uint32_t)count : EMP_BLOCK_SLOTS;
    uintptr_t first = 0;
    uint32_t got = 0;
    enum emp_block_claim claim = emp_block_claim(&large->producer.at.last, wanted, &first, &got);

    while (emp_unlikely(claim == EMP_BLOCK_FULL)) {
        if (!blocks_grow(large)) {
            return EMP_ERR_NOMEM;
        }
        claim = emp_block_claim(&large->producer.at.last, wanted, &first, &got);
    }
    if (claim == EMP_BLOCK_IS_CLOSED) {
        return EMP_ERR_CLOSED;
    }
    for (uint32_t i = 0; i < got; i++) {
        uint64_t word = 0;

        emp_channel_copy(&word, values + (size_t)i * bytes, bytes);
        emp_block_publish(first, i, word);
    }
    emp_channel_tell(large, EMP_RECEIVING, got);
    *done = got;
    return EMP_OK;
}

/* The receiver whose turn it is; a block that was left behind is given back by the caller. */
static enum emp_status blocks_take_turn(struct emp_channel_large *large, char *values, size_t count,
                                        size_t *done, struct emp_block **retired)
{
    struct emp_block_cursor *cursor = &large->consumer.at.cursor;
    uint32_t wanted = count < EMP_BLOCK_SLOTS ? (uint32_t)count : EMP_BLOCK_SLOTS;
    uint32_t ready = emp_block_ready(cursor, wanted, retired);

    for (uint32_t i = 0; i < ready; i++) {
        hand_out(large, values, i, &cursor->block->word[cursor->taken + i]);
    }
    cursor->taken += ready;
    if (*retired != NULL && emp_block_keep(&large->spare, *retired)) {
        *retired = NULL;
    }
    *done = ready;
    if (ready != 0) {
        return EMP_OK;
    }
    /* The tail is the producers' line: it is looked at only when there is a reason. */
    return is_closed(large) && emp_block_is_drained(&large->producer.at.last, cursor)
               ? EMP_ERR_CLOSED
               : EMP_ERR_AGAIN;
}

/* ---- unbounded, messages in nodes ---- */

static struct emp_message *message_new(const struct emp_channel_large *large)
{
    if (large->channel.bytes <= EMP_MESSAGE_INLINE) {
        return emp_object_take(large->channel.pool, EMP_OBJECT_NODE);
    }
    return emp_object_hooks.memory_take(sizeof(struct emp_message) + large->channel.bytes);
}

static void message_free(const struct emp_channel_large *large, struct emp_message *message)
{
    if (large->channel.bytes <= EMP_MESSAGE_INLINE) {
        emp_object_give(message);
    } else {
        emp_object_hooks.memory_give(message);
    }
}

/* Frees a chain that was not pushed. */
static void messages_free(const struct emp_channel_large *large, struct emp_node *first)
{
    while (first != NULL) {
        struct emp_node *next = first->next;

        message_free(large, (struct emp_message *)first);
        first = next;
    }
}

static enum emp_status nodes_put(struct emp_channel_large *large, const char *values, size_t count,
                                 size_t *done)
{
    uint32_t bytes = large->channel.bytes;
    struct emp_node *first = NULL;
    struct emp_node *last = NULL;
    size_t made = 0;

    for (; made < count; made++) {
        struct emp_message *message = message_new(large);

        if (message == NULL) {
            break;
        }
        memcpy(message->bytes, values + made * bytes, bytes);
        message->node.next = NULL;
        if (last == NULL) {
            first = &message->node;
        } else {
            last->next = &message->node;
        }
        last = &message->node;
    }
    if (made == 0) {
        return EMP_ERR_NOMEM;
    }
    if (!emp_node_push(&large->producer.at.last, first, last)) {
        messages_free(large, first);
        return EMP_ERR_CLOSED;
    }
    emp_channel_tell(large, EMP_RECEIVING, made);
    *done = made;
    return EMP_OK;
}

/* The receiver whose turn it is; the nodes that were left behind are chained at *spent. */
static enum emp_status nodes_take_turn(struct emp_channel_large *large, char *values, size_t count,
                                       size_t *done, struct emp_node **spent)
{
    size_t got = 0;
    struct emp_node *behind = NULL;

    while (got < count) {
        struct emp_node *next = emp_node_pop(&large->consumer.at.head, &behind);

        if (next == NULL) {
            break;
        }
        hand_out(large, values, got, ((struct emp_message *)next)->bytes);
        behind->next = *spent;
        *spent = behind;
        got++;
    }
    *done = got;
    if (got != 0) {
        return EMP_OK;
    }
    return is_closed(large) &&
                   emp_node_is_drained(&large->producer.at.last, large->consumer.at.head)
               ? EMP_ERR_CLOSED
               : EMP_ERR_AGAIN;
}

/* ---- unbounded, either ---- */

/* Receivers take turns; not at the end (values NULL), when the caller is alone and calls drop. */
static enum emp_status unbounded_take(struct emp_channel_large *large, char *values, size_t count,
                                      size_t *done)
{
    bool turns = large->channel.kind == EMP_CHANNEL_UNBOUNDED && values != NULL;
    struct emp_block *retired = NULL;
    struct emp_node *spent = NULL;
    enum emp_status status = EMP_OK;

    if (turns) {
        emp_mutex_lock(&large->consumer.taker);
    }
    if (large->small != 0) {
        status = blocks_take_turn(large, values, count, done, &retired);
    } else {
        status = nodes_take_turn(large, values, count, done, &spent);
    }
    if (turns) {
        emp_mutex_unlock(&large->consumer.taker);
    }
    if (retired != NULL) {
        emp_object_give(retired);
    }
    messages_free(large, spent);
    return status;
}

static bool unbounded_is_worth(struct emp_channel_large *large)
{
    bool turns = large->channel.kind == EMP_CHANNEL_UNBOUNDED;
    bool worth = false;

    if (turns) {
        emp_mutex_lock(&large->consumer.taker);
    }
    if (large->small != 0) {
        const struct emp_block_cursor *cursor = &large->consumer.at.cursor;

        worth =
            emp_block_is_ready(cursor) || emp_block_is_drained(&large->producer.at.last, cursor);
    } else {
        worth = emp_node_is_there(large->consumer.at.head) ||
                emp_node_is_drained(&large->producer.at.last, large->consumer.at.head);
    }
    if (turns) {
        emp_mutex_unlock(&large->consumer.taker);
    }
    return worth;
}

/* ---- all kinds ---- */

static enum emp_status unbounded_create(struct emp_channel_large *large)
{
    large->small = large->channel.bytes <= sizeof(uint64_t);
    if (large->small != 0) {
        struct emp_block *block = block_new(large);

        if (block == NULL) {
            return EMP_ERR_NOMEM;
        }
        emp_block_start(&large->producer.at.last, &large->consumer.at.cursor, block);
        return EMP_OK;
    }
    struct emp_message *stub = message_new(large);

    if (stub == NULL) {
        return EMP_ERR_NOMEM;
    }
    emp_node_start(&large->producer.at.last, &large->consumer.at.head, &stub->node);
    return EMP_OK;
}

enum emp_status emp_queue_create(struct emp_channel_large *large, uint32_t cells)
{
    bool has_fence = emp_heavy_fence_init();

    large->room = cells;
    large->cells = (char *)(large + 1);
    emp_gate_init(&large->producer.receivers, has_fence);
    emp_gate_init(&large->consumer.senders, has_fence);
    emp_mutex_init(&large->consumer.taker, EMP_RANK_TAKER);
    switch (large->channel.kind) {
    case EMP_CHANNEL_SPSC:
        emp_pace_init(&large->producer.at.spsc.pace, cells);
        emp_pace_init(&large->consumer.at.spsc.pace, cells);
        return EMP_OK;
    case EMP_CHANNEL_BOUNDED:
        large->mpmc = (struct emp_mpmc){
            .tail = &large->producer.at.position,
            .head = &large->consumer.at.position,
            .cells = large->cells,
            .mask = cells - 1,
            .stride = emp_channel_stride(EMP_CHANNEL_BOUNDED, large->channel.bytes),
        };
        emp_mpmc_init(&large->mpmc, 0);
        return EMP_OK;
    default:
        return unbounded_create(large);
    }
}

/* The caller is alone, and everything was taken. */
void emp_queue_destroy(struct emp_channel_large *large)
{
    if (large->channel.kind != EMP_CHANNEL_UNBOUNDED &&
        large->channel.kind != EMP_CHANNEL_UNBOUNDED_MPSC) {
        return;
    }
    if (large->small != 0) {
        struct emp_block *spare = emp_block_unkeep(&large->spare);

        if (spare != NULL) {
            emp_object_give(spare);
        }
        emp_object_give(large->consumer.at.cursor.block);
    } else {
        message_free(large, (struct emp_message *)large->consumer.at.head);
    }
}

enum emp_status emp_queue_put(struct emp_channel_large *large, const char *values, size_t count,
                              size_t *done)
{
    switch (large->channel.kind) {
    case EMP_CHANNEL_SPSC:
        return spsc_put(large, values, count, done);
    case EMP_CHANNEL_BOUNDED:
        return mpmc_put(large, values, count, done);
    default:
        return large->small != 0 ? blocks_put(large, values, count, done)
                                 : nodes_put(large, values, count, done);
    }
}

enum emp_status emp_queue_take(struct emp_channel_large *large, char *values, size_t count,
                               size_t *done)
{
    switch (large->channel.kind) {
    case EMP_CHANNEL_SPSC:
        return spsc_take(large, values, count, done);
    case EMP_CHANNEL_BOUNDED:
        return mpmc_take(large, values, count, done);
    default:
        return unbounded_take(large, values, count, done);
    }
}

void emp_queue_close_locked(struct emp_channel_large *large)
{
    switch (large->channel.kind) {
    case EMP_CHANNEL_SPSC:
        break;
    case EMP_CHANNEL_BOUNDED:
        emp_mpmc_close(&large->mpmc);
        break;
    default:
        if (large->small != 0) {
            emp_block_close(&large->producer.at.last);
        } else {
            emp_node_close(&large->producer.at.last);
        }
        break;
    }
}

bool emp_queue_is_worth(struct emp_channel_large *large, enum emp_channel_side side)
{
    bool is_spsc = large->channel.kind == EMP_CHANNEL_SPSC;
    bool is_ring = is_spsc || large->channel.kind == EMP_CHANNEL_BOUNDED;

    if (side == EMP_SENDING) {
        return !is_ring || is_closed(large) ||
               (is_spsc ? emp_spsc_has_room(&large->producer.at.spsc, &large->consumer.at.spsc,
                                            large->room)
                        : emp_mpmc_has_room(&large->mpmc));
    }
    if (is_spsc) {
        return is_closed(large) ||
               emp_spsc_has_item(&large->consumer.at.spsc, &large->producer.at.spsc);
    }
    if (is_ring) {
        return emp_mpmc_has_item(&large->mpmc) || emp_mpmc_is_drained(&large->mpmc);
    }
    return unbounded_is_worth(large);
}
