/*
 * Purpose: the contract with the operating system about memory nodes (NUMA): which there are, where
 *          a processor and a page belong, and where new pages of a range should come from.
 * Owner:   os. On a machine or kernel without nodes everything is node 0 and nothing fails for it.
 * Threads: any; no locks, no allocation, no state, errno is preserved.
 * Design:  [os.req.numa]
 */
#ifndef EMP_OS_OS_NUMA_H
#define EMP_OS_OS_NUMA_H

#include <stdbool.h>
#include <stddef.h>

/* Nodes this library can name: 0 .. EMP_OS_NUMA_NODES_MAX - 1, as the kernel's largest build. */
#define EMP_OS_NUMA_NODES_MAX 1024u

/* Answer of a query that has none. */
#define EMP_OS_NUMA_NONE (~0u)

/* Nodes that are online, at least 1. Their numbers may have gaps. Reads a file: microseconds. */
unsigned emp_os_numa_count(void);

/* One above the highest online node: the length of an array indexed by node. At least 1. */
unsigned emp_os_numa_limit(void);

/* Node of the processor that runs this thread; a hint, may be stale on return. About 10 ns. */
unsigned emp_os_numa_current(void);

/* Node of a processor, EMP_OS_NUMA_NONE when there is no such one. One file per node: slow. */
unsigned emp_os_numa_of_cpu(unsigned cpu);

/*
 * Node of the page at an address; EMP_OS_NUMA_NONE when no page is there yet or the address is not
 * mapped. The page is not made present, unless the system refuses move_pages and get_mempolicy has
 * to answer. One system call.
 */
unsigned emp_os_numa_of_address(const void *address);

/*
 * New pages of [base, base + bytes) come from node while it has some; pages that are there stay.
 * base is a multiple of the page. False: no such node, or the system refused; nothing changed.
 */
bool emp_os_numa_prefer(void *base, size_t bytes, unsigned node);

#endif
