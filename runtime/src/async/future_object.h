/*
 * Purpose: CompactFuture as an object, and completion in two steps for its neighbours in the room.
 * Owner:   async. The winner of the claim writes meta and value, then publishes; consumers read
 *          them behind that, and the last consumer ends the value.
 * Threads: any.
 * Design:  [async.proto.future]
 */
#ifndef EMP_ASYNC_FUTURE_OBJECT_H
#define EMP_ASYNC_FUTURE_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "async/future.h"

/* How a future completed. */
enum emp_future_kind { EMP_FUTURE_OK, EMP_FUTURE_ERROR, EMP_FUTURE_CANCELLED, EMP_FUTURE_EXPIRED };

#define EMP_FUTURE_BOXED 255u

/* 32 bytes, EMP_OBJECT_FUTURE. Freed by whoever gives the last reference back. */
struct emp_future {
    uintptr_t word; /* atomic: future-word */
    uint8_t kind;   /* enum emp_future_kind; meta and value: the winner's until READY, then const */
    uint8_t length; /* bytes of the value, or EMP_FUTURE_BOXED */
    uint16_t type;  /* number of the value's type; 0: bytes */
    uint32_t refs;  /* atomic: future-refs */
    union {
        unsigned char bytes[EMP_FUTURE_INLINE_BYTES];
        struct {
            void *box; /* NULL: taken and given back */
            uint64_t length;
        } boxed;
    } value;
};

_Static_assert(sizeof(struct emp_future) == 32, "EMP_OBJECT_FUTURE");
_Static_assert(offsetof(struct emp_future, value) == 16, "a value is 16-aligned");

/*
 * The first half of emp_future_resolve: from now on nobody else completes the future, but nobody
 * sees the value either. EMP_OK: emp_future_announce must follow, and may come from another thread
 * that this one hands the future to. Else as emp_future_resolve, and nothing happened.
 */
enum emp_status emp_future_prepare(struct emp_future *future, const void *value, size_t bytes);

/* The second half: shows the value, or drops it and cancels, and wakes. */
void emp_future_announce(struct emp_future *future, bool cancelled);

#endif
