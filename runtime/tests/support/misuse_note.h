/*
 * What: the last misuse report, kept by a callback that lets the program go on.
 * Owner: each test program that includes it. Threads: one.
 */
#ifndef EMP_TESTS_SUPPORT_MISUSE_NOTE_H
#define EMP_TESTS_SUPPORT_MISUSE_NOTE_H

#include <string.h>

#include "core/memory_monitor.h"

static unsigned reports;    /* so far */
static const void *pointer; /* of the last one */
static char code[8];

static inline enum emp_misuse_action note_report(const struct emp_misuse *misuse, void *arg)
{
    (void)arg;
    (void)strncpy(code, misuse->code, sizeof code - 1);
    pointer = misuse->pointer;
    reports++;
    return EMP_MISUSE_CONTINUE;
}

#endif
