/*
 * What: process_memory.h by reading /proc.
 */
#include "support/process_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static size_t status_bytes(const char *path, const char *name)
{
    FILE *const file = fopen(path, "r");
    char line[256];
    unsigned long kib = 0;

    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            (void)sscanf(line + strlen(name) + 1, "%lu", &kib);
        }
    }
    fclose(file);
    return (size_t)kib << 10;
}

size_t process_status_bytes(const char *name)
{
    return status_bytes("/proc/self/status", name);
}

size_t process_status_bytes_of(pid_t pid, const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    return status_bytes(path, name);
}

unsigned process_mappings(void)
{
    FILE *const maps = fopen("/proc/self/maps", "r");
    unsigned lines = 0;
    int c;

    assert_non_null(maps);
    while ((c = fgetc(maps)) != EOF) {
        lines += c == '\n';
    }
    fclose(maps);
    return lines;
}
