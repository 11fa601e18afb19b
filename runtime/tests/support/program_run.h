/*
 * Purpose: runs a program with a chosen environment and a time limit, and keeps what it writes;
 *          finds the drop-in and the programs built beside the test.
 * Owner:   test support; one thread.
 */
#ifndef EMP_TESTS_SUPPORT_PROGRAM_RUN_H
#define EMP_TESTS_SUPPORT_PROGRAM_RUN_H

#include <stdbool.h>
#include <stddef.h>

#define PROGRAM_TEXT_BYTES (1024 * 1024) /* all symbols that a sanitizer's library binds */
#define PROGRAM_PATH_BYTES 4096

/* What a program did. Texts end with NUL; what does not fit is read and dropped. */
struct program_result {
    int exit_code; /* 128 + signal when a signal ended it */
    bool timed_out;
    size_t output_bytes;
    size_t error_bytes;
    char output[PROGRAM_TEXT_BYTES];
    char errors[PROGRAM_TEXT_BYTES];
};

/* What to run. */
struct program_request {
    const char *const *argv;        /* NULL-terminated; argv[0] is searched in PATH */
    const char *const *environment; /* NULL-terminated NAME=VALUE, added to that of the test */
    const char *input;              /* text for standard input; NULL: empty */
    unsigned limit_seconds;         /* killed after that; 0: 60 */
};

/* Runs to the end. False: it could not be started. */
bool program_run(const struct program_request *request, struct program_result *result);

/* Path of libechomem_malloc.so: ECHOMEM_MALLOC_SO, else beside the test's folder. */
const char *program_drop_in(void);

/* Path of a file relative to the folder of the test; static, the last 8 answers stay valid. */
const char *program_beside(const char *name);

/* "LD_PRELOAD=<drop-in>", for an environment. */
const char *program_preload(void);

/* True when a program is in PATH, or is there if the name has a slash. */
bool program_exists(const char *name);

/* N of the line `echomem: served N allocations` with the largest N; 0: there is none. */
unsigned long long program_served(const char *errors);

#endif
