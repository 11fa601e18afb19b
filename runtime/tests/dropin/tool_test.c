/*
 * Purpose: the command echomem: its verbs, its exit codes, and that `run` really serves the
 *          program's malloc.
 * Owner:   tests of the drop-in. [tool.req.verbs] [tool.req.which] [tool.req.run]
 *          [tool.req.check]
 */
#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/program_run.h"
#include "support/temporary_path.h"

#define WORDS_MAX 8

static struct program_result result;
static const char *variable; /* NAME=VALUE that the next runs get; NULL: none */

/* Runs echomem with the words of a line; a word may be a path. */
static void echomem(const char *line)
{
    static char copy[2 * PROGRAM_PATH_BYTES];
    char drop_in[PROGRAM_PATH_BYTES + sizeof("ECHOMEM_MALLOC_SO=")];
    const char *argv[WORDS_MAX + 2] = {program_beside("../echomem"), NULL};
    const char *const environment[] = {drop_in, variable, NULL};
    struct program_request request = {argv, environment, NULL, 0};
    char *rest = NULL;
    size_t count = 1;

    (void)snprintf(drop_in, sizeof(drop_in), "ECHOMEM_MALLOC_SO=%s", program_drop_in());
    (void)snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL && count <= WORDS_MAX;
         word = strtok_r(NULL, " ", &rest)) {
        argv[count++] = word;
    }
    argv[count] = NULL;
    assert_true(program_run(&request, &result));
    assert_false(result.timed_out);
}

static void help_and_version_print_and_succeed(void **state)
{
    (void)state;
    echomem("--help");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.output, "run a program with our malloc"));
    echomem("version");
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(strncmp(result.output, "echomem ", 8), 0);
}

static void mistakes_end_with_125(void **state)
{
    static const char *const lines[] = {"",
                                        "nonsense",
                                        "options --xml",
                                        "which",
                                        "which -p x",
                                        "check",
                                        "run",
                                        "run --nonsense ls",
                                        "run --set",
                                        "run --set x ls",
                                        "run --set no_such=1 ls"};

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); ++i) {
        echomem(lines[i]);
        if (result.exit_code != 125) {
            print_error("echomem %s: exit code %d\n", lines[i], result.exit_code);
        }
        assert_int_equal(result.exit_code, 125);
    }
}

static void programs_that_are_missing_give_127_and_126(void **state)
{
    (void)state;
    echomem("run no-such-program-anywhere");
    assert_int_equal(result.exit_code, 127);
    echomem("which no-such-program-anywhere");
    assert_int_equal(result.exit_code, 127);
    echomem("check no-such-program-anywhere");
    assert_int_equal(result.exit_code, 127);
    echomem("run /dev/null");
    assert_int_equal(result.exit_code, 126);
}

static void options_are_listed_with_their_origin(void **state)
{
    (void)state;
    assert_int_equal(setenv("ECHOMEM_PURGE_DELAY", "7s", 1), 0);
    echomem("options");
    assert_int_equal(unsetenv("ECHOMEM_PURGE_DELAY"), 0);
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.output, "7s           environment"));
    assert_non_null(strstr(result.output, "foreign_free"));
    echomem("options --json");
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(strncmp(result.output, "[{\"name\":\"", 10), 0);
    assert_string_equal(result.output + result.output_bytes - 3, "}]\n");
}

static void classes_are_listed(void **state)
{
    (void)state;
    echomem("classes");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.output, "block bytes"));
    echomem("classes --json");
    assert_int_equal(strncmp(result.output, "[{\"class\":1,\"block_bytes\":8,", 28), 0);
}

static void which_names_the_library_of_a_program(void **state)
{
    (void)state;
    echomem("which ls");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.output, "/libc.so.6\n"));
    assert_int_equal(setenv("LD_PRELOAD", program_drop_in(), 1), 0);
    echomem("which ls");
    assert_int_equal(unsetenv("LD_PRELOAD"), 0);
    assert_non_null(strstr(result.output, "libechomem_malloc.so (echomem)\n"));
}

