/*
 * Purpose: the inside of tasks for the files of the room: making one without submitting it, flags,
 *          and what a task says about its spawn site.
 * Owner:   async. Threads: any.
 * Design:  [async.proto.task]
 */
#ifndef EMP_ASYNC_TASK_CORE_H
#define EMP_ASYNC_TASK_CORE_H

#include <stdint.h>

#include "async/task.h"
#include "sync/task_word.h"

/* Bits of emp_task.kind; the rest is free for the kinds of the room. Owned by maker and runner. */
#define EMP_TASK_KIND_RESULT   0x8000u /* the result was set */
#define EMP_TASK_KIND_PREPARED 0x4000u /* the future holds it, to be announced */

/* Bytes of a body that lie in the task's object. */
#define EMP_TASK_BODY_INLINE 64u

/* Sites that get a number of their own; later ones are counted as unknown. */
#define EMP_SPAWN_SITES 4096u

/*
 * A task that is not submitted yet, with the queue's reference and what join and handle ask for.
 * flags: EMP_TASK_STACKFUL or 0. The caller may finish the body, then submits it
 * with EMP_SUBMIT_SPAWN.
 */
enum emp_status emp_task_make(const struct emp_spawn *spawn, uint64_t flags,
                              struct emp_future **join, struct emp_task **handle,
                              struct emp_task **made);

/* A new number for a site that has none; 0 when there are too many. */
uint16_t emp_spawn_site_register(struct emp_spawn_site *site);

/* The site of a number; NULL: unknown. */
const struct emp_spawn_site *emp_spawn_site_of(uint16_t id);

/* The number of a site, given at its first spawn; 0 for NULL and when there are too many. */
static inline uint16_t emp_spawn_site_id(struct emp_spawn_site *site)
{
    if (site == NULL) {
        return 0;
    }
    /* order(spawn-site): relaxed; a number */
    const uint32_t id = emp_load_relaxed(&site->id);

    return emp_likely(id != 0) ? (uint16_t)id : emp_spawn_site_register(site);
}

#endif
