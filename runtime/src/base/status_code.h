/*
 * What it is for: the status codes of every call that can fail and does not return a pointer.
 * When not to use it: never alone; the facade headers include it.
 * Life cycle: plain values. Threads: any. Errors: EMP_OK is zero, everything else is not success.
 */
#ifndef EMP_BASE_STATUS_CODE_H
#define EMP_BASE_STATUS_CODE_H

/* Result of every call that can fail and does not return a pointer. */
enum emp_status {
    EMP_OK = 0,          /* success */
    EMP_ERR_NOMEM,       /* out of memory */
    EMP_ERR_INVALID,     /* invalid argument */
    EMP_ERR_LIMIT,       /* a configured limit was reached */
    EMP_ERR_EXISTS,      /* the name is already in use */
    EMP_ERR_NOT_FOUND,   /* no such object */
    EMP_ERR_BUSY,        /* blocks of the pool are still in use */
    EMP_ERR_UNSUPPORTED, /* the system does not offer this */
    EMP_ERR_STATE,       /* not allowed in the present state */
    EMP_ERR_AGAIN,       /* not now: not ready, empty or full; the waker will be woken */
    EMP_ERR_CLOSED,      /* the other side of the channel is gone */
    EMP_ERR_CANCELLED,   /* cancelled before a result came */
    EMP_ERR_TIMED_OUT,   /* the time was over before a result came */
    EMP_ERR_REJECTED,    /* the result is an error, handed out as the value */
    EMP_ERR_DONE,        /* the result was taken before */
    EMP_ERR_TOO_BIG      /* more bytes than fit inline */
};

#endif
