/*
 * Purpose: reads the kernel's lists of numbers, "0-3,8,10-11\n", piece by piece and without memory.
 * Owner:   os/linux; the reader is a value of its caller.
 * Threads: any; pure.
 * Design:  [os.req.numa]
 * Source:  Linux man-pages cpuset(7), "List format".
 */
#ifndef EMP_OS_LINUX_NUMBER_LIST_H
#define EMP_OS_LINUX_NUMBER_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* The largest number that is told from others; larger ones count as this. */
#define EMP_NUMBER_LIST_MAX 1000000u

/* What the text read so far says. Zero-initialised except for wanted. */
struct emp_number_list {
    unsigned wanted;  /* const: the number asked for */
    unsigned count;   /* numbers listed */
    unsigned limit;   /* one above the highest */
    bool has_wanted;  /* wanted is listed */
    bool is_complete; /* set by who read the file: it could be read to its end */
    bool has_digits;  /* number is valid */
    bool is_range;    /* first is valid */
    unsigned first;   /* of the range being read */
    unsigned number;  /* being read */
};

/* Takes the next piece of the text. */
void emp_number_list_take(struct emp_number_list *list, const char *text, size_t length);

/* Ends the text: the last number counts also without a newline. */
void emp_number_list_end(struct emp_number_list *list);

#endif
