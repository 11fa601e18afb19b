/*
 * Purpose: `echomem check PROG`: whether our malloc can serve a program when it is preloaded, and
 *          if not, why.
 * Owner:   tool. Threads: one.
 * Design:  [tool.req.check]
 * Source:  ld.so(8), "Secure-execution mode"; elf(5).
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "tool/elf_file.h"
#include "tool/malloc_owner.h"
#include "tool/tool.h"

#define SCRIPT_LINE_BYTES 256

static void print_row(const char *what, const char *answer)
{
    printf("  %-15s %s\n", what, answer);
}

static int print_verdict(bool is_yes, const char *why)
{
    printf("verdict: %s: %s\n", is_yes ? "yes" : "no", why);
    return is_yes ? EMP_TOOL_YES : EMP_TOOL_NO;
}

/* Why the loader would run in secure mode and ignore LD_PRELOAD; NULL: it would not. */
static const char *privilege_of(const char *path)
{
    struct stat status;

    if (stat(path, &status) == 0 && (status.st_mode & S_ISUID) != 0) {
        return "set-user-id";
    }
    if (stat(path, &status) == 0 && (status.st_mode & S_ISGID) != 0) {
        return "set-group-id";
    }
    return getxattr(path, "security.capability", NULL, 0) > 0 ? "file capabilities" : NULL;
}

/* The program a script's first line names; `env` stands for the word after it. */
static bool script_program(const struct emp_elf_file *script, char *name, size_t name_bytes)
{
    char line[SCRIPT_LINE_BYTES] = {0};
    size_t bytes = script->bytes - 2 < sizeof(line) - 1 ? script->bytes - 2 : sizeof(line) - 1;
    char *rest = NULL;
    char *word;
    const char *slash;

    memcpy(line, script->data + 2, bytes);
    line[strcspn(line, "\n")] = '\0';
    word = strtok_r(line, " \t", &rest);
    slash = word == NULL ? NULL : strrchr(word, '/');
    if (slash != NULL && strcmp(slash, "/env") == 0) {
        word = strtok_r(NULL, " \t", &rest);
    }
    return word != NULL && snprintf(name, name_bytes, "%s", word) < (int)name_bytes;
}

/* Asks the loader who would serve malloc with the drop-in preloaded, and prints the last rows. */
static int judge_loading(const char *path, const struct emp_elf_file *file)
{
    char drop_in[EMP_TOOL_PATH_BYTES];
    char preload[EMP_TOOL_PATH_BYTES];
    struct emp_malloc_owner owner;
    struct emp_object_source source = {path, emp_elf_interpreter(file), NULL};

    if (emp_malloc_owner_of_program(&source, &owner)) {
        print_row("malloc today", owner.path);
    }
    if (!emp_tool_find_drop_in(drop_in) || !emp_tool_preload_value(drop_in, preload)) {
        return EMP_TOOL_FAILED;
    }
    source.preload = preload;
    if (!emp_malloc_owner_of_program(&source, &owner)) {
        return print_verdict(false, "its dynamic loader cannot load it with the drop-in");
    }
    print_row("with preload", owner.path);
    if (!owner.is_ours) {
        return print_verdict(false, "another definition of malloc comes first");
    }
    return print_verdict(true, "the drop-in will serve malloc");
}

/* Prints what is known of a native program and judges it. */
static int judge_native(const char *path, const struct emp_elf_file *file)
{
    const char *privilege = privilege_of(path);
    bool is_static = emp_elf_interpreter(file) == NULL;
    bool has_hidden_malloc = emp_elf_contains(file, "malloc") && !emp_elf_defines(file, "malloc");

    print_row("linked", is_static ? "statically" : "dynamically");
    print_row("privileges", privilege == NULL ? "none" : privilege);
    print_row("own malloc", emp_elf_defines(file, "malloc") ? "exported"
                            : has_hidden_malloc             ? "inside, not exported"
                                                            : "no");
    print_row("Go program", emp_elf_has_section(file, ".note.go.buildid") ? "yes" : "no");
    print_row("imports malloc", emp_elf_imports(file, "malloc") ? "yes" : "no");
    if (is_static) {
        return print_verdict(false, "a statically linked program loads no library");
    }
    if (privilege != NULL) {
        return print_verdict(false, "the loader ignores LD_PRELOAD for privileged programs");
    }
    if (has_hidden_malloc) {
        return print_verdict(false, "it binds to a malloc inside itself");
    }
    return judge_loading(path, file);
}

int emp_tool_check(int argc, char **argv)
{
    char path[EMP_TOOL_PATH_BYTES];
    char name[EMP_TOOL_PATH_BYTES];
    struct emp_elf_file file;
    enum emp_elf_kind kind;
    int verdict;

    if (argc != 2) {
        return emp_tool_fail("usage: echomem check PROG");
    }
    verdict = emp_tool_find_program(argv[1], path);
    kind = verdict == EMP_TOOL_YES ? emp_elf_open(path, &file) : EMP_ELF_UNREADABLE;
    if (kind == EMP_ELF_SCRIPT && script_program(&file, name, sizeof(name))) {
        emp_elf_close(&file);
        printf("%s is a script run by %s\n", path, name);
        verdict = emp_tool_find_program(name, path);
        kind = verdict == EMP_TOOL_YES ? emp_elf_open(path, &file) : EMP_ELF_UNREADABLE;
    }
    if (verdict != EMP_TOOL_YES) {
        (void)emp_tool_fail("%s: %s", argv[1],
                            verdict == EMP_TOOL_NOT_FOUND ? "not found" : "not an executable file");
        return verdict;
    }
    printf("%s\n", path);
    if (kind == EMP_ELF_NATIVE) {
        verdict = judge_native(path, &file);
        emp_elf_close(&file);
        return verdict;
    }
    if (kind == EMP_ELF_FOREIGN) {
        return print_verdict(false, "it is built for another machine or word size");
    }
    return emp_tool_fail("%s is no program", path);
}
