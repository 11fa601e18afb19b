/*
 * Purpose: the one thing that a task does for its id: close it when the task is over.
 * Owner:   async. Design: [async.proto.id]
 */
#ifndef EMP_ASYNC_TASK_ID_H
#define EMP_ASYNC_TASK_ID_H

struct emp_task;

/*
 * Ends the id of a task and lets no other begin. Called once, by the runner, when the end of the
 * task is decided and while it still holds its reference. Needed only if others hold the task too:
 * an id owns a reference, and who asks for one holds one. May release a reference.
 */
void emp_task_id_close(struct emp_task *task);

#endif
