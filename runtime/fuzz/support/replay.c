/*
 * Purpose: runs a fuzz target over every file of a folder, so that the corpus is a regression test
 *          without libFuzzer.
 * Owner:   fuzz.
 * Threads: one.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_BYTES_MAX 65536

/* Feeds one file to the target; returns 0 when it cannot be read. */
static int replay_file(const char *folder, const char *name)
{
    static uint8_t input[INPUT_BYTES_MAX];
    char path[4096];
    FILE *file;
    size_t size;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "rb");
    if (file == NULL) {
        return 0;
    }
    size = fread(input, 1, sizeof(input), file);
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(input, size);
    return 1;
}

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    const struct dirent *entry;
    int replayed = 0;

    if (folder == NULL) {
        (void)fprintf(stderr, "usage: %s <corpus folder>\n", argv[0]);
        return 2;
    }
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.') {
            replayed += replay_file(argv[1], entry->d_name);
        }
    }
    (void)closedir(folder);
    (void)printf("%d inputs replayed\n", replayed);
    return replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
