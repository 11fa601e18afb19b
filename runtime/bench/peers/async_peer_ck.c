/*
 * Purpose: Concurrency Kit's rings beside our channels: SPSC, MPSC and MPMC of pointers. A push of
 *          several producers waits for those before it: with a thousand threads on few processors
 *          a batch takes minutes, so that row is left out.
 * Owner:   this program.
 */
#include "peer_queue.h"

#include <ck_ring.h>

#define SLOTS 1024

static ck_ring_t ring;
static ck_ring_buffer_t *slots;

static void ring_open(unsigned producers)
{
    (void)producers;
    slots = aligned_alloc(64, sizeof *slots * SLOTS);
    ck_ring_init(&ring, SLOTS);
}

static void ring_close(void)
{
    free(slots);
}

static int spsc_push(unsigned producer, uint64_t item)
{
    (void)producer;
    return ck_ring_enqueue_spsc(&ring, slots, (void *)item);
}

static int spsc_pop(uint64_t *item)
{
    void *entry = NULL;
    int is_taken = ck_ring_dequeue_spsc(&ring, slots, &entry);

    *item = (uint64_t)entry;
    return is_taken;
}

static int mpsc_push(unsigned producer, uint64_t item)
{
    (void)producer;
    return ck_ring_enqueue_mpsc(&ring, slots, (void *)item);
}

static int mpsc_pop(uint64_t *item)
{
    void *entry = NULL;
    int is_taken = ck_ring_dequeue_mpsc(&ring, slots, &entry);

    *item = (uint64_t)entry;
    return is_taken;
}

static int mpmc_push(unsigned producer, uint64_t item)
{
    (void)producer;
    return ck_ring_enqueue_mpmc(&ring, slots, (void *)item);
}

static int mpmc_pop(uint64_t *item)
{
    void *entry = NULL;
    int is_taken = ck_ring_dequeue_mpmc(&ring, slots, &entry);

    *item = (uint64_t)entry;
    return is_taken;
}

static const struct peer_queue spsc = {
    .open = ring_open, .close = ring_close, .push = spsc_push, .pop = spsc_pop};
static const struct peer_queue mpsc = {
    .open = ring_open, .close = ring_close, .push = mpsc_push, .pop = mpsc_pop};
static const struct peer_queue mpmc = {
    .open = ring_open, .close = ring_close, .push = mpmc_push, .pop = mpmc_pop};

static void run_spsc(void)
{
    peer_queue_run(&spsc, 1, 1);
}

static void run_mpmc(void)
{
    peer_queue_run(&mpmc, 2, 2);
}

static void run_mpsc_1(void)
{
    peer_queue_run(&mpsc, 1, 1);
}

static void run_mpsc_2(void)
{
    peer_queue_run(&mpsc, 2, 1);
}

static void run_mpsc_8(void)
{
    peer_queue_run(&mpsc, 8, 1);
}

static const struct peer_row rows[] = {
    {"spsc.single", run_spsc}, {"mpmc.2x2", run_mpmc}, {"mpsc.1", run_mpsc_1},
    {"mpsc.2", run_mpsc_2},    {"mpsc.8", run_mpsc_8}, {NULL, NULL},
};

int main(int count, char **arguments)
{
    return peer_main(count, arguments, rows, "0.7");
}
