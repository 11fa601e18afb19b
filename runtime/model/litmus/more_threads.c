/*
 * What: litmus tests of three and four threads: IRIW, WRC, ISA2, RWC, release sequences, rings of
 *       fences.
 * How:  as two_threads.c.
 * Design: docs/design/model.md, "Litmus tests"
 * Source: Alglave and others 2014; Lahav and others 2017 (Z6.U); C++20 [intro.races] on release
 *         sequences.
 */
#include "cases.h"
#include "litmus/litmus.h"

/* clang-format off */
THREAD(put_x, PUT(x, 1, RELAXED))
THREAD(put_y, PUT(y, 1, RELAXED))
THREAD(put_x_release, PUT(x, 1, RELEASE))
THREAD(put_y_release, PUT(y, 1, RELEASE))
THREAD(put_x_sc, PUT(x, 1, SEQ_CST))
THREAD(put_y_sc, PUT(y, 1, SEQ_CST))
THREAD(iriw_2, r[0] = GET(x, RELAXED); r[1] = GET(y, RELAXED))
THREAD(iriw_3, r[2] = GET(y, RELAXED); r[3] = GET(x, RELAXED))
THREAD(iriw_acquire_2, r[0] = GET(x, ACQUIRE); r[1] = GET(y, ACQUIRE))
THREAD(iriw_acquire_3, r[2] = GET(y, ACQUIRE); r[3] = GET(x, ACQUIRE))
THREAD(iriw_sc_2, r[0] = GET(x, SEQ_CST); r[1] = GET(y, SEQ_CST))
THREAD(iriw_sc_3, r[2] = GET(y, SEQ_CST); r[3] = GET(x, SEQ_CST))
THREAD(iriw_fence_2, r[0] = GET(x, RELAXED); FENCE(SEQ_CST); r[1] = GET(y, RELAXED))
THREAD(iriw_fence_3, r[2] = GET(y, RELAXED); FENCE(SEQ_CST); r[3] = GET(x, RELAXED))

THREAD(wrc_1, r[0] = GET(x, RELAXED); PUT(y, 1, RELAXED))
THREAD(wrc_2, r[1] = GET(y, RELAXED); r[2] = GET(x, RELAXED))
THREAD(wrc_acquire_1, r[0] = GET(x, ACQUIRE); PUT(y, 1, RELEASE))
THREAD(wrc_acquire_2, r[1] = GET(y, ACQUIRE); r[2] = GET(x, RELAXED))
THREAD(wrc_release_1, r[0] = GET(x, RELAXED); PUT(y, 1, RELEASE))
THREAD(wrc_fence_1, r[0] = GET(x, RELAXED); FENCE(ACQ_REL); PUT(y, 1, RELAXED))
THREAD(wrc_fence_2, r[1] = GET(y, RELAXED); FENCE(ACQUIRE); r[2] = GET(x, RELAXED))

THREAD(isa2_0, PUT(x, 1, RELAXED); PUT(y, 1, RELEASE))
THREAD(isa2_1, r[0] = GET(y, ACQUIRE); PUT(z, 1, RELEASE))
THREAD(isa2_weak_1, r[0] = GET(y, RELAXED); PUT(z, 1, RELEASE))
THREAD(isa2_2, r[1] = GET(z, ACQUIRE); r[2] = GET(x, RELAXED))

THREAD(rwc_1, r[0] = GET(x, RELAXED); FENCE(SEQ_CST); r[1] = GET(y, RELAXED))
THREAD(rwc_2, PUT(y, 1, RELAXED); FENCE(SEQ_CST); r[2] = GET(x, RELAXED))
THREAD(rwc_weak_1, r[0] = GET(x, ACQUIRE); r[1] = GET(y, ACQUIRE))

THREAD(ring_0, PUT(x, 1, RELAXED); FENCE(SEQ_CST); r[0] = GET(y, RELAXED))
THREAD(ring_1, PUT(y, 1, RELAXED); FENCE(SEQ_CST); r[1] = GET(z, RELAXED))
THREAD(ring_2, PUT(z, 1, RELAXED); FENCE(SEQ_CST); r[2] = GET(x, RELAXED))

THREAD(sequence_0, PUT(y, 1, RELAXED); PUT(x, 1, RELEASE))
THREAD(sequence_add, ADD(x, 10, RELAXED))
THREAD(sequence_put, PUT(x, 2, RELAXED))
THREAD(sequence_same, PUT(y, 1, RELAXED); PUT(x, 1, RELEASE); PUT(x, 2, RELAXED))
THREAD(sequence_get, r[0] = GET(x, ACQUIRE); r[1] = GET(y, RELAXED))
THREAD(sequence_fence, r[0] = GET(x, RELAXED); FENCE(ACQUIRE); r[1] = GET(y, RELAXED))

THREAD(z6_0, PUT(x, 1, SEQ_CST); PUT(y, 1, RELEASE))
THREAD(z6_1, r[0] = ADD(y, 1, SEQ_CST); r[1] = GET(y, RELAXED))
THREAD(z6_2, PUT(y, 3, SEQ_CST); r[2] = GET(x, SEQ_CST))

