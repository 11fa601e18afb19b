/*
 * What: what the system says of the memory of a process.
 */
#ifndef EMP_TESTS_SUPPORT_PROCESS_MEMORY_H
#define EMP_TESTS_SUPPORT_PROCESS_MEMORY_H

#include <stddef.h>
#include <sys/types.h>

/* A line "<name>: <n> kB" of /proc/self/status, in bytes: "VmRSS", "VmPTE", "VmHWM". */
size_t process_status_bytes(const char *name);

/* The same of another process. */
size_t process_status_bytes_of(pid_t pid, const char *name);

/* Mappings: the lines of /proc/self/maps. */
unsigned process_mappings(void);

#endif
