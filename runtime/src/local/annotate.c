/*
 * Purpose: see annotate.h. Owner: local. Threads: any. Design: [local.req.annotate]
 * Cost:    a valgrind request outside valgrind is a handful of rotates.
 */
#include "local/annotate.h"

#include "base/compiler.h"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND                                      0
#define VALGRIND_MALLOCLIKE_BLOCK(block, bytes, redzone, zeroed) ((void)(zeroed))
#define VALGRIND_FREELIKE_BLOCK(block, redzone)                  ((void)0)
#define VALGRIND_MAKE_MEM_DEFINED(block, bytes)                  ((void)(bytes))
#endif

#if EMP_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(block, bytes)   ((void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(block, bytes) ((void)(bytes))
#endif

bool emp_annotate_on_valgrind(void)
{
    return RUNNING_ON_VALGRIND != 0;
}

bool emp_annotate_asan(void)
{
    return EMP_ASAN != 0;
}

void emp_annotate_alloc(void *block, size_t bytes, bool zeroed)
{
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    VALGRIND_MALLOCLIKE_BLOCK(block, bytes, 0, zeroed);
}

void emp_annotate_widen(const void *block, size_t bytes)
{
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    (void)VALGRIND_MAKE_MEM_DEFINED(block, bytes);
}

void emp_annotate_free(void *block, size_t bytes)
{
    VALGRIND_FREELIKE_BLOCK(block, 0);
    ASAN_POISON_MEMORY_REGION(block, bytes);
}
