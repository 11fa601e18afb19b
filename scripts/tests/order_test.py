"""Seeded faults of the atomic-order check."""

from checks import order
from checks.source import Tree
from tests.seeded import SeededTest

SLAB_C = "runtime/src/slab/slab.c"


class OrderTest(SeededTest):

    def findings(self, checker):
        if not self.page_is_the_fault:
            checker.write(Tree(self.root))
        return super().findings(checker)

    def setUp(self):
        super().setUp()
        self.page_is_the_fault = False

    def test_stale_page(self):
        order.write(Tree(self.root))
        self.change(SLAB_C, "slab-flag", "slab-state")
        self.page_is_the_fault = True
        self.assert_reports(order, "O4", "run scripts/check --write order")

    def test_page_says_both_sides_with_their_reasons(self):
        page = order.page_of(order.collect(Tree(self.root))[1])
        self.assertIn("- releasing: `emp_slab_ready`, `slab/slab.c`: the slab is filled before", page)
        self.assertIn("- acquiring: `emp_slab_ready`, `slab/slab.c`: the slab is filled", page)

    def test_stale_reason(self):
        order.write(Tree(self.root))
        self.change(SLAB_C, "is filled before.", "was filled before.")
        self.page_is_the_fault = True
        self.assert_reports(order, "O4", "run scripts/check --write order")

    def test_clean_tree_passes(self):
        self.assertEqual(self.findings(order), [])

    def test_access_without_comment(self):
        self.change(SLAB_C, "    /* order(slab-flag): acquire; the slab is filled. */\n", "")
        self.change(SLAB_C, "    emp_store_release(flag, 1);\n", "    emp_store_release(flag, 1);\n\n\n\n")
        self.assertEqual(self.rules(order), ["O1", "O3"])

    def test_comment_too_far_above(self):
        text = "    /* order(slab-flag): acquire; the slab is filled. */\n"
        self.change(SLAB_C, text, text + "\n\n\n")
        self.assertEqual(self.rules(order), ["O1", "O3"])

    def test_comment_without_reason(self):
        self.change(SLAB_C, "order(slab-flag): acquire; the slab is filled. */", "order(slab-flag):\n    */")
        self.assert_reports(order, "O1", "no reason")

    def test_acquire_without_release(self):
        self.change(SLAB_C, "order(slab-flag): acquire", "order(slab-other): acquire")
        self.assertEqual(self.rules(order), ["O3"])

    def test_weakened_release(self):
        self.change(SLAB_C, "emp_load_acquire", "emp_load_relaxed")
        self.assert_reports(order, "O3", "no acquiring side")

    def test_raw_builtin(self):
        self.change(SLAB_C, "(flag);\n}", "(flag) + __atomic_load_n(flag, 0);\n}")
        self.assert_reports(order, "O2", "__atomic_load_n")

    def test_volatile(self):
        self.change(SLAB_C, "int *flag)", "volatile int *flag)")
        self.assert_reports(order, "O2", "volatile")

    def test_volatile_assembly_is_no_volatile_object(self):
        self.change(SLAB_C, "    return", '    __asm__ __volatile__("" ::: "memory");\n    return')
        self.assertEqual(self.findings(order), [])

    def test_word_in_a_comment_is_no_access(self):
        self.change(SLAB_C, "{\n", "{\n    /* Not emp_load_acquire(flag), and no volatile. */\n")
        self.assertEqual(self.findings(order), [])
