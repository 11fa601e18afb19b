/*
 * Purpose: the command `echomem`: finds the verb and calls it.
 * Owner:   tool. Threads: one.
 * Design:  [tool.req.verbs]
 */
#include <stdio.h>
#include <string.h>

#include "core/memory_monitor.h"
#include "tool/tool.h"

/* A verb as the help shows it. */
struct verb {
    const char *name;
    const char *arguments;
    const char *summary;
    emp_tool_verb *call;
};

static const struct verb verbs[] = {
    {"run", "[--stats] [--set NAME=VALUE] [--] PROG [ARG...]", "run a program with our malloc",
     emp_tool_run},
    {"check", "PROG", "say whether our malloc can serve a program", emp_tool_check},
    {"which", "PROG | -p PID", "say which library serves malloc", emp_tool_which},
    {"options", "[--json]", "list the options of ECHOMEM_*, with their values in force",
     emp_tool_options},
    {"classes", "[--json]", "list the size classes", emp_tool_classes},
};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static void print_help(void)
{
    printf("usage: echomem VERB ...\n\n");
    for (size_t i = 0; i < VERB_COUNT; ++i) {
        printf("  %-8s%s\n          %s\n", verbs[i].name, verbs[i].arguments, verbs[i].summary);
    }
    printf("  %-8s\n          %s\n\n", "version", "print the version");
    printf("exit codes: 0 yes or done, 1 no, 125 echomem itself failed, 126 PROG cannot be run,\n"
           "127 PROG was not found; `echomem run` ends with the exit code of PROG.\n");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";

    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help();
        return argc > 1 ? EMP_TOOL_YES : EMP_TOOL_FAILED;
    }
    if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
        printf("echomem %s\n", emp_version());
        return EMP_TOOL_YES;
    }
    for (size_t i = 0; i < VERB_COUNT; ++i) {
        if (strcmp(name, verbs[i].name) == 0) {
            return verbs[i].call(argc - 1, argv + 1);
        }
    }
    return emp_tool_fail("there is no verb '%s'; see echomem --help", name);
}
