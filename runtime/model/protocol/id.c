/*
 * What: harnesses of async/id_table.c as it stands, and with it of sync/id_slot.h, id_list.h and
 *       id_field.h: an id is looked up while its object ends, and its slot serves the next one.
 * How:  an object is watched memory with a count of references, as a task has one: whoever finds it
 *       adds to the count and uses it. Lists are tried by themselves, because a table turns
 *       its own only when many slots were returned.
 * Design: [async.proto.id]
 */
#include "async/id_table.h"

#include "async/object.h"
#include "cases.h"
#include "model.h"
#include "sync/id_field.h"
#include "sync/id_list.h"
#include "sync/id_slot.h"

#include <string.h>

/* What an id names: as a task, with a count that ends it. */
struct thing {
    uint32_t refs; /* atomic: as a task's */
    uint64_t id;   /* atomic: id-field */
    uint32_t use;  /* atomic: what holders do with it */
    uint32_t made; /* plain: written before the id is given */
    uint32_t last; /* plain: written by the owner before it ends the id */
};

static struct emp_id_table *table;
static struct thing *object;
static emp_id named;
static uint64_t shown; /* atomic: an id that is told to another thread by no order at all */

static struct thing *thing_new(void)
{
    struct thing *const made = model_alloc(sizeof *made);
    made->refs = 1;
    made->made = 1;
    return made;
}

static void thing_retain(struct thing *thing)
{
    model_assert(emp_fetch_add_relaxed(&thing->refs, 1) > 0);
}

static void thing_release(struct thing *thing)
{
    if (emp_fetch_sub_acq_rel(&thing->refs, 1) == 1) {
        model_free(thing);
    }
}

static void set_up(void)
{
    table = emp_id_table_new();
    object = NULL;
    named = 0;
    shown = 0;
}

/* An object with an id, and a reference of its owner. */
static void set_up_named(void)
{
    set_up();
    object = thing_new();
    thing_retain(object);
    named = emp_id_begin(table, object);
    object->id = named;
    model_assert(named != 0);
}

static void close_id(struct thing *thing)
{
    const emp_id id = emp_id_field_close(&thing->id);
    if (id != 0 && emp_id_end(table, id)) {
        thing_release(thing);
    }
}

/* The owner is done with the object. */
static void end_named(void)
{
    close_id(object);
    thing_release(object);
}

/* An object whose only reference is that of its id, and an owner that ends it by that. */
static void set_up_given(void)
{
    set_up();
    object = thing_new();
    named = emp_id_begin(table, object);
}

static void end_given(void)
{
    object->last = 1;
    if (emp_id_end(table, named)) {
        thing_release(object);
    }
}

/* Looks an id up as emp_task_find does; true: there was an object. */
static bool find(emp_id id)
{
    struct thing *const found = emp_id_find(table, id);
    if (found == NULL) {
        return false;
    }
    thing_retain(found);
    if (emp_id_leave(table, id)) {
        thing_release(found);
    }
    model_assert(found->made == 1);
    emp_fetch_add_relaxed(&found->use, 1);
    thing_release(found);
    return true;
}

static void find_named(void)
{
    (void)find(named);
}

static void find_short(void)
{
    emp_id id = 0;
    struct thing *const found = emp_id_find32(table, emp_id_to_short(named), &id);
    if (found != NULL) {
        model_assert(id == named && found->made == 1);
        if (emp_id_leave(table, id)) {
            thing_release(found);
        }
    }
}

/* The first in its leaf, and whatever is the next. */
static void name_another(void)
{
    struct thing *const other = thing_new();
    thing_retain(other);
    const emp_id id = emp_id_begin(table, other);
    model_assert(id != 0 && id != named);
    emp_store_relaxed(&shown, id);
    model_assert(find(id));
    if (emp_id_end(table, id)) {
        thing_release(other);
    }
    model_assert(!find(id));
    thing_release(other);
}

