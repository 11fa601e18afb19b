/*
 * Purpose: when maintenance runs: from emp_tick, and from a thread of our own that exists only while
 *          there is memory to give back.
 * Owner:   core; not installed. Design: [core.proto.maintenance]
 */
#ifndef EMP_CORE_MAINTENANCE_H
#define EMP_CORE_MAINTENANCE_H

/* Registers the free hook; after the thread room is ready. */
void emp_maintenance_init(void);

/* Waits for the round in progress and keeps the next one away; a class may be ended in between. */
void emp_maintenance_pause(void);
void emp_maintenance_resume(void);

/* Fork. */
void emp_maintenance_fork_prepare(void);
void emp_maintenance_fork_parent(void);
void emp_maintenance_fork_child(void);

#endif
