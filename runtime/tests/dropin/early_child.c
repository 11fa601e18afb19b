/*
 * Purpose: allocation before constructors (preinit array, indirect functions), in constructors,
 *          in atexit handlers and in destructors, all checked for content. [preload.req.family]
 * Owner:   tests of the drop-in; run by loading_test, with early_plugin preloaded too.
 */
#include <stdlib.h>

#include "dropin/child_cases.h"

static char *from_preinit;
static char *from_constructor;
static char *from_atexit;

static char *make(char fill)
{
    char *block = malloc(5000);

    CHECK(block != NULL);
    memset(block, fill, 5000);
    return block;
}

static void check_and_free(char *block, char fill)
{
    for (size_t i = 0; i < 5000; ++i) {
        CHECK(block[i] == fill);
    }
    free(block);
}

static void preinit(void)
{
    from_preinit = make('p');
    free(malloc(10));
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit_entry)(void) = preinit;

__attribute__((constructor)) static void construct(void)
{
    from_constructor = make('c');
}

static void at_exit(void)
{
    check_and_free(from_constructor, 'c');
    from_atexit = make('a');
}

__attribute__((destructor)) static void destruct(void)
{
    if (from_atexit != NULL) {
        check_and_free(from_atexit, 'a');
        check_and_free(from_preinit, 'p');
        free(make('d'));
    }
}

static void memory_lives_from_before_main_to_after_it(void)
{
    CHECK(from_preinit != NULL && from_constructor != NULL);
    CHECK(atexit(at_exit) == 0);
    free(make('m'));
}

static void quick_exit_may_allocate(void)
{
    CHECK(at_quick_exit(at_exit) == 0);
    quick_exit(0);
}

static const struct child_case cases[] = {
    {"memory_lives_from_before_main_to_after_it", memory_lives_from_before_main_to_after_it},
    {"quick_exit_may_allocate", quick_exit_may_allocate},
};

int main(int argc, char **argv)
{
    return run_case(argc, argv, cases, CASE_COUNT(cases));
}
