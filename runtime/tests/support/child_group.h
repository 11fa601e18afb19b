/*
 * Purpose: makes one cmocka test of every case of some child programs, each in a process of its
 *          own with the drop-in preloaded.
 * Owner:   test support; one thread.
 */
#ifndef EMP_TESTS_SUPPORT_CHILD_GROUP_H
#define EMP_TESTS_SUPPORT_CHILD_GROUP_H

#include <stddef.h>

/* A child program and what its cases need besides the drop-in. */
struct child_program {
    const char *name;               /* file beside the test */
    const char *const *environment; /* NULL-terminated NAME=VALUE; NULL: none */
    const char *also_preload; /* file beside the test, preloaded after the drop-in; NULL: none */
};

/* Runs all cases of all programs. Returns what cmocka returns: the number of failures. */
int child_group_run(const char *group, const struct child_program *programs, size_t count);

#endif