static void end_and_name_another(void)
{
    end_named();
    name_another();
}

static void find_shown(void)
{
    const emp_id id = emp_load_relaxed(&shown);
    (void)find(id);
}

/* Asks for the id of a thing as emp_task_id does, with a reference. */
static void ask(void)
{
    emp_id found = emp_id_field_look(&object->id);
    if (found == 0) {
        thing_retain(object);
        const emp_id id = emp_id_begin(table, object);
        if (emp_id_field_set(&object->id, id)) {
            found = id;
        } else {
            if (emp_id_end(table, id)) {
                thing_release(object);
            }
            found = emp_id_field_look(&object->id);
            model_assert(found != 0);
        }
    }
    if (found != EMP_ID_CLOSED) {
        (void)find(found);
    }
    thing_release(object);
}

static void set_up_two_askers(void)
{
    set_up();
    object = thing_new();
    thing_retain(object);
    thing_retain(object);
}

/* The object is over while others may ask; what is found later was noted before. */
static void close_and_leave(void)
{
    close_id(object);
    thing_release(object);
}

/* Whoever sees the id of a thing that lives finds it. */
static void look_and_find(void)
{
    const emp_id found = emp_id_field_look(&object->id);
    if (found != 0) {
        model_assert(find(found));
    }
}

static void ask_and_stay(void)
{
    thing_retain(object);
    ask();
}

static void finish_close(void)
{
    end_named();
    thing_release(object);
    thing_release(object);
    emp_id_table_end(table);
}

static void finish(void)
{
    emp_id_table_end(table);
}

/* The one who did nothing leaves. */
static void finish_asked(void)
{
    thing_release(object);
    emp_id_table_end(table);
}

/* Three slots of a list by themselves: the table would want many for a turn. */
static struct emp_id_slot slots[4];
static struct emp_id_list list;
static uint32_t owners[4]; /* plain: of whoever took the slot */

static void list_set_up(void)
{
    memset(slots, 0, sizeof slots);
    memset(&list, 0, sizeof list);
    memset(owners, 0, sizeof owners);
    for (uint32_t i = 3; i > 0; i--) {
        emp_id_list_put(&list, i, &slots[i]);
    }
}

/* Takes a ready one, or turns the list around. 0: none. */
static uint32_t list_take(void)
{
    uint64_t seen = 0;
    uint32_t number = 0;
    while ((number = emp_id_list_top(&list, &seen)) != 0) {
        if (emp_id_list_take(&list, seen, &slots[number])) {
            return number;
        }
    }
    number = emp_id_list_take_returned(&list);
    if (number != 0) {
        const uint32_t below = emp_id_list_below(&slots[number]);
        emp_id_list_counted(&list, 1);
        if (below != 0) {
            struct emp_id_slot *last = &slots[below];
            while (emp_id_list_below(last) != 0) {
                last = &slots[emp_id_list_below(last)];
            }
            emp_id_list_put(&list, below, last);
        }
    }
    return number;
}

static void list_take_and_return(void)
{
    const uint32_t number = list_take();
    if (number != 0) {
        model_assert(owners[number]++ == 0);
        owners[number]--;
        emp_id_list_return(&list, number, &slots[number]);
    }
}

/* Slot 1 is ready, slot 2 is with a thread. */
static void list_set_up_put(void)
{
    list_set_up();
    list = (struct emp_id_list){0};
    emp_id_list_put(&list, 1, &slots[1]);
}

static void list_put(void)
{
    owners[2]++;
    owners[2]--;
    emp_id_list_put(&list, 2, &slots[2]);
}

/* Takes a ready one and keeps it. */
static void list_take_top(void)
{
    uint64_t seen = 0;
    const uint32_t number = emp_id_list_top(&list, &seen);
    if (number != 0 && emp_id_list_take(&list, seen, &slots[number])) {
        model_assert(owners[number]++ == 0);
    }
}

