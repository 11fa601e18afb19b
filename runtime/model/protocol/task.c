/*
 * What: harnesses of sync/task_word.h: wakers by value and by reference, aborters, holders that let
 *       go, one or two runners, over one task that is polled until it has seen every signal.
 * How:  a waker shows its signal relaxed and wakes; a poll may miss it unless the wake brings it:
 *       a wake that is lost, or merges without order, leaves a task that never ends. Queue link and
 *       body are plain: a run that does not see the last one, or two at a time, is a race. The
 *       object is memory whose life is watched; the body counts its end. The queue passes order
 *       from who submits to who takes and to nobody else.
 * Design: [sync.proto.task-word]
 */
#include "cases.h"
#include "model.h"
#include "sync/task_word.h"

#define SIGNALS  2u
#define RUNS_MAX 8u

struct object {
    uint64_t word;       /* atomic: task-word */
    struct object *next; /* plain: the queue's */
    uint32_t body;       /* plain: the runner's */
};

static struct object *task;
static uint32_t queue;           /* atomic: the task is in it */
static uint32_t signal[SIGNALS]; /* atomic: what the task waits for */
static uint32_t wanted;          /* const: signals that the task waits for */
static uint32_t told[SIGNALS];   /* plain: before an abort, for the end of the body */
static uint32_t polls;           /* plain: the runner's */
static uint32_t bodies_ended;    /* plain: the runner's */
static bool was_cancelled;       /* plain: the runner's; how the task ended */
static bool ended;               /* plain: the runner's */
static bool said_true[SIGNALS];  /* plain: what abort returned */
static bool told_to_look;        /* const: the end of the body looks at told[0] if cancelled */
static uint32_t handed;          /* atomic: a clone that a poll handed out */
static bool clones;              /* const: the first poll hands out a clone */
static bool yields;              /* const: polls that miss a signal give up their turn */

static void submit(void)
{
    task->next = NULL;
    model_assert(emp_exchange_acq_rel(&queue, 1u) == 0);
}

static void end_object(void)
{
    task->body = 0;
    model_free(task);
}

static void follow(enum emp_task_step step)
{
    model_assert(step != EMP_TASK_BROKEN);
    if (step == EMP_TASK_SUBMIT) {
        submit();
    } else if (step == EMP_TASK_FREE) {
        end_object();
    }
}

static void set_up_of(uint64_t word, uint32_t signals)
{
    task = model_alloc(sizeof *task);
    task->word = word;
    queue = (word & EMP_TASK_NOTIFIED) != 0;
    wanted = signals;
    polls = 0;
    bodies_ended = 0;
    was_cancelled = false;
    ended = false;
    told_to_look = false;
    handed = 0;
    clones = false;
    yields = false;
    for (unsigned i = 0; i < SIGNALS; i++) {
        signal[i] = 0;
        told[i] = 0;
        said_true[i] = false;
    }
}

static void set_up_idle_1(void)
{
    set_up_of(EMP_TASK_REF, 1);
}

static void set_up_idle_2(void)
{
    set_up_of(2 * EMP_TASK_REF, 2);
}

static void set_up_idle_none(void)
{
    set_up_of(2 * EMP_TASK_REF, 1);
}

static void set_up_queued_2(void)
{
    set_up_of(emp_task_word_new(0, 3), 2);
}

static void set_up_queued_1(void)
{
    set_up_of(emp_task_word_new(0, 2), 1);
}

static void set_up_queued_1_of_2(void)
{
    set_up_of(emp_task_word_new(0, 3), 1);
}

/* The first poll is ready. */
static void set_up_ready_1(void)
{
    set_up_of(emp_task_word_new(0, 2), 0);
}

static void set_up_ready_2(void)
{
    set_up_of(emp_task_word_new(0, 3), 0);
}

static void set_up_told(void)
{
    set_up_queued_1_of_2();
    told_to_look = true;
}

static void set_up_told_alone(void)
{
    set_up_queued_1();
    told_to_look = true;
}

