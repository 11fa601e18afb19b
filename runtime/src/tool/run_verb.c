/*
 * Purpose: `echomem run [--stats] [--set NAME=VALUE] [--] PROG [ARG...]`: becomes the program,
 *          with the drop-in preloaded and options in its environment.
 * Owner:   tool. Threads: one.
 * Design:  [tool.req.run]
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/memory_monitor.h"
#include "tool/elf_file.h"
#include "tool/tool.h"

#define NAME_BYTES 64

/* Tries the option on this process, to tell mistakes now; start-only ones answer EMP_ERR_STATE. */
static bool is_accepted(const char *name, const char *value)
{
    enum emp_status status = emp_option_set(name, value);

    if (status == EMP_ERR_NOT_FOUND) {
        (void)emp_tool_fail("there is no option '%s'; see echomem options", name);
        return false;
    }
    if (status == EMP_ERR_INVALID) {
        (void)emp_tool_fail("'%s' is no value for option '%s'; see echomem options", value, name);
        return false;
    }
    return true;
}

/* Puts name=value into the environment as ECHOMEM_NAME. */
static bool apply_option(const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    size_t bytes = equals == NULL ? 0 : (size_t)(equals - assignment);
    char name[NAME_BYTES];
    char variable[NAME_BYTES + sizeof("ECHOMEM_")] = "ECHOMEM_";

    if (bytes == 0 || bytes >= sizeof(name)) {
        (void)emp_tool_fail("'%s': expected NAME=VALUE", assignment);
        return false;
    }
    memcpy(name, assignment, bytes);
    name[bytes] = '\0';
    if (!is_accepted(name, equals + 1)) {
        return false;
    }
    for (size_t i = 0; i <= bytes; ++i) {
        variable[sizeof("ECHOMEM_") - 1 + i] = (char)toupper((unsigned char)name[i]);
    }
    return setenv(variable, equals + 1, 1) == 0;
}

/* Reads the options of the verb. Returns the index of PROG, or 0 after a message. */
static int read_arguments(int argc, char **argv)
{
    int at = 1;

    while (at < argc && argv[at][0] == '-') {
        if (strcmp(argv[at], "--") == 0) {
            ++at;
            break;
        }
        if (strcmp(argv[at], "--stats") == 0 || strcmp(argv[at], "--stats=json") == 0) {
            (void)setenv("ECHOMEM_STATS", argv[at][7] == '=' ? "json" : "1", 1);
            ++at;
        } else if (strcmp(argv[at], "--set") == 0 && at + 1 < argc) {
            if (!apply_option(argv[at + 1])) {
                return 0;
            }
            at += 2;
        } else {
            (void)emp_tool_fail("'%s' is no option of run; see echomem --help", argv[at]);
            return 0;
        }
    }
    if (at >= argc) {
        (void)emp_tool_fail("usage: echomem run [--stats] [--set NAME=VALUE] [--] PROG [ARG...]");
        return 0;
    }
    return at;
}

/* Says so when a program will not load the drop-in: nothing else would tell. */
static void warn_if_inert(const char *path)
{
    struct emp_elf_file file;
    enum emp_elf_kind kind = emp_elf_open(path, &file);

    if (kind == EMP_ELF_NATIVE && emp_elf_interpreter(&file) == NULL) {
        (void)emp_tool_fail("warning: %s is statically linked and keeps its own malloc", path);
    } else if (kind == EMP_ELF_FOREIGN) {
        (void)emp_tool_fail("warning: %s is built for another machine and keeps its own malloc",
                            path);
    }
    if (kind == EMP_ELF_NATIVE || kind == EMP_ELF_SCRIPT) {
        emp_elf_close(&file);
    }
}

int emp_tool_run(int argc, char **argv)
{
    char drop_in[EMP_TOOL_PATH_BYTES];
    char preload[EMP_TOOL_PATH_BYTES];
    char path[EMP_TOOL_PATH_BYTES];
    int at = read_arguments(argc, argv);
    int verdict;

    if (at == 0) {
        return EMP_TOOL_FAILED;
    }
    verdict = emp_tool_find_program(argv[at], path);
    if (verdict != EMP_TOOL_YES) {
        (void)emp_tool_fail("%s: %s", argv[at],
                            verdict == EMP_TOOL_NOT_FOUND ? "not found" : "not an executable file");
        return verdict;
    }
    if (!emp_tool_find_drop_in(drop_in) || !emp_tool_preload_value(drop_in, preload)) {
        return EMP_TOOL_FAILED;
    }
    warn_if_inert(path);
    if (setenv("LD_PRELOAD", preload, 1) != 0) {
        return emp_tool_fail("LD_PRELOAD: %s", strerror(errno));
    }
    execv(path, argv + at);
    (void)emp_tool_fail("%s: %s", path, strerror(errno));
    return EMP_TOOL_CANNOT_RUN;
}