static void list_take_two(void)
{
    list_take_and_return();
    list_take_and_return();
}

static void list_set_up_one(void)
{
    list_set_up();
    list = (struct emp_id_list){0};
    for (uint32_t i = 1; i < 4; i++) {
        slots[i].next = 0;
    }
    emp_id_list_return(&list, 1, &slots[1]);
    emp_id_list_return(&list, 2, &slots[2]);
}

/* Every slot is still there, once. */
static void list_whole_of(uint32_t count)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t number = list_take();
        model_assert(number != 0 && (seen & 1u << number) == 0);
        seen |= 1u << number;
    }
    model_assert(list_take() == 0);
}

static void list_whole(void)
{
    list_whole_of(3);
}

static void list_whole_two(void)
{
    list_whole_of(2);
}

/* What nobody took is ready. */
static void list_rest(void)
{
    for (uint32_t number = 0; (number = list_take()) != 0;) {
        model_assert(owners[number]++ == 0);
    }
    model_assert(owners[1] == 1 && owners[2] == 1);
}

const struct model_case protocol_id[] = {
    {.name = "id/find-end",
     .is_protocol = true,
     .rereads = 100,
     .property = "who finds an object while it ends has a reference of it, or nothing",
     .set_up = set_up_named,
     .thread = {end_named, find_named},
     .finish = finish},
    {.name = "id/end-by-finder",
     .is_protocol = true,
     .rereads = 100,
     .property = "an object that a finder ends is ended after its owner's last use",
     .set_up = set_up_given,
     .thread = {end_given, find_named},
     .finish = finish},
    {.name = "id/find-find-end",
     .is_protocol = true,
     .rereads = 100,
     .property = "the same for two finders, one by the short flavour",
     .set_up = set_up_named,
     .thread = {end_named, find_named, find_short},
     .finish = finish},
    {.name = "id/next-object",
     .is_protocol = true,
     .rereads = 100,
     .property = "an id does not find the object that comes after its own",
     .set_up = set_up_named,
     .thread = {end_and_name_another, find_named},
     .finish = finish},
    {.name = "id/told-by-nothing",
     .is_protocol = true,
     .rereads = 100,
     .property = "an id that reached a thread by no order finds its object whole, or nothing",
     .set_up = set_up,
     .thread = {name_another, find_shown},
     .finish = finish},
    {.name = "id/two-name",
     .is_protocol = true,
     .rereads = 100,
     .property = "two that name objects at once get two ids",
     .set_up = set_up,
     .thread = {name_another, name_another},
     .finish = finish},
    {.name = "id/ask-close",
     .is_protocol = true,
     .rereads = 100,
     .property = "an id that is asked for while its object ends is ended with it",
     .set_up = set_up_two_askers,
     .thread = {ask, close_and_leave},
     .finish = finish_asked},
    {.name = "id/ask-ask",
     .is_protocol = true,
     .rereads = 100,
     .property = "of two that ask each finds the object by the id it was told",
     .set_up = set_up_two_askers,
     .thread = {ask_and_stay, look_and_find},
     .finish = finish_close},
    {.name = "id-list/take-return",
     .is_protocol = true,
     .rereads = 100,
     .property = "a slot is with one, or in one list, and comes with its last holder's writes",
     .set_up = list_set_up,
     .thread = {list_take_two, list_take_two},
     .finish = list_whole},
    {.name = "id-list/put-take",
     .is_protocol = true,
     .rereads = 100,
     .property = "who takes a slot that was just put leaves the one below it",
     .set_up = list_set_up_put,
     .thread = {list_put, list_take_top, list_take_top},
     .finish = list_rest},
    {.name = "id-list/turn",
     .is_protocol = true,
     .rereads = 100,
     .property = "the same where returned slots become ready",
     .set_up = list_set_up_one,
     .thread = {list_take_two, list_take_and_return},
     .finish = list_whole_two},
    {.name = NULL},
};
