/*
 * Purpose: mallctl, mallctlnametomib, mallctlbymib: finds the row of a name or of its numbers,
 *          checks the sizes as jemalloc does, and reads, writes or acts.
 * Owner:   preload; no state. Threads: any. Cost: O(rows) for a name, O(1) by numbers.
 * Design:  [preload.req.jemalloc-facade]
 * Source:  jemalloc(3): EINVAL wrong size, ENOENT unknown name, EPERM read-only or write-only,
 *          EFAULT unknown arena. errno is left alone.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "preload/je_control.h"
#include "preload/malloc_names.h"

#define PARTS_MAX 8u

/* A name found: its row, the number in it, and how many parts it has. */
struct found {
    size_t row;
    size_t index;      /* the number in place of `#`; 0 when there is none */
    size_t parts;      /* between points */
    size_t index_part; /* which part is the number; parts when there is none */
};

/* Reads decimal digits up to a point or the end; false when there is anything else. */
static bool parse_number(const char **text, size_t *number)
{
    const char *at = *text;
    size_t value = 0;

    if (*at < '0' || *at > '9') {
        return false;
    }
    while (*at >= '0' && *at <= '9') {
        if (value > UINT32_MAX) {
            return false;
        }
        value = value * 10 + (size_t)(*at - '0');
        ++at;
    }
    if (*at != '.' && *at != '\0') {
        return false;
    }
    *text = at;
    *number = value;
    return true;
}

/* Compares a name with a pattern; `#` in the pattern matches a number. */
static bool match_name(const char *pattern, const char *name, struct found *found)
{
    found->parts = 1;
    found->index = 0;
    found->index_part = PARTS_MAX;
    while (*pattern != '\0') {
        if (*pattern == '#') {
            if (!parse_number(&name, &found->index)) {
                return false;
            }
            found->index_part = found->parts - 1;
            ++pattern;
            continue;
        }
        if (*pattern != *name) {
            return false;
        }
        if (*pattern == '.') {
            ++found->parts;
        }
        ++pattern;
        ++name;
    }
    return *name == '\0';
}

static bool find_name(const char *name, struct found *found)
{
    for (size_t row = 0; row < emp_je_control_count; ++row) {
        if (match_name(emp_je_controls[row].name, name, found)) {
            found->row = row;
            return true;
        }
    }
    return false;
}

/* Copies a value out. A buffer of another size gets what fits, its real size, and EINVAL. */
static int store_value(enum emp_je_type type, const union emp_je_value *value, void *oldp,
                       size_t *oldlenp)
{
    size_t bytes = emp_je_type_bytes(type);

    if (oldp == NULL || oldlenp == NULL) {
        return 0;
    }
    if (*oldlenp != bytes) {
        size_t copied = *oldlenp < bytes ? *oldlenp : bytes;

        memcpy(oldp, value, copied);
        *oldlenp = copied;
        return EINVAL;
    }
    memcpy(oldp, value, bytes);
    return 0;
}

/* Acts on one row, in jemalloc's order: permissions, write, read. */
static int access_row(const struct found *found, void *oldp, size_t *oldlenp,
                      struct emp_je_input input)
{
    const struct emp_je_control *control = &emp_je_controls[found->row];
    bool reads = oldp != NULL || oldlenp != NULL;
    bool writes = input.ptr != NULL || input.bytes != 0;
    union emp_je_value value = {0};
    int error;

    if (control->type == EMP_JE_NONE) {
        return reads || writes ? EPERM : control->write(found->index);
    }
    if ((reads && control->read == NULL) || (writes && control->write == NULL)) {
        return EPERM;
    }
    if (writes) {
        if (input.bytes != emp_je_type_bytes(control->type) || input.ptr == NULL) {
            return EINVAL;
        }
        error = control->write(found->index);
        if (error != 0) {
            return error;
        }
    }
    error = control->read(control, found->index, &value);
    return error != 0 ? error : store_value(control->type, &value, oldp, oldlenp);
}

int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen)
{
    struct emp_je_input input = {newp, newlen};
    int saved_errno = errno;
    struct found found;
    int error = ENOENT;

    if (find_name(name, &found)) {
        error = access_row(&found, oldp, oldlenp, input);
    }
    errno = saved_errno;
    return error;
}

/* Every part becomes the row, except the number, which the caller may change afterwards. */
int mallctlnametomib(const char *name, size_t *mibp, size_t *miblenp)
{
    struct found found;

    if (!find_name(name, &found)) {
        return ENOENT;
    }
    if (*miblenp < found.parts) {
        return EINVAL;
    }
    for (size_t part = 0; part < found.parts; ++part) {
        mibp[part] = part == found.index_part ? found.index : found.row;
    }
    *miblenp = found.parts;
    return 0;
}

/* Splits a row's own pattern to learn where its number stands. */
static void describe_row(size_t row, struct found *found)
{
    const char *pattern = emp_je_controls[row].name;

    found->row = row;
    found->index = 0;
    found->parts = 1;
    found->index_part = PARTS_MAX;
    for (; *pattern != '\0'; ++pattern) {
        if (*pattern == '.') {
            ++found->parts;
        } else if (*pattern == '#') {
            found->index_part = found->parts - 1;
        }
    }
}

int mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp,
                 struct emp_je_input input)
{
    int saved_errno = errno;
    struct found found;
    int error;

    if (miblen == 0 || mib[0] >= emp_je_control_count) {
        return ENOENT;
    }
    describe_row(mib[0], &found);
    if (found.parts != miblen) {
        return ENOENT;
    }
    if (found.index_part < found.parts) {
        found.index = mib[found.index_part];
    }
    error = access_row(&found, oldp, oldlenp, input);
    errno = saved_errno;
    return error;
}
