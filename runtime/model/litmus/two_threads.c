/*
 * What: litmus tests of two threads: store buffering, message passing, load buffering, 2+2W, R, S.
 * How:  each is explored completely and the set of its outcomes compared with the exact one that
 *       RC11 allows, less what needs a cycle of program order and reads-from (load buffering).
 * Design: docs/design/model.md, "Litmus tests"
 * Source: Alglave, Maranget, Tautschnig, "Herding Cats", 2014 (the names); Lahav and others 2017.
 */
#include "cases.h"
#include "litmus/litmus.h"

/* clang-format off */
THREAD(put_x_get_y, PUT(x, 1, RELAXED); r[0] = GET(y, RELAXED))
THREAD(put_y_get_x, PUT(y, 1, RELAXED); r[1] = GET(x, RELAXED))
THREAD(sb_ra_0, PUT(x, 1, RELEASE); r[0] = GET(y, ACQUIRE))
THREAD(sb_ra_1, PUT(y, 1, RELEASE); r[1] = GET(x, ACQUIRE))
THREAD(sb_fence_0, PUT(x, 1, RELAXED); FENCE(SEQ_CST); r[0] = GET(y, RELAXED))
THREAD(sb_fence_1, PUT(y, 1, RELAXED); FENCE(SEQ_CST); r[1] = GET(x, RELAXED))
THREAD(sb_weak_0, PUT(x, 1, RELAXED); FENCE(ACQ_REL); r[0] = GET(y, RELAXED))
THREAD(sb_weak_1, PUT(y, 1, RELAXED); FENCE(ACQ_REL); r[1] = GET(x, RELAXED))
THREAD(sb_sc_0, PUT(x, 1, SEQ_CST); r[0] = GET(y, SEQ_CST))
THREAD(sb_sc_1, PUT(y, 1, SEQ_CST); r[1] = GET(x, SEQ_CST))
THREAD(sb_half_0, PUT(x, 1, SEQ_CST); r[0] = GET(y, ACQUIRE))
THREAD(sb_half_1, PUT(y, 1, SEQ_CST); r[1] = GET(x, ACQUIRE))
THREAD(sb_swap_0, SWAP(x, 1, ACQ_REL); r[0] = GET(y, ACQUIRE))
THREAD(sb_swap_1, SWAP(y, 1, ACQ_REL); r[1] = GET(x, ACQUIRE))
THREAD(sb_meet_0, PUT(x, 1, RELAXED); ADD(z, 1, ACQ_REL); r[0] = GET(y, RELAXED))
THREAD(sb_meet_1, PUT(y, 1, RELAXED); ADD(z, 1, ACQ_REL); r[1] = GET(x, RELAXED))

THREAD(mp_put, PUT(x, 1, RELAXED); PUT(y, 1, RELAXED))
THREAD(mp_release, PUT(x, 1, RELAXED); PUT(y, 1, RELEASE))
THREAD(mp_fence, PUT(x, 1, RELAXED); FENCE(RELEASE); PUT(y, 1, RELAXED))
THREAD(mp_fence_late, PUT(x, 1, RELAXED); PUT(y, 1, RELAXED); FENCE(RELEASE))
THREAD(mp_get, r[0] = GET(y, RELAXED); r[1] = GET(x, RELAXED))
THREAD(mp_acquire, r[0] = GET(y, ACQUIRE); r[1] = GET(x, RELAXED))
THREAD(mp_get_fence, r[0] = GET(y, RELAXED); FENCE(ACQUIRE); r[1] = GET(x, RELAXED))
THREAD(mp_swap, r[0] = ADD(y, 0, ACQUIRE); r[1] = GET(x, RELAXED))
THREAD(mp_swap_weak, r[0] = ADD(y, 0, RELEASE); r[1] = GET(x, RELAXED))
THREAD(mp_cas_fails, r[0] = 5; MODEL_CAS(&y, &r[0], 6, ACQ_REL, ACQUIRE); r[1] = GET(x, RELAXED))
THREAD(mp_cas_fails_weak,
       r[0] = 5; MODEL_CAS(&y, &r[0], 6, ACQ_REL, RELAXED); r[1] = GET(x, RELAXED))
THREAD(mp_add_behind, r[0] = GET(y, RELAXED); r[1] = ADD(x, 10, RELAXED))

THREAD(lb_0, r[0] = GET(x, RELAXED); PUT(y, 1, RELAXED))
THREAD(lb_1, r[1] = GET(y, RELAXED); PUT(x, 1, RELAXED))

THREAD(ww_0, PUT(x, 1, RELAXED); PUT(y, 2, RELAXED))
THREAD(ww_1, PUT(y, 1, RELAXED); PUT(x, 2, RELAXED))
THREAD(ww_release_0, PUT(x, 1, RELEASE); PUT(y, 2, RELEASE))
THREAD(ww_release_1, PUT(y, 1, RELEASE); PUT(x, 2, RELEASE))
THREAD(ww_sc_0, PUT(x, 1, SEQ_CST); PUT(y, 2, SEQ_CST))
THREAD(ww_sc_1, PUT(y, 1, SEQ_CST); PUT(x, 2, SEQ_CST))
THREAD(ww_fence_0, PUT(x, 1, RELAXED); FENCE(SEQ_CST); PUT(y, 2, RELAXED))
THREAD(ww_fence_1, PUT(y, 1, RELAXED); FENCE(SEQ_CST); PUT(x, 2, RELAXED))

