/*
 * Purpose: a name for mkstemp in the folder that the environment names for temporary files.
 * Owner:   test support. Threads: any.
 */
#ifndef EMP_TESTS_SUPPORT_TEMPORARY_PATH_H
#define EMP_TESTS_SUPPORT_TEMPORARY_PATH_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define TEMPORARY_PATH_BYTES 1024

/* Writes "<TMPDIR, else /tmp>/echomem-test-XXXXXX" into path. */
static inline void temporary_path(char path[TEMPORARY_PATH_BYTES])
{
    const char *folder = getenv("TMPDIR");

    (void)snprintf(path, TEMPORARY_PATH_BYTES, "%s/echomem-test-XXXXXX",
                   folder != NULL && folder[0] != '\0' ? folder : "/tmp");
}

#endif
