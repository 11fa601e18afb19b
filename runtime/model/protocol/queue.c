/*
 * What: harnesses of the queues behind channels: sync/spsc.h, sync/mpmc.h, sync/block_list.h with
 *       blocks of two slots, sync/node_list.h.
 * How:  items are numbers in plain memory that must come out once each, in the order of one
 *       producer; rings start one step before their positions wrap.
 * Design: [sync.proto.spsc] [sync.proto.mpmc] [sync.proto.block-list] [sync.proto.node-list]
 */
#include "cases.h"
#include "model.h"
#include "protocol/world.h"
#include "sync/block_list.h"
#include "sync/mpmc.h"
#include "sync/node_list.h"
#include "sync/spsc.h"

#include <string.h>

#define ITEMS 8u
#define CELLS 2u

static uint32_t accepted[ITEMS]; /* atomic: sends that said yes */
static uint32_t received[ITEMS]; /* atomic: how often an item came out */
static uint32_t farewell;        /* plain: written by the closer before it closes */
static uint32_t told_closed;     /* atomic: a receiver was told that nothing will come */

static void start(void)
{
    memset(accepted, 0, sizeof accepted);
    memset(received, 0, sizeof received);
    farewell = 0;
    told_closed = 0;
}

static void note_received(uint32_t item)
{
    model_assert(item < ITEMS);
    model_assert(emp_fetch_add_relaxed(&received[item], 1) == 0);
}

/* Every item that was accepted came out once, no other did. */
static void finish_accounted(void)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        model_assert(received[i] == accepted[i]);
    }
}

/* ---- SPSC ---- */

static struct emp_spsc_producer spsc_producer;
static struct emp_spsc_consumer spsc_consumer;
static uint32_t spsc_cells[CELLS]; /* plain */

static void spsc_before_wrap(void)
{
    start();
    spsc_producer = (struct emp_spsc_producer){UINT32_MAX, UINT32_MAX, {0}};
    spsc_consumer = (struct emp_spsc_consumer){UINT32_MAX, UINT32_MAX, {0}};
    memset(spsc_cells, 0, sizeof spsc_cells);
}

static uint32_t spsc_send(uint32_t first, uint32_t count)
{
    uint32_t room = emp_spsc_room(&spsc_producer, &spsc_consumer, CELLS, count);
    for (uint32_t i = 0; i < room; i++) {
        spsc_cells[(emp_spsc_tail(&spsc_producer) + i) % CELLS] = first + i;
        emp_store_relaxed(&accepted[first + i], 1);
    }
    if (room != 0) {
        emp_spsc_publish(&spsc_producer, room);
    }
    return room;
}

static void spsc_send_one_by_one(void)
{
    uint32_t next = 0;
    for (unsigned i = 0; i < 4; i++) {
        next += spsc_send(next, 1);
    }
}

static void spsc_send_batches(void)
{
    uint32_t sent = spsc_send(0, 2);
    (void)spsc_send(sent, 2);
}

static void spsc_recv(uint32_t *next, uint32_t count)
{
    uint32_t ready = emp_spsc_ready(&spsc_consumer, &spsc_producer, count);
    for (uint32_t i = 0; i < ready; i++) {
        uint32_t item = spsc_cells[(emp_spsc_head(&spsc_consumer) + i) % CELLS];
        model_assert(item == (*next)++);
        note_received(item);
    }
    if (ready != 0) {
        emp_spsc_consume(&spsc_consumer, ready);
    }
}

static void spsc_recv_one_by_one(void)
{
    uint32_t next = 0;
    for (unsigned i = 0; i < 3; i++) {
        spsc_recv(&next, 1);
    }
}

static void spsc_recv_batches(void)
{
    uint32_t next = 0;
    spsc_recv(&next, 2);
    spsc_recv(&next, 2);
}

static void spsc_drain(void)
{
    for (;;) {
        uint32_t head = emp_spsc_head(&spsc_consumer);
        if (emp_spsc_ready(&spsc_consumer, &spsc_producer, 1) == 0) {
            break;
        }
        note_received(spsc_cells[head % CELLS]);
        emp_spsc_consume(&spsc_consumer, 1);
    }
    finish_accounted();
}

/* ---- MPMC ---- */

static uint64_t mpmc_tail;
static uint64_t mpmc_head;
static struct {
    uint64_t seq;
    uint32_t item; /* plain */
} mpmc_cells[CELLS];
static struct emp_mpmc mpmc;

