/*
 * Purpose: the formatting of emitter.h.
 * Owner:   monitor; no state outside the emitter.
 * Threads: an emitter belongs to one thread; async-signal-safe, errno preserved.
 * Design:  [monitor.req.emitter] [monitor.inv.emitter-bounded]
 * Cost:    O(bytes appended), one system call per 2 KiB.
 */
#include "monitor/emitter.h"

#include <string.h>

#include "base/check.h"
#include "os/os_output.h"

#define TEXT_BYTES_MAX (sizeof(((struct emp_emitter *)0)->text) - 1) /* the last byte is the zero */
#define NUMBER_BYTES   24u
#define THOUSAND       1000u

static const char digits[] = "0123456789abcdef";

void emp_emitter_init(struct emp_emitter *emitter, int fd)
{
    emitter->fd = fd;
    emitter->used_bytes = 0;
    emitter->text[0] = '\0';
}

/* Appends bytes; a full buffer is written out, or what does not fit is dropped. */
static void emitter_append(struct emp_emitter *emitter, const char *text, size_t bytes)
{
    emp_assert(emitter->used_bytes <= TEXT_BYTES_MAX);
    while (bytes > 0) {
        if (emitter->used_bytes == TEXT_BYTES_MAX) {
            if (emitter->fd < 0) {
                return;
            }
            emp_emitter_flush(emitter);
        }
        const size_t room_bytes = TEXT_BYTES_MAX - emitter->used_bytes;
        const size_t part_bytes = bytes < room_bytes ? bytes : room_bytes;
        memcpy(emitter->text + emitter->used_bytes, text, part_bytes);
        emitter->used_bytes += part_bytes;
        emitter->text[emitter->used_bytes] = '\0';
        text += part_bytes;
        bytes -= part_bytes;
    }
}

void emp_emitter_text(struct emp_emitter *emitter, const char *text)
{
    emitter_append(emitter, text, strlen(text));
}

/* The escape of one byte inside a JSON string, as RFC 8259 section 7 wants it. */
static void emitter_json_byte(struct emp_emitter *emitter, unsigned char byte)
{
    if (byte == '"' || byte == '\\') {
        const char escaped[] = {'\\', (char)byte};
        emitter_append(emitter, escaped, sizeof escaped);
    } else if (byte < 0x20u || byte == 0x7fu) {
        const char escaped[] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15u]};
        emitter_append(emitter, escaped, sizeof escaped);
    } else {
        emitter_append(emitter, (const char *)&byte, 1);
    }
}

void emp_emitter_json_string(struct emp_emitter *emitter, const char *text)
{
    emitter_append(emitter, "\"", 1);
    for (; *text != '\0'; text++) {
        emitter_json_byte(emitter, (unsigned char)*text);
    }
    emitter_append(emitter, "\"", 1);
}

/* Writes the digits of value so that they end before end; the first digit's place. */
static char *emitter_digits(char *end, uint64_t value, unsigned base)
{
    do {
        *--end = digits[value % base];
        value /= base;
    } while (value != 0);
    return end;
}

void emp_emitter_decimal(struct emp_emitter *emitter, uint64_t value)
{
    char number[NUMBER_BYTES];
    char *const end = number + sizeof number;
    const char *const first = emitter_digits(end, value, 10);
    emitter_append(emitter, first, (size_t)(end - first));
}

void emp_emitter_hex(struct emp_emitter *emitter, uint64_t value)
{
    char number[NUMBER_BYTES];
    char *const end = number + sizeof number;
    const char *const first = emitter_digits(end, value, 16);
    emitter_append(emitter, "0x", 2);
    emitter_append(emitter, first, (size_t)(end - first));
}

void emp_emitter_milli(struct emp_emitter *emitter, uint64_t thousandths)
{
    const unsigned rest = (unsigned)(thousandths % THOUSAND);
    const char fraction[] = {'.', digits[rest / 100], digits[rest / 10 % 10], digits[rest % 10]};
    emp_emitter_decimal(emitter, thousandths / THOUSAND);
    emitter_append(emitter, fraction, sizeof fraction);
}

void emp_emitter_bytes(struct emp_emitter *emitter, uint64_t bytes)
{
    static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
    unsigned unit = 0;
    unsigned shift = 0;
    while (bytes >> shift >= 1024) {
        shift += 10;
        unit++;
    }
    emp_emitter_decimal(emitter, bytes >> shift);
    if (unit > 0) {
        const uint64_t rest = (bytes >> (shift - 10)) & 1023u;
        const char fraction[] = {'.', digits[rest * 10 / 1024]};
        emitter_append(emitter, fraction, sizeof fraction);
    }
    emp_emitter_text(emitter, units[unit]);
}

static void emitter_spaces(struct emp_emitter *emitter, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        emitter_append(emitter, " ", 1);
    }
}

void emp_emitter_pad(struct emp_emitter *emitter, const char *text, int width)
{
    const size_t text_bytes = strlen(text);
    const size_t width_bytes = (size_t)(width < 0 ? -width : width);
    const size_t pad_bytes = width_bytes > text_bytes ? width_bytes - text_bytes : 0;
    if (width < 0) {
        emitter_spaces(emitter, pad_bytes);
    }
    emitter_append(emitter, text, text_bytes);
    if (width >= 0) {
        emitter_spaces(emitter, pad_bytes);
    }
}

void emp_emitter_flush(struct emp_emitter *emitter)
{
    if (emitter->fd < 0) {
        return;
    }
    (void)emp_os_write_all(emitter->fd, emitter->text, emitter->used_bytes);
    emitter->used_bytes = 0;
    emitter->text[0] = '\0';
}
