"""Seeded faults of the size check."""

from checks import limits
from tests.seeded import SeededTest

SLAB_C = "runtime/src/slab/slab.c"
CALL = "    emp_store_release(flag, 1);\n"


class LimitsTest(SeededTest):
    def test_clean_tree_passes(self):
        self.assertEqual(self.findings(limits), [])

    def test_long_file(self):
        self.plant("runtime/src/slab/long.c", "\n" * 601)
        self.assert_reports(limits, "S1", "601 lines")

    def test_long_header(self):
        self.change("runtime/src/slab/slab.h", "#endif\n", "\n" * 300 + "#endif\n")
        self.assert_reports(limits, "S1", "the limit is 300")

    def test_long_function(self):
        self.change(SLAB_C, CALL, CALL * 65)
        self.assert_reports(limits, "S1", "emp_slab_ready has 71 lines")

    def test_function_of_seventy_lines(self):
        self.change(SLAB_C, CALL, CALL * 64)
        self.assertEqual(self.findings(limits), [])

    def test_six_parameters(self):
        self.change(SLAB_C, "(int *flag)", "(int *flag, int a, int (*b)(int, int), int c, int d, int e)")
        self.assert_reports(limits, "S1", "6 parameters")

    def test_wide_line(self):
        self.change(SLAB_C, CALL, "    /* " + "x" * 100 + " */\n" + CALL)
        self.assert_reports(limits, "S1", "columns")

    def test_deep_nesting(self):
        self.change(SLAB_C, CALL, "    {{{{{ emp_store_release(flag, 1); }}}}}\n")
        self.assert_reports(limits, "S1", "nests 5 deep")

    def test_if_in_a_function(self):
        self.change(SLAB_C, CALL, "#if 1\n" + CALL + "#endif\n")
        self.assert_reports(limits, "S2", "in a function body")

    def test_many_conditionals_in_a_room(self):
        self.plant(SLAB_C, "#if 1\n#endif\n" * 3)
        self.assert_reports(limits, "S2", "3 #if")

    def test_banned_call(self):
        self.change(SLAB_C, CALL, CALL + "    strcpy(a, b);\n")
        self.assert_reports(limits, "S6", "strcpy")

    def test_word_of_unfinished_work(self):
        self.change(SLAB_C, CALL, CALL + "    /* " + "TO" + "DO: more */\n")
        self.assert_reports(limits, "S7", "finish it")

    def test_binary_file(self):
        self.plant("docs/picture.bin", "a\0b")
        self.assert_reports(limits, "S7", "binary")

    def test_header_nobody_includes(self):
        self.plant("runtime/src/slab/lonely.h", "\n")
        self.assert_reports(limits, "S7", "nobody includes")

    def test_long_python_function(self):
        self.plant("scripts/long.py", "def f():\n" + "    x = 1\n" * 71)
        self.assert_reports(limits, "S1", "f has 72 lines")