static uint32_t *mpmc_item(uint64_t position)
{
    return (uint32_t *)(void *)emp_mpmc_cell(&mpmc, position)->item;
}

/* At a position before the wrap of 64 bits. */
static void mpmc_before_wrap(void)
{
    start();
    mpmc = (struct emp_mpmc){&mpmc_tail, &mpmc_head, (char *)mpmc_cells, CELLS - 1,
                             sizeof mpmc_cells[0]};
    memset(mpmc_cells, 0, sizeof mpmc_cells);
    emp_mpmc_init(&mpmc, 0u - (uint64_t)EMP_MPMC_STEP);
}

static bool mpmc_send(uint32_t first, uint32_t count)
{
    uint64_t position = 0;
    bool closed = false;
    uint32_t got = emp_mpmc_claim_push(&mpmc, count, &position, &closed);
    for (uint32_t i = 0; i < got; i++, position += EMP_MPMC_STEP) {
        *mpmc_item(position) = first + i;
        emp_store_relaxed(&accepted[first + i], 1);
        emp_mpmc_publish(&mpmc, position);
    }
    return !closed;
}

static uint32_t mpmc_recv(uint32_t count, uint32_t *last)
{
    uint64_t position = 0;
    uint32_t got = emp_mpmc_claim_pop(&mpmc, count, &position);
    for (uint32_t i = 0; i < got; i++, position += EMP_MPMC_STEP) {
        *last = *mpmc_item(position);
        note_received(*last);
        emp_mpmc_free(&mpmc, position);
    }
    if (got == 0 && emp_mpmc_is_drained(&mpmc)) {
        model_assert(farewell == 1);
        emp_store_relaxed(&told_closed, 1);
    }
    return got;
}

static void mpmc_almost_full(void)
{
    mpmc_before_wrap();
    (void)mpmc_send(7, 1);
}

static void mpmc_send_0(void)
{
    (void)mpmc_send(0, 1);
}

static void mpmc_send_4(void)
{
    (void)mpmc_send(4, 1);
}

static void mpmc_send_0_1(void)
{
    (void)mpmc_send(0, 1);
    (void)mpmc_send(1, 1);
}

static void mpmc_send_batch(void)
{
    (void)mpmc_send(2, 2);
}

static void mpmc_recv_one(void)
{
    uint32_t last = 0;
    (void)mpmc_recv(1, &last);
}

static void mpmc_recv_two(void)
{
    uint32_t before = 0;
    uint32_t last = 0;
    if (mpmc_recv(1, &before) != 0 && mpmc_recv(1, &last) != 0) {
        /* Of one producer, in order: 0 before 1, 2 before 3. */
        model_assert(before / 2 != last / 2 || before < last);
    }
}

static void mpmc_recv_batch(void)
{
    uint32_t last = 0;
    (void)mpmc_recv(2, &last);
}

static void mpmc_close(void)
{
    farewell = 1;
    emp_mpmc_close(&mpmc);
}

static void mpmc_drain(void)
{
    uint32_t last = 0;
    farewell = 1;
    const bool was_told = told_closed != 0;
    bool found = false;
    while (mpmc_recv(1, &last) != 0) {
        found = true;
    }
    /* Who was told that it is closed and empty was told the truth. */
    model_assert(!was_told || !found);
    finish_accounted();
}

static void mpmc_drain_full(void)
{
    emp_store_relaxed(&accepted[7], 1);
    mpmc_drain();
}

/* ---- block list ---- */

static uintptr_t block_tail;
static struct emp_block_cursor block_cursor;
static struct emp_block *block_spare;
static struct emp_mutex block_lock;

static struct emp_block *block_new(void)
{
    struct emp_block *block = emp_block_unkeep(&block_spare);
    if (block == NULL) {
        block = model_alloc(512);
    }
    emp_block_clear(block);
    return block;
}

static void block_list_empty(void)
{
    start();
    world_set_cpus(1);
    emp_mutex_init(&block_lock, EMP_RANK_CHANNEL);
    block_spare = NULL;
    emp_block_start(&block_tail, &block_cursor, block_new());
}

static void block_send(uint32_t first, uint32_t count)
{
    uintptr_t at = 0;
    uint32_t got = 0;
    enum emp_block_claim claim = EMP_BLOCK_GOT;
    while ((claim = emp_block_claim(&block_tail, count, &at, &got)) == EMP_BLOCK_FULL) {
        struct emp_block *block = block_new();
        emp_mutex_lock(&block_lock);
        bool used = emp_block_grow(&block_tail, block);
        emp_mutex_unlock(&block_lock);
        if (!used) {
            model_free(block);
        }
    }
    for (uint32_t i = 0; claim == EMP_BLOCK_GOT && i < got; i++) {
        emp_store_relaxed(&accepted[first + i], 1);
        emp_block_publish(at, i, first + i);
    }
}