static void set_up_stackful(void)
{
    set_up_of(emp_task_word_new(EMP_TASK_STACKFUL, 3), 1);
}

static void set_up_stackful_idle(void)
{
    set_up_of(2 * EMP_TASK_REF | EMP_TASK_STACKFUL, 1);
}

static void set_up_clone(void)
{
    set_up_of(emp_task_word_new(0, 1), 1);
    clones = true;
}

static void set_up_clone_held(void)
{
    set_up_of(emp_task_word_new(0, 2), 1);
    clones = true;
}

static void set_up_yields_1(void)
{
    set_up_queued_1();
    yields = true;
}

static void set_up_yields_2(void)
{
    set_up_queued_2();
    yields = true;
}

static void set_up_yields_stackful(void)
{
    set_up_stackful();
    yields = true;
}

/* True when it has seen all that it waits for, or is a stack that is told to end. */
static bool poll(void)
{
    task->body++;
    polls++;
    if (clones) {
        clones = false;
        model_assert(emp_task_word_retain(&task->word));
        emp_store_release(&handed, 1u);
    }
    for (unsigned i = 0; i < wanted; i++) {
        if (emp_load_relaxed(&signal[i]) == 0) {
            const uint64_t stack_end = EMP_TASK_STACKFUL | EMP_TASK_CANCELLED;

            return (emp_task_word_look(&task->word) & stack_end) == stack_end;
        }
    }
    return true;
}

static void end_task(bool is_ready)
{
    const uint64_t seen = emp_task_word_decide(&task->word);

    task->body++;
    bodies_ended++;
    ended = true;
    was_cancelled = !is_ready || (seen & EMP_TASK_CANCELLED) != 0;
    if (told_to_look && (seen & EMP_TASK_CANCELLED) != 0) {
        model_assert(told[0] == 1);
    }
    if (emp_task_word_finish(&task->word)) {
        end_object();
    }
}

/* As emp_task_run. */
static void run(void)
{
    const uint64_t seen = emp_task_word_run(&task->word);

    model_assert(emp_task_word_may_run(seen) && task->next == NULL);
    if ((seen & (EMP_TASK_CANCELLED | EMP_TASK_STACKFUL)) == EMP_TASK_CANCELLED) {
        end_task(false);
        return;
    }
    if (poll()) {
        end_task(true);
        return;
    }
    const enum emp_task_step step = emp_task_word_pend(&task->word, yields);

    if (step == EMP_TASK_SUBMIT) {
        submit();
    } else if (step == EMP_TASK_END) {
        end_task(false);
    }
}

/* Runs the task if it is there to be run. */
static void runner(void)
{
    if (emp_exchange_acq_rel(&queue, 0u) == 1) {
        run();
    }
}

static void runner_twice(void)
{
    runner();
    runner();
}

static void wake_value(unsigned which)
{
    emp_store_relaxed(&signal[which], 1u);
    follow(emp_task_word_wake(&task->word, true));
}

static void wake_ref_and_drop(unsigned which)
{
    emp_store_relaxed(&signal[which], 1u);
    follow(emp_task_word_wake(&task->word, false));
    follow(emp_task_word_drop(&task->word));
}

static void abort_and_drop(unsigned which)
{
    told[which] = 1;
    const enum emp_task_step step = emp_task_word_abort(&task->word);

    said_true[which] = step == EMP_TASK_SUBMIT || step == EMP_TASK_END;
    follow(step == EMP_TASK_END ? EMP_TASK_NOTHING : step);
    follow(emp_task_word_drop(&task->word));
}

static void value_0(void)
{
    wake_value(0);
}

static void value_1(void)
{
    wake_value(1);
}

static void ref_0(void)
{
    wake_ref_and_drop(0);
}

static void ref_1(void)
{
    wake_ref_and_drop(1);
}

static void abort_0(void)
{
    abort_and_drop(0);
}

static void abort_1(void)
{
    abort_and_drop(1);
}

static void drop(void)
{
    follow(emp_task_word_drop(&task->word));
}

