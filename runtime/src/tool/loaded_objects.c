/*
 * Purpose: walks the libraries of a program (through `ld.so --list`) and of a process (its link
 *          map).
 * Owner:   tool. Threads: one.
 * Design:  [tool.req.which]
 * Source:  ld.so(8); glibc <link.h>: DT_DEBUG of the program leads to struct r_debug, whose list
 *          has the program, the preloaded libraries and the others in the order of the global
 *          scope.
 */
#define _GNU_SOURCE /* process_vm_readv */
#include "tool/loaded_objects.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool/tool.h"

#define OBJECTS_MAX 4096u /* bound of every list that another process hands us */

/* Runs the loader with its output in a pipe. Returns the read end, or -1. */
static int start_loader(const struct emp_object_source *source, pid_t *child)
{
    int ends[2];

    if (pipe(ends) != 0) {
        return -1;
    }
    *child = fork();
    if (*child == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        if (source->preload != NULL) {
            (void)setenv("LD_PRELOAD", source->preload, 1);
        }
        execl(source->interpreter, source->interpreter, "--list", source->program, (char *)NULL);
        _exit(EMP_TOOL_CANNOT_RUN);
    }
    (void)close(ends[1]);
    if (*child < 0) {
        (void)close(ends[0]);
        return -1;
    }
    return ends[0];
}

/* The path in a line of the loader: after "=> " if that is there, up to " (0x". False: no file. */
static bool path_of_line(char *line, const char **path)
{
    char *arrow = strstr(line, "=> ");
    char *start = arrow != NULL ? arrow + 3 : line + strspn(line, " \t");
    char *end = strstr(start, " (0x");

    if (end == NULL || *start != '/') {
        return false;
    }
    *end = '\0';
    *path = start;
    return true;
}

bool emp_objects_of_program(const struct emp_object_source *source, emp_object_visit *visit,
                            void *arg)
{
    char line[EMP_TOOL_PATH_BYTES];
    const char *path;
    pid_t child;
    int status = 0;
    int fd = start_loader(source, &child);
    FILE *lines = fd < 0 ? NULL : fdopen(fd, "r");
    bool wants_more = visit(source->program, arg);

    if (lines == NULL) {
        return false;
    }
    while (fgets(line, sizeof(line), lines) != NULL) {
        if (wants_more && path_of_line(line, &path)) {
            wants_more = visit(path, arg);
        }
    }
    (void)fclose(lines);
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Copies bytes out of a process. */
static bool read_memory(pid_t pid, uintptr_t address, void *out, size_t bytes)
{
    struct iovec local = {out, bytes};
    struct iovec remote = {(void *)address, bytes};

    return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)bytes;
}

/* Copies a string that may end anywhere before the end of its page. */
static bool read_text(pid_t pid, uintptr_t address, char *out, size_t bytes)
{
    for (size_t i = 0; i < bytes; ++i) {
        if (!read_memory(pid, address + i, &out[i], 1)) {
            return false;
        }
        if (out[i] == '\0') {
            return true;
        }
    }
    errno = ENAMETOOLONG;
    return false;
}

/* The program headers of a process, by its auxiliary vector. */
struct headers {
    uintptr_t address;
    size_t count;
};

static bool read_headers(pid_t pid, struct headers *headers)
{
    char path[64];
    ElfW(auxv_t) entry;
    int fd;

    memset(headers, 0, sizeof(*headers));
    (void)snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    while (read(fd, &entry, sizeof(entry)) == (ssize_t)sizeof(entry) && entry.a_type != AT_NULL) {
        if (entry.a_type == AT_PHDR) {
            headers->address = entry.a_un.a_val;
        } else if (entry.a_type == AT_PHNUM) {
            headers->count = entry.a_un.a_val;
        }
    }
    (void)close(fd);
    errno = ENOEXEC;
    return headers->address != 0 && headers->count != 0 && headers->count < OBJECTS_MAX;
}

/* The address of the dynamic section of the program; 0: it has none, or it cannot be read. */
static uintptr_t dynamic_section(pid_t pid)
{
    struct headers headers;
    uintptr_t bias = 0;
    uintptr_t dynamic = 0;

    if (!read_headers(pid, &headers)) {
        return 0;
    }
    for (size_t i = 0; i < headers.count; ++i) {
        ElfW(Phdr) segment;

        if (!read_memory(pid, headers.address + i * sizeof(segment), &segment, sizeof(segment))) {
            return 0;
        }
        if (segment.p_type == PT_PHDR) {
            bias = headers.address - segment.p_vaddr;
        } else if (segment.p_type == PT_DYNAMIC) {
            dynamic = segment.p_vaddr;
        }
    }
    errno = ENOEXEC;
    return dynamic == 0 ? 0 : dynamic + bias;
}

/* The first entry of the link map; 0: not loaded by a dynamic loader. */
static uintptr_t link_map_start(pid_t pid)
{
    uintptr_t address = dynamic_section(pid);
    struct r_debug debug;
    ElfW(Dyn) entry;

    for (size_t i = 0; address != 0 && i < OBJECTS_MAX; ++i) {
        if (!read_memory(pid, address + i * sizeof(entry), &entry, sizeof(entry)) ||
            entry.d_tag == DT_NULL) {
            return 0;
        }
        if (entry.d_tag == DT_DEBUG) {
            return read_memory(pid, entry.d_un.d_ptr, &debug, sizeof(debug))
                       ? (uintptr_t)debug.r_map
                       : 0;
        }
    }
    return 0;
}

bool emp_objects_of_process(pid_t pid, emp_object_visit *visit, void *arg)
{
    char name[EMP_TOOL_PATH_BYTES];
    char path[EMP_TOOL_PATH_BYTES + 64];
    struct link_map map;
    uintptr_t address = link_map_start(pid);

    if (address == 0) {
        return false;
    }
    for (size_t i = 0; address != 0 && i < OBJECTS_MAX; ++i) {
        if (!read_memory(pid, address, &map, sizeof(map)) ||
            !read_text(pid, (uintptr_t)map.l_name, name, sizeof(name))) {
            return false;
        }
        if (i == 0) {
            (void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
        } else {
            (void)snprintf(path, sizeof(path), "/proc/%d/root%s", (int)pid, name);
        }
        if ((i == 0 || name[0] == '/') && !visit(path, arg)) {
            break;
        }
        address = (uintptr_t)map.l_next;
    }
    return true;
}