static uint32_t block_recv(uint32_t count)
{
    struct emp_block *retired = NULL;
    uint32_t ready = emp_block_ready(&block_cursor, count, &retired);
    for (uint32_t i = 0; i < ready; i++) {
        note_received((uint32_t)block_cursor.block->word[block_cursor.taken + i]);
    }
    block_cursor.taken += ready;
    if (retired != NULL && !emp_block_keep(&block_spare, retired)) {
        model_free(retired);
    }
    if (ready == 0 && emp_block_is_drained(&block_tail, &block_cursor)) {
        model_assert(farewell == 1);
        emp_store_relaxed(&told_closed, 1);
    }
    return ready;
}

/* One slot left in the block, so that the next but one send grows. */
static void block_list_almost_full(void)
{
    block_list_empty();
    block_send(7, 1);
}

/* Two full blocks: who takes in the first makes it the spare of who grows behind the second. */
static void block_list_two_blocks(void)
{
    block_list_empty();
    block_send(4, 2);
    block_send(6, 2);
}

static void block_send_0(void)
{
    block_send(0, 1);
}

static void block_send_1(void)
{
    block_send(1, 1);
}

static void block_send_0_1(void)
{
    block_send(0, 1);
    block_send(1, 1);
}

static void block_send_batch(void)
{
    block_send(2, 2);
}

static void block_recv_twice(void)
{
    (void)block_recv(1);
    (void)block_recv(2);
}

static void block_recv_thrice(void)
{
    block_recv_twice();
    (void)block_recv(1);
}

/* The words of both blocks, and of the first one again when it has come back. */
static void block_recv_past_block(void)
{
    (void)block_recv(2);
    (void)block_recv(2);
    (void)block_recv(1);
}

static void block_close(void)
{
    farewell = 1;
    emp_mutex_lock(&block_lock);
    emp_block_close(&block_tail);
    emp_mutex_unlock(&block_lock);
}

static void block_end(void)
{
    const bool was_told = told_closed != 0;
    bool found = false;
    farewell = 1;
    while (block_recv(1) != 0) {
        found = true;
    }
    model_assert(!was_told || !found);
    struct emp_block *spare = emp_block_unkeep(&block_spare);
    if (spare != NULL) {
        model_free(spare);
    }
    model_free(block_cursor.block);
    finish_accounted();
}

static void block_end_almost_full(void)
{
    accepted[7] = 1;
    block_end();
}

static void block_end_two_blocks(void)
{
    for (unsigned i = 4; i < 8; i++) {
        accepted[i] = 1;
    }
    block_end();
}

/* ---- node list ---- */

struct message {
    struct emp_node node;
    uint32_t item; /* plain */
};

static uintptr_t node_tail;
static struct emp_node *node_head;

static void node_list_empty(void)
{
    start();
    emp_node_start(&node_tail, &node_head, model_alloc(sizeof(struct message)));
}

static void node_send(uint32_t first, uint32_t count)
{
    struct message *chain[2];
    for (uint32_t i = 0; i < count; i++) {
        chain[i] = model_alloc(sizeof(struct message));
        chain[i]->item = first + i;
        if (i != 0) {
            chain[i - 1]->node.next = &chain[i]->node;
        }
    }
    const bool sent = emp_node_push(&node_tail, &chain[0]->node, &chain[count - 1]->node);
    for (uint32_t i = 0; i < count; i++) {
        if (sent) {
            emp_store_relaxed(&accepted[first + i], 1);
        } else {
            model_free(chain[i]);
        }
    }
}

static bool node_recv(uint32_t *last)
{
    struct emp_node *done = NULL;
    struct message *message = (struct message *)emp_node_pop(&node_head, &done);
    if (message != NULL) {
        *last = message->item;
        note_received(message->item);
        model_free(done);
    } else if (emp_node_is_drained(&node_tail, node_head)) {
        model_assert(farewell == 1);
        emp_store_relaxed(&told_closed, 1);
    }
    return message != NULL;
}

static void node_send_0(void)
{
    node_send(0, 1);
}

static void node_send_4(void)
{
    node_send(4, 1);
}

static void node_send_0_1(void)
{
    node_send(0, 1);
    node_send(1, 1);
}

