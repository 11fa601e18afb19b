/*
 * Purpose: what `which` and `check` must know of an executable or library file: how it is loaded,
 *          and whether it defines or imports a function.
 * Owner:   tool; an open file is owned by its opener. Threads: one.
 * Design:  [tool.req.which]
 * Source:  System V ABI, "Object Files"; elf(5).
 */
#ifndef EMP_TOOL_ELF_FILE_H
#define EMP_TOOL_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* A mapped file whose header is a complete ELF header of this machine's class. */
struct emp_elf_file {
    const unsigned char *data;
    size_t bytes;
};

/* What a file is, before anything is known of its content. */
enum emp_elf_kind {
    EMP_ELF_UNREADABLE = 0, /* errno says why */
    EMP_ELF_SCRIPT,         /* begins with #! */
    EMP_ELF_OTHER,          /* neither a script nor an ELF file */
    EMP_ELF_FOREIGN,        /* ELF for another machine or word size */
    EMP_ELF_NATIVE          /* ELF of this machine */
};

/* Maps a file. Only EMP_ELF_NATIVE and EMP_ELF_SCRIPT leave it open, to be closed by the caller. */
enum emp_elf_kind emp_elf_open(const char *path, struct emp_elf_file *file);
void emp_elf_close(struct emp_elf_file *file);

/* The dynamic loader the file asks for; NULL: none, the file is static or a plain library. */
const char *emp_elf_interpreter(const struct emp_elf_file *file);

/* True when the dynamic symbol table defines (or, imports) the function. */
bool emp_elf_defines(const struct emp_elf_file *file, const char *function);
bool emp_elf_imports(const struct emp_elf_file *file, const char *function);

/* True when the full symbol table, if it was not stripped, defines the function. */
bool emp_elf_contains(const struct emp_elf_file *file, const char *function);

/* True when there is a section of this name. */
bool emp_elf_has_section(const struct emp_elf_file *file, const char *name);

#endif