/* Who sees that the task is over sees what the end of its body wrote. */
static void watch_and_drop(void)
{
    if (emp_task_word_is_over(emp_task_word_look(&task->word))) {
        model_assert(task->body > 0 && ended);
    }
    drop();
}

/* Wakes through the clone that a poll handed out. */
static void wake_handed(void)
{
    (void)model_await_equal(&handed, 1u, ACQUIRE);
    wake_value(0);
}

/* Runs what is left; the body has ended once, with a runner. */
static void ended_once(void)
{
    for (unsigned i = 0; i < RUNS_MAX && queue != 0; i++) {
        runner();
    }
    model_assert(queue == 0 && ended && bodies_ended == 1);
}

/* Everything that it waited for came: it ended by itself. */
static void ready_once(void)
{
    ended_once();
    model_assert(!was_cancelled && polls > 0);
}

static void cancelled_once(void)
{
    ended_once();
    model_assert(was_cancelled);
}

/* Whoever was told that it will be cancelled was told the truth, and of two one. */
static void abort_tells(void)
{
    ended_once();
    model_assert(!(said_true[0] && said_true[1]));
    model_assert(was_cancelled == (said_true[0] || said_true[1]));
    model_outcome("%s", was_cancelled ? "cancelled" : "ready");
}

/* Wakers that were let go without a wake end a task as well. */
static void abort_tells_if_asked(void)
{
    ended_once();
    if (said_true[0]) {
        model_assert(was_cancelled);
    }
}

