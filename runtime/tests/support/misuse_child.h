/*
 * Purpose: runs a misuse in a child process, keeps every write to standard error as one text, and
 *          compares the report with what is expected.
 * Owner:   test support; one thread. The child's standard error is a packet pipe: one packet per
 *          write.
 */
#ifndef EMP_TESTS_SUPPORT_MISUSE_CHILD_H
#define EMP_TESTS_SUPPORT_MISUSE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MISUSE_WRITES_MAX 8
#define MISUSE_TEXT_BYTES 2048

/* How far the child came; a report is "in the call" when it ends between ARMED and PASSED. */
enum misuse_stage { MISUSE_BEGUN = 0, MISUSE_ARMED, MISUSE_PASSED, MISUSE_LEFT, MISUSE_SOUND };

/* What parent and child share. Written by the child. */
struct misuse_notes {
    uint32_t stage;     /* enum misuse_stage */
    uint32_t callbacks; /* calls of the misuse callback */
    uintptr_t pointer;  /* the pointer that the report must name */
    char code[8];       /* as the callback saw it */
    uintptr_t seen;     /* pointer as the callback saw it */
};
extern struct misuse_notes *misuse_notes;

/* What a child has written and how it ended. */
struct misuse_ending {
    unsigned writes;
    int status;
    char text[MISUSE_WRITES_MAX][MISUSE_TEXT_BYTES + 1];
};
extern struct misuse_ending misuse_ending;

/* Runs body(arg) in a child that then exits with MISUSE_SURVIVED by _exit. */
void misuse_run(void (*body)(void *arg), void *arg);
#define MISUSE_SURVIVED 7

/* How the last child ended. */
bool misuse_aborted(void);
bool misuse_survived(void);

/* Between these two calls lies the call that is wrong about `pointer`; called by the child. */
void misuse_arm(const void *pointer);
void misuse_passed(void);

/* How a block leaves the thread's cache. */
enum misuse_way {
    MISUSE_BY_AUDIT = 0,
    MISUSE_BY_PARK,
    MISUSE_BY_PURGE,
    MISUSE_BY_THREAD_EXIT,
    MISUSE_BY_PROCESS_EXIT,
    MISUSE_WAYS
};

/* One misuse. */
struct misuse_case {
    const char *name;
    const char *code; /* "E1002" */
    const char *text; /* "double free" */
    const char *call; /* of a report in the call: "free" */
    /* default build: when the block leaves the cache; secure and audit: in the call */
    bool late;
    void (*body)(void); /* calls misuse_arm, does it, calls misuse_passed */
};

/*
 * Runs a case until the abort, then with the option continue and with a callback, where the program
 * must go on with a sound heap. Fails the cmocka test with the text of the report.
 */
void misuse_check(const struct misuse_case *one);

/* Arms, then frees a pointer that is wrong; called by the child. */
void misuse_free(void *pointer);

/* Checks count cases, at most MISUSE_CASES_MAX, one cmocka test each; the status of main. */
int misuse_check_all(const char *group, const struct misuse_case *cases, size_t count);
#define MISUSE_CASES_MAX 64

/* Fails with the text when it has no such line. */
void misuse_assert_has(const char *text, const char *line);

/* 10,000 operations of all sizes, then an audit; false: something is wrong. */
bool misuse_heap_is_sound(void);

#endif
