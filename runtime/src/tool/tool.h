/*
 * Purpose: what the verbs of the command `echomem` share: exit codes, failures, JSON text, and
 *          where programs and the drop-in are found.
 * Owner:   tool. Threads: one.
 * Design:  [tool.req.verbs]
 */
#ifndef EMP_TOOL_TOOL_H
#define EMP_TOOL_TOOL_H

#include <stdbool.h>
#include <stddef.h>

/* Exit codes as env(1) and timeout(1) have them; a verb's own answer is 0 or 1. */
enum emp_tool_exit {
    EMP_TOOL_YES = 0,
    EMP_TOOL_NO = 1,
    EMP_TOOL_FAILED = 125,
    EMP_TOOL_CANNOT_RUN = 126,
    EMP_TOOL_NOT_FOUND = 127
};

#define EMP_TOOL_PATH_BYTES 4096

/* A verb: argv[0] is its own name. Returns an exit code. */
typedef int emp_tool_verb(int argc, char **argv);
emp_tool_verb emp_tool_options;
emp_tool_verb emp_tool_classes;
emp_tool_verb emp_tool_which;
emp_tool_verb emp_tool_run;
emp_tool_verb emp_tool_check;

/* Writes `echomem: <message>` on standard error and returns EMP_TOOL_FAILED. */
int emp_tool_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes text as a JSON string with quotes on standard output. */
void emp_tool_json_string(const char *text);

/* Finds a program as execvp would. Returns EMP_TOOL_YES, _CANNOT_RUN or _NOT_FOUND. */
int emp_tool_find_program(const char *name, char path[EMP_TOOL_PATH_BYTES]);

/*
 * Finds libechomem_malloc.so: ECHOMEM_MALLOC_SO, beside this program, then in the library folders
 * of the same prefix. False after a message when there is none.
 */
bool emp_tool_find_drop_in(char path[EMP_TOOL_PATH_BYTES]);

/* Writes LD_PRELOAD's value with the drop-in in front of what is there. False: no room. */
bool emp_tool_preload_value(const char *drop_in, char value[EMP_TOOL_PATH_BYTES]);

#endif
