/*
 * Purpose: describes the machine and the state of the source, so that figures can be judged later.
 * Owner:   the parent process, one thread.
 */
#include "support/report.h"

#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "support/process.h"

extern char **environ;

/* The value of "key : value" in a file of /proc. */
static void machine_read_field(const char *path, const char *key, char *value, size_t value_bytes)
{
    char line[256];
    FILE *file = fopen(path, "re");

    value[0] = '\0';
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');

        if (colon != NULL && strncmp(line, key, strlen(key)) == 0) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(value, value_bytes, "%s", colon + 2);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

/* First line of what a command prints; empty when it fails. */
static void machine_ask(const char *command, char *line, size_t line_bytes)
{
    FILE *output = popen(command, "re");

    line[0] = '\0';
    if (output != NULL) {
        if (fgets(line, (int)line_bytes, output) == NULL) {
            line[0] = '\0';
        }
        pclose(output);
    }
    line[strcspn(line, "\n")] = '\0';
}

static void machine_find_commit(char *commit, size_t commit_bytes)
{
    char command[4400];
    const char *directory = bench_program_directory();

    commit[0] = '\0';
    if (strchr(directory, '\'') != NULL) {
        return; /* a shell would read the quote */
    }
    snprintf(command, sizeof command,
             "git -C '%s' describe --always --abbrev=12 --exclude='*' --dirty=+ 2>/dev/null",
             directory);
    machine_ask(command, commit, commit_bytes);
}

/* Variables that change how an allocator behaves: they belong into the record. */
static void machine_find_settings(char *settings, size_t settings_bytes)
{
    static const char *const prefixes[] = {"MALLOC_",         "MIMALLOC_", "TCMALLOC_",
                                           "GLIBC_TUNABLES=", "_RJEM_",    "ECHOMEM_"};
    size_t used = 0;

    settings[0] = '\0';
    for (char **entry = environ; *entry != NULL; entry++) {
        for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
            if (strncmp(*entry, prefixes[i], strlen(prefixes[i])) == 0 && used < settings_bytes) {
                used += (size_t)snprintf(settings + used, settings_bytes - used, "%s%s",
                                         used > 0 ? " " : "", *entry);
            }
        }
    }
}

void bench_machine_describe(struct bench_machine *machine)
{
    struct utsname names;
    time_t now = time(NULL);
    struct tm parts;

    memset(machine, 0, sizeof *machine);
    gmtime_r(&now, &parts);
    strftime(machine->date, sizeof machine->date, "%Y-%m-%dT%H:%M:%SZ", &parts);
    machine_read_field("/proc/cpuinfo", "model name", machine->cpu, sizeof machine->cpu);
    if (uname(&names) == 0) {
        snprintf(machine->kernel, sizeof machine->kernel, "%.32s %.60s %.30s", names.sysname,
                 names.release, names.machine);
    }
    snprintf(machine->libc, sizeof machine->libc, "glibc %s", gnu_get_libc_version());
    machine->cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    machine->memory_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    machine_find_commit(machine->commit, sizeof machine->commit);
    machine_find_settings(machine->settings, sizeof machine->settings);
}
