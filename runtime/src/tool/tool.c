/*
 * Purpose: failures, JSON text, and the search for programs and for the drop-in.
 * Owner:   tool. Threads: one.
 * Design:  [tool.req.verbs]
 */
#include "tool/tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DROP_IN_NAME "libechomem_malloc.so"

/* Where the drop-in is, seen from the folder of this program: build tree, then installed trees. */
static const char *const drop_in_folders[] = {
    ".", "../lib", "../lib/x86_64-linux-gnu", "../lib/aarch64-linux-gnu", "../lib64",
};
#define DROP_IN_FOLDER_COUNT (sizeof(drop_in_folders) / sizeof(drop_in_folders[0]))

int emp_tool_fail(const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fputs("echomem: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return EMP_TOOL_FAILED;
}

void emp_tool_json_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; ++text) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c < 0x20) {
            printf("\\u%04x", c);
        } else {
            putchar(c);
        }
    }
    putchar('"');
}

/* EMP_TOOL_YES for a regular file that may be executed. */
static int judge_program(const char *path)
{
    struct stat status;

    if (stat(path, &status) != 0) {
        return errno == EACCES ? EMP_TOOL_CANNOT_RUN : EMP_TOOL_NOT_FOUND;
    }
    return S_ISREG(status.st_mode) && access(path, X_OK) == 0 ? EMP_TOOL_YES : EMP_TOOL_CANNOT_RUN;
}

/* Joins folder and name; an empty folder means the current one. False: too long. */
static bool join_path(const char *folder, size_t folder_bytes, const char *name,
                      char path[EMP_TOOL_PATH_BYTES])
{
    int bytes = folder_bytes == 0 ? snprintf(path, EMP_TOOL_PATH_BYTES, "./%s", name)
                                  : snprintf(path, EMP_TOOL_PATH_BYTES, "%.*s/%s",
                                             (int)folder_bytes, folder, name);

    return bytes > 0 && bytes < EMP_TOOL_PATH_BYTES;
}

int emp_tool_find_program(const char *name, char path[EMP_TOOL_PATH_BYTES])
{
    const char *folder = getenv("PATH");
    int best = EMP_TOOL_NOT_FOUND;

    if (strchr(name, '/') != NULL) {
        int bytes = snprintf(path, EMP_TOOL_PATH_BYTES, "%s", name);

        return bytes < EMP_TOOL_PATH_BYTES ? judge_program(path) : EMP_TOOL_NOT_FOUND;
    }
    if (folder == NULL) {
        folder = "/usr/local/bin:/usr/bin:/bin";
    }
    while (best != EMP_TOOL_YES && *name != '\0') {
        size_t bytes = strcspn(folder, ":");
        int verdict =
            join_path(folder, bytes, name, path) ? judge_program(path) : EMP_TOOL_NOT_FOUND;

        if (verdict != EMP_TOOL_NOT_FOUND) {
            best = verdict;
        }
        if (folder[bytes] == '\0') {
            break;
        }
        folder += bytes + 1;
    }
    return best;
}

/* The folder of this program, without the last slash. False: unknown. */
static bool own_folder(char folder[EMP_TOOL_PATH_BYTES])
{
    ssize_t bytes = readlink("/proc/self/exe", folder, EMP_TOOL_PATH_BYTES - 1);
    char *slash;

    if (bytes <= 0) {
        return false;
    }
    folder[bytes] = '\0';
    slash = strrchr(folder, '/');
    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    return true;
}

bool emp_tool_find_drop_in(char path[EMP_TOOL_PATH_BYTES])
{
    const char *given = getenv("ECHOMEM_MALLOC_SO");
    char folder[EMP_TOOL_PATH_BYTES];
    char candidate[EMP_TOOL_PATH_BYTES];

    if (given != NULL && *given != '\0') {
        if (realpath(given, path) != NULL) {
            return true;
        }
        (void)emp_tool_fail("ECHOMEM_MALLOC_SO=%s: %s", given, strerror(errno));
        return false;
    }
    if (own_folder(folder)) {
        for (size_t i = 0; i < DROP_IN_FOLDER_COUNT; ++i) {
            int bytes = snprintf(candidate, sizeof(candidate), "%s/%s/%s", folder,
                                 drop_in_folders[i], DROP_IN_NAME);

            if (bytes < (int)sizeof(candidate) && realpath(candidate, path) != NULL) {
                return true;
            }
        }
    }
    (void)emp_tool_fail("%s is not beside this program nor in the library folders next to it; "
                        "ECHOMEM_MALLOC_SO may name it",
                        DROP_IN_NAME);
    return false;
}

bool emp_tool_preload_value(const char *drop_in, char value[EMP_TOOL_PATH_BYTES])
{
    const char *old = getenv("LD_PRELOAD");
    int bytes;

    if (strpbrk(drop_in, " :") != NULL) {
        (void)emp_tool_fail("the path %s has a space or a colon, which LD_PRELOAD cannot express",
                            drop_in);
        return false;
    }
    if (old == NULL || *old == '\0') {
        bytes = snprintf(value, EMP_TOOL_PATH_BYTES, "%s", drop_in);
    } else {
        bytes = snprintf(value, EMP_TOOL_PATH_BYTES, "%s:%s", drop_in, old);
    }
    if (bytes >= EMP_TOOL_PATH_BYTES) {
        (void)emp_tool_fail("LD_PRELOAD would be too long");
        return false;
    }
    return true;
}
