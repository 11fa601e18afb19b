/*
 * Purpose: the drop-in never starts its thread from a free of the C library. ctest-timeout: 120
 * Owner:   tests of the drop-in. [preload.req.own-frees]
 */
#include "support/child_group.h"

int main(void)
{
    static const struct child_program programs[] = {{"stack_cache_child", 0, 0}};

    return child_group_run("dropin stack cache", programs, 1);
}
