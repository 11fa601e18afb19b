/*
 * Purpose: where the drop-in says how to hand on pointers that belong to another allocator.
 * Owner:   core; not installed. Design: [core.proto.release]
 */
#ifndef EMP_CORE_FOREIGN_H
#define EMP_CORE_FOREIGN_H

/* Sets the function for the policy "forward"; before threads start. */
void emp_foreign_set_forward(void (*forward)(void *ptr));

#endif
