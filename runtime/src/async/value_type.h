/*
 * Purpose: numbers for the types of values, so that a future holds one in 16 bits.
 * Owner:   async; a static table that only grows. Threads: any.
 * Design:  [async.proto.future]
 */
#ifndef EMP_ASYNC_VALUE_TYPE_H
#define EMP_ASYNC_VALUE_TYPE_H

#include <stdint.h>

#include "async/future.h"

#define EMP_VALUE_TYPES 1024u /* number 0 is for plain bytes */

/* The number of a type, given at the first call; 0: there are too many. */
uint32_t emp_value_type_number(struct emp_value_type *type);

/* The type of a number; NULL for plain bytes. */
const struct emp_value_type *emp_value_type_of(uint32_t number);

#endif