const struct model_case protocol_task[] = {
    {.name = "task-word/wake",
     .is_protocol = true,
     .property = "a wake of an idle task is followed by a poll that sees the signal",
     .set_up = set_up_idle_1,
     .thread = {value_0, runner_twice},
     .finish = ready_once},
    {.name = "task-word/wake-by-reference",
     .is_protocol = true,
     .property = "the same when the waker keeps its reference and drops it afterwards",
     .set_up = set_up_idle_1,
     .thread = {ref_0, runner_twice},
     .finish = ready_once},
    {.name = "task-word/two-wakes",
     .is_protocol = true,
     .property = "two wakes of an idle task: one submits, both are seen",
     .set_up = set_up_idle_2,
     .thread = {ref_0, value_1, runner_twice},
     .finish = ready_once},
    {.name = "task-word/merged",
     .is_protocol = true,
     .property = "a wake of a task in the queue happens before the poll into which it merges",
     .set_up = set_up_queued_2,
     .thread = {ref_0, ref_1, runner},
     .finish = ready_once},
    {.name = "task-word/merged-by-value",
     .is_protocol = true,
     .property = "the same when the wakers give their references",
     .set_up = set_up_queued_2,
     .thread = {value_0, value_1, runner_twice},
     .finish = ready_once},
    {.name = "task-word/two-runners",
     .is_protocol = true,
     .property =
         "a task that moves to another runner takes its body along, and runs once at a time",
     .set_up = set_up_queued_1,
     .thread = {ref_0, runner, runner},
     .finish = ready_once},
    {.name = "task-word/wake-complete",
     .is_protocol = true,
     .property = "a wake of a complete task does nothing; the last reference ends the object",
     .set_up = set_up_ready_2,
     .thread = {ref_0, value_1, runner},
     .finish = ready_once},
    {.name = "task-word/abort-or-ready",
     .is_protocol = true,
     .property = "of abort and ready one wins, and abort says which",
     .set_up = set_up_ready_1,
     .thread = {abort_0, runner},
     .finish = abort_tells,
     .outcomes = "cancelled|ready"},
    {.name = "task-word/two-aborts",
     .is_protocol = true,
     .property = "of two aborts and ready one wins",
     .set_up = set_up_ready_2,
     .thread = {abort_0, abort_1, runner},
     .finish = abort_tells,
     .outcomes = "cancelled|ready"},
    {.name = "task-word/abort-wake",
     .is_protocol = true,
     .property = "an abort beside a wake and a run ends the body once, with the runner",
     .set_up = set_up_idle_2,
     .thread = {abort_0, value_1, runner_twice},
     .finish = cancelled_once},
    {.name = "task-word/abort-tells",
     .is_protocol = true,
     .property = "what an aborter wrote is seen by the end of the body",
     .set_up = set_up_told,
     .thread = {abort_0, drop, runner},
     .finish = abort_tells_if_asked},
    {.name = "task-word/abort-tells-the-last",
     .is_protocol = true,
     .property = "the same when the aborter was the last who held it",
     .set_up = set_up_told_alone,
     .thread = {abort_0, runner},
     .finish = cancelled_once},
    {.name = "task-word/last-reference",
     .is_protocol = true,
     .property = "a task that nobody holds any more is submitted once, and ends with a runner",
     .set_up = set_up_idle_none,
     .thread = {drop, drop, runner},
     .finish = cancelled_once},
    {.name = "task-word/last-in-the-queue",
     .is_protocol = true,
     .property = "the same when it is in the queue or runs while the others let go",
     .set_up = set_up_queued_1_of_2,
     .thread = {drop, drop, runner},
     .finish = cancelled_once},
    {.name = "task-word/watched",
     .is_protocol = true,
     .property = "who sees that a task is over sees what the end of its body wrote",
     .set_up = set_up_queued_1_of_2,
     .thread = {watch_and_drop, value_0, runner_twice},
     .finish = ready_once},
    {.name = "task-word/stack-told",
     .is_protocol = true,
     .property = "a stack that is aborted is run once more, to be told",
     .set_up = set_up_stackful,
     .thread = {abort_0, drop, runner_twice},
     .finish = cancelled_once},
    {.name = "task-word/stack-left",
     .is_protocol = true,
     .property = "a stack that nobody holds any more is run once more, to be told",
     .set_up = set_up_stackful_idle,
     .thread = {drop, drop, runner},
     .finish = cancelled_once},
    {.name = "task-word/clone",
     .is_protocol = true,
     .property = "a waker that a poll cloned wakes the task from another thread",
     .set_up = set_up_clone,
     .thread = {runner_twice, wake_handed},
     .finish = ready_once},
    {.name = "task-word/clone-and-holder",
     .is_protocol = true,
     .property = "the same while a holder lets go",
     .set_up = set_up_clone_held,
     .thread = {runner_twice, wake_handed, drop},
     .finish = ready_once},
    {.name = "task-word/yield",
     .is_protocol = true,
     .property = "a wake of a task that yields happens before a later poll",
     .set_up = set_up_yields_1,
     .thread = {value_0, runner_twice},
     .finish = ready_once},
    {.name = "task-word/yield-merged",
     .is_protocol = true,
     .property = "the same beside a wake by reference",
     .set_up = set_up_yields_2,
     .thread = {value_0, ref_1, runner},
     .finish = ready_once},
    {.name = "task-word/yield-abort",
     .is_protocol = true,
     .property = "a task that yields and is aborted ends without a further poll",
     .set_up = set_up_yields_1,
     .thread = {abort_0, runner_twice},
     .finish = cancelled_once},
    {.name = "task-word/yield-stack",
     .is_protocol = true,
     .property = "a stack that yields and is aborted is run once more, to be told",
     .set_up = set_up_yields_stackful,
     .thread = {abort_0, drop, runner_twice},
     .finish = cancelled_once},
    {.name = "task-word/merged-and-again",
     .is_protocol = true,
     .property = "two wakers that keep their references, and a task that is run again and again",
     .set_up = set_up_queued_2,
     .thread = {ref_0, ref_1, runner_twice},
     .finish = ready_once,
     .is_long = true},
    {.name = "task-word/four",
     .is_protocol = true,
     .property = "two wakers and two runners",
     .set_up = set_up_queued_2,
     .thread = {value_0, ref_1, runner, runner},
     .finish = ready_once,
     .is_long = true},
    {.name = NULL},
};
