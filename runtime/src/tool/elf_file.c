/*
 * Purpose: reads ELF headers and symbol tables with every offset checked against the file's end.
 * Owner:   tool. Threads: one. Cost: O(symbols) for each question.
 * Design:  [tool.req.which]
 * Source:  System V ABI, "Object Files"; elf(5).
 */
#include "tool/elf_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The machine of this program, taken from its own header, which the linker placed. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* A table inside the file; NULL when it does not fit. */
static const void *table_at(const struct emp_elf_file *file, size_t offset, size_t bytes)
{
    return offset <= file->bytes && bytes <= file->bytes - offset ? file->data + offset : NULL;
}

static const ElfW(Ehdr) * header_of(const struct emp_elf_file *file)
{
    return (const ElfW(Ehdr) *)(const void *)file->data;
}

enum emp_elf_kind emp_elf_open(const char *path, struct emp_elf_file *file)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    void *data = MAP_FAILED;

    if (fd < 0) {
        return EMP_ELF_UNREADABLE;
    }
    if (fstat(fd, &status) == 0 && status.st_size > 0) {
        data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    (void)close(fd);
    if (data == MAP_FAILED) {
        return EMP_ELF_OTHER;
    }
    file->data = data;
    file->bytes = (size_t)status.st_size;
    if (file->bytes > 2 && memcmp(file->data, "#!", 2) == 0) {
        return EMP_ELF_SCRIPT;
    }
    if (file->bytes < sizeof(ElfW(Ehdr)) || memcmp(file->data, ELFMAG, SELFMAG) != 0) {
        emp_elf_close(file);
        return EMP_ELF_OTHER;
    }
    if (file->data[EI_CLASS] != __ehdr_start.e_ident[EI_CLASS] ||
        header_of(file)->e_machine != __ehdr_start.e_machine) {
        emp_elf_close(file);
        return EMP_ELF_FOREIGN;
    }
    return EMP_ELF_NATIVE;
}

void emp_elf_close(struct emp_elf_file *file)
{
    (void)munmap((void *)(uintptr_t)file->data, file->bytes);
    file->data = NULL;
    file->bytes = 0;
}

const char *emp_elf_interpreter(const struct emp_elf_file *file)
{
    const ElfW(Ehdr) *header = header_of(file);
    const ElfW(Phdr) *segments =
        table_at(file, header->e_phoff, (size_t)header->e_phnum * sizeof(*segments));

    if (segments == NULL || header->e_phentsize != sizeof(*segments)) {
        return NULL;
    }
    for (size_t i = 0; i < header->e_phnum; ++i) {
        const char *text;

        if (segments[i].p_type != PT_INTERP || segments[i].p_filesz == 0) {
            continue;
        }
        text = table_at(file, segments[i].p_offset, segments[i].p_filesz);
        return text != NULL && text[segments[i].p_filesz - 1] == '\0' ? text : NULL;
    }
    return NULL;
}

/* The section headers; *count is 0 when there are none. */
static const ElfW(Shdr) * sections_of(const struct emp_elf_file *file, size_t *count)
{
    const ElfW(Ehdr) *header = header_of(file);
    const ElfW(Shdr) *sections =
        table_at(file, header->e_shoff, (size_t)header->e_shnum * sizeof(*sections));
    bool usable =
        sections != NULL && header->e_shoff != 0 && header->e_shentsize == sizeof(*sections);

    *count = usable ? header->e_shnum : 0;
    return sections;
}

/* A string of a string section, or "". */
static const char *string_at(const struct emp_elf_file *file, const ElfW(Shdr) * strings,
                             size_t offset)
{
    const char *text = table_at(file, strings->sh_offset, strings->sh_size);

    if (text == NULL || strings->sh_size == 0 || offset >= strings->sh_size ||
        text[strings->sh_size - 1] != '\0') {
        return "";
    }
    return text + offset;
}

/* Which symbols count. */
enum wanted { WANTED_DEFINED, WANTED_UNDEFINED };

/* Looks for a function in one symbol section. */
static bool section_has(const struct emp_elf_file *file, const ElfW(Shdr) * section,
                        const ElfW(Shdr) * strings, const char *function, enum wanted wanted)
{
    const ElfW(Sym) *symbols = table_at(file, section->sh_offset, section->sh_size);
    size_t count = symbols == NULL ? 0 : section->sh_size / sizeof(*symbols);

    for (size_t i = 1; i < count; ++i) {
        bool is_defined = symbols[i].st_shndx != SHN_UNDEF;

        if (is_defined == (wanted == WANTED_DEFINED) &&
            strcmp(string_at(file, strings, symbols[i].st_name), function) == 0) {
            return true;
        }
    }
    return false;
}

/* Looks in all sections of one type. */
static bool table_has(const struct emp_elf_file *file, unsigned type, const char *function,
                      enum wanted wanted)
{
    size_t count;
    const ElfW(Shdr) *sections = sections_of(file, &count);

    for (size_t i = 0; i < count; ++i) {
        if (sections[i].sh_type == type && sections[i].sh_link < count &&
            section_has(file, &sections[i], &sections[sections[i].sh_link], function, wanted)) {
            return true;
        }
    }
    return false;
}

bool emp_elf_defines(const struct emp_elf_file *file, const char *function)
{
    return table_has(file, SHT_DYNSYM, function, WANTED_DEFINED);
}

bool emp_elf_imports(const struct emp_elf_file *file, const char *function)
{
    return table_has(file, SHT_DYNSYM, function, WANTED_UNDEFINED);
}

bool emp_elf_contains(const struct emp_elf_file *file, const char *function)
{
    return table_has(file, SHT_SYMTAB, function, WANTED_DEFINED);
}

bool emp_elf_has_section(const struct emp_elf_file *file, const char *name)
{
    size_t count;
    const ElfW(Shdr) *sections = sections_of(file, &count);
    size_t names = header_of(file)->e_shstrndx;

    for (size_t i = 0; i < count && names < count; ++i) {
        if (strcmp(string_at(file, &sections[names], sections[i].sh_name), name) == 0) {
            return true;
        }
    }
    return false;
}
