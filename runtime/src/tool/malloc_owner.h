/*
 * Purpose: the object whose malloc a program or a process gets.
 * Owner:   tool. Threads: one.
 * Design:  [tool.req.which]
 */
#ifndef EMP_TOOL_MALLOC_OWNER_H
#define EMP_TOOL_MALLOC_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

#include "tool/loaded_objects.h"
#include "tool/tool.h"

struct emp_malloc_owner {
    char path[EMP_TOOL_PATH_BYTES];
    bool is_ours; /* it also defines emp_malloc */
};

/* Fills *owner. False: the loader refused, or nothing defines malloc. */
bool emp_malloc_owner_of_program(const struct emp_object_source *source,
                                 struct emp_malloc_owner *owner);

/* Fills *owner. False: errno says why; ENOEXEC: no dynamically linked program. */
bool emp_malloc_owner_of_process(pid_t pid, struct emp_malloc_owner *owner);

#endif