THREAD(r_1, PUT(y, 2, RELAXED); r[0] = GET(x, RELAXED))
THREAD(r_sc_0, PUT(x, 1, SEQ_CST); PUT(y, 1, SEQ_CST))
THREAD(r_sc_1, PUT(y, 2, SEQ_CST); r[0] = GET(x, SEQ_CST))
THREAD(r_fence_0, PUT(x, 1, RELAXED); FENCE(SEQ_CST); PUT(y, 1, RELAXED))
THREAD(r_fence_1, PUT(y, 2, RELAXED); FENCE(SEQ_CST); r[0] = GET(x, RELAXED))
THREAD(s_0, PUT(x, 2, RELAXED); PUT(y, 1, RELAXED))
THREAD(s_1, r[0] = GET(y, RELAXED); PUT(x, 1, RELAXED))
THREAD(s_release, PUT(x, 2, RELAXED); PUT(y, 1, RELEASE))
THREAD(s_acquire, r[0] = GET(y, ACQUIRE); PUT(x, 1, RELAXED))
/* clang-format on */

const struct model_case litmus_two_threads[] = {
    LITMUS("sb-relaxed", say_two, ALL_OF_TWO, "both loads may miss", put_x_get_y, put_y_get_x),
    LITMUS("sb-release-acquire", say_two, ALL_OF_TWO,
           "release and acquire order no store before a "
           "load",
           sb_ra_0, sb_ra_1),
    LITMUS("sb-fences", say_two, "0 1|1 0|1 1", "with fences one load sees", sb_fence_0,
           sb_fence_1),
    LITMUS("sb-one-fence", say_two, ALL_OF_TWO, "one fence is none", sb_fence_0, put_y_get_x),
    LITMUS("sb-weak-fences", say_two, ALL_OF_TWO, "acq_rel fences do not help", sb_weak_0,
           sb_weak_1),
    LITMUS("sb-sc", say_two, "0 1|1 0|1 1", "seq_cst accesses have one order", sb_sc_0, sb_sc_1),
    LITMUS("sb-sc-stores", say_two, ALL_OF_TWO, "seq_cst stores alone do not help", sb_half_0,
           sb_half_1),
    LITMUS("sb-exchanges", say_two, ALL_OF_TWO, "an acq_rel exchange is no fence", sb_swap_0,
           sb_swap_1),
    LITMUS("sb-meeting", say_two, "0 1|1 0|1 1", "updates of one place between do what fences do",
           sb_meet_0, sb_meet_1),
    LITMUS("mp-relaxed", say_two, ALL_OF_TWO, "the flag may be seen before the data", mp_put,
           mp_get),
    LITMUS("mp-release-acquire", say_two, "0 0|0 1|1 1", "flag seen, data seen", mp_release,
           mp_acquire),
    LITMUS("mp-release-only", say_two, ALL_OF_TWO, "a release needs its acquire", mp_release,
           mp_get),
    LITMUS("mp-acquire-only", say_two, ALL_OF_TWO, "an acquire needs its release", mp_put,
           mp_acquire),
    LITMUS("mp-fences", say_two, "0 0|0 1|1 1", "fences around relaxed accesses synchronise",
           mp_fence, mp_get_fence),
    LITMUS("mp-fence-acquire", say_two, "0 0|0 1|1 1", "a release fence and an acquire load",
           mp_fence, mp_acquire),
    LITMUS("mp-release-fence", say_two, "0 0|0 1|1 1", "a release store and an acquire fence",
           mp_release, mp_get_fence),
    LITMUS("mp-late-fence", say_two, ALL_OF_TWO, "a release fence behind the store is too late",
           mp_fence_late, mp_get_fence),
    LITMUS("mp-update-acquire", say_two, "0 0|0 1|1 1", "an acquire update acquires", mp_release,
           mp_swap),
    LITMUS("mp-update-release", say_two, ALL_OF_TWO, "a release update does not", mp_release,
           mp_swap_weak),
    LITMUS("mp-failed-cas", say_two, "0 0|0 1|1 1", "a failed swap acquires with its failure order",
           mp_release, mp_cas_fails),
    LITMUS("mp-failed-cas-relaxed", say_two, ALL_OF_TWO, "and only with that", mp_release,
           mp_cas_fails_weak),
    LITMUS("mp-update-behind", say_two, ALL_OF_TWO,
           "an update may read, and stand, behind a store "
           "that was made before",
           mp_put, mp_add_behind),
    LITMUS("lb-relaxed", say_two, "0 0|0 1|1 0", "1 1 is allowed by C11 and not explored", lb_0,
           lb_1),
    LITMUS("2+2w-relaxed", say_memory, "1 1|1 2|2 1|2 2", "the first stores may both come last",
           ww_0, ww_1),
    LITMUS("2+2w-release", say_memory, "1 1|1 2|2 1|2 2", "with release too", ww_release_0,
           ww_release_1),
    LITMUS("2+2w-sc", say_memory, "1 2|2 1|2 2", "not with seq_cst", ww_sc_0, ww_sc_1),
    LITMUS("2+2w-fences", say_memory, "1 2|2 1|2 2", "not with fences", ww_fence_0, ww_fence_1),
    LITMUS("r-relaxed", say_with_y, "0 1|0 2|1 1|1 2", "anything", mp_put, r_1),
    LITMUS("r-sc", say_with_y, "0 1|1 1|1 2", "last store of y misses no x", r_sc_0, r_sc_1),
    LITMUS("r-fences", say_with_y, "0 1|1 1|1 2", "the same by fences", r_fence_0, r_fence_1),
    LITMUS("s-relaxed", say_with_x, "0 1|0 2|1 1|1 2", "anything", s_0, s_1),
    LITMUS("s-release-acquire", say_with_x, "0 1|0 2|1 1", "a store behind an acquire is later",
           s_release, s_acquire),
    {.name = NULL},
};