/* Starts `cat` with or without the drop-in; it has its libraries when it has sent a byte back. */
static pid_t start_cat(bool preloaded, int *input)
{
    int to[2];
    int from[2];
    char byte = 'x';

    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    pid_t child = fork();

    if (child == 0) {
        if (preloaded) {
            (void)setenv("LD_PRELOAD", program_drop_in(), 1);
        }
        (void)dup2(to[0], STDIN_FILENO);
        (void)dup2(from[1], STDOUT_FILENO);
        (void)close(to[1]);
        execlp("cat", "cat", (char *)NULL);
        _exit(127);
    }
    assert_true(child > 0);
    (void)close(to[0]);
    (void)close(from[1]);
    assert_int_equal(write(to[1], &byte, 1), 1);
    assert_int_equal(read(from[0], &byte, 1), 1);
    (void)close(from[0]);
    *input = to[1];
    return child;
}

static void which_names_the_library_of_a_process(void **state)
{
    (void)state;
    for (int preloaded = 0; preloaded < 2; ++preloaded) {
        char line[64];
        int input = -1;
        pid_t child = start_cat(preloaded != 0, &input);

        (void)snprintf(line, sizeof(line), "which -p %d", (int)child);
        echomem(line);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        (void)close(input);
        assert_int_equal(result.exit_code, 0);
        assert_non_null(
            strstr(result.output, preloaded != 0 ? "libechomem_malloc.so (echomem)" : "libc.so.6"));
    }
}

static void check_says_yes_for_ordinary_programs(void **state)
{
    (void)state;
    echomem("check ls");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.output, "verdict: yes"));
}

/* A copy of `true` with the set-user-id bit, in a folder of its own. */
static void check_says_no_for_privileged_programs(void **state)
{
    char name[TEMPORARY_PATH_BYTES];
    char line[TEMPORARY_PATH_BYTES + 64];

    temporary_path(name);
    int fd = mkstemp(name);
    const char *const argv[] = {"cp", "/bin/true", name, NULL};
    struct program_request request = {argv, NULL, NULL, 0};

    (void)state;
    assert_true(fd >= 0);
    assert_true(program_run(&request, &result));
    assert_int_equal(fchmod(fd, S_ISUID | 0755), 0);
    (void)close(fd);
    (void)snprintf(line, sizeof(line), "check %s", name);
    echomem(line);
    (void)unlink(name);
    assert_int_equal(result.exit_code, 1);
    assert_non_null(strstr(result.output, "set-user-id"));
}

static void run_serves_and_passes_the_exit_code_on(void **state)
{
    (void)state;
    echomem("run --stats -- ls /");
    assert_int_equal(result.exit_code, 0);
    assert_true(program_served(result.errors) > 10);
    echomem("run --stats=json -- true");
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(result.errors[0], '{');
    echomem("run --set purge_delay=2s -- false");
    assert_int_equal(result.exit_code, 1);
}

/* A copy of /bin/true of which bytes can be changed; removed by the caller. */
struct specimen {
    char path[TEMPORARY_PATH_BYTES];
    int fd;
};

static void make_specimen(struct specimen *specimen)
{
    const char *const argv[] = {"cp", "/bin/true", specimen->path, NULL};
    struct program_request request = {argv, NULL, NULL, 0};

    temporary_path(specimen->path);
    specimen->fd = mkstemp(specimen->path);
    assert_true(specimen->fd >= 0);
    assert_true(program_run(&request, &result));
    assert_int_equal(fchmod(specimen->fd, 0755), 0);
}

/* Asks a verb about the specimen and removes it. */
static void ask_and_remove(struct specimen *specimen, const char *verb)
{
    char line[TEMPORARY_PATH_BYTES + 64];

    (void)snprintf(line, sizeof(line), "%s %s", verb, specimen->path);
    (void)close(specimen->fd); /* nobody executes a file that is open for writing */
    echomem(line);
    (void)unlink(specimen->path);
}

/* The program header of a type in the specimen. */
static off_t find_segment(const struct specimen *specimen, Elf64_Word type, Elf64_Phdr *segment)
{
    Elf64_Ehdr header;

    assert_int_equal(pread(specimen->fd, &header, sizeof(header), 0), sizeof(header));
    for (unsigned i = 0; i < header.e_phnum; ++i) {
        off_t at = (off_t)(header.e_phoff + i * sizeof(*segment));

        assert_int_equal(pread(specimen->fd, segment, sizeof(*segment), at), sizeof(*segment));
        if (segment->p_type == type) {
            return at;
        }
    }
    fail();
    return 0;
}

