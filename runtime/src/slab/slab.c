/*
 * Purpose: see slab.h.
 * Owner:   slab. Threads: as slab.h says. Cost: creation and count O(words).
 * Design:  [slab.inv.counts] [slab.inv.tag] [slab.proto.owner]
 */
#include "slab/slab.h"

#include <string.h>

#include "base/bits.h"
#include "base/check.h"
#include "span/meta.h"
#include "span/unit.h"
#include "sync/atomic.h"

_Static_assert(sizeof(struct emp_slab) == EMP_SLAB_DESCRIPTOR_BYTES, "descriptor stride");
_Static_assert(offsetof(struct emp_slab, list) == EMP_LINE_BYTES,
               "what frees read does not lie beside what the holder writes");
_Static_assert(EMP_WORD_BITS == EMP_LINE_BYTES, "the states of a word are one line");

/* Bytes of the states: a line per word. */
static size_t state_bytes(uint32_t words)
{
    return (size_t)words * EMP_LINE_BYTES;
}

static void slab_write_tags(const struct emp_slab *slab, uint32_t tag)
{
    size_t unit = emp_slab_number(slab);

    for (unsigned i = 0; i < emp_classes[slab->class_id].units; i++) {
        /* order(slab-tag): relaxed; whoever holds a block got it through the shard's lock */
        emp_store_relaxed(&emp_arena.tags[unit + i], tag);
    }
}

/* Tag of a slab that belongs to the shard owner. */
static uint32_t slab_tag(const struct emp_slab *slab, uint8_t owner)
{
    uint32_t away = 0;

    if (emp_classes[slab->class_id].shares_lines) {
        away = 0xffffu & ~(1u << (owner % 16u));
    }
    return emp_bin_offset(slab->class_id) | away << 16;
}

/* Tells every unit of a slab how to find the states; before any tag says that it is one. */
static void slab_set_guard(size_t unit, const struct emp_class *info, uint8_t *states)
{
    for (unsigned i = 0; EMP_SECURE && i < info->units; i++) {
        emp_slab_at(unit + i)->states = states;
        emp_slab_at(unit + i)->guard = (struct emp_slab_guard){
            .slab_mask = info->geometry.slab_mask,
            .size = info->geometry.size,
            .reciprocal = info->geometry.reciprocal,
        };
    }
}

bool emp_slab_create(size_t unit, uint32_t class_id, uint8_t owner, uint16_t slots)
{
    struct emp_slab *slab = emp_slab_at(unit);
    const struct emp_class *info = &emp_classes[class_id];
    size_t bytes = state_bytes(info->words);
    uint8_t *states = emp_meta_alloc_uncleared(bytes);

    emp_assert(slots >= 1 && slots <= info->geometry.slots);
    if (states == NULL) {
        return false;
    }
    slab->class_id = (uint8_t)class_id;
    /* order(slab-magic): relaxed; the slab is not shared yet */
    emp_store_relaxed(&slab->reciprocal, info->units == 1 ? info->geometry.reciprocal : 0);
    slab->list = EMP_LIST_DETACHED;
    slab->idle_ticks = 0;
    slab->offered = 0;
    slab->slots = slots;
    slab->free_count = slots;
    slab->tick_count = slots;
    slab->touched = 0;
    slab->counted = 0;
    slab->prev = 0;
    slab->next = 0;
    slab->purged_pages = 0;
    slab->states = states;
    memset(states, EMP_SLOT_FREE, slots);
    memset(states + slots, EMP_SLOT_NONE, bytes - slots);
    slab_set_guard(unit, info, states);
    emp_inbox_start(&slab->inbox);
    slab_write_tags(slab, slab_tag(slab, owner));
    /* order(slab-owner): release; a holder with an old entry of this unit may still see the magic
       of its last life: if the slab is his now, he sees everything above */
    emp_store_release(&slab->owner, owner);
    /* order(slab-magic): release; everything above, for who finds the slab by a stray address */
    emp_store_release(&slab->magic, EMP_SLAB_MAGIC);
    return true;
}

void emp_slab_retire(struct emp_slab *slab)
{
    emp_assert(slab->magic == EMP_SLAB_MAGIC && slab->list == EMP_LIST_DETACHED);
    /* order(slab-magic): relaxed; the lock that is held orders it for all later holders */
    emp_store_relaxed(&slab->magic, EMP_SLAB_ENDING);
    /* order(slab-magic): relaxed; as above */
    emp_store_relaxed(&slab->reciprocal, 0);
}

void emp_slab_destroy(struct emp_slab *slab)
{
    const struct emp_class *info = &emp_classes[slab->class_id];
    size_t unit = emp_slab_number(slab);
    uint8_t *states = slab->states;

    emp_check(slab->magic == EMP_SLAB_ENDING);
    slab_write_tags(slab, 0);
    slab->free_count = 0;
    /* order(slab-magic): relaxed; nobody may use the slab since it was retired */
    emp_store_relaxed(&slab->magic, 0);
    emp_meta_free(states, state_bytes(info->words));
    emp_unit_give(unit, info->units);
}

void emp_slab_set_owner(struct emp_slab *slab, uint8_t owner)
{
    /* order(slab-owner): release; what holders of the old owner's lock wrote, for the new
       holders */
    emp_store_release(&slab->owner, owner);
    slab_write_tags(slab, slab_tag(slab, owner));
}

unsigned emp_slab_count(struct emp_slab *slab)
{
    unsigned words = emp_classes[slab->class_id].words;
    unsigned count = 0;

    for (unsigned w = 0; w < words; w++) {
        count += emp_bits_count(emp_slab_word(slab, w));
    }
    unsigned news = count - slab->free_count;

    emp_assert(count >= slab->free_count);
    slab->free_count = (uint16_t)count;
    return news;
}

