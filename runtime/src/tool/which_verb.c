/*
 * Purpose: `echomem which PROG` and `echomem which -p PID`: the library whose malloc a program
 *          gets.
 * Owner:   tool. Threads: one.
 * Design:  [tool.req.which]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/elf_file.h"
#include "tool/malloc_owner.h"
#include "tool/tool.h"

static int print_owner(const struct emp_malloc_owner *owner)
{
    printf("malloc: %s%s\n", owner->path, owner->is_ours ? " (echomem)" : "");
    return EMP_TOOL_YES;
}

static int which_process(const char *text)
{
    struct emp_malloc_owner owner;
    char *end;
    long pid = strtol(text, &end, 10);

    if (*text == '\0' || *end != '\0' || pid <= 0) {
        return emp_tool_fail("'%s' is not a process id", text);
    }
    if (!emp_malloc_owner_of_process((pid_t)pid, &owner)) {
        if (errno == ENOEXEC) {
            return emp_tool_fail("process %ld is statically linked or not running user code", pid);
        }
        return emp_tool_fail("process %ld: %s", pid, strerror(errno));
    }
    return print_owner(&owner);
}

static int which_program(const char *name)
{
    char path[EMP_TOOL_PATH_BYTES];
    struct emp_malloc_owner owner;
    struct emp_elf_file file;
    struct emp_object_source source = {path, NULL, NULL};
    int verdict = emp_tool_find_program(name, path);
    enum emp_elf_kind kind;

    if (verdict != EMP_TOOL_YES) {
        (void)emp_tool_fail("%s: %s", name,
                            verdict == EMP_TOOL_NOT_FOUND ? "not found" : "not an executable file");
        return verdict;
    }
    kind = emp_elf_open(path, &file);
    if (kind == EMP_ELF_SCRIPT) {
        emp_elf_close(&file);
        return emp_tool_fail("%s is a script; name the program that runs it", path);
    }
    if (kind != EMP_ELF_NATIVE) {
        return emp_tool_fail("%s is no program of this machine", path);
    }
    source.interpreter = emp_elf_interpreter(&file);
    if (source.interpreter == NULL) {
        emp_elf_close(&file);
        printf("malloc: %s (statically linked)\n", path);
        return EMP_TOOL_YES;
    }
    if (!emp_malloc_owner_of_program(&source, &owner)) {
        emp_elf_close(&file);
        return emp_tool_fail("%s: its dynamic loader cannot load it", path);
    }
    emp_elf_close(&file);
    return print_owner(&owner);
}

int emp_tool_which(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "-p") == 0) {
        return which_process(argv[2]);
    }
    if (argc == 2 && argv[1][0] != '-') {
        return which_program(argv[1]);
    }
    return emp_tool_fail("usage: echomem which PROG | -p PID");
}
