/*
 * Purpose: liburcu's wait-free queue beside our MPSC channel: nodes from malloc, one exchange per
 *          push, freed by the consumer.
 * Owner:   this program.
 */
#define _LGPL_SOURCE /* inlined, as the library's documentation advises for such programs */
#include "peer_queue.h"

#include <urcu/wfcqueue.h>

struct item {
    struct cds_wfcq_node node;
    uint64_t value;
};

static struct cds_wfcq_head head;
static struct cds_wfcq_tail tail;

static void queue_open(unsigned producers)
{
    (void)producers;
    cds_wfcq_init(&head, &tail);
}

static void queue_close(void)
{
}

static int queue_push(unsigned producer, uint64_t value)
{
    struct item *item = malloc(sizeof *item);

    (void)producer;
    peer_require(item != NULL, "out of memory");
    cds_wfcq_node_init(&item->node);
    item->value = value;
    cds_wfcq_enqueue(&head, &tail, &item->node);
    return 1;
}

static int queue_pop(uint64_t *value)
{
    struct cds_wfcq_node *node = __cds_wfcq_dequeue_blocking(&head, &tail);
    struct item *item;

    if (node == NULL) {
        return 0;
    }
    item = caa_container_of(node, struct item, node);
    *value = item->value;
    free(item);
    return 1;
}

static const struct peer_queue queue = {
    .open = queue_open, .close = queue_close, .push = queue_push, .pop = queue_pop};

static void run_1(void)
{
    peer_queue_run(&queue, 1, 1);
}

static void run_2(void)
{
    peer_queue_run(&queue, 2, 1);
}

static void run_8(void)
{
    peer_queue_run(&queue, 8, 1);
}

static void run_1000(void)
{
    peer_queue_run(&queue, 1000, 1);
}

static const struct peer_row rows[] = {
    {"mpsc.1", run_1}, {"mpsc.2", run_2}, {"mpsc.8", run_8}, {"mpsc.1000", run_1000}, {NULL, NULL},
};

int main(int count, char **arguments)
{
    return peer_main(count, arguments, rows, "wfcqueue");
}
