/*
 * What: harnesses of sync/parked_word.h: a run that is parked, picked up by who was told of it, aged
 *       and reclaimed by a collector, changed and ended under the lock of the map.
 * How:  the run's content is plain memory that only its owner may touch: two owners, or one that
 *       misses the last one's writes, are a race. Owners are counted besides.
 * Design: [sync.proto.parked-word] [span.proto.shelf]
 */
#include "cases.h"
#include "model.h"
#include "protocol/world.h"
#include "sync/parked_word.h"
#include "thread/mutex.h"

#define PAGES      4u
#define PAGES_NEXT 5u

static struct emp_mutex lock; /* the span's */
static uint16_t word;         /* atomic: parked-word */
static uint64_t hint;         /* atomic: shelf-hint. 0: nobody was told of a parked run */
static uint32_t content;      /* plain: belongs to the run's owner */
static uint32_t parkings;     /* atomic: that succeeded */
static uint32_t pickings;     /* atomic: picks and reclaims that succeeded */
static bool is_free;          /* under the lock: the pages are no run */

/* A run in use. */
static void set_up(void)
{
    world_set_up();
    emp_mutex_init(&lock, EMP_RANK_SPAN);
    hint = 0;
    content = 0;
    parkings = 0;
    pickings = 0;
    is_free = false;
    emp_parked_begin(&word, PAGES);
}

static void set_up_parked(void)
{
    set_up();
    model_assert(emp_parked_park(&word, PAGES, false));
    parkings = 1;
    hint = 1;
}

static void use(void)
{
    content++;
}

/* Its owner uses the run for the last time and sets it aside. */
static bool park(void)
{
    const uint32_t seen = emp_parked_in_use(emp_parked_look(&word));
    if (seen == 0 || !emp_parked_park(&word, seen, false)) {
        return false;
    }
    emp_fetch_add_relaxed(&parkings, 1);
    emp_store_relaxed(&hint, 1);
    return true;
}

static void use_and_park(void)
{
    use();
    model_assert(park());
}

/* Two frees of one run: whoever parks it was its owner. */
static void free_run(void)
{
    (void)park();
}

static bool pick(void)
{
    if (!emp_parked_pick(&word, PAGES, false)) {
        return false;
    }
    emp_fetch_add_relaxed(&pickings, 1);
    use();
    return true;
}

/* Picks by what a shelf says, which may be old. */
static void pick_by_hint(void)
{
    if (emp_load_relaxed(&hint) != 0) {
        emp_store_relaxed(&hint, 0);
        (void)pick();
    }
}

static void pick_any(void)
{
    (void)pick();
}

static void pick_and_park(void)
{
    if (pick()) {
        model_assert(park());
    }
}

/* The collector, or a shelf that is full: the run's pages become free. Lock held. */
static void reclaim_locked(uint32_t seen)
{
    if (emp_parked_change(&word, seen, 0)) {
        emp_fetch_add_relaxed(&pickings, 1);
        use(); /* gives the pages to whoever is next */
        is_free = true;
    }
}

/* One visit of the collector: ages, or reclaims what has aged. */
static void collect(void)
{
    emp_mutex_lock(&lock);
    const uint32_t seen = emp_parked_look(&word);
    if ((seen & EMP_PARKED) != 0 && (seen & EMP_PARKED_AGED) == 0) {
        (void)emp_parked_change(&word, seen, seen | EMP_PARKED_AGED);
    } else if ((seen & EMP_PARKED) != 0) {
        reclaim_locked(seen);
    }
    emp_mutex_unlock(&lock);
}

static void collect_twice(void)
{
    collect();
    collect();
}

/* Reclaims at once, as for a shelf that is full or under pressure. */
static void reclaim(void)
{
    emp_mutex_lock(&lock);
    const uint32_t seen = emp_parked_look(&word);
    if ((seen & EMP_PARKED) != 0) {
        reclaim_locked(seen);
    }
    emp_mutex_unlock(&lock);
}