/* Without the request for a loader a program is loaded by the kernel alone. */
static void static_programs_are_told_apart(void **state)
{
    static const char *const verbs[] = {"check", "which", "run"};
    static const int codes[] = {1, 0, -1};

    (void)state;
    for (size_t i = 0; i < 3; ++i) {
        struct specimen specimen;
        Elf64_Phdr segment;
        off_t at;

        make_specimen(&specimen);
        at = find_segment(&specimen, PT_INTERP, &segment);
        segment.p_type = PT_NULL;
        assert_int_equal(pwrite(specimen.fd, &segment, sizeof(segment), at), sizeof(segment));
        ask_and_remove(&specimen, verbs[i]);
        if (codes[i] >= 0) {
            assert_int_equal(result.exit_code, codes[i]);
        }
        assert_true(strstr(result.output, "statically") != NULL ||
                    strstr(result.errors, "statically") != NULL);
    }
}

static void programs_of_other_machines_are_told_apart(void **state)
{
    static const char *const verbs[] = {"check", "which", "run"};
    static const int codes[] = {1, 125, 126};

    (void)state;
    for (size_t i = 0; i < 3; ++i) {
        struct specimen specimen;
        Elf64_Half machine = EM_S390;

        make_specimen(&specimen);
        assert_int_equal(
            pwrite(specimen.fd, &machine, sizeof(machine), offsetof(Elf64_Ehdr, e_machine)),
            sizeof(machine));
        ask_and_remove(&specimen, verbs[i]);
        assert_int_equal(result.exit_code, codes[i]);
    }
}

static void a_loader_that_is_missing_is_reported(void **state)
{
    static const char *const verbs[] = {"check", "which"};
    static const int codes[] = {1, 125};

    (void)state;
    for (size_t i = 0; i < 2; ++i) {
        struct specimen specimen;
        Elf64_Phdr segment;

        make_specimen(&specimen);
        (void)find_segment(&specimen, PT_INTERP, &segment);
        assert_int_equal(pwrite(specimen.fd, "/NO", 3, (off_t)segment.p_offset), 3);
        ask_and_remove(&specimen, verbs[i]);
        assert_int_equal(result.exit_code, codes[i]);
        assert_non_null(strstr(i == 0 ? result.output : result.errors, "cannot load it"));
    }
}

/* Tables that point outside the file must not be followed. */
static void damaged_files_are_survived(void **state)
{
    static const struct {
        size_t offset;
        size_t bytes;
    } fields[] = {
        {offsetof(Elf64_Ehdr, e_phoff), sizeof(Elf64_Off)},
        {offsetof(Elf64_Ehdr, e_shoff), sizeof(Elf64_Off)},
        {offsetof(Elf64_Ehdr, e_phentsize), sizeof(Elf64_Half)},
        {offsetof(Elf64_Ehdr, e_shentsize), sizeof(Elf64_Half)},
        {offsetof(Elf64_Ehdr, e_shstrndx), sizeof(Elf64_Half)},
        {offsetof(Elf64_Ehdr, e_phnum), sizeof(Elf64_Half)},
        {offsetof(Elf64_Ehdr, e_shnum), sizeof(Elf64_Half)},
    };
    static const unsigned char ones[8] = {255, 255, 255, 255, 255, 255, 255, 255};

    (void)state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); ++i) {
        struct specimen specimen;

        make_specimen(&specimen);
        assert_int_equal(pwrite(specimen.fd, ones, fields[i].bytes, (off_t)fields[i].offset),
                         fields[i].bytes);
        ask_and_remove(&specimen, "check");
        assert_true(result.exit_code <= 1);
    }
    for (off_t bytes = 0; bytes < 5000; bytes = bytes * 2 + 30) {
        struct specimen specimen;

        make_specimen(&specimen);
        assert_int_equal(ftruncate(specimen.fd, bytes), 0);
        ask_and_remove(&specimen, "check");
        assert_true(result.exit_code <= 1 || result.exit_code == 125);
    }
}

