/*
 * Purpose: takes the place of thread/cpu.h in builds of the model checker: a case says how many
 *          processors there are and which one each of its threads runs on.
 * Owner:   model; protocol/world.c has the numbers.
 * Threads: the checker's own.
 * Design:  docs/design/model.md
 */
#ifndef EMP_THREAD_CPU_H
#define EMP_THREAD_CPU_H

unsigned emp_cpu_count(void);
unsigned emp_cpu_current(void);

#endif
