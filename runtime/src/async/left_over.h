/*
 * Purpose: the blocks of the heap that belong to objects which are left when their pool ends:
 *          bodies of tasks, values of futures, what coroutines and compact channels hold.
 * Owner:   async. The chain runs through the first words of the blocks, whose owners are gone.
 * Threads: one, when nobody uses the pool any more.
 * Design:  [core.proto.async-pool]
 */
#ifndef EMP_ASYNC_LEFT_OVER_H
#define EMP_ASYNC_LEFT_OVER_H

#include "async/object.h"

/* Puts the blocks of an object in use onto the chain. Calls nothing: a lock may be held. */
void emp_left_over_gather(enum emp_object_kind kind, const void *object, void **chain);

/* The buffer of a channel object; NULL: it has none. */
void *emp_left_over_of_channel(const void *object);

/* Gives the blocks of a chain back. */
void emp_left_over_give(void *chain);

#endif
