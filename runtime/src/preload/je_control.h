/*
 * Purpose: the table behind mallctl: name, type, and how the value is read and written.
 * Owner:   preload; the table is constant. Threads: any.
 * Design:  [preload.req.jemalloc-facade]
 */
#ifndef EMP_PRELOAD_JE_CONTROL_H
#define EMP_PRELOAD_JE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Types of jemalloc's interface; NONE has no value and only acts. */
enum emp_je_type {
    EMP_JE_NONE = 0,
    EMP_JE_BOOL,
    EMP_JE_UNSIGNED,
    EMP_JE_U32,
    EMP_JE_U64,
    EMP_JE_SIZE,
    EMP_JE_TEXT
};

union emp_je_value {
    bool as_bool;
    unsigned as_unsigned;
    uint32_t as_u32;
    uint64_t as_u64;
    size_t as_size;
    const char *as_text;
};

/* One row of je_control.def. */
struct emp_je_control {
    const char *name; /* parts between points; `#` is a number */
    enum emp_je_type type;
    size_t argument; /* meaning by the reader */
    /* Stores the value for number index; an errno value, 0: done. NULL: cannot be read. */
    int (*read)(const struct emp_je_control *control, size_t index, union emp_je_value *value);
    /* Does what writing means; an errno value, 0: done. NULL: cannot be written. */
    int (*write)(size_t index);
};

/* The rows, and how many there are. */
extern const struct emp_je_control emp_je_controls[];
extern const size_t emp_je_control_count;

/* Bytes of a value of the type; 0 for NONE. */
size_t emp_je_type_bytes(enum emp_je_type type);

#endif
