/*
 * Purpose: each kind of number and text, at its edges; buffers that fill; errno.
 * Design:  [monitor.req.emitter] [monitor.inv.emitter-bounded]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "monitor/emitter.h"

static struct emp_emitter out;

static int start(void **state)
{
    (void)state;
    emp_emitter_init(&out, -1);
    return 0;
}

static void decimals_are_right_from_zero_to_the_largest(void **state)
{
    (void)state;
    emp_emitter_decimal(&out, 0);
    emp_emitter_text(&out, " ");
    emp_emitter_decimal(&out, 1000000007);
    emp_emitter_text(&out, " ");
    emp_emitter_decimal(&out, UINT64_MAX);
    assert_string_equal(out.text, "0 1000000007 18446744073709551615");
    assert_int_equal(out.used_bytes, strlen(out.text));
}

static void hexadecimals_have_the_prefix_and_no_leading_zeros(void **state)
{
    (void)state;
    emp_emitter_hex(&out, 0);
    emp_emitter_text(&out, " ");
    emp_emitter_hex(&out, 0x7f3a12c04a80);
    emp_emitter_text(&out, " ");
    emp_emitter_hex(&out, UINT64_MAX);
    assert_string_equal(out.text, "0x0 0x7f3a12c04a80 0xffffffffffffffff");
}

static void thousandths_have_three_digits_behind_the_point(void **state)
{
    (void)state;
    emp_emitter_milli(&out, 0);
    emp_emitter_text(&out, " ");
    emp_emitter_milli(&out, 7);
    emp_emitter_text(&out, " ");
    emp_emitter_milli(&out, 1999);
    emp_emitter_text(&out, " ");
    emp_emitter_milli(&out, 120340);
    assert_string_equal(out.text, "0.000 0.007 1.999 120.340");
}

static void bytes_have_the_binary_unit_that_fits(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {1536, "1.5 KiB"},
        {1048575, "1023.9 KiB"},
        {(uint64_t)1 << 20, "1.0 MiB"},
        {((uint64_t)1 << 30) * 5 / 2, "2.5 GiB"},
        {(uint64_t)1 << 40, "1.0 TiB"},
        {(uint64_t)1 << 50, "1.0 PiB"},
        {UINT64_MAX, "15.9 EiB"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        emp_emitter_init(&out, -1);
        emp_emitter_bytes(&out, rows[i].bytes);
        assert_string_equal(out.text, rows[i].text);
    }
}

static void json_strings_escape_quotes_backslashes_and_control_bytes_only(void **state)
{
    (void)state;
    emp_emitter_json_string(&out, "a\"b\\c\n\x01\x1f\x7f/\xc3\xa4");
    assert_string_equal(out.text, "\"a\\\"b\\\\c\\u000a\\u0001\\u001f\\u007f/\xc3\xa4\"");
    emp_emitter_init(&out, -1);
    emp_emitter_json_string(&out, "");
    assert_string_equal(out.text, "\"\"");
}

static void padding_fills_on_the_right_or_on_the_left_and_never_cuts(void **state)
{
    (void)state;
    emp_emitter_pad(&out, "ab", 5);
    emp_emitter_text(&out, "|");
    emp_emitter_pad(&out, "ab", -5);
    emp_emitter_text(&out, "|");
    emp_emitter_pad(&out, "abcdef", 3);
    emp_emitter_text(&out, "|");
    emp_emitter_pad(&out, "abcdef", -3);
    emp_emitter_text(&out, "|");
    emp_emitter_pad(&out, "", 0);
    assert_string_equal(out.text, "ab   |   ab|abcdef|abcdef|");
}

static void an_emitter_without_a_file_keeps_what_fits_and_stays_terminated(void **state)
{
    (void)state;
    const struct {
        struct emp_emitter emitter;
        char behind[8];
    } start_value = {.behind = "behind!"};
    struct {
        struct emp_emitter emitter;
        char behind[8];
    } room;
    memcpy(&room, &start_value, sizeof room);
    emp_emitter_init(&room.emitter, -1);
    for (int i = 0; i < 1000; i++) {
        emp_emitter_text(&room.emitter, "seven b");
    }
    emp_emitter_decimal(&room.emitter, UINT64_MAX);
    emp_emitter_flush(&room.emitter);
    assert_int_equal(room.emitter.used_bytes, sizeof room.emitter.text - 1);
    assert_int_equal(strlen(room.emitter.text), sizeof room.emitter.text - 1);
    assert_string_equal(room.behind, "behind!");
}

/* 6,000 bytes are more than two buffers; all arrive, in order. */
static void a_full_buffer_is_written_out_and_nothing_is_lost(void **state)
{
    (void)state;
    int ends[2];
    char got[8192] = {0};
    size_t got_bytes = 0;
    ssize_t part;
    assert_int_equal(pipe(ends), 0);
    emp_emitter_init(&out, ends[1]);
    errno = 4711;
    for (unsigned i = 0; i < 2000; i++) {
        const char piece[4] = {(char)('0' + i / 100 % 10), (char)('0' + i / 10 % 10),
                               (char)('0' + i % 10), '\0'};
        emp_emitter_text(&out, piece);
    }
    emp_emitter_flush(&out);
    assert_int_equal(errno, 4711);
    assert_int_equal(out.used_bytes, 0);
    close(ends[1]);
    while ((part = read(ends[0], got + got_bytes, sizeof got - got_bytes)) > 0) {
        got_bytes += (size_t)part;
    }
    close(ends[0]);
    assert_int_equal(got_bytes, 6000);
    for (unsigned i = 0; i < 2000; i++) {
        assert_int_equal((unsigned)(got[i * 3 + 2] - '0'), i % 10);
        assert_int_equal((unsigned)(got[i * 3] - '0'), i / 100 % 10);
    }
}

static void a_file_that_cannot_be_written_is_ignored_and_errno_kept(void **state)
{
    (void)state;
    emp_emitter_init(&out, 1000000);
    errno = 4711;
    for (int i = 0; i < 1000; i++) {
        emp_emitter_text(&out, "seven b");
    }
    emp_emitter_flush(&out);
    assert_int_equal(errno, 4711);
    assert_int_equal(out.used_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(decimals_are_right_from_zero_to_the_largest, start),
        cmocka_unit_test_setup(hexadecimals_have_the_prefix_and_no_leading_zeros, start),
        cmocka_unit_test_setup(thousandths_have_three_digits_behind_the_point, start),
        cmocka_unit_test_setup(bytes_have_the_binary_unit_that_fits, start),
        cmocka_unit_test_setup(json_strings_escape_quotes_backslashes_and_control_bytes_only,
                               start),
        cmocka_unit_test_setup(padding_fills_on_the_right_or_on_the_left_and_never_cuts, start),
        cmocka_unit_test(an_emitter_without_a_file_keeps_what_fits_and_stays_terminated),
        cmocka_unit_test(a_full_buffer_is_written_out_and_nothing_is_lost),
        cmocka_unit_test(a_file_that_cannot_be_written_is_ignored_and_errno_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
