/*
 * Purpose: threads, their ends, cancellation and fork under the drop-in. ctest-timeout: 300
 * Owner:   tests of the drop-in. [preload.req.family]
 */
#include "support/child_group.h"

int main(void)
{
    static const struct child_program programs[] = {
        {"thread_child", 0, 0},
        {"fork_child", 0, 0},
    };

    return child_group_run("dropin threads", programs, sizeof(programs) / sizeof(programs[0]));
}
