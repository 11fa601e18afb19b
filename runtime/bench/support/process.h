/*
 * Purpose: this program started again as a child, with another malloc, and its lines of results.
 * Owner:   the parent process, one thread.
 */
#ifndef BENCH_SUPPORT_PROCESS_H
#define BENCH_SUPPORT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_RESULT_FD     3 /* where a child writes its lines */
#define BENCH_TURN_READ_FD  4
#define BENCH_TURN_WRITE_FD 5

struct bench_process {
    pid_t pid;
    int fd; /* read end of the results */
};

struct bench_command {
    const char *const *arguments; /* NULL-terminated, without the program's name */
    const char *program;          /* the file to run; NULL: this program's */
    const char *preload;          /* LD_PRELOAD; empty: none */
    const int *turn_fds;          /* read end, write end; NULL: none */
    bool is_quiet;                /* standard error goes nowhere */
};

/* Starts the child; false, after a message, when the system refuses. */
bool bench_process_start(struct bench_process *process, const struct bench_command *command);

/*
 * Reads the child's lines until it ends or timeout_ns has passed (then it is killed), and calls
 * take for each. Returns NULL, or why it failed: a text of this function, valid until the next
 * call.
 */
const char *bench_process_finish(struct bench_process *process, uint64_t timeout_ns,
                                 void (*take)(void *context, char *line), void *context);

/* Directory of this program's file, without the final slash. */
const char *bench_program_directory(void);

#endif
