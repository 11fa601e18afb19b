/*
 * Purpose: what the stacks of all pools want from core: a beginning and an end, ticks, and care at
 *          a fork.
 * Owner:   async. Called by core only.
 * Threads: any; fork hooks in the order prepare, then parent or child.
 * Design:  [async.proto.park] [async.proto.stack-pool]
 */
#ifndef EMP_ASYNC_STACK_PROCESS_H
#define EMP_ASYNC_STACK_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct emp_async_pool;
struct emp_stack_manager;

/* Makes the stacks of a pool; NULL: no memory. Ends them: none is in use any more. */
struct emp_stack_manager *emp_stack_manager_new(const struct emp_async_pool *pool);
void emp_stack_manager_end(struct emp_stack_manager *stacks);

/* emp_coroutine_tick for every pool. True: more is due; *asleep: some may be due later. */
bool emp_stack_tick_all(uint64_t now_ns, bool *asleep);

/* Stacks ever made, of all pools. */
uint32_t emp_stack_made_total(void);

/* Fork: the lists of free stacks stay whole; in the child nobody walks or sweeps. */
void emp_stack_fork_prepare(void);
void emp_stack_fork_parent(void);
void emp_stack_fork_child(void);

#endif
