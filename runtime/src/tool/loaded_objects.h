/*
 * Purpose: the libraries a program would load, asked of its own dynamic loader, and those a
 *          process has loaded, read from its memory; both in the order in which symbols are
 *          searched.
 * Owner:   tool. Threads: one.
 * Design:  [tool.req.which]
 */
#ifndef EMP_TOOL_LOADED_OBJECTS_H
#define EMP_TOOL_LOADED_OBJECTS_H

#include <stdbool.h>
#include <sys/types.h>

/* Called with each path in search order, the program first; false ends the walk. */
typedef bool emp_object_visit(const char *path, void *arg);

/* A program, and a value for LD_PRELOAD; NULL keeps the environment's. */
struct emp_object_source {
    const char *program;
    const char *interpreter;
    const char *preload;
};

/* Walks what the loader would load; runs no code of the program. False: the loader refused. */
bool emp_objects_of_program(const struct emp_object_source *source, emp_object_visit *visit,
                            void *arg);

/* Walks what a process has loaded. False: errno says why it cannot be read. */
bool emp_objects_of_process(pid_t pid, emp_object_visit *visit, void *arg);

#endif
