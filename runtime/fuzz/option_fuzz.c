/*
 * Purpose: any text as the name and the value of an option; a refusal is fine, damage is not.
 * Owner:   fuzz. An input is a letter that chooses a known name ('?': a line with any name
 *          follows), then the value up to the end of the line.
 * Threads: one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/advanced_memory_pool.h"
#include "core/memory_monitor.h"

#define TEXT_BYTES   256u
#define ANY_NAME     '?'
#define FIRST_OPTION '0'

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies at most TEXT_BYTES - 1 bytes and ends them; returns how many input bytes the text took. */
static size_t text_from(char *out, const uint8_t *data, size_t size)
{
    size_t length = 0;

    while (length < size && length < TEXT_BYTES - 1u && data[length] != '\n' && data[length] != 0) {
        out[length] = (char)data[length];
        length++;
    }
    out[length] = '\0';
    return length < size ? length + 1u : length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct emp_option_info option;
    char name[TEXT_BYTES];
    char value[TEXT_BYTES];
    size_t used = 1;

    if (size == 0) {
        return 0;
    }
    if (data[0] == ANY_NAME ||
        emp_option_describe((size_t)data[0] - FIRST_OPTION, &option) != EMP_OK) {
        used += text_from(name, data + 1, size - 1);
    } else {
        (void)strncpy(name, option.name, sizeof(name) - 1u);
        name[sizeof(name) - 1u] = '\0';
    }
    (void)text_from(value, data + used, size - used);
    if (emp_option_set(name, value) == EMP_OK) {
        emp_free(emp_malloc(100));
    }
    return 0;
}
