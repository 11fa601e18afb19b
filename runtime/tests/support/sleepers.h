/*
 * What: a million coroutines, each asleep two frames deep with 256 bytes of locals, and their wake.
 * How:  one pool and one executor, which the caller ends by sleepers_end; locals are looked at when
 *       a coroutine goes on. One test at a time.
 */
#ifndef EMP_TESTS_SUPPORT_SLEEPERS_H
#define EMP_TESTS_SUPPORT_SLEEPERS_H

#include <stdint.h>

#include "base/config.h"
#include "core/async_memory_pool.h"

#define SLEEPERS 1000000u

/* Resident bytes and page tables of builds with larger frames and no inline switch. */
#define SLEEPERS_BOUND_OF_DEBUG 800000000u

#ifdef __OPTIMIZE__
#define SLEEPERS_LARGE (EMP_DEBUG || EMP_SECURE)
#else
#define SLEEPERS_LARGE 1 /* a build for coverage: every local has its place in the frame */
#endif

/* Makes pool and executor, spawns all with these flags, and runs until all sleep. The pool. */
struct emp_async_pool *sleepers_start(uint32_t flags);

/* Wakes all, runs them to their end, and checks that each found its locals as it left them. */
void sleepers_wake_and_check(void);

/* Ends handles, executor and pool; nothing may be left. */
void sleepers_end(void);

/* Checks resident bytes with page tables, and that mappings did not grow; the page tables. */
size_t sleepers_check_bytes(size_t bound, size_t kept_tables_above, size_t bound_of_kept_tables);

#endif
