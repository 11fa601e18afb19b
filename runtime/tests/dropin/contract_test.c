/*
 * Purpose: the drop-in keeps the contract of the malloc family, in C and in C++.
 * Owner:   tests of the drop-in. [preload.req.family] [preload.req.moving-numbers]
 */
#include "support/child_group.h"

int main(void)
{
    static const struct child_program programs[] = {
        {"contract_child", 0, 0},
        {"aligned_child", 0, 0},
        {"inspect_child", 0, 0},
        {"cxx_child", 0, 0},
    };

    return child_group_run("dropin contract", programs, sizeof(programs) / sizeof(programs[0]));
}
