/*
 * Purpose: start of the library, maintenance, and what core's files share.
 * Owner:   core; not installed. Threads: any.
 * Design:  [core.proto.start] [core.proto.maintenance]
 */
#ifndef EMP_CORE_RUNTIME_H
#define EMP_CORE_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "core/pool_types.h"
#include "global/central.h"
#include "monitor/report.h"

/* Starts everything at the first call; false: the system gave nothing at all. */
bool emp_runtime_start(void);

/* True once emp_runtime_start succeeded. */
bool emp_runtime_is_started(void);

/* Sends the events of a finished allocation; no bin is in use, no lock is held. */
void emp_event_after_take(uint32_t class_id, size_t requested, bool failed,
                          const struct emp_central_note *note, const char *reason);

/* An allocation above the slab classes failed. */
void emp_event_large_failed(size_t requested, bool limited);

/* The way from async to core; before anybody can have a pool. */
void emp_async_hooks_init(void);

/* Fork: the locks of typed pools and of the event callback. */
void emp_typed_fork_prepare(void);
void emp_typed_fork_parent(void);
void emp_typed_fork_child(void);
void emp_listeners_fork_prepare(void);
void emp_listeners_fork_parent(void);
void emp_listeners_fork_child(void);

/* Class that serves a request; 0: a run or more. As if the option align were natural. */
uint32_t emp_request_class(size_t size, size_t align);

/* The same for a request that the option align=line rounds to whole lines. */
uint32_t emp_request_class_line(size_t size);

/* A plain request above the slab classes. Sets errno. */
void *emp_allocate_large(size_t size);

/* The slow path of a plain request of a slab class, with the canary. Sets errno. */
void *emp_allocate_plain(size_t size);

/* A block of a class; refills; sends events; requested for events. NULL without errno set. */
void *emp_allocate_class(uint32_t class_id, size_t requested);

/* Everything about a free that the hit path does not do; errno is kept. */
void emp_release_slow(void *ptr, const char *call);

/* The same for a caller known by an address of his code, or EMP_CALLER_*; see maintenance.h. */
void emp_release_for(void *ptr, const char *call, uintptr_t caller);

/* The same for a block whose guard has been ended: it is free, and in no cache yet. */
void emp_release_ended(void *ptr, const char *call, uintptr_t caller);

/* The same for a pointer whose guard says what is wrong with it. */
void emp_release_faulty(void *ptr, const char *call, enum emp_report_code fault);

/* Usable bytes of a block of class_id that serves `requested` bytes. */
size_t emp_usable_of(uint32_t class_id, size_t requested);

/* Reports misuse of a pointer with everything known about it. */
void emp_report_pointer(enum emp_report_code code, const void *ptr, const char *call);

/* Requests with an alignment above the natural one. */
uint64_t emp_aligned_requests(void);

/* Reads the statistics of one class over all shards. */
void emp_class_stats(uint32_t class_id, struct emp_pool_stats *out);

/*
 * Checked mode: every operation is announced to valgrind or AddressSanitizer.
 * atomic: runtime-start.
 * Const once started; read without ceremony by who is behind the start.
 */
extern bool emp_runtime_annotates;

/* What to do with foreign pointers. */
enum emp_foreign_policy { EMP_FOREIGN_ABORT = 0, EMP_FOREIGN_FORWARD, EMP_FOREIGN_IGNORE };
extern enum emp_foreign_policy emp_foreign_policy;

/* Bytes of canary at least behind every block without a larger alignment (secure build), else 0. */
#define EMP_CANARY_BYTES (EMP_SECURE ? 1u : 0u)

#endif
