/*
 * Purpose: see budget.h.
 * Owner:   global. Threads: any. Cost: one compare-and-swap per slab.
 * Design:  [global.req.limit]
 */
#include "global/budget.h"

#include "slab/size_class.h"
#include "sync/atomic.h"

struct emp_budget emp_budgets[EMP_BINS];

unsigned emp_budget_reserve(uint32_t class_id, unsigned slots, uint64_t *before)
{
    struct emp_budget *budget = &emp_budgets[class_id];
    /* order(budget): relaxed; the number alone decides, nothing is published by it */
    uint64_t now = emp_load_relaxed(&budget->slots);
    unsigned take = 0;

    do {
        /* order(budget): relaxed; a limit set meanwhile holds from the next slab on */
        uint64_t limit = emp_load_relaxed(&budget->limit);

        take = slots;
        if (limit != 0 && now + slots > limit) {
            take = now >= limit ? 0 : (unsigned)(limit - now);
        }
        *before = now;
        /* order(budget): relaxed; as above */
    } while (take != 0 && !emp_cas_relaxed(&budget->slots, &now, now + take));
    return take;
}

void emp_budget_release(uint32_t class_id, unsigned slots)
{
    /* order(budget): relaxed; as in reserve */
    emp_fetch_sub_relaxed(&emp_budgets[class_id].slots, slots);
}

const char *emp_budget_name(uint32_t class_id, char *buffer, size_t buffer_bytes)
{
    static const char prefix[] = "class-";
    uint32_t size = emp_classes[class_id].geometry.size;
    char digits[12];
    size_t count = 0;
    size_t at = 0;

    if (emp_budgets[class_id].name != NULL) {
        return emp_budgets[class_id].name;
    }
    do {
        digits[count++] = (char)('0' + size % 10);
        size /= 10;
    } while (size != 0);
    while (at < sizeof(prefix) - 1 && at + 1 < buffer_bytes) {
        buffer[at] = prefix[at];
        at++;
    }
    while (count > 0 && at + 1 < buffer_bytes) {
        buffer[at++] = digits[--count];
    }
    buffer[at] = '\0';
    return buffer;
}
