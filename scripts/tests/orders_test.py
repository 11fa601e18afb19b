"""The order mutants: what the checker prints is counted, and an access that no program reaches is a survivor."""

from checks.source import Tree
from mutation.orders import unreached, verdicts
from tests.seeded import SeededTest

RING = "runtime/src/sync/ring.h"
PRINTED = f"""\
killed   {RING}:3: relaxed of &cell->seq instead of acquire by ring/full
survived {RING}:13: relaxed of &cell->seq instead of release
order mutants: 1 killed, 1 survived, 50 % (at least 95 %)
"""
TEXT = """\
static inline int emp_ring_look(int *seq)
{
    return emp_load_acquire(seq);
}

/* Nothing here. */

/* Nor here. */

static inline void emp_ring_set(int *seq)
{
    if (*seq == 0)
        emp_store_release(seq, 1);
}
"""


class OrdersTest(SeededTest):
    def test_verdicts(self):
        self.assertEqual(verdicts(PRINTED), [(True, RING, 3), (False, RING, 13)])

    def test_all_reached(self):
        self.plant(RING, TEXT)
        self.assertEqual(unreached(Tree(self.root), verdicts(PRINTED)), [])

    def test_access_without_a_program(self):
        self.plant(RING, TEXT)
        missing = unreached(Tree(self.root), verdicts(PRINTED.splitlines()[0]))
        self.assertEqual(missing, [(RING, 13, "emp_store_release")])

    def test_new_file_in_sync_without_a_program(self):
        text = "static inline int emp_new(int *p)\n{\n    return emp_load_acquire(p);\n}\n"
        self.plant("runtime/src/sync/new.h", text)
        missing = unreached(Tree(self.root), [])
        self.assertEqual([path for path, _, _ in missing], ["runtime/src/sync/new.h"])
