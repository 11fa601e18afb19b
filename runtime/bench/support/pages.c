/*
 * Purpose: memory of the harness and readers of resident memory.
 * Owner:   bench/support; any thread; allocates nothing.
 * Source:  proc(5): smaps_rollup is exact where statm may lag by a batch of pages per processor.
 */
#include "support/pages.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES 4096u

void *bench_pages_map(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (pages == MAP_FAILED) {
        fprintf(stderr, "bench: the system has no %zu bytes for the harness\n", bytes);
        exit(1);
    }
    return pages;
}

void bench_pages_unmap(void *pages, size_t bytes)
{
    munmap(pages, bytes);
}

static size_t touched_bytes; /* written before other threads start */

size_t bench_pages_touched_bytes(void)
{
    return touched_bytes;
}

void bench_pages_touch(void *pages, size_t bytes)
{
    char *byte = pages;

    touched_bytes += bytes;
    for (size_t i = 0; i < bytes; i += PAGE_BYTES) {
        byte[i] = 0;
        __asm__ __volatile__("" : : "r"(byte) : "memory");
    }
}

/* The number of KiB after key in a file of /proc, as bytes; 0 when it is not there. */
static size_t pages_read_field(const char *path, const char *key)
{
    char text[4096];
    const char *found;
    ssize_t length;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return 0;
    }
    length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    found = strstr(text, key);
    return found == NULL ? 0 : strtoull(found + strlen(key), NULL, 10) * 1024u;
}

size_t bench_resident_bytes(void)
{
    size_t bytes = pages_read_field("/proc/self/smaps_rollup", "\nRss:");

    return bytes != 0 ? bytes : pages_read_field("/proc/self/status", "\nVmRSS:");
}

void bench_resident_peak_reset(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        if (write(fd, "5", 1) != 1) {
            fprintf(stderr, "bench: the peak of resident memory includes the start\n");
        }
        close(fd);
    }
}

size_t bench_resident_peak_bytes(void)
{
    return pages_read_field("/proc/self/status", "\nVmHWM:");
}

size_t bench_page_table_bytes(void)
{
    return pages_read_field("/proc/self/status", "\nVmPTE:");
}
