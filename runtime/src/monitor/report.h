/*
 * Purpose: reports of misuse: one write, stable code, then the policy (abort, continue, callback).
 * Owner:   monitor. Threads: any; async-signal-safe up to the callback; allocates nothing.
 * Design:  [monitor.req.report]
 */
#ifndef EMP_MONITOR_REPORT_H
#define EMP_MONITOR_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* One per line of report.def: EMP_REPORT(enumerator, "E1001", "text", "advice"). */
enum emp_report_code {
#define EMP_REPORT(name, code, text, advice) EMP_REPORT_##name,
#include "monitor/report.def"
#undef EMP_REPORT
    EMP_REPORT_COUNT
};

/* Everything a report says besides its code. Unknown numbers are zero, unknown texts NULL. */
struct emp_report {
    enum emp_report_code code;
    const void *pointer;  /* as passed by the caller */
    const void *block;    /* start of the block, when known */
    const char *pool;     /* pool name; NULL: the heap */
    uint64_t block_bytes; /* size of the block's class; 0: not ours */
    uint32_t class_id;    /* 0: not ours */
    uint32_t owner_shard; /* shard of the slab */
    const char *call;     /* "free", "free_sized", "flush", "realloc" ... */
    const char *made_in;  /* function that spawned the coroutine */
    const char *made_file;
    uint32_t made_line;
    uint64_t used_bytes; /* of a stack: the most it has held */
};

/* How the policy is set: abort (default), continue, or ask. */
enum emp_report_policy { EMP_REPORT_ABORT = 0, EMP_REPORT_CONTINUE = 1 };

/* Sets the policy without callback. */
void emp_report_set_policy(enum emp_report_policy policy);

/* Sets a function that decides; NULL returns to the policy. True means continue. */
void emp_report_set_decider(bool (*decide)(const struct emp_report *report, void *arg), void *arg);

/* Reports; returns only when the policy or the decider says continue: the block is left alone. */
void emp_report_misuse(const struct emp_report *report);

/* Reports so far, all codes. */
uint64_t emp_report_count(void);

/* Code, text and advice of a report code. */
const char *emp_report_code_text(enum emp_report_code code);
const char *emp_report_text(enum emp_report_code code);
const char *emp_report_advice(enum emp_report_code code);

/* Writes an internal failure (broken invariant, refused first page) in one write, then aborts. */
EMP_NORETURN void emp_report_fatal(const char *what, const char *where);

/* In a forked child: forgets threads that were setting a decider or writing a report. */
void emp_report_reset_in_child(void);

/* The text of the last report, for core dumps. */
extern char emp_last_report[];

#endif
