/*
 * Purpose: the jemalloc names of the drop-in.
 * Owner:   tests of the drop-in. [preload.req.jemalloc-facade]
 */
#include "support/child_group.h"

int main(void)
{
    static const struct child_program programs[] = {{"jemalloc_child", 0, 0}};

    return child_group_run("dropin jemalloc names", programs, 1);
}
