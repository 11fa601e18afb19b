/*
 * Purpose: wakers for callbacks: a pooled object with a copy of the callback's data, shared by the
 *          clones.
 * Owner:   async. Threads: any; the object ends with its last clone, outside of any lock.
 * Design:  [async.proto.waker]
 */
#include "async/waker.h"

#include <string.h>

#include "async/object.h"
#include "base/check.h"
#include "base/compiler.h"
#include "monitor/report.h"
#include "sync/waker_refs.h"

/* 64 bytes, EMP_OBJECT_WAKER. All but refs and fired is const after creation. */
struct custom {
    const struct emp_waker_calls *calls;
    uint32_t refs;  /* atomic: waker-refs */
    uint32_t fired; /* atomic: waker-fired. of `once`: 1 after the first wake */
    unsigned char copy[EMP_WAKER_INLINE_BYTES];
};

_Static_assert(sizeof(struct custom) == 64, "EMP_OBJECT_WAKER");
_Static_assert(offsetof(struct custom, copy) % 16 == 0, "a copy is 16-aligned");

static EMP_COLD void custom_report(const struct custom *custom, const char *call)
{
    const struct emp_report report = {
        .code = EMP_REPORT_WAKER_DEAD, .pointer = custom, .block = custom, .call = call};

    emp_report_misuse(&report);
}

static void *custom_clone(void *data)
{
    struct custom *custom = data;

    if (emp_unlikely(!emp_waker_refs_retain(&custom->refs))) {
        custom_report(custom, "emp_waker_clone");
    }
    return custom;
}

static void custom_drop(void *data)
{
    struct custom *custom = data;
    const enum emp_waker_leave leave = emp_waker_refs_release(&custom->refs);

    if (leave == EMP_WAKER_LAST) {
        if (custom->calls->drop != NULL) {
            custom->calls->drop(custom->copy);
        }
        emp_object_give(custom);
    } else if (emp_unlikely(leave == EMP_WAKER_NOT_HELD)) {
        custom_report(custom, "emp_waker_drop");
    }
}

/* The caller's clone keeps the object while the callback runs. */
static void custom_call(struct custom *custom)
{
    if (!custom->calls->once || emp_waker_refs_fire(&custom->fired)) {
        custom->calls->wake(custom->copy);
    }
}

static void custom_wake_by_ref(void *data)
{
    struct custom *custom = data;

    if (emp_unlikely(emp_waker_refs_is_dead(&custom->refs))) {
        custom_report(custom, "emp_waker_wake_by_ref");
        return;
    }
    custom_call(custom);
}

static void custom_wake(void *data)
{
    struct custom *custom = data;

    if (emp_unlikely(emp_waker_refs_is_dead(&custom->refs))) {
        custom_report(custom, "emp_waker_wake");
        return;
    }
    custom_call(custom);
    custom_drop(custom);
}

static const struct emp_waker_vtable custom_vtable = {
    .clone = custom_clone,
    .wake = custom_wake,
    .wake_by_ref = custom_wake_by_ref,
    .drop = custom_drop,
};

enum emp_status emp_waker_custom(struct emp_async_pool *pool, const struct emp_waker_calls *calls,
                                 const void *data, size_t bytes, struct emp_waker *out)
{
    if (out == NULL) {
        return EMP_ERR_INVALID;
    }
    *out = (struct emp_waker){0};
    if (pool == NULL || calls == NULL || calls->wake == NULL || (data == NULL && bytes != 0)) {
        return EMP_ERR_INVALID;
    }
    if (bytes > EMP_WAKER_INLINE_BYTES) {
        return EMP_ERR_TOO_BIG;
    }
    struct custom *custom = emp_object_take(pool, EMP_OBJECT_WAKER);

    if (custom == NULL) {
        return EMP_ERR_NOMEM;
    }
    custom->calls = calls;
    emp_waker_refs_start(&custom->refs, &custom->fired);
    if (bytes > 0) {
        memcpy(custom->copy, data, bytes);
    }
    *out = (struct emp_waker){&custom_vtable, custom};
    return EMP_OK;
}
