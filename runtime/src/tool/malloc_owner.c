/*
 * Purpose: asks each loaded object, in search order, whether it defines malloc.
 * Owner:   tool. Threads: one. Cost: O(symbols of the objects before the owner).
 * Design:  [tool.req.which]
 */
#include "tool/malloc_owner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/elf_file.h"

/* Takes the first object that defines malloc; libc defines it too, so there are always others. */
static bool note_owner(const char *path, void *arg)
{
    struct emp_malloc_owner *owner = arg;
    struct emp_elf_file file;
    enum emp_elf_kind kind = emp_elf_open(path, &file);

    if (kind == EMP_ELF_NATIVE) {
        if (emp_elf_defines(&file, "malloc")) {
            owner->is_ours = emp_elf_defines(&file, "emp_malloc");
            (void)snprintf(owner->path, sizeof(owner->path), "%s", path);
        }
        emp_elf_close(&file);
    } else if (kind == EMP_ELF_SCRIPT) {
        emp_elf_close(&file);
    }
    return owner->path[0] == '\0';
}

bool emp_malloc_owner_of_program(const struct emp_object_source *source,
                                 struct emp_malloc_owner *owner)
{
    memset(owner, 0, sizeof(*owner));
    return emp_objects_of_program(source, note_owner, owner) && owner->path[0] != '\0';
}

bool emp_malloc_owner_of_process(pid_t pid, struct emp_malloc_owner *owner)
{
    char resolved[EMP_TOOL_PATH_BYTES];

    memset(owner, 0, sizeof(*owner));
    if (!emp_objects_of_process(pid, note_owner, owner)) {
        return false;
    }
    if (owner->path[0] == '\0') {
        errno = ENOEXEC;
        return false;
    }
    /* The path begins with /proc/<pid>/root or is /proc/<pid>/exe; show the file itself. */
    if (realpath(owner->path, resolved) != NULL) {
        (void)snprintf(owner->path, sizeof(owner->path), "%s", resolved);
    }
    return true;
}