THREAD(swap_1, r[0] = SWAP(x, 1, RELAXED))
THREAD(swap_2, r[1] = SWAP(x, 2, RELAXED))
THREAD(swap_3, r[2] = SWAP(x, 3, RELAXED))
/* clang-format on */

/* The one outcome that the original C11 forbade and RC11 allows. */
static void say_z6(void)
{
    model_outcome(r[0] == 1 && r[1] == 3 && r[2] == 0 ? "weak" : "other");
}

const struct model_case litmus_more_threads[] = {
    LITMUS("iriw-relaxed", say_four, ALL_OF_FOUR, "readers may disagree", put_x, put_y, iriw_2,
           iriw_3),
    LITMUS("iriw-acquire", say_four, ALL_OF_FOUR, "with release and acquire too", put_x_release,
           put_y_release, iriw_acquire_2, iriw_acquire_3),
    LITMUS("iriw-sc", say_four,
           "0 0 0 0|0 0 0 1|0 0 1 0|0 0 1 1|0 1 0 0|0 1 0 1|0 1 1 0|0 1 1 1|"
           "1 0 0 0|1 0 0 1|1 0 1 1|1 1 0 0|1 1 0 1|1 1 1 0|1 1 1 1",
           "not with seq_cst", put_x_sc, put_y_sc, iriw_sc_2, iriw_sc_3),
    LITMUS("iriw-sc-stores", say_four, ALL_OF_FOUR, "seq_cst stores alone do not help", put_x_sc,
           put_y_sc, iriw_acquire_2, iriw_acquire_3),
    LITMUS("iriw-fences", say_four,
           "0 0 0 0|0 0 0 1|0 0 1 0|0 0 1 1|0 1 0 0|0 1 0 1|0 1 1 0|0 1 1 1|"
           "1 0 0 0|1 0 0 1|1 0 1 1|1 1 0 0|1 1 0 1|1 1 1 0|1 1 1 1",
           "not with fences between the loads", put_x, put_y, iriw_fence_2, iriw_fence_3),
    LITMUS("wrc-relaxed", say_three, ALL_OF_THREE, "what was seen need not be passed on", put_x,
           wrc_1, wrc_2),
    LITMUS("wrc-release-acquire", say_three, "0 0 0|0 0 1|0 1 0|0 1 1|1 0 0|1 0 1|1 1 1",
           "what was acquired is passed on", put_x_release, wrc_acquire_1, wrc_acquire_2),
    LITMUS("wrc-coherent", say_three, "0 0 0|0 0 1|0 1 0|0 1 1|1 0 0|1 0 1|1 1 1",
           "even what a relaxed load has seen: coherence", put_x, wrc_release_1, wrc_acquire_2),
    LITMUS("wrc-fences", say_three, "0 0 0|0 0 1|0 1 0|0 1 1|1 0 0|1 0 1|1 1 1", "by fences", put_x,
           wrc_fence_1, wrc_fence_2),
    LITMUS("isa2", say_three, "0 0 0|0 0 1|0 1 0|0 1 1|1 0 0|1 0 1|1 1 1",
           "release and acquire are transitive", isa2_0, isa2_1, isa2_2),
    LITMUS("isa2-relaxed", say_three, ALL_OF_THREE, "a relaxed load breaks the chain", isa2_0,
           isa2_weak_1, isa2_2),
    LITMUS("rwc-fences", say_three, "0 0 0|0 0 1|0 1 0|0 1 1|1 0 1|1 1 0|1 1 1",
           "fences order a read against a write", put_x, rwc_1, rwc_2),
    LITMUS("rwc-acquire", say_three, ALL_OF_THREE, "acquire loads do not", put_x_release,
           rwc_weak_1, rwc_2),
    LITMUS("ring-fences", say_three, "0 0 1|0 1 0|0 1 1|1 0 0|1 0 1|1 1 0|1 1 1",
           "three fences have one order", ring_0, ring_1, ring_2),
    LITMUS("sequence-update", say_two, "0 0|0 1|1 1|10 0|10 1|11 1",
           "an update continues a release sequence", sequence_0, sequence_add, sequence_get),
    LITMUS("sequence-updates", say_two, "0 0|0 1|1 1|10 0|10 1|11 1|20 0|20 1|21 1",
           "and another continues it", sequence_0, sequence_add, sequence_add, sequence_get),
    LITMUS("sequence-fence", say_two, "0 0|0 1|1 1|10 0|10 1|11 1",
           "an acquire fence synchronises with a release sequence", sequence_0, sequence_add,
           sequence_fence),
    LITMUS("sequence-store", say_two, "0 0|0 1|1 1|2 0|2 1", "another's store ends it", sequence_0,
           sequence_put, sequence_get),
    LITMUS("sequence-own-store", say_two, "0 0|0 1|1 1|2 0|2 1",
           "one's own relaxed store ends it since C++20", sequence_same, sequence_get),
    LITMUS("z6u", say_z6, "other|weak", "seq_cst events of one place need not follow the order",
           z6_0, z6_1, z6_2),
    LITMUS("update-three", say_three, "0 1 2|0 3 1|2 0 1|2 3 0|3 0 2|3 1 0",
           "updates stand one behind the other", swap_1, swap_2, swap_3),
    {.name = NULL},
};
