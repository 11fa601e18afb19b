/*
 * Purpose: the table of the types of values.
 * Owner:   async. Threads: any; an entry is written once, before its number is known.
 * Design:  [async.proto.future]
 */
#include "async/value_type.h"

#include <stddef.h>

#include "sync/atomic.h"

static const struct emp_value_type *types[EMP_VALUE_TYPES]; /* atomic: value-type. const once set */
static uint32_t types_used = 1;                             /* atomic: value-type */

/* A number that nobody has; 0: none is left. */
static uint32_t number_take(void)
{
    /* order(value-type): relaxed; a number, the swap decides who has it */
    uint32_t seen = emp_load_relaxed(&types_used);

    do {
        if (seen >= EMP_VALUE_TYPES) {
            return 0;
        }
        /* order(value-type): relaxed; as above */
    } while (!emp_cas_relaxed(&types_used, &seen, seen + 1));
    return seen;
}

uint32_t emp_value_type_number(struct emp_value_type *type)
{
    /* order(value-type): acquire; who knows the number sees the entry */
    uint32_t number = emp_load_acquire(&type->id);

    if (number != 0) {
        return number;
    }
    number = number_take();
    if (number != 0) {
        /* order(value-type): relaxed; the store of the number below shows it */
        emp_store_relaxed(&types[number], type);
        /* order(value-type): release; the entry; of two threads that came first both numbers hold */
        emp_store_release(&type->id, number);
    }
    return number;
}

const struct emp_value_type *emp_value_type_of(uint32_t number)
{
    /* order(value-type): relaxed; the number came with the result, behind its publication */
    return number == 0 ? NULL : emp_load_relaxed(&types[number]);
}
