/*
 * Purpose: see slab.h.
 * Owner:   slab. Threads: as slab.h says. Cost: creation O(words); drain O(words of the slab).
 * Design:  [slab.inv.counts] [slab.inv.tag] [slab.proto.owner]
 */
#include "slab/slab.h"

#include "base/bits.h"
#include "base/check.h"
#include "span/meta.h"
#include "span/unit.h"
#include "sync/atomic.h"
#include "sync/remote_word.h"

_Static_assert(sizeof(struct emp_slab) == EMP_SLAB_DESCRIPTOR_BYTES, "descriptor stride");
_Static_assert(offsetof(struct emp_slab, inbox) == EMP_LINE_BYTES,
               "remote frees on their own line");

/* Bytes of one bitmap, rounded to whole lines so that free[] and remote[] never share one. */
static size_t bitmap_bytes(uint32_t words)
{
    return (words * sizeof(uint64_t) + EMP_LINE_BYTES - 1) & ~(size_t)(EMP_LINE_BYTES - 1);
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
    return slab->class_id | away << 8 | (uint32_t)owner << 24;
}

bool emp_slab_create(size_t unit, uint32_t class_id, uint8_t owner, uint16_t slots)
{
    struct emp_slab *slab = emp_slab_at(unit);
    const struct emp_class *info = &emp_classes[class_id];
    size_t bytes = bitmap_bytes(info->words);
    uint64_t *words = emp_meta_alloc(bytes * 2);

    emp_assert(slots >= 1 && slots <= info->geometry.slots);
    if (words == NULL) {
        return false;
    }
    slab->class_id = (uint8_t)class_id;
    slab->list = EMP_LIST_DETACHED;
    slab->idle_ticks = 0;
    slab->offered = 0;
    slab->slots = slots;
    slab->free_count = slots;
    slab->tick_count = slots;
    slab->high_word = 0;
    slab->prev = 0;
    slab->next = 0;
    slab->purged_pages = 0;
    slab->free = words;
    slab->remote = words + bytes / sizeof(uint64_t);
    for (unsigned i = 0; i * EMP_WORD_BITS < slots; i++) {
        unsigned left = slots - i * EMP_WORD_BITS;
        /* order(slab-free): relaxed; the slab is not shared yet */
        emp_store_relaxed(&slab->free[i], emp_bits_mask(left > 64 ? 64 : left));
    }
    slab_write_tags(slab, slab_tag(slab, owner));
    /* order(slab-owner): release; a holder with an old entry of this unit may still see the magic
       of its last life: if the slab is his now, he sees everything above */
    emp_store_release(&slab->owner, owner);
    /* order(slab-magic): release; everything above, for inbox takers with an old entry of this
       unit */
    emp_store_release(&slab->magic, EMP_SLAB_MAGIC);
    return true;
}

void emp_slab_retire(struct emp_slab *slab)
{
    emp_assert(slab->magic == EMP_SLAB_MAGIC && slab->list == EMP_LIST_DETACHED);
    /* order(slab-magic): relaxed; the lock that is held orders it for all later holders */
    emp_store_relaxed(&slab->magic, EMP_SLAB_ENDING);
}

void *emp_slab_destroy(struct emp_slab *slab)
{
    const struct emp_class *info = &emp_classes[slab->class_id];
    size_t unit = emp_slab_number(slab);
    uint64_t *words = slab->free;
    void *twice = NULL;

    emp_check(slab->magic == EMP_SLAB_ENDING);
    slab_write_tags(slab, 0);
    for (unsigned w = 0; w < info->words; w++) {
        uint64_t bits = emp_remote_drain(&slab->remote[w]);

        if (bits != 0) {
            uintptr_t slot = w * EMP_WORD_BITS + emp_bits_lowest(bits);
            twice = (void *)(emp_slab_base(slab) + slot * info->geometry.size);
        }
    }
    slab->free_count = 0;
    /* order(slab-magic): relaxed; nobody may use the slab since it was retired */
    emp_store_relaxed(&slab->magic, 0);
    emp_meta_free(words, bitmap_bytes(info->words) * 2);
    emp_unit_give(unit, info->units);
    return twice;
}

void emp_slab_set_owner(struct emp_slab *slab, uint8_t owner)
{
    /* order(slab-owner): release; what holders of the old owner's lock wrote, for the new
       holders */
    emp_store_release(&slab->owner, owner);
    slab_write_tags(slab, slab_tag(slab, owner));
}

unsigned emp_slab_drain(struct emp_slab *slab, void **twice)
{
    const struct emp_class *info = &emp_classes[slab->class_id];
    unsigned moved = 0;

    *twice = NULL;
    for (unsigned w = 0; w < info->words; w++) {
        uint64_t bits = emp_remote_drain(&slab->remote[w]);
        /* order(slab-free): relaxed; the holder is the only writer */
        uint64_t before = emp_load_relaxed(&slab->free[w]);
        uint64_t again = bits & before;

        if (bits == 0) {
            continue;
        }
        if (again != 0) {
            uintptr_t slot = w * EMP_WORD_BITS + emp_bits_lowest(again);
            *twice = (void *)(emp_slab_base(slab) + slot * info->geometry.size);
            bits &= ~again;
        }
        /* order(slab-free): relaxed; remote readers only look for their own block's bit */
        emp_store_relaxed(&slab->free[w], before | bits);
        moved += emp_bits_count(bits);
    }
    slab->free_count = (uint16_t)(slab->free_count + moved);
    return moved;
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

        if ((slab->free[i / 64u] & mask) != mask) {
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

/* Sets or clears the free bits of every block that touches a page of mask; returns bits changed. */
static unsigned slab_move_pages(struct emp_slab *slab, uint64_t mask, bool to_free)
{
    unsigned moved = 0;

    while (mask != 0) {
        unsigned first = 0;
        unsigned last = 0;

        page_slots(slab, emp_bits_lowest(mask), &first, &last);
        for (unsigned i = first; i <= last; i++) {
            uint64_t bit = (uint64_t)1 << (i % 64u);
            /* order(slab-free): relaxed; the holder is the only writer */
            uint64_t word = emp_load_relaxed(&slab->free[i / 64u]);

            if (((word & bit) != 0) != to_free) {
                /* order(slab-free): relaxed; the blocks are free, nobody looks for their bits */
                emp_store_relaxed(&slab->free[i / 64u], word ^ bit);
                moved++;
            }
        }
        mask &= mask - 1;
    }
    return moved;
}

unsigned emp_slab_claim_pages(struct emp_slab *slab, uint64_t mask)
{
    unsigned moved = slab_move_pages(slab, mask, false);

    slab->free_count = (uint16_t)(slab->free_count - moved);
    return moved;
}

void emp_slab_restore_pages(struct emp_slab *slab, uint64_t mask)
{
    unsigned moved = slab_move_pages(slab, mask, true);

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
        bits += emp_bits_count(slab->free[w]);
    }
    if (bits != slab->free_count) {
        return "free_count differs from the bits";
    }
    if (slab->free_count > slab->slots || slab->slots > info->geometry.slots) {
        return "counts out of range";
    }
    if (emp_arena.tags[emp_slab_number(slab)] != slab_tag(slab, slab->owner)) {
        return "tag differs from the descriptor";
    }
    if ((slab->free_count == 0) != (slab->list == EMP_LIST_FULL) &&
        slab->list != EMP_LIST_DETACHED) {
        return "list differs from the count";
    }
    return NULL;
}
