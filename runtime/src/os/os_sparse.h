/*
 * Purpose: the contract with the operating system about large mappings of which little is used:
 *          without a charge in advance, with guards inside, and with the question which pages
 *          exist.
 * Owner:   os. The ranges are the caller's. Every function may fail; failure changes nothing.
 * Threads: any; no locks, no allocation, errno is preserved by every function.
 * Design:  [os.req.sparse]
 */
#ifndef EMP_OS_OS_SPARSE_H
#define EMP_OS_OS_SPARSE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Maps readable and writable zero memory that is not charged before it is touched and never gets
 * huge pages. NULL: refused. Unmapped by emp_os_unmap.
 */
void *emp_os_map_sparse(size_t bytes, size_t align);

/*
 * Makes pages of a mapping fault at any access, without splitting it (Linux 6.13). What they held
 * is lost; emp_os_purge of a range leaves them as they are. False: not supported, or refused.
 */
bool emp_os_guard(void *base, size_t bytes);

/* Takes the guards in the range away; other pages are left alone. False: refused. */
bool emp_os_unguard(void *base, size_t bytes);

/* Makes pages of a mapping fault at any access, by a mapping of their own. False: refused. */
bool emp_os_close(void *base, size_t bytes);

/* Whether the system itself could not write at the address: shows that a guard really is one. */
bool emp_os_is_closed(void *address);

/*
 * Bytes from the lowest page in [base, base + bytes) that exists in memory to the end of the range;
 * 0: none does, or the system did not say.
 */
size_t emp_os_resident_tail(void *base, size_t bytes);

#endif
