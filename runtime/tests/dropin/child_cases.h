/*
 * Purpose: the frame of a program that runs one named case and ends with 0, or says what went
 *          wrong.
 * Owner:   tests of the drop-in; used by plain programs that know nothing of the library.
 */
#ifndef EMP_TESTS_DROPIN_CHILD_CASES_H
#define EMP_TESTS_DROPIN_CHILD_CASES_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One case: its name on the command line and what it does. */
struct child_case {
    const char *name;
    void (*run)(void);
};

/* Ends the program with the expression and errno when the condition does not hold. */
#define CHECK(condition)                                                                      \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
            exit(1);                                                                          \
        }                                                                                     \
    } while (0)

/* The same for numbers, which are shown. */
#define CHECK_SIZE(got, op, want)                                                           \
    do {                                                                                    \
        size_t got_value = (size_t)(got);                                                   \
        size_t want_value = (size_t)(want);                                                 \
        if (!(got_value op want_value)) {                                                   \
            fprintf(stderr, "%s:%d: %s = %zu, expected %s %zu\n", __FILE__, __LINE__, #got, \
                    got_value, #op, want_value);                                            \
            exit(1);                                                                        \
        }                                                                                   \
    } while (0)

/* Runs the case that argv names; without a name lists them. */
static inline int run_case(int argc, char **argv, const struct child_case *cases, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        if (argc < 2) {
            puts(cases[i].name);
        } else if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    }
    return argc < 2 ? 0 : 2;
}

#define CASE_COUNT(cases) (sizeof(cases) / sizeof((cases)[0]))

#endif
