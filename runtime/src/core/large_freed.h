/*
 * Purpose: remembers the addresses of the large blocks freed last, so that a second free of one is
 *          told from a pointer that never was a block.
 * Owner:   core; not installed. Threads: any; no lock. A hint: an address is forgotten when another
 *          of the same place is freed, and may be a new block's by the time it is asked for.
 * Cost:    one store for each large block freed. Design: [core.req.misuse]
 */
#ifndef EMP_CORE_LARGE_FREED_H
#define EMP_CORE_LARGE_FREED_H

#include <stdbool.h>

/* A large block at this address was freed or has moved away. */
void emp_large_freed_note(const void *ptr);

/* True when the last large block of this address was freed not long ago. */
bool emp_large_freed_lately(const void *ptr);

#endif
