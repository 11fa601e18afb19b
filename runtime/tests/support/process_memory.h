/*
 * What: what the system says of the memory of this process.
 */
#ifndef EMP_TESTS_SUPPORT_PROCESS_MEMORY_H
#define EMP_TESTS_SUPPORT_PROCESS_MEMORY_H

#include <stddef.h>

/* A line "<name>: <n> kB" of /proc/self/status, in bytes: "VmRSS", "VmPTE", "VmHWM". */
size_t process_status_bytes(const char *name);

/* Mappings: the lines of /proc/self/maps. */
unsigned process_mappings(void);

#endif
