"""The mutator finds the faults it should plant, and none in comments, strings, assertions or directives."""

import unittest

from mutation.mutants import in_slice, mutants_of


def faults(body):
    text = "int emp_f(int a, int b)\n{\n" + body + "\n}\n"
    return {(m.old, m.new): m for m in mutants_of("runtime/src/slab/x.c", text)}


class MutantsTest(unittest.TestCase):
    def test_relation(self):
        self.assertIn(("<", "<="), faults("    if (a < b) {\n    }"))
        self.assertIn(("==", "!="), faults("    if (a == b) {\n    }"))

    def test_the_larger_of_two_is_the_same_when_they_are_equal(self):
        self.assertEqual(faults("    int c = a > b ? b : a;"), {})
        self.assertEqual(faults("    return a->b <= c[a] ? a->b : c[a];"), {})
        self.assertEqual(faults("    return emp_g(a, b < a ? b : a);"), {})

    def test_other_selections_are_relations(self):
        ends = ("a > b ? b : c;", "c + a > b ? b : a;", "a > b ? b : a + c;", "a > b ? b : a->c;")
        for other in ("a = " + end for end in ends):
            self.assertIn((">", ">="), faults("    " + other), other)

    def test_arrow_and_shift_are_no_relations(self):
        self.assertEqual(faults("    return a->b << a >> b;"), {})

    def test_logic_and_negation(self):
        self.assertEqual(set(faults("    return a && !b;")), {("&&", "||"), ("!", " ")})

    def test_number(self):
        self.assertIn(("7", "8"), faults("    return 7u;"))
        self.assertEqual(faults("    return a7;"), {})

    def test_sign_is_no_subtraction(self):
        self.assertNotIn(("-", "+"), faults("    return -a;"))
        self.assertIn(("-", "+"), faults("    return b - a;"))

    def test_statement(self):
        found = faults("    int c = a;\n    errno = saved;\n    emp_g(a,\n          b);\n    return c;")
        self.assertEqual({old for old, new in found if not new}, {"errno = saved;", "emp_g(a,\n          b);"})

    def test_comment_string_assertion_directive(self):
        body = '    /* a < b */\n    emp_g("a < b");\n    emp_assert(a < b);\n#define X 1 < 2\n    return a;'
        self.assertEqual({new for old, new in faults(body) if old == "<"}, set())

    def test_applied_text_differs_in_one_place(self):
        text = "int emp_f(int a)\n{\n    return a < 3;\n}\n"
        mutants = mutants_of("x.c", text)
        changed = {m.applied(text).splitlines()[2].strip() for m in mutants}
        self.assertEqual(changed, {"return a <= 3;", "return a < 4;"})

    def test_slices_cover_everything_once(self):
        everything = list(range(17))
        parts = [x for k in range(1, 6) for x in in_slice(everything, k, 5)]
        self.assertEqual(sorted(parts), everything)


if __name__ == "__main__":
    unittest.main()
