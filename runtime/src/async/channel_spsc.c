/*
 * Purpose: the cells of an SPSC channel in their place: reserve and commit, peek and acknowledge.
 * Owner:   async. A cell that was given out is the caller's until commit or ack.
 * Threads: one sender, one receiver at a time.
 * Design:  [async.proto.channel]
 */
#include "async/channel_spsc.h"

#include "async/channel.h"

static uint32_t wanted_of(const struct emp_channel_large *large, size_t wanted)
{
    return wanted < large->room ? (uint32_t)wanted : large->room;
}

enum emp_status emp_channel_reserve(struct emp_channel *channel, size_t wanted, void **cells,
                                    size_t *count)
{
    struct emp_channel_large *large = emp_channel_large(channel);

    *count = 0;
    if (channel->kind != EMP_CHANNEL_SPSC) {
        return EMP_ERR_UNSUPPORTED;
    }
    if (emp_ends_is_closed(&channel->ends)) {
        return EMP_ERR_CLOSED;
    }
    struct emp_spsc_producer *own = &large->producer.at.spsc;
    uint32_t tail = emp_spsc_tail(own);
    uint32_t room =
        emp_spsc_room(own, &large->consumer.at.spsc, large->room, wanted_of(large, wanted));

    *cells = emp_spsc_cell(large, tail);
    large->reserved = emp_spsc_in_a_row(large, tail, room);
    *count = large->reserved;
    return room != 0 ? EMP_OK : EMP_ERR_AGAIN;
}

enum emp_status emp_channel_commit(struct emp_channel *channel, size_t count)
{
    struct emp_channel_large *large = emp_channel_large(channel);

    if (channel->kind != EMP_CHANNEL_SPSC || count > large->reserved) {
        return EMP_ERR_INVALID;
    }
    large->reserved = 0;
    if (count != 0) {
        emp_spsc_publish(&large->producer.at.spsc, (uint32_t)count);
        emp_channel_tell(large, EMP_RECEIVING, count);
    }
    return EMP_OK;
}

enum emp_status emp_channel_peek(struct emp_channel *channel, size_t wanted, void **cells,
                                 size_t *count)
{
    struct emp_channel_large *large = emp_channel_large(channel);
    enum emp_status status = EMP_OK;

    *count = 0;
    if (channel->kind != EMP_CHANNEL_SPSC) {
        return EMP_ERR_UNSUPPORTED;
    }
    uint32_t ready = emp_spsc_look(large, wanted_of(large, wanted), &status);
    uint32_t head = emp_spsc_head(&large->consumer.at.spsc);

    *cells = emp_spsc_cell(large, head);
    large->peeked = emp_spsc_in_a_row(large, head, ready);
    *count = large->peeked;
    return status;
}

enum emp_status emp_channel_ack(struct emp_channel *channel, size_t count)
{
    struct emp_channel_large *large = emp_channel_large(channel);

    if (channel->kind != EMP_CHANNEL_SPSC || count > large->peeked) {
        return EMP_ERR_INVALID;
    }
    large->peeked = 0;
    if (count != 0) {
        emp_spsc_consume(&large->consumer.at.spsc, (uint32_t)count);
        emp_channel_tell(large, EMP_SENDING, count);
    }
    return EMP_OK;
}
