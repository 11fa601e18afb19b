/*
 * Purpose: keeps one side of a ring from looking at the other's position too often: a look takes
 *          the line away from who writes it, so that both sides spend their time on its way.
 * Owner:   sync. All fields belong to one side; nothing here is shared, so there is no protocol.
 *
 *   eager --a look finds 2 to few-1 new cells--> early
 *   early --the next look, after a pause, finds few, or twice as many--> it paid: early or eager
 *   early --else--> it did not: so many looks without a pause, twice as many each time in a row
 *
 * Why: two processors that pass words one by one move a handful per look; who has found a handful
 *   does better to let more come first. The pause is bounded (few / 8 relaxes, 1.4 us on the
 *   machine of the figures), follows only a look that found several, and a side that gains nothing
 *   is hardly ever made to pause again: a burst within one thread, two that play ping-pong.
 * Design:  [sync.proto.spsc]
 */
#ifndef EMP_SYNC_PACE_H
#define EMP_SYNC_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

#define EMP_PACE_FEW       256u /* new cells that are worth a look */
#define EMP_PACE_DOUBT_MAX 10u  /* so at most one look in 1024 pauses for nothing */

struct emp_pace {
    uint16_t few;    /* const: fewer new cells than this came early; 0: never pause */
    uint16_t before; /* what the last look without a pause found */
    uint16_t passes; /* looks that found several and are let pass before the next pause */
    uint8_t doubt;   /* log2 of the passes after the next failure */
    bool is_early;   /* the next look pauses first */
};

/* Before use; a ring of a few cells has nothing to wait for. */
static inline void emp_pace_init(struct emp_pace *pace, uint32_t cells)
{
    const uint32_t few = cells / 4 < EMP_PACE_FEW ? cells / 4 : EMP_PACE_FEW;

    *pace = (struct emp_pace){.few = few < 8 ? 0 : (uint16_t)few};
}

/* Before a look. */
static inline void emp_pace_wait(const struct emp_pace *pace)
{
    if (emp_unlikely(pace->is_early)) {
        for (uint32_t i = 0; i < pace->few / 8u; i++) {
            emp_cpu_relax();
        }
    }
}

/* After a look that found so many new cells. */
static inline void emp_pace_learn(struct emp_pace *pace, uint32_t found)
{
    if (emp_likely(found <= 1 && !pace->is_early)) {
        return; /* nothing to learn: who takes them as they come does not pause */
    }
    if (!pace->is_early) {
        pace->before = (uint16_t)(found < UINT16_MAX ? found : UINT16_MAX);
    } else if (found >= 2u * pace->before || found >= pace->few) {
        pace->doubt = 0;
    } else {
        pace->passes = (uint16_t)(1u << pace->doubt);
        pace->doubt = (uint8_t)(pace->doubt + (pace->doubt < EMP_PACE_DOUBT_MAX));
    }
    pace->is_early = found > 1 && found < pace->few && pace->passes == 0;
    pace->passes = (uint16_t)(pace->passes - (pace->passes != 0));
}

#endif
