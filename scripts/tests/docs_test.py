"""Seeded faults of the document check."""

from checks import docs
from tests.seeded import SeededTest

SLAB_C = "runtime/src/slab/slab.c"
TEST_C = "runtime/tests/slab/slab_test.c"
ROW_C8 = "| C8 | x | `runtime/tests/slab/slab_test.c` |"


class DocsTest(SeededTest):
    def test_clean_tree_passes(self):
        self.assertEqual(self.findings(docs), [])

    def test_tag_cited_and_not_defined(self):
        self.change(SLAB_C, "[slab.inv.flag]", "[slab.inv.flag] [slab.req.other]")
        self.assert_reports(docs, "T1", "slab.req.other")

    def test_room_without_page(self):
        self.remove("docs/design/sync.md")
        self.assert_reports(docs, "T1", "room sync has no design page")

    def test_tag_defined_and_never_cited(self):
        self.change("docs/design/slab.md", "# slab\n", "# slab\n\n`slab.req.unused`\n")
        self.assert_reports(docs, "T2", "cited nowhere")

    def test_invariant_without_test(self):
        self.change(TEST_C, "[slab.inv.flag]", "nothing")
        self.assert_reports(docs, "T2", "no test and no audit")

    def test_missing_row(self):
        self.change("docs/traceability.md", "| C8 |", "| c8 |")
        self.assert_reports(docs, "T3", "row C8 is missing")

    def test_row_without_test_or_reason(self):
        self.change("docs/traceability.md", ROW_C8, "| C8 | x | y |")
        self.assert_reports(docs, "T3", "row C8")

    def test_row_with_reason(self):
        self.change("docs/traceability.md", ROW_C8, "| C8 | x | not yet: later |")
        self.assertEqual(self.findings(docs), [])

    def test_broken_link(self):
        self.change("README.md", "docs/design/slab.md#slab", "docs/design/slabs.md")
        self.assert_reports(docs, "T4", "no such file")

    def test_broken_anchor(self):
        self.change("README.md", "#slab", "#flags")
        self.assert_reports(docs, "T4", "no such heading")

    def test_path_that_does_not_exist(self):
        self.change("README.md", "`runtime/src/slab/slab.c`", "`runtime/src/slab/other.c`")
        self.assert_reports(docs, "T4", "other.c does not exist")

    def test_unknown_make_target(self):
        self.change("README.md", "`make check`", "`make coffee`")
        self.assert_reports(docs, "T4", "make coffee")

    def test_two_titles(self):
        self.change("README.md", "# Readme\n", "# Readme\n\n# Again\n")
        self.assert_reports(docs, "T5", "2 first-level")
