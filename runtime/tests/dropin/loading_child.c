/*
 * Purpose: libraries that come and go, the drop-in's symbols and their versions, and a second
 *          copy of the C library's allocator next to it. [preload.req.unversioned]
 *          [preload.req.foreign]
 * Owner:   tests of the drop-in; run by loading_test.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "dropin/child_cases.h"

#define LOADS 100

static const char *const family[] = {
    "malloc",
    "free",
    "calloc",
    "realloc",
    "posix_memalign",
    "aligned_alloc",
    "memalign",
    "valloc",
    "pvalloc",
    "malloc_usable_size",
    "malloc_trim",
    "mallinfo",
    "mallinfo2",
    "malloc_info",
    "malloc_stats",
    "mallopt",
    "free_sized",
    "free_aligned_sized",
    "__libc_malloc",
    "__libc_free",
    "__libc_calloc",
    "__libc_realloc",
    "__libc_memalign",
    "__libc_valloc",
    "__libc_pvalloc",
    "mallctl",
    "mallctlnametomib",
    "mallctlbymib",
    "malloc_stats_print",
    "mallocx",
    "rallocx",
    "xallocx",
    "sallocx",
    "dallocx",
    "sdallocx",
    "nallocx",
};

/* The path of a file in the folder of this program. */
static const char *beside(const char *name)
{
    static char path[4096];
    ssize_t bytes = readlink("/proc/self/exe", path, sizeof(path) - 1);
    char *slash;

    CHECK(bytes > 0);
    path[bytes] = '\0';
    slash = strrchr(path, '/');
    CHECK(slash != NULL);
    (void)snprintf(slash + 1, (size_t)(path + sizeof(path) - slash - 1), "%s", name);
    return path;
}

static void *load_and_unload(void *arg)
{
    for (int i = 0; i < LOADS; ++i) {
        void *library = dlopen(beside("early_plugin.so"), RTLD_NOW);
        char *(*text)(void);
        char *kept;

        CHECK(library != NULL);
        text = (char *(*)(void))dlsym(library, "early_plugin_text");
        CHECK(text != NULL);
        kept = text();
        CHECK(dlclose(library) == 0);
        CHECK(strcmp(kept, "allocated by a library that is gone") == 0);
        free(kept);
    }
    return arg;
}

static void libraries_come_and_go_a_hundred_times(void)
{
    (void)load_and_unload(NULL);
}

static void *churn(void *arg)
{
    for (int i = 0; i < 20000; ++i) {
        free(malloc((size_t)i % 900));
    }
    return arg;
}

static void libraries_come_and_go_while_threads_allocate(void)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; ++i) {
        CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0);
    }
    (void)load_and_unload(NULL);
    for (int i = 0; i < 4; ++i) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

/* The whole family comes from one object, and none of it carries a version of ours. */
static void the_family_is_ours_and_unversioned(void)
{
    Dl_info ours;

    CHECK(dladdr(dlsym(RTLD_DEFAULT, "emp_malloc"), &ours) != 0);
    for (size_t i = 0; i < sizeof(family) / sizeof(family[0]); ++i) {
        Dl_info found;
        void *address = dlsym(RTLD_DEFAULT, family[i]);

        if (address == NULL || dladdr(address, &found) == 0 ||
            strcmp(found.dli_fname, ours.dli_fname) != 0) {
            fprintf(stderr, "%s is not served by the drop-in\n", family[i]);
            exit(1);
        }
    }
    CHECK(dlvsym(RTLD_DEFAULT, "emp_malloc", "ECHOMEM_0.1") != NULL);
}

static void reallocarray_and_strdup_stay_the_c_librarys(void)
{
    Dl_info ours;
    Dl_info found;

    CHECK(dladdr(dlsym(RTLD_DEFAULT, "emp_malloc"), &ours) != 0);
    CHECK(dladdr(dlsym(RTLD_DEFAULT, "reallocarray"), &found) != 0);
    CHECK(strcmp(found.dli_fname, ours.dli_fname) != 0);
    CHECK(dladdr(dlsym(RTLD_DEFAULT, "strdup"), &found) != 0);
    CHECK(strcmp(found.dli_fname, ours.dli_fname) != 0);
}

/* dlclose must not unmap the code that still has to free blocks. */
static void the_drop_in_is_never_unloaded(void)
{
    Dl_info ours;
    void *library;
    void *block = malloc(100);

    CHECK(dladdr(dlsym(RTLD_DEFAULT, "emp_malloc"), &ours) != 0);
    library = dlopen(ours.dli_fname, RTLD_NOW);
    CHECK(library != NULL);
    CHECK(dlclose(library) == 0);
    free(block);
    free(malloc(200));
}

static const struct child_case cases[] = {
    {"libraries_come_and_go_a_hundred_times", libraries_come_and_go_a_hundred_times},
    {"libraries_come_and_go_while_threads_allocate", libraries_come_and_go_while_threads_allocate},
    {"the_family_is_ours_and_unversioned", the_family_is_ours_and_unversioned},
    {"reallocarray_and_strdup_stay_the_c_librarys", reallocarray_and_strdup_stay_the_c_librarys},
    {"the_drop_in_is_never_unloaded", the_drop_in_is_never_unloaded},
};

int main(int argc, char **argv)
{
    return run_case(argc, argv, cases, CASE_COUNT(cases));
}
