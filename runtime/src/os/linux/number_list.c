/*
 * Purpose: number_list.h: a reader with one number of memory.
 * Owner:   os/linux; no state.
 * Threads: any; pure.
 * Design:  [os.req.numa]
 * Cost:    a few instructions per character.
 */
#include "os/linux/number_list.h"

void emp_number_list_end(struct emp_number_list *list)
{
    const unsigned first = list->is_range ? list->first : list->number;

    if (list->has_digits && first <= list->number) {
        list->count += list->number - first + 1;
        list->limit = list->number >= list->limit ? list->number + 1 : list->limit;
        list->has_wanted |= first <= list->wanted && list->wanted <= list->number;
    }
    list->has_digits = false;
    list->is_range = false;
    list->number = 0;
}

static void list_take_one(struct emp_number_list *list, char c)
{
    if (c >= '0' && c <= '9') {
        list->number = list->number * 10 + (unsigned)(c - '0');
        list->number = list->number > EMP_NUMBER_LIST_MAX ? EMP_NUMBER_LIST_MAX : list->number;
        list->has_digits = true;
    } else if (c == '-' && list->has_digits) {
        list->first = list->number;
        list->is_range = true;
        list->has_digits = false;
        list->number = 0;
    } else {
        emp_number_list_end(list);
    }
}

void emp_number_list_take(struct emp_number_list *list, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        list_take_one(list, text[i]);
    }
}
