/*
 * What: harnesses of thread/mutex.h and thread/linux/mutex.c as they stand, over the model's futex.
 * How:  a plain counter behind the lock: a second holder, or a holder that misses what the last one
 *       wrote, is a race; a sleeper that nobody wakes leaves the program stuck.
 * Design: [thread.proto.mutex] [thread.inv.mutual-exclusion]
 */
#include "cases.h"
#include "model.h"
#include "protocol/world.h"
#include "thread/mutex.h"

static struct emp_mutex mutex;
static uint32_t count;
static uint32_t missed; /* atomic: try-locks that found it held */

static void set_up(void)
{
    world_set_up();
    emp_mutex_init(&mutex, EMP_RANK_SHARD);
    count = 0;
    missed = 0;
}

static void set_up_spinning(void)
{
    set_up();
    world_set_cpus(2);
}

static void user(void)
{
    emp_mutex_lock(&mutex);
    count++;
    emp_mutex_unlock(&mutex);
}

static void trier(void)
{
    if (emp_mutex_try_lock(&mutex)) {
        count++;
        emp_mutex_unlock(&mutex);
    } else {
        emp_fetch_add_relaxed(&missed, 1);
    }
}

static void user_twice(void)
{
    user();
    user();
}

static void all_of(uint32_t expected)
{
    model_assert(count + missed == expected);
    model_assert(!emp_mutex_is_held(&mutex));
}

static void two(void)
{
    all_of(2);
}

static void three(void)
{
    all_of(3);
}

static void four(void)
{
    all_of(4);
}

const struct model_case protocol_mutex[] = {
    {.name = "mutex/three-users",
     .is_protocol = true,
     .property = "one holder at a time, each sees what the last one wrote, every sleeper wakes",
     .set_up = set_up,
     .thread = {user, user, user},
     .finish = three},
    {.name = "mutex/try-lock",
     .is_protocol = true,
     .property = "a try-lock takes a free mutex or says that it is held",
     .set_up = set_up,
     .thread = {user, trier, trier},
     .finish = three},
    {.name = "mutex/spinning",
     .is_protocol = true,
     .property = "who spins and finds it free holds it",
     .set_up = set_up_spinning,
     .thread = {user, user},
     .finish = two},
    {.name = "mutex/spinning-three",
     .is_protocol = true,
     .property = "a spinner goes to sleep when somebody sleeps already",
     .set_up = set_up_spinning,
     .thread = {user, user, user},
     .finish = three},
    {.name = "mutex/spun-in-vain",
     .is_protocol = true,
     .property = "who has spun in vain sleeps, and is woken",
     .set_up = set_up_spinning,
     .thread = {user, user},
     .finish = two,
     .rereads = 100},
    {.name = "mutex/spurious",
     .is_protocol = true,
     .property = "the same when a sleeper wakes for no reason",
     .set_up = set_up,
     .thread = {user, user, user},
     .finish = three,
     .spurious = 1},
    {.name = "mutex/again",
     .is_protocol = true,
     .property = "the same when one comes twice",
     .set_up = set_up,
     .thread = {user_twice, user, user},
     .finish = four,
     .is_long = true},
    {.name = NULL},
};