static void node_send_batch(void)
{
    node_send(2, 2);
}

static void node_recv_twice(void)
{
    uint32_t before = 0;
    uint32_t last = 0;
    if (node_recv(&before) && node_recv(&last)) {
        /* Of one producer, in order: 0 before 1, 2 before 3. */
        model_assert(before / 2 != last / 2 || before < last);
    }
}

static void node_close(void)
{
    farewell = 1;
    emp_node_close(&node_tail);
}

static void node_end(void)
{
    uint32_t last = 0;
    const bool was_told = told_closed != 0;
    bool found = false;
    farewell = 1;
    while (node_recv(&last)) {
        found = true;
    }
    model_assert(!was_told || !found);
    model_free(node_head);
    finish_accounted();
}

#define CASE(name_, property_, set_up_, finish_, ...)                                 \
    {                                                                                 \
        .name = name_, .is_protocol = true, .property = property_, .set_up = set_up_, \
        .thread = {__VA_ARGS__}, .finish = finish_, .rereads = 20                     \
    }

const struct model_case protocol_queue[] = {
    CASE("spsc/wrap", "items come out once, in order, where the positions wrap", spsc_before_wrap,
         spsc_drain, spsc_send_one_by_one, spsc_recv_one_by_one),
    CASE("spsc/batch", "the same for batches", spsc_before_wrap, spsc_drain, spsc_send_batches,
         spsc_recv_batches),
    CASE("mpmc/send-send-recv", "of two items sent at once each comes out once", mpmc_before_wrap,
         mpmc_drain, mpmc_send_0, mpmc_send_4, mpmc_recv_two),
    CASE("mpmc/send-recv-recv", "two receivers never take one item", mpmc_before_wrap, mpmc_drain,
         mpmc_send_0_1, mpmc_recv_one, mpmc_recv_one),
    CASE("mpmc/full", "a cell is not written before it was read", mpmc_almost_full, mpmc_drain_full,
         mpmc_send_0_1, mpmc_recv_two),
    CASE("mpmc/batch", "a batch takes only cells that are free, whoever else sends",
         mpmc_almost_full, mpmc_drain_full, mpmc_send_batch, mpmc_send_0, mpmc_recv_two),
    CASE("mpmc/batches", "batches at both ends", mpmc_before_wrap, mpmc_drain, mpmc_send_batch,
         mpmc_recv_batch, mpmc_recv_one),
    CASE("mpmc/send-close", "after a receiver was told, nothing comes", mpmc_before_wrap,
         mpmc_drain, mpmc_send_0, mpmc_close, mpmc_recv_two),
    CASE("mpmc/batch-close", "the same for a batch", mpmc_before_wrap, mpmc_drain, mpmc_send_batch,
         mpmc_close, mpmc_recv_batch),
    CASE("block-list/send-send-recv", "of two items sent at once each comes out once",
         block_list_empty, block_end, block_send_0, block_send_1, block_recv_twice),
    CASE("block-list/grow", "two find the block full, one makes the next", block_list_almost_full,
         block_end_almost_full, block_send_0_1, block_send_batch),
    CASE("block-list/retire", "a block that is taken in is not touched any more",
         block_list_almost_full, block_end_almost_full, block_send_0_1, block_recv_thrice),
    CASE("block-list/retire-batch", "the same, with a second producer", block_list_almost_full,
         block_end_almost_full, block_send_0, block_send_1, block_recv_thrice),
    CASE("block-list/spare", "the block that is kept is used again after its last read",
         block_list_two_blocks, block_end_two_blocks, block_send_0, block_recv_past_block),
    CASE("block-list/send-close", "after the receiver was told, nothing comes", block_list_empty,
         block_end, block_send_0, block_close, block_recv_twice),
    CASE("block-list/grow-close", "the same where a block is added", block_list_almost_full,
         block_end_almost_full, block_send_batch, block_close, block_recv_twice),
    CASE("node-list/send-send-recv", "of two messages each comes out once, none is touched after",
         node_list_empty, node_end, node_send_0, node_send_4, node_recv_twice),
    CASE("node-list/order", "messages of one producer come out in order", node_list_empty, node_end,
         node_send_0_1, node_recv_twice),
    CASE("node-list/batch", "a chain is pushed whole", node_list_empty, node_end, node_send_batch,
         node_send_0, node_recv_twice),
    CASE("node-list/send-close", "after the receiver was told, nothing comes", node_list_empty,
         node_end, node_send_0, node_close, node_recv_twice),
    {.name = NULL},
};
