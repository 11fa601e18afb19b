/*
 * Purpose: the values of the run-time options, parsed from the environment at start or set by call.
 * Owner:   core; not installed. Values are words read relaxed; texts change under the options lock.
 * Design:  [core.req.options]
 */
#ifndef EMP_CORE_OPTIONS_H
#define EMP_CORE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One number per option, in the order of options.def. */
enum emp_option {
#define EMP_OPTION(name, type, text, run_time, meaning) EMP_OPTION_##name,
#include "core/options.def"
#undef EMP_OPTION
    EMP_OPTION_COUNT
};

/* Reads the environment; once, at start. Unknown or bad values are named on standard error. */
void emp_options_init(void);

/*
 * Reads the environment if there was none yet at start: a program's preinit array may allocate
 * before the C library has set it. Called once more, by the drop-in's constructor, with one thread.
 */
void emp_options_read_late(void);

/* Value of an option: bytes, nanoseconds, 0/1, or the index of the choice. */
uint64_t emp_option_value(enum emp_option option);

/* Fork. */
void emp_options_fork_prepare(void);
void emp_options_fork_parent(void);
void emp_options_fork_child(void);

#endif
