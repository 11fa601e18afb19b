/*
 * Purpose: formats text, JSON and OpenMetrics into a fixed buffer and writes it out; no allocation.
 * Owner:   monitor; an emitter lives on its caller's stack, one thread.
 * Design:  [monitor.req.emitter]
 */
#ifndef EMP_MONITOR_EMITTER_H
#define EMP_MONITOR_EMITTER_H

#include <stddef.h>
#include <stdint.h>

/* A buffer with a destination; full buffers are written at once. */
struct emp_emitter {
    int fd;            /* destination; -1: keep what fits */
    size_t used_bytes; /* bytes waiting in text */
    char text[2048];
};

/* Starts with an empty buffer. */
void emp_emitter_init(struct emp_emitter *emitter, int fd);

/* Appends a NUL-terminated text. */
void emp_emitter_text(struct emp_emitter *emitter, const char *text);

/* Appends a text as a JSON string with quotes and escapes. */
void emp_emitter_json_string(struct emp_emitter *emitter, const char *text);

/* Appends a number: decimal, hexadecimal with 0x, or thousandths as a fraction of three digits. */
void emp_emitter_decimal(struct emp_emitter *emitter, uint64_t value);
void emp_emitter_hex(struct emp_emitter *emitter, uint64_t value);
void emp_emitter_milli(struct emp_emitter *emitter, uint64_t thousandths);

/* Appends bytes with a binary unit: "512 B", "1.5 MiB". */
void emp_emitter_bytes(struct emp_emitter *emitter, uint64_t bytes);

/* Appends text padded with spaces to width; negative width pads on the left. */
void emp_emitter_pad(struct emp_emitter *emitter, const char *text, int width);

/* Writes out what waits (retries short writes, ignores errors, keeps errno). */
void emp_emitter_flush(struct emp_emitter *emitter);

#endif