/* Reclaims, and makes a run of another length of the pages; its owner parks it in turn. */
static void reclaim_and_begin(void)
{
    reclaim();
    emp_mutex_lock(&lock);
    const bool is_mine = is_free;
    if (is_mine) {
        is_free = false;
        emp_parked_begin(&word, PAGES_NEXT);
    }
    emp_mutex_unlock(&lock);
    if (is_mine) {
        use();
        model_assert(park());
    }
}

/* Ends a run in use under the lock, as a free does that parks nothing. */
static void end_run(void)
{
    emp_mutex_lock(&lock);
    const uint32_t seen = emp_parked_in_use(emp_parked_look(&word));
    if (seen != 0 && emp_parked_change(&word, seen, 0)) {
        emp_fetch_add_relaxed(&parkings, 1);
        is_free = true;
    }
    emp_mutex_unlock(&lock);
}

/* Its owner changes its length, then sets it aside. */
static void change_and_park(void)
{
    use();
    emp_mutex_lock(&lock);
    const uint32_t seen = emp_parked_in_use(emp_parked_look(&word));
    model_assert(seen == PAGES && emp_parked_change(&word, seen, PAGES_NEXT));
    emp_mutex_unlock(&lock);
    use();
    model_assert(park());
}

static void pick_next(void)
{
    if (emp_parked_pick(&word, PAGES_NEXT, false)) {
        emp_fetch_add_relaxed(&pickings, 1);
        use();
    }
}

/* In use, parked or none; parked once per use, and picked up once per parking. */
static void one_owner(void)
{
    const bool is_parked = (word & EMP_PARKED) != 0;
    model_assert(parkings == pickings + is_parked);
    model_assert(is_free == (word == 0));
}

/* Of two that free the run one is refused. */
static void one_freed(void)
{
    model_assert(parkings == 1 && emp_parked_in_use(word) == 0);
    model_assert(is_free == (word == 0));
}

/* What nobody was told of is found by age. */
static void found_by_age(void)
{
    one_owner();
    const bool is_parked = (word & EMP_PARKED) != 0;
    collect_twice();
    model_assert(word != 0 || is_free);
    model_assert(!is_parked || is_free);
}

const struct model_case protocol_parked[] = {
    {.name = "parked-word/park-pick",
     .is_protocol = true,
     .property = "a parked run is picked up once, with what its last owner wrote",
     .set_up = set_up,
     .thread = {use_and_park, pick_any, pick_by_hint},
     .finish = found_by_age},
    {.name = "parked-word/double-free",
     .is_protocol = true,
     .property = "of two that free a run one parks it and the other is refused",
     .set_up = set_up,
     .thread = {free_run, free_run},
     .finish = one_freed},
    {.name = "parked-word/park-or-end",
     .is_protocol = true,
     .property = "the same when one of them ends it under the lock",
     .set_up = set_up,
     .thread = {free_run, end_run},
     .finish = one_freed},
    {.name = "parked-word/age-reclaim",
     .is_protocol = true,
     .property = "a run that is aged and reclaimed has one owner: who picked it or the collector",
     .set_up = set_up,
     .thread = {use_and_park, pick_any, collect_twice},
     .finish = found_by_age},
    {.name = "parked-word/park-again",
     .is_protocol = true,
     .property = "the same when it is picked and parked again by old hints",
     .set_up = set_up_parked,
     .thread = {pick_and_park, pick_by_hint, reclaim},
     .finish = found_by_age},
    {.name = "parked-word/next-life",
     .is_protocol = true,
     .property = "a hint of a run that ended finds the next one on its pages only if it fits",
     .set_up = set_up_parked,
     .thread = {reclaim_and_begin, pick_any, pick_next},
     .finish = one_owner},
    {.name = "parked-word/change",
     .is_protocol = true,
     .property = "a run whose length is changed is picked up by its new one, whole",
     .set_up = set_up,
     .thread = {change_and_park, pick_any, pick_next},
     .finish = one_owner},
    {.name = "parked-word/four",
     .is_protocol = true,
     .property = "an owner, two that pick, a collector: one owner at a time",
     .set_up = set_up,
     .thread = {use_and_park, pick_and_park, pick_by_hint, collect_twice},
     .finish = found_by_age,
     .is_long = true},
    {.name = NULL},
};