/* Eight slots at a time where all eight are free: then no other thread may write any of them. */
void emp_slab_take_bits(struct emp_slab *slab, unsigned word, uint64_t bits)
{
    uint8_t *states = slab->states + (size_t)word * EMP_WORD_BITS;

    for (; bits != 0; bits >>= 8, states += 8) {
        unsigned eight = bits & 0xffu;

        if (eight == 0xffu) {
            memset(states, EMP_SLOT_USED, 8);
            continue;
        }
        for (; eight != 0; eight &= eight - 1) {
            emp_slot_set(&states[emp_bits_lowest(eight)], EMP_SLOT_USED);
        }
    }
}

/* Slots [first, last] that touch a page; last may lie behind the slab's slots. */
static void page_slots(const struct emp_slab *slab, unsigned page, unsigned *first, unsigned *last)
{
    uint32_t size = emp_classes[slab->class_id].geometry.size;

    *first = page * 4096u / size;
    *last = (page * 4096u + 4095u) / size;
    if (*last >= slab->slots) {
        *last = slab->slots - 1u;
    }
}

static bool slots_all_free(const struct emp_slab *slab, unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last;) {
        unsigned in_word = 64u - i % 64u < last + 1u - i ? 64u - i % 64u : last + 1u - i;
        uint64_t mask = emp_bits_mask(in_word) << (i % 64u);

        if ((emp_slab_word(slab, i / 64u) & mask) != mask) {
            return false;
        }
        i += in_word;
    }
    return true;
}

uint64_t emp_slab_free_pages(const struct emp_slab *slab)
{
    unsigned pages = emp_classes[slab->class_id].units * (unsigned)(EMP_UNIT_BYTES / 4096u);
    uint64_t mask = 0;

    for (unsigned page = 0; page < pages; page++) {
        unsigned first = 0;
        unsigned last = 0;

        page_slots(slab, page, &first, &last);
        if (((slab->purged_pages >> page) & 1) == 0 && slots_all_free(slab, first, last)) {
            mask |= (uint64_t)1 << page;
        }
    }
    return mask;
}

/* Moves the blocks that touch a page of mask from one state to another; returns how many. */
static unsigned slab_move_pages(struct emp_slab *slab, uint64_t mask, enum emp_slot_state from,
                                enum emp_slot_state to)
{
    unsigned moved = 0;

    for (; mask != 0; mask &= mask - 1) {
        unsigned first = 0;
        unsigned last = 0;

        page_slots(slab, emp_bits_lowest(mask), &first, &last);
        for (unsigned i = first; i <= last; i++) {
            /* order(slot-state): relaxed; only the holder changes a slot that is not in use */
            if (emp_load_relaxed(&slab->states[i]) == from) {
                emp_slot_set(&slab->states[i], to);
                moved++;
            }
        }
    }
    return moved;
}

unsigned emp_slab_page_blocks(const struct emp_slab *slab, uint64_t mask)
{
    unsigned count = 0;
    unsigned next = 0; /* first slot not looked at yet */

    for (; mask != 0; mask &= mask - 1) {
        unsigned first = 0;
        unsigned last = 0;

        page_slots(slab, emp_bits_lowest(mask), &first, &last);
        for (unsigned i = first < next ? next : first; i <= last; i++) {
            count += emp_slot_is_free(&slab->states[i]);
        }
        next = last + 1;
    }
    return count;
}

unsigned emp_slab_claim_pages(struct emp_slab *slab, uint64_t mask, unsigned *news)
{
    *news = emp_slab_count(slab); /* after the pages were found free: it counts all of them */
    unsigned moved = slab_move_pages(slab, mask, EMP_SLOT_FREE, EMP_SLOT_HELD);

    emp_assert(moved <= slab->free_count);
    slab->free_count = (uint16_t)(slab->free_count - moved);
    return moved;
}

void emp_slab_restore_pages(struct emp_slab *slab, uint64_t mask)
{
    unsigned moved = slab_move_pages(slab, mask, EMP_SLOT_HELD, EMP_SLOT_FREE);

    slab->free_count = (uint16_t)(slab->free_count + moved);
    slab->purged_pages |= mask;
}

void emp_slab_touch_word(struct emp_slab *slab, unsigned word, uint32_t size)
{
    uint64_t first = (uint64_t)word * EMP_WORD_BITS * size / 4096u;
    uint64_t last = ((uint64_t)(word + 1) * EMP_WORD_BITS * size - 1) / 4096u;

    last = last > 63 ? 63 : last;
    if (first <= last) {
        slab->purged_pages &= ~(emp_bits_mask((unsigned)(last - first + 1)) << first);
    }
}

const char *emp_slab_audit(const struct emp_slab *slab)
{
    const struct emp_class *info = &emp_classes[slab->class_id];
    unsigned bits = 0;

    if (slab->magic != EMP_SLAB_MAGIC) {
        return "magic";
    }
    for (unsigned w = 0; w < info->words; w++) {
        bits += emp_bits_count(emp_slab_word(slab, w));
    }
    if (bits < slab->free_count) {
        return "more free blocks known than there are";
    }
    if (slab->free_count > slab->slots || slab->slots > info->geometry.slots) {
        return "counts out of range";
    }
    if (emp_arena.tags[emp_slab_number(slab)] != slab_tag(slab, slab->owner)) {
        return "tag differs from the descriptor";
    }
    if (slab->list == EMP_LIST_FULL && slab->free_count != 0 && emp_inbox_is_quiet(&slab->inbox)) {
        return "known to have free blocks, yet full and quiet";
    }
    return NULL;
}
