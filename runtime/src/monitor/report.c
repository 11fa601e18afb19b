/*
 * Purpose: the text, the single write and the decision of report.h.
 * Owner:   monitor; policy, decider, count, the text of the last report, a depth per thread.
 * Threads: any; async-signal-safe up to the decider; errno preserved; no lock, no allocation.
 * Design:  [monitor.req.report] [monitor.inv.one-write] [monitor.inv.report-no-recursion]
 * Cost:    one system call for the text, one for the thread id; 2 KiB of stack.
 */
#include "monitor/report.h"

#include <string.h>

#include "base/check.h"
#include "base/compiler.h"
#include "base/config.h"
#include "monitor/callback.h"
#include "monitor/emitter.h"
#include "os/os_errno.h"
#include "os/os_output.h"
#include "sync/atomic.h"
#include "thread/lifecycle.h"

#define REPORT_FD        2
#define REPORT_DEPTH_MAX 4u
#define NOWHERE          (-1)

typedef bool report_decider(const struct emp_report *report, void *arg);

/* Texts of one code. */
struct report_row {
    const char *code;
    const char *text;
    const char *advice;
};

static const struct report_row report_rows[EMP_REPORT_COUNT] = {
#define EMP_REPORT(name, code, text, advice) [EMP_REPORT_##name] = {(code), (text), (advice)},
#include "monitor/report.def"
#undef EMP_REPORT
};

/* The last report, for who looks at a core dump: `print emp_last_report`. Zero-terminated. */
char emp_last_report[sizeof(((struct emp_emitter *)0)->text)];

static uint32_t last_report_taken; /* atomic: last-report. 1: somebody writes emp_last_report */
static uint32_t report_policy;     /* atomic, relaxed: enum emp_report_policy */
static uint64_t report_count;      /* atomic, relaxed: a count */
static struct emp_callback_cell report_decider_cell = EMP_CALLBACK_CELL_INIT;
static EMP_TLS uint8_t report_depth; /* reports of this thread that are not finished */

void emp_report_set_policy(enum emp_report_policy policy)
{
    /* order(report-policy): relaxed; a value that stands alone */
    emp_store_relaxed(&report_policy, (uint32_t)policy);
}

void emp_report_set_decider(report_decider *decide, void *arg)
{
    const struct emp_callback_pair pair = {.function = (emp_callback_fn *)decide, .arg = arg};
    emp_callback_set(&report_decider_cell, pair);
}

uint64_t emp_report_count(void)
{
    /* order(report-count): relaxed; a count */
    return emp_load_relaxed(&report_count);
}

const char *emp_report_code_text(enum emp_report_code code)
{
    return code < EMP_REPORT_COUNT ? report_rows[code].code : "E0000";
}

const char *emp_report_text(enum emp_report_code code)
{
    return code < EMP_REPORT_COUNT ? report_rows[code].text : "unknown";
}

const char *emp_report_advice(enum emp_report_code code)
{
    return code < EMP_REPORT_COUNT ? report_rows[code].advice : "";
}

/* The beginning of a line: "  key:         ". */
static void report_key(struct emp_emitter *out, const char *key)
{
    emp_emitter_text(out, "  ");
    emp_emitter_pad(out, key, 13);
}

static void report_text_line(struct emp_emitter *out, const char *key, const char *text)
{
    report_key(out, key);
    emp_emitter_text(out, text);
    emp_emitter_text(out, "\n");
}

static void report_number_line(struct emp_emitter *out, const char *key, uint64_t number)
{
    report_key(out, key);
    emp_emitter_decimal(out, number);
    emp_emitter_text(out, "\n");
}

static void report_address_line(struct emp_emitter *out, const char *key, const void *address)
{
    report_key(out, key);
    emp_emitter_hex(out, (uint64_t)(uintptr_t)address);
    emp_emitter_text(out, "\n");
}

/* What is known about the block; nothing about a pointer that is not ours. */
static void report_block_lines(struct emp_emitter *out, const struct emp_report *report)
{
    if (report->block != NULL) {
        report_address_line(out, "block:", report->block);
    }
    if (report->block != NULL && report->pointer != NULL) {
        const uintptr_t inside = (uintptr_t)report->pointer - (uintptr_t)report->block;
        report_number_line(out, "offset:", (uint64_t)inside);
    }
    if (report->block_bytes != 0) {
        report_number_line(out, "block bytes:", report->block_bytes);
    }
    if (report->class_id != 0) {
        report_number_line(out, "class:", report->class_id);
        report_number_line(out, "owner shard:", report->owner_shard);
        report_text_line(out, "pool:", report->pool != NULL ? report->pool : "heap");
    }
}

