/*
 * What it is for: statistics of the whole process, events, options, and the report of misuse.
 * When not to use it: for one pool, emp_pool_get_stats is enough.
 * Life cycle: options may be set at any time unless they say "at start"; callbacks stay until
 *   replaced.
 * Threads: any. Errors: enum emp_status.
 */
#ifndef EMP_CORE_MEMORY_MONITOR_H
#define EMP_CORE_MEMORY_MONITOR_H

#include "base/export.h"
#include "core/pool_types.h"

EMP_EXTERN_C_BEGIN

/**
 * Reads the gauges and counters of the process.
 * @param out receives the numbers.
 * @returns EMP_OK or EMP_ERR_INVALID. Errors: as said. Threads: any. Cost: O(threads + chunks).
 * Since: 0.1. Source: row F1.
 */
EMP_API enum emp_status emp_stats_read(struct emp_stats *out);

/* How emp_stats_print writes. */
enum emp_stats_format { EMP_STATS_TEXT = 0, EMP_STATS_JSON = 1, EMP_STATS_OPENMETRICS = 2 };

/**
 * Writes the statistics, with one row per active class and pool.
 * @param fd an open file descriptor. @param format as named.
 * @returns EMP_OK or EMP_ERR_INVALID. Errors: write errors are ignored. Threads: any.
 * Cost: O(classes); allocates nothing. Since: 0.1. Source: row F1.
 */
EMP_API enum emp_status emp_stats_print(int fd, enum emp_stats_format format);

/* Receives an event; no lock of the library is held: it may allocate and free. */
typedef void emp_event_callback(const struct emp_event *event, void *arg);

/**
 * Registers the callback for events; NULL removes it.
 * @param callback the function. @param arg passed on.
 * @returns EMP_OK. Errors: none. Threads: any; an event in flight may still reach the old callback.
 * Cost: O(1). Since: 0.1. Source: row F5.
 */
EMP_API enum emp_status emp_event_set_callback(emp_event_callback *callback, void *arg);

/* What a misuse callback decides. */
enum emp_misuse_action { EMP_MISUSE_ABORT = 0, EMP_MISUSE_CONTINUE = 1 };

/* A misuse report: everything the one-write report says, as fields. */
struct emp_misuse {
    const char *code;     /* "E1002" */
    const char *text;     /* "double free" */
    const void *pointer;  /* as passed */
    const char *pool;     /* pool name, "heap", or "none" */
    uint64_t block_bytes; /* block size of its class, 0: not ours */
    uint32_t owner_shard; /* shard that owns the slab */
    const char *advice;   /* what to do */
};

/**
 * Registers a function asked after each misuse report; NULL restores the option on_error.
 * @param callback decides to abort or to continue with the block left unused. @param arg passed on.
 * @returns EMP_OK. Errors: none. Threads: any. Cost: O(1). Since: 0.1. Source: docs/adr/0014.
 */
EMP_API enum emp_status emp_misuse_set_callback(
    enum emp_misuse_action (*callback)(const struct emp_misuse *misuse, void *arg), void *arg);

/**
 * Sets an option by name, as the environment variable ECHOMEM_<NAME> does.
 * @param name lower case, see emp_option_describe. @param value text as in the environment.
 * @returns EMP_OK or an error. Errors: EMP_ERR_NOT_FOUND, EMP_ERR_INVALID (value), EMP_ERR_STATE (a
 *   start-only option after the start). Threads: any. Cost: O(options). Since: 0.1. Source: row B5.
 */
EMP_API enum emp_status emp_option_set(const char *name, const char *value);

/* One option as `echomem options` shows it. */
struct emp_option_info {
    const char *name;         /* "purge_delay" */
    const char *type;         /* "time", "size", "bool", "choice", "int" */
    const char *default_text; /* as one would write it */
    const char *origin;       /* "default", "environment", "call" */
    const char *meaning;      /* one sentence */
    bool run_time;            /* may change after the start */
    char current_text[32];    /* value in force */
};

/**
 * Describes an option.
 * @param index 0.. @param out receives the description; strings are static.
 * @returns EMP_OK, or EMP_ERR_NOT_FOUND past the last. Errors: as said. Threads: any. Cost: O(1).
 * Since: 0.1. Source: ecosystem of the field.
 */
EMP_API enum emp_status emp_option_describe(size_t index, struct emp_option_info *out);

/**
 * Version of the library.
 * @returns text such as "0.1.0". Errors: none. Threads: any. Cost: O(1). Since: 0.1. Source: row
 * G7.
 */
EMP_API const char *emp_version(void);

/**
 * Text of a status code.
 * @param status any code.
 * @returns a static string. Errors: none. Threads: any. Cost: O(1). Since: 0.1. Source: row G7.
 */
EMP_API const char *emp_status_text(enum emp_status status);

EMP_EXTERN_C_END

#endif
