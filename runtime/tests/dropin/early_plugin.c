/*
 * Purpose: a library that allocates in its constructor, before the program's, and frees in its
 *          destructor, after the program's; loaded by LD_PRELOAD and, many times, by dlopen.
 * Owner:   tests of the drop-in; used by early_child and loading_child.
 */
#include <stdlib.h>
#include <string.h>

#define BLOCKS 100

char *early_plugin_text(void);

static char *blocks[BLOCKS];

__attribute__((constructor)) static void load(void)
{
    for (size_t i = 0; i < BLOCKS; ++i) {
        blocks[i] = malloc(i * 40 + 1);
        if (blocks[i] == NULL) {
            abort();
        }
        memset(blocks[i], (int)i, i * 40 + 1);
    }
}

__attribute__((destructor)) static void unload(void)
{
    for (size_t i = 0; i < BLOCKS; ++i) {
        if (blocks[i][i * 40] != (char)i) {
            abort();
        }
        free(blocks[i]);
    }
}

/* A block that outlives the library that allocated it. */
__attribute__((visibility("default"))) char *early_plugin_text(void)
{
    return strdup("allocated by a library that is gone");
}