/* Writes a text into an executable file and asks a verb about it. */
static void ask_about_text(const char *text, const char *verb)
{
    struct specimen specimen;

    make_specimen(&specimen);
    assert_int_equal(ftruncate(specimen.fd, 0), 0);
    assert_int_equal(pwrite(specimen.fd, text, strlen(text), 0), strlen(text));
    ask_and_remove(&specimen, verb);
}

static void scripts_are_followed(void **state)
{
    (void)state;
    ask_about_text("#!/bin/sh\nexit 0\n", "check");
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.output, "is a script run by /bin/sh"));
    ask_about_text("#! /usr/bin/env sh\nexit 0\n", "check");
    assert_int_equal(result.exit_code, 0);
    ask_about_text("#!/no/such/program\n", "check");
    assert_int_equal(result.exit_code, 127);
    ask_about_text("#! \n", "check");
    assert_int_equal(result.exit_code, 125);
    ask_about_text("#!/bin/sh\nexit 0\n", "which");
    assert_int_equal(result.exit_code, 125);
    ask_about_text("no program at all\n", "check");
    assert_int_equal(result.exit_code, 125);
}

static void the_drop_in_is_found_or_missed_with_one_line(void **state)
{
    (void)state;
    variable = "ECHOMEM_MALLOC_SO=/no/such/file";
    echomem("run true");
    assert_int_equal(result.exit_code, 125);
    assert_non_null(strstr(result.errors, "ECHOMEM_MALLOC_SO=/no/such/file: "));
    echomem("check ls");
    assert_int_equal(result.exit_code, 125);
    variable = "ECHOMEM_MALLOC_SO=";
    echomem("run --stats -- ls /");
    assert_int_equal(result.exit_code, 0);
    assert_true(program_served(result.errors) > 0);
    variable = NULL;
}

static void what_is_preloaded_already_stays(void **state)
{
    char preload[PROGRAM_PATH_BYTES + sizeof("LD_PRELOAD=")];

    (void)state;
    (void)snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", program_beside("early_plugin.so"));
    variable = preload;
    echomem("run printenv LD_PRELOAD");
    variable = NULL;
    assert_int_equal(result.exit_code, 0);
    assert_non_null(strstr(result.output, "libechomem_malloc.so:"));
    assert_non_null(strstr(result.output, "early_plugin.so\n"));
}

static void paths_are_searched_as_execvp_does(void **state)
{
    (void)state;
    variable = "PATH=/no/such/folder::/dev:/bin";
    echomem("run true");
    assert_int_equal(result.exit_code, 0);
    echomem("run null");
    assert_int_equal(result.exit_code, 126);
    variable = NULL;
    echomem("which -p 999999999");
    assert_int_equal(result.exit_code, 125);
    echomem("which -p 12x");
    assert_int_equal(result.exit_code, 125);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_and_version_print_and_succeed),
        cmocka_unit_test(mistakes_end_with_125),
        cmocka_unit_test(programs_that_are_missing_give_127_and_126),
        cmocka_unit_test(options_are_listed_with_their_origin),
        cmocka_unit_test(classes_are_listed),
        cmocka_unit_test(which_names_the_library_of_a_program),
        cmocka_unit_test(which_names_the_library_of_a_process),
        cmocka_unit_test(check_says_yes_for_ordinary_programs),
        cmocka_unit_test(check_says_no_for_privileged_programs),
        cmocka_unit_test(run_serves_and_passes_the_exit_code_on),
        cmocka_unit_test(static_programs_are_told_apart),
        cmocka_unit_test(programs_of_other_machines_are_told_apart),
        cmocka_unit_test(a_loader_that_is_missing_is_reported),
        cmocka_unit_test(damaged_files_are_survived),
        cmocka_unit_test(scripts_are_followed),
        cmocka_unit_test(the_drop_in_is_found_or_missed_with_one_line),
        cmocka_unit_test(what_is_preloaded_already_stays),
        cmocka_unit_test(paths_are_searched_as_execvp_does),
    };

    return cmocka_run_group_tests_name("command echomem", tests, NULL, NULL);
}
