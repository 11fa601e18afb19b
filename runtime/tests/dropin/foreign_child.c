/*
 * Purpose: frees a block of the C library's own malloc, which the drop-in does not know; prints
 *          "went on" when the call returns. [preload.req.foreign]
 * Owner:   tests of the drop-in; run by foreign_test.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "dropin/child_cases.h"
#include "support/temporary_path.h"

#define BLOCKS 1000

typedef void *allocate(size_t size);

/* The malloc of the C library itself, whatever is preloaded. */
static allocate *libc_malloc(void)
{
    void *library = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);

    CHECK(library != NULL);
    return (allocate *)dlsym(library, "malloc");
}

static void free_foreign_blocks(void)
{
    allocate *other = libc_malloc();

    errno = 19;
    for (size_t i = 0; i < BLOCKS; ++i) {
        void *block = other(i * 5 + 1);

        CHECK(block != NULL);
        memset(block, 1, i * 5 + 1);
        free(block);
    }
    CHECK(errno == 19);
    free(malloc(100));
    puts("went on");
}

static void free_a_stack_address(void)
{
    char on_stack[64];
    void *address = on_stack;

    __asm__("" : "+r"(address));
    free(address);
    puts("went on");
}

/* What crash reporters do. The report is finished by then, and nothing is locked. */
static void allocate_and_leave(int number)
{
    void *blocks[100];

    (void)number;
    for (size_t i = 0; i < 100; ++i) {
        blocks[i] = malloc(i * 700 + 1);
        CHECK(blocks[i] != NULL);
    }
    for (size_t i = 0; i < 100; ++i) {
        free(blocks[i]);
    }
    _exit(7);
}

static void allocate_in_the_handler_of_a_report(void)
{
    CHECK(signal(SIGABRT, allocate_and_leave) != SIG_ERR);
    free_a_stack_address();
}

static void leave_standard_error_to_others(void)
{
    char name[TEMPORARY_PATH_BYTES];

    temporary_path(name);
    int fd = mkstemp(name);

    CHECK(fd >= 0);
    /* A program that closes its standard error gets the number again for a file of its own. */
    CHECK(dup2(fd, STDERR_FILENO) == STDERR_FILENO);
    puts(name);
    free(malloc(100));
}

static void close_everything(void)
{
    for (int fd = 0; fd < 1024; ++fd) {
        (void)close(fd);
    }
    free(malloc(100));
    exit(0);
}

static const struct child_case cases[] = {
    {"free_foreign_blocks", free_foreign_blocks},
    {"free_a_stack_address", free_a_stack_address},
    {"allocate_in_the_handler_of_a_report", allocate_in_the_handler_of_a_report},
    {"leave_standard_error_to_others", leave_standard_error_to_others},
    {"close_everything", close_everything},
};

int main(int argc, char **argv)
{
    return run_case(argc, argv, cases, CASE_COUNT(cases));
}
