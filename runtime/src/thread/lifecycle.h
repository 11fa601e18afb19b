/*
 * Purpose: what the C library tells about threads: their end, fork, and a helper thread of our own.
 * Owner:   thread. Hooks are set once, before the first thread attaches.
 * Threads: any.
 * Design:  [thread.proto.lifecycle]
 */
#ifndef EMP_THREAD_LIFECYCLE_H
#define EMP_THREAD_LIFECYCLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

/*
 * Rounds in which an ending thread calls on_exit; POSIX promises four rounds of key destructors.
 * The sanitizers end their own account of the thread in the last of them, so there we keep out.
 */
#define EMP_LIFECYCLE_EXIT_ROUNDS (EMP_ASAN || EMP_TSAN ? 3 : 4)

/* Called around fork in the order prepare, then parent or child. */
struct emp_fork_hooks {
    void (*prepare)(void);
    void (*parent)(void);
    void (*child)(void);
};

/*
 * Sets the hooks. on_exit(arg, last) runs in an ending thread, with the arg of
 * emp_lifecycle_attach, once per round of pthread key destructors until last is true.
 * False: the C library refused (no key left); threads then keep their caches for ever.
 */
bool emp_lifecycle_init(void (*on_exit)(void *arg, bool last), const struct emp_fork_hooks *hooks);

/* Arms on_exit for the calling thread. False: refused. */
bool emp_lifecycle_attach(void *arg);

/*
 * Starts body(arg) on a detached thread with all signals blocked, a small stack and the given name.
 * False: refused. Preserves errno. Must not be called under a lock of ours.
 */
bool emp_lifecycle_spawn(void (*body)(void *arg), void *arg, const char *name);

/* Sleeps at most ns or until *word differs from expected. */
void emp_lifecycle_sleep(uint32_t *word, uint32_t expected, uint64_t ns);

/* Wakes all sleepers on word. */
void emp_lifecycle_wake(uint32_t *word);

/* Identity of the calling thread as the system knows it. */
uint32_t emp_lifecycle_thread_id(void);

#endif
