/*
 * Purpose: the table of the types of values.
 * Owner:   async. Threads: any; an entry is const once its number is known.
 * Design:  [async.proto.future]
 */
#include "async/value_type.h"

#include <stddef.h>

#include "sync/number_table.h"

static const void *types[EMP_VALUE_TYPES];
static struct emp_number_table table = {types, EMP_VALUE_TYPES, 0};

uint32_t emp_value_type_number(struct emp_value_type *type)
{
    return emp_number_table_give(&table, type, &type->id);
}

const struct emp_value_type *emp_value_type_of(uint32_t number)
{
    return emp_number_table_at(&table, number);
}
