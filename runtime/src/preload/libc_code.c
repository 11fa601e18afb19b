/*
 * Purpose: tells the maintenance where the code of the C library and of its loader lies: their own
 *          frees must not start a thread.
 * Owner:   preload. Written once by the constructor, before the program's own threads exist.
 * Design:  [preload.req.own-frees]
 * Source:  glibc nptl/nptl-stack.c: __nptl_free_stacks frees under the lock that pthread_create
 *          takes; elf(5) program headers; dl_iterate_phdr(3).
 * Cost:    a walk over the loaded objects at load; the slow path of free hands one register on.
 */
#define _GNU_SOURCE /* RTLD_NEXT, dl_iterate_phdr */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>

#include "core/maintenance.h"

#define PROBES 2

/* What belongs to the C library: the objects that hold these addresses, and the loader. */
struct libc_probe {
    uintptr_t inside[PROBES];
    uintptr_t loader; /* where the loader is mapped; 0: the program is its own */
};

static bool segment_holds(const struct dl_phdr_info *object, size_t index, uintptr_t address)
{
    uintptr_t first = object->dlpi_addr + object->dlpi_phdr[index].p_vaddr;

    return object->dlpi_phdr[index].p_type == PT_LOAD && address >= first &&
           address - first < object->dlpi_phdr[index].p_memsz;
}

static bool is_libc(const struct dl_phdr_info *object, const struct libc_probe *probe)
{
    for (size_t i = 0; i < object->dlpi_phnum; ++i) {
        for (size_t p = 0; p < PROBES; ++p) {
            if (segment_holds(object, i, probe->inside[p])) {
                return true;
            }
        }
    }
    return probe->loader != 0 && object->dlpi_addr == probe->loader;
}

/* Visits one loaded object; always 0: go on. */
static int declare_object(struct dl_phdr_info *object, size_t bytes, void *arg)
{
    (void)bytes;
    for (size_t i = 0; is_libc(object, arg) && i < object->dlpi_phnum; ++i) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];

        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0) {
            uintptr_t first = object->dlpi_addr + segment->p_vaddr;

            emp_maintenance_add_libc(first, first + segment->p_memsz);
        }
    }
    return 0;
}

/* Names that no tool replaces; before glibc 2.34 threads had a library of their own. */
__attribute__((constructor)) static void libc_code_declare(void)
{
    int saved_errno = errno;
    struct libc_probe probe = {
        .inside = {(uintptr_t)dlsym(RTLD_NEXT, "getauxval"),
                   (uintptr_t)dlsym(RTLD_NEXT, "pthread_key_create")},
        .loader = (uintptr_t)getauxval(AT_BASE),
    };

    (void)dl_iterate_phdr(declare_object, &probe);
    errno = saved_errno;
}
