/*
 * Purpose: one element through an SPSC channel in as few instructions as its calls allow.
 * Owner:   async. Threads: one sender, one receiver at a time.
 * Design:  [async.proto.channel]
 * Cost:    no read-modify-write, no fence instruction while nobody parks; see the page for numbers.
 */
#ifndef EMP_ASYNC_CHANNEL_SPSC_H
#define EMP_ASYNC_CHANNEL_SPSC_H

#include "async/channel_internal.h"

/* Where the element of a position lies. */
static inline char *emp_spsc_cell(const struct emp_channel_large *large, uint32_t position)
{
    return large->cells + (size_t)(position & (large->room - 1)) * large->channel.bytes;
}

/* How many of count cells lie in a row before the ring begins anew. */
static inline uint32_t emp_spsc_in_a_row(const struct emp_channel_large *large, uint32_t position,
                                         uint32_t count)
{
    uint32_t left = large->room - (position & (large->room - 1));

    return count < left ? count : left;
}

static EMP_ALWAYS_INLINE enum emp_status emp_spsc_send_one(struct emp_channel_large *large,
                                                           const void *value)
{
    struct emp_spsc_producer *own = &large->producer.at.spsc;

    if (emp_unlikely(emp_ends_is_closed(&large->channel.ends))) {
        return EMP_ERR_CLOSED;
    }
    if (emp_unlikely(emp_spsc_room(own, &large->consumer.at.spsc, large->room, 1) == 0)) {
        return EMP_ERR_AGAIN;
    }
    emp_channel_copy(emp_spsc_cell(large, emp_spsc_tail(own)), value, large->channel.bytes);
    emp_spsc_publish(own, 1);
    emp_channel_tell(large, EMP_RECEIVING, 1);
    return EMP_OK;
}

/* How many of the wanted elements are there; 0: *status says why. */
static EMP_ALWAYS_INLINE uint32_t emp_spsc_look(struct emp_channel_large *large, uint32_t wanted,
                                                enum emp_status *status)
{
    struct emp_spsc_consumer *own = &large->consumer.at.spsc;
    uint32_t ready = emp_spsc_ready(own, &large->producer.at.spsc, wanted);

    *status = EMP_OK;
    if (emp_unlikely(ready == 0)) {
        *status = EMP_ERR_AGAIN;
        if (emp_ends_is_closed(&large->channel.ends)) {
            /* What was sent before the close is seen now. */
            ready = emp_spsc_ready(own, &large->producer.at.spsc, wanted);
            *status = ready == 0 ? EMP_ERR_CLOSED : EMP_OK;
        }
    }
    return ready;
}

static EMP_ALWAYS_INLINE enum emp_status emp_spsc_recv_one(struct emp_channel_large *large,
                                                           void *value)
{
    struct emp_spsc_consumer *own = &large->consumer.at.spsc;
    enum emp_status status = EMP_OK;

    if (emp_spsc_look(large, 1, &status) != 0) {
        emp_channel_copy(value, emp_spsc_cell(large, emp_spsc_head(own)), large->channel.bytes);
        emp_spsc_consume(own, 1);
        emp_channel_tell(large, EMP_SENDING, 1);
    }
    return status;
}

/* What the two below are for: with both known they need no call and no frame. */
static EMP_ALWAYS_INLINE bool emp_spsc_is_of_words(const struct emp_channel *channel)
{
    return emp_likely(channel->kind == EMP_CHANNEL_SPSC) && emp_likely(channel->bytes == 8);
}

/* Sends 8 bytes. False: nothing was done. */
static EMP_ALWAYS_INLINE bool emp_spsc_send_word(struct emp_channel *channel, const void *value)
{
    if (!emp_spsc_is_of_words(channel) || emp_unlikely(emp_ends_is_closed(&channel->ends))) {
        return false;
    }
    struct emp_channel_large *const large = emp_channel_large(channel);
    struct emp_spsc_producer *const own = &large->producer.at.spsc;
    const uint32_t tail = emp_spsc_tail(own);

    if (emp_unlikely(emp_spsc_room(own, &large->consumer.at.spsc, large->room, 1) == 0)) {
        return false;
    }
    memcpy(large->cells + (size_t)(tail & (large->room - 1)) * 8, value, 8);
    emp_spsc_publish_to(own, tail + 1);
    emp_channel_tell(large, EMP_RECEIVING, 1);
    return true;
}

/* Receives 8 bytes. False: nothing was done. */
static EMP_ALWAYS_INLINE bool emp_spsc_recv_word(struct emp_channel *channel, void *value)
{
    if (!emp_spsc_is_of_words(channel)) {
        return false;
    }
    struct emp_channel_large *const large = emp_channel_large(channel);
    struct emp_spsc_consumer *const own = &large->consumer.at.spsc;
    const uint32_t head = emp_spsc_head(own);

    if (emp_spsc_ready(own, &large->producer.at.spsc, 1) == 0) {
        return false;
    }
    memcpy(value, large->cells + (size_t)(head & (large->room - 1)) * 8, 8);
    emp_spsc_consume_to(own, head + 1);
    emp_channel_tell(large, EMP_SENDING, 1);
    return true;
}

#endif
