/*
 * Purpose: counting and telling what was left.
 * Owner:   core. Threads: one. Design: [core.proto.async-pool]
 */
#include "core/async_leak.h"

#include <stddef.h>

#include "async/left_over.h"
#include "async/task_core.h"
#include "core/advanced_memory_pool.h"

/* The kinds of object that are tasks, by their place in the table. */
static const enum emp_object_kind task_kinds[] = {EMP_OBJECT_TASK, EMP_OBJECT_HEADER};

#define TASK_KINDS (sizeof(task_kinds) / sizeof(*task_kinds))

void emp_async_leaks_begin(struct emp_async_leaks *leaks)
{
    *leaks = (struct emp_async_leaks){
        .tasks = emp_calloc(TASK_KINDS * EMP_SPAWN_SITES, sizeof(*leaks->tasks))};
}

void emp_async_leaks_count(const void *object, void *counts)
{
    struct emp_async_leaks *leaks = counts;

    emp_left_over_gather(leaks->kind, object, &leaks->blocks);
    for (size_t i = 0; i < TASK_KINDS && leaks->tasks != NULL; i++) {
        if (leaks->kind == task_kinds[i]) {
            uint32_t site = ((const struct emp_task *)object)->site;

            if (site != 0 && site < EMP_SPAWN_SITES) {
                leaks->tasks[i * EMP_SPAWN_SITES + site]++;
                return;
            }
        }
    }
    leaks->kinds[leaks->kind]++;
}

/* Tells the tasks of one kind, a group per site. */
static void tasks_tell(const uint64_t *counts, const char *name,
                       void (*leak)(const struct emp_async_leak *leak, void *arg), void *arg)
{
    for (uint32_t number = 1; number < EMP_SPAWN_SITES; number++) {
        const struct emp_spawn_site *site =
            counts[number] == 0 ? NULL : emp_spawn_site_of((uint16_t)number);

        if (counts[number] != 0) {
            leak(&(struct emp_async_leak){.kind = name,
                                          .file = site == NULL ? NULL : site->file,
                                          .function = site == NULL ? NULL : site->function,
                                          .line = site == NULL ? 0 : site->line,
                                          .objects = counts[number]},
                 arg);
        }
    }
}

void emp_async_leaks_tell(struct emp_async_leaks *leaks, const char *const *names,
                          void (*leak)(const struct emp_async_leak *leak, void *arg), void *arg)
{
    for (size_t i = 0; i < TASK_KINDS && leak != NULL && leaks->tasks != NULL; i++) {
        tasks_tell(leaks->tasks + i * EMP_SPAWN_SITES, names[task_kinds[i]], leak, arg);
    }
    for (size_t kind = 0; kind < EMP_OBJECT_KINDS && leak != NULL; kind++) {
        if (leaks->kinds[kind] != 0) {
            leak(&(struct emp_async_leak){.kind = names[kind], .objects = leaks->kinds[kind]}, arg);
        }
    }
    emp_free(leaks->tasks);
    emp_left_over_give(leaks->blocks);
}
