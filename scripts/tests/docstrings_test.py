"""Seeded faults of the docstring check."""

from checks import docstrings
from tests.seeded import SeededTest

POOL_H = "runtime/src/core/pool.h"


class DocstringsTest(SeededTest):
    def test_clean_tree_passes(self):
        self.assertEqual(self.findings(docstrings), [])

    def test_no_docstring(self):
        self.change(POOL_H, "/**\n * Allocates.", "/*\n * Allocates.")
        self.assert_reports(docstrings, "A1", "emp_pool_alloc has no")

    def test_every_field_is_missed(self):
        fields = (" * Errors: none.", "Threads: any. Cost", "Cost:", "Since:", "Source:", "@returns", "@param size")
        for field in fields:
            with self.subTest(field=field):
                self.setUp()
                self.change(POOL_H, field, " * x")
                self.assertEqual(self.rules(docstrings), ["A1"])

    def test_docstring_of_another_parameter(self):
        self.change(POOL_H, "@param size bytes.", "@param size bytes. @param count more.")
        self.assert_reports(docstrings, "A1", "count, which is no parameter")

    def test_inline_function_needs_one_too(self):
        body = "static inline int emp_pool_twice(int x)\n{\n    return 2 * x;\n}\n#endif\n"
        self.change(POOL_H, "#endif\n", body)
        self.assert_reports(docstrings, "A1", "emp_pool_twice has no")

    def test_docstring_after_a_bare_macro(self):
        doc = "/**\n * Twice.\n * @param x a number. @returns a number.\n * Errors: none. Threads: any. Cost: O(1).\n"
        doc += " * Since: 0.1. Source: A1.\n */\n"
        body = "static inline int emp_pool_twice(int x)\n{\n    return 2 * x;\n}\n#endif\n"
        self.change(POOL_H, "#endif\n", "EMP_EXTERN_C_END\n\n" + doc + body)
        self.assertEqual(self.findings(docstrings), [])

    def test_head_without_life_cycle(self):
        self.change(POOL_H, "Life cycle: none. ", "")
        self.assert_reports(docstrings, "A2", "Life cycle")

    def test_pointer_to_a_function_is_no_function(self):
        types = "enum emp_status { EMP_OK };\nstruct pair { int x; enum emp_status (*start)(int x); };\n#endif\n"
        self.change(POOL_H, "#endif\n", types)
        self.assertEqual(self.findings(docstrings), [])