/* Where a coroutine comes from, and how much of its stack it has used. */
static void report_stack_lines(struct emp_emitter *out, const struct emp_report *report)
{
    if (report->made_file != NULL) {
        report_key(out, "spawned at:");
        emp_emitter_text(out, report->made_file);
        emp_emitter_text(out, ":");
        emp_emitter_decimal(out, report->made_line);
        emp_emitter_text(out, " in ");
        emp_emitter_text(out, report->made_in);
        emp_emitter_text(out, "\n");
    }
    if (report->used_bytes != 0) {
        report_number_line(out, "used bytes:", report->used_bytes);
    }
}

/* The whole text; action says what follows. */
static void report_format(struct emp_emitter *out, const struct emp_report *report,
                          const char *action)
{
    emp_emitter_text(out, "libechomem " EMP_VERSION_TEXT " error ");
    emp_emitter_text(out, emp_report_code_text(report->code));
    emp_emitter_text(out, " ");
    emp_emitter_text(out, emp_report_text(report->code));
    emp_emitter_text(out, "\n");
    report_address_line(out, "pointer:", report->pointer);
    report_block_lines(out, report);
    report_stack_lines(out, report);
    report_text_line(out, "call:", report->call != NULL ? report->call : "unknown");
    report_number_line(out, "thread:", emp_lifecycle_thread_id());
    report_text_line(out, "what to do:", emp_report_advice(report->code));
    report_key(out, "see:");
    emp_emitter_text(out, "docs/errors.md#");
    emp_emitter_text(out, emp_report_code_text(report->code));
    emp_emitter_text(out, "\n");
    report_text_line(out, "action:", action);
}

/* Keeps a copy for core dumps; of several reports at the same time, the first wins. */
static void report_keep(const struct emp_emitter *text)
{
    /* order(last-report): acquire; the last writer has finished */
    if (emp_exchange_acquire(&last_report_taken, 1u) != 0) {
        return;
    }
    memcpy(emp_last_report, text->text, text->used_bytes + 1);
    /* order(last-report): release; the text is whole before somebody else writes */
    emp_store_release(&last_report_taken, 0u);
}

static void report_write(const struct emp_emitter *text)
{
    report_keep(text);
    (void)emp_os_write_once(REPORT_FD, text->text, text->used_bytes);
}

/*
 * One report of this thread, depth 1 unless it came from inside a decider or a handler of SIGABRT.
 * Those nested reports are written and then leave the block alone: they neither ask nor abort.
 */
static void report_at_depth(const struct emp_report *report, unsigned depth)
{
    const struct emp_callback_pair decider = emp_callback_get(&report_decider_cell);
    /* order(report-policy): relaxed; a value that stands alone */
    bool continues = depth > 1 || emp_load_relaxed(&report_policy) == EMP_REPORT_CONTINUE;
    const bool is_asked = depth == 1 && decider.function != NULL;
    const char *const action = is_asked    ? "the callback decides"
                               : continues ? "continue, the block is left alone"
                                           : "abort (ECHOMEM_ON_ERROR=continue goes on)";
    struct emp_emitter text;
    emp_emitter_init(&text, NOWHERE);
    report_format(&text, report, action);
    report_write(&text);
    if (is_asked) {
        continues = ((report_decider *)decider.function)(report, decider.arg);
    }
    if (!continues) {
        emp_os_abort();
    }
}

void emp_report_misuse(const struct emp_report *report)
{
    const int saved_errno = emp_os_errno();
    /* order(report-count): relaxed; a count */
    emp_fetch_add_relaxed(&report_count, (uint64_t)1);
    report_depth++;
    if (report_depth <= REPORT_DEPTH_MAX) {
        report_at_depth(report, report_depth);
    }
    report_depth--;
    emp_os_set_errno(saved_errno);
}

EMP_NORETURN void emp_report_fatal(const char *what, const char *where)
{
    report_depth++;
    if (report_depth <= REPORT_DEPTH_MAX) {
        struct emp_emitter text;
        emp_emitter_init(&text, NOWHERE);
        emp_emitter_text(&text, "libechomem " EMP_VERSION_TEXT " internal failure: ");
        emp_emitter_text(&text, what);
        emp_emitter_text(&text, "\n");
        report_text_line(&text, "where:", where);
        report_number_line(&text, "thread:", emp_lifecycle_thread_id());
        report_text_line(&text, "action:", "abort");
        report_write(&text);
    }
    emp_os_abort();
}

void emp_report_reset_in_child(void)
{
    emp_callback_reset_in_child(&report_decider_cell);
    /* order(last-report): relaxed; the child has one thread */
    emp_store_relaxed(&last_report_taken, 0u);
}

/* A failed assertion of any room ends here. Until this has run it is a trap, which also ends it. */
__attribute__((constructor)) static void report_hook_checks(void)
{
    emp_check_set_hook(emp_report_fatal);
}
