/*
 * Purpose: asks child programs for their cases and runs each of them.
 * Owner:   test support; one thread.
 */
#include "support/child_group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/program_run.h"

#define CASES_MAX     256
#define VARIABLES_MAX 16
#define CASE_SECONDS  150 /* sixteen busy threads and a fork take their time on a busy machine */
#define LABEL_BYTES   96

/* One case of one program; the state of its cmocka test. */
struct child_case_state {
    const struct child_program *program;
    char label[LABEL_BYTES]; /* "program: case" */
    const char *name;        /* the case, inside label */
};

static struct child_case_state states[CASES_MAX];
static struct CMUnitTest tests[CASES_MAX];
static struct program_result result; /* large: not on the stack */

/* Asks a program for its cases; it must run without the drop-in too. Returns the new count. */
static size_t add_cases(const struct child_program *program, size_t count)
{
    const char *const argv[] = {program_beside(program->name), NULL};
    struct program_request request = {argv, NULL, NULL, 0};
    char *rest = NULL;

    if (!program_run(&request, &result) || result.exit_code != 0) {
        (void)fprintf(stderr, "%s cannot list its cases: exit code %d %s\n", argv[0],
                      result.exit_code, result.errors);
        exit(1);
    }
    for (char *line = strtok_r(result.output, "\n", &rest); line != NULL && count < CASES_MAX;
         line = strtok_r(NULL, "\n", &rest)) {
        struct child_case_state *state = &states[count++];

        state->program = program;
        (void)snprintf(state->label, sizeof(state->label), "%.40s: %.48s", program->name, line);
        state->name = strstr(state->label, ": ") + 2;
    }
    return count;
}

static void run_one(void **state)
{
    const struct child_case_state *one = *state;
    const char *const argv[] = {program_beside(one->program->name), one->name, NULL};
    const char *environment[VARIABLES_MAX] = {NULL};
    struct program_request request = {argv, environment, NULL, CASE_SECONDS};
    char preload[2 * PROGRAM_PATH_BYTES];
    size_t used = 1;

    (void)snprintf(preload, sizeof(preload), "%s%s%s", program_preload(),
                   one->program->also_preload != NULL ? ":" : "",
                   one->program->also_preload != NULL ? program_beside(one->program->also_preload)
                                                      : "");
    environment[0] = preload;
    for (const char *const *entry = one->program->environment;
         entry != NULL && *entry != NULL && used < VARIABLES_MAX - 1; ++entry) {
        environment[used++] = *entry;
    }
    assert_true(program_run(&request, &result));
    if (result.timed_out || result.exit_code != 0) {
        print_error("exit code %d%s\n%s%s", result.exit_code,
                    result.timed_out ? " (time over)" : "", result.output, result.errors);
    }
    assert_false(result.timed_out);
    assert_int_equal(result.exit_code, 0);
}

int child_group_run(const char *group, const struct child_program *programs, size_t count)
{
    size_t cases = 0;

    for (size_t i = 0; i < count; ++i) {
        cases = add_cases(&programs[i], cases);
    }
    for (size_t i = 0; i < cases; ++i) {
        tests[i] = (struct CMUnitTest){states[i].label, run_one, NULL, NULL, &states[i]};
    }
    return _cmocka_run_group_tests(group, tests, cases, NULL, NULL);
}
