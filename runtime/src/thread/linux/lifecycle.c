/*
 * Purpose: lifecycle.h on POSIX threads and futexes.
 * Owner:   thread. The key and the hooks are set once; a spawn slot belongs to its spawner until
 *          pthread_create, then to the new thread until it has copied the slot.
 * Threads: any; errno preserved.
 * Design:  [thread.proto.lifecycle] [thread.inv.exit-once] [thread.inv.signals-blocked]
 * Source:  POSIX pthread_key_create, pthread_atfork; glibc nptl/nptl_deallocate_tsd.c.
 * Cost:    attach: one call of the C library; spawn: a thread, two system calls for signals.
 */
#include "thread/lifecycle.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "sync/claim.h"
#include "thread/linux/futex.h"
#include "thread/thread_fault.h"

#define SPAWN_SLOTS     4u
#define STACK_BYTES_MIN ((size_t)64 << 10)
#define NAME_BYTES      16u /* with the final zero, as the kernel keeps it */
#define NS_SLEEP_MAX    (3600ull * 1000000000ull)

/* Where a thread is on its way out, one byte per thread. */
enum exit_round { EXIT_NONE = 0, EXIT_DONE = EMP_LIFECYCLE_EXIT_ROUNDS };

_Static_assert(EXIT_DONE <= PTHREAD_DESTRUCTOR_ITERATIONS, "the C library offers these rounds");

/* What a new thread has to know; states: free, taken by a spawner, free again after the copy. */
struct spawn_slot {
    uint32_t taken; /* atomic: claim */
    void (*body)(void *arg);
    void *arg;
    char name[NAME_BYTES];
};

static void (*exit_hook)(void *arg, bool last); /* const after init */
static struct emp_fork_hooks fork_hooks;        /* const after init */
static pthread_key_t exit_key;                  /* const after init */
static bool has_exit_key;                       /* const after init */
static struct spawn_slot spawn_slots[SPAWN_SLOTS];
static EMP_TLS uint8_t exit_round; /* enum exit_round, or a number between */

/*
 * Runs once per round of key destructors. Other keys' destructors may free memory after ours, in
 * this round or the next, so the last round that the C library offers is the one that counts.
 */
static void lifecycle_key_destructor(void *arg)
{
    const int saved_errno = errno;
    emp_check(exit_round < EXIT_DONE);
    exit_round++;
    const bool is_refused = emp_thread_fault_ask(EMP_THREAD_CALL_SET_SPECIFIC);
    bool is_last = exit_round == EXIT_DONE;
    if (!is_last && (is_refused || pthread_setspecific(exit_key, arg) != 0)) {
        exit_round = EXIT_DONE;
        is_last = true;
    }
    exit_hook(arg, is_last);
    errno = saved_errno;
}

static void lifecycle_before_fork(void)
{
    const int saved_errno = errno;
    fork_hooks.prepare();
    errno = saved_errno;
}

static void lifecycle_in_parent(void)
{
    const int saved_errno = errno;
    fork_hooks.parent();
    errno = saved_errno;
}

/* Slots taken by spawners that do not exist in the child would stay taken for ever. */
static void lifecycle_in_child(void)
{
    const int saved_errno = errno;
    for (unsigned i = 0; i < SPAWN_SLOTS; i++) {
        emp_claim_reset_in_child(&spawn_slots[i].taken);
    }
    fork_hooks.child();
    errno = saved_errno;
}

bool emp_lifecycle_init(void (*on_exit)(void *arg, bool last), const struct emp_fork_hooks *hooks)
{
    const int saved_errno = errno;
    exit_hook = on_exit;
    fork_hooks = *hooks;
    has_exit_key = !emp_thread_fault_ask(EMP_THREAD_CALL_KEY_CREATE) &&
                   pthread_key_create(&exit_key, lifecycle_key_destructor) == 0;
    const bool has_atfork =
        !emp_thread_fault_ask(EMP_THREAD_CALL_ATFORK) &&
        pthread_atfork(lifecycle_before_fork, lifecycle_in_parent, lifecycle_in_child) == 0;
    errno = saved_errno;
    return has_exit_key && has_atfork;
}

bool emp_lifecycle_attach(void *arg)
{
    if (!has_exit_key || exit_round == EXIT_DONE) {
        return false;
    }
    const int saved_errno = errno;
    const bool is_set = !emp_thread_fault_ask(EMP_THREAD_CALL_SET_SPECIFIC) &&
                        pthread_setspecific(exit_key, arg) == 0;
    errno = saved_errno;
    return is_set;
}

/* A free slot, now taken; NULL when all spawners are busy. */
static struct spawn_slot *spawn_slot_take(void)
{
    for (unsigned i = 0; i < SPAWN_SLOTS; i++) {
        if (emp_claim_take(&spawn_slots[i].taken)) {
            return &spawn_slots[i];
        }
    }
    return NULL;
}

static void spawn_slot_give_back(struct spawn_slot *slot)
{
    emp_claim_give_back(&slot->taken);
}

static void *spawn_entry(void *opaque)
{
    struct spawn_slot *const slot = opaque;
    void (*const body)(void *arg) = slot->body;
    void *const arg = slot->arg;
    prctl(PR_SET_NAME, slot->name, 0, 0, 0);
    spawn_slot_give_back(slot);
    body(arg);
    return NULL;
}

/* The system's least stack or 64 KiB, whichever is more. */
static size_t spawn_stack_bytes(void)
{
    const long least = sysconf(_SC_THREAD_STACK_MIN);
    return least > (long)STACK_BYTES_MIN ? (size_t)least : STACK_BYTES_MIN;
}

/*
 * Creates the thread, detached. A small stack is refused where the static thread-local storage of
 * the program is larger; the second attempt leaves the size to the system.
 */
static bool spawn_create(struct spawn_slot *slot)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (emp_thread_fault_ask(EMP_THREAD_CALL_CREATE) || pthread_attr_init(&attributes) != 0) {
        return false;
    }
    int result = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    emp_check(result == 0);
    result = pthread_attr_setstacksize(&attributes, spawn_stack_bytes());
    if (result == 0) {
        result = pthread_create(&thread, &attributes, spawn_entry, slot);
    }
    pthread_attr_destroy(&attributes);
    if (result == EINVAL) {
        result = pthread_create(&thread, NULL, spawn_entry, slot);
        if (result == 0) {
            pthread_detach(thread);
        }
    }
    return result == 0;
}

bool emp_lifecycle_spawn(void (*body)(void *arg), void *arg, const char *name)
{
    const int saved_errno = errno;
    struct spawn_slot *const slot = spawn_slot_take();
    if (slot == NULL) {
        return false;
    }
    slot->body = body;
    slot->arg = arg;
    memset(slot->name, 0, sizeof slot->name);
    strncpy(slot->name, name, sizeof slot->name - 1);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const bool is_created = spawn_create(slot);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!is_created) {
        spawn_slot_give_back(slot);
    }
    errno = saved_errno;
    return is_created;
}

void emp_lifecycle_sleep(uint32_t *word, uint32_t expected, uint64_t ns)
{
    emp_futex_wait(word, expected, ns < NS_SLEEP_MAX ? ns : NS_SLEEP_MAX);
}

void emp_lifecycle_wake(uint32_t *word)
{
    emp_futex_wake(word, INT_MAX);
}

uint32_t emp_lifecycle_thread_id(void)
{
    return (uint32_t)syscall(SYS_gettid);
}
