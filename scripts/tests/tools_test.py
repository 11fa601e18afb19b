"""Seeded faults of the checks that ask a tool: format, headers, scripts, symbols, tidy."""

import json
import os
import subprocess

from checks import format, headers, scripts, symbols, tidy, unused
from tests.seeded import SeededTest

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class FormatTest(SeededTest):
    def setUp(self):
        super().setUp()
        with open(os.path.join(PROJECT, ".clang-format"), encoding="utf-8") as f:
            self.plant(".clang-format", f.read())
        self.keep_only("runtime/src/slab/slab.c")

    def keep_only(self, kept):
        for folder, _, names in os.walk(os.path.join(self.root, "runtime")):
            for name in names:
                if not os.path.join(folder, name).endswith(kept):
                    os.remove(os.path.join(folder, name))

    def test_clean_file_passes(self):
        self.assertEqual(self.findings(format), [])

    def test_bad_indentation(self):
        self.change("runtime/src/slab/slab.c", "    emp_store", "  emp_store")
        self.assert_reports(format, "F1", "clang-format -i")


class HeadersTest(SeededTest):
    def test_clean_tree_passes(self):
        self.assertEqual(self.findings(headers), [])

    def test_header_that_needs_another(self):
        self.change("runtime/src/core/pool.h", "#include <stddef.h>\n", "")
        self.assertEqual(self.rules(headers), ["L7"])

    def test_public_header_that_is_no_cplusplus(self):
        inline = "static inline int emp_class(int class) { return class; }\n#endif\n"
        self.change("runtime/src/core/pool.h", "#endif\n", inline)
        self.assert_reports(headers, "L7", "g++")

    def test_room_header_that_needs_another(self):
        self.change("runtime/src/slab/slab.h", "int emp_slab_ready", "size_t emp_slab_ready")
        self.assertEqual(self.rules(headers), ["L7"])


class ScriptsTest(SeededTest):
    def test_clean_tree_passes(self):
        self.assertEqual(self.findings(scripts), [])

    def test_shell_syntax(self):
        self.plant("scripts/x", "#!/usr/bin/env bash\nset -eu\nif true; then\n")
        os.chmod(os.path.join(self.root, "scripts/x"), 0o755)
        self.assertEqual(self.rules(scripts), ["X1"])

    def test_not_executable(self):
        self.plant("scripts/x", "#!/usr/bin/env bash\nset -eu\n")
        self.assert_reports(scripts, "X2", "not executable")

    def test_python_syntax(self):
        self.plant("scripts/x.py", "def f(:\n")
        self.assertEqual(self.rules(scripts), ["X1"])


class SymbolsTest(SeededTest):
    def link(self, name, source, versions=None):
        os.makedirs(os.path.join(self.root, "build"), exist_ok=True)
        command = ["gcc", "-shared", "-fPIC", "-nostdlib", "-x", "c", "-", "-o", os.path.join(self.root, "build", name)]
        if versions:
            self.plant("build/versions.map", versions)
            command.append("-Wl,--version-script=" + os.path.join(self.root, "build/versions.map"))
        subprocess.run(command, input=source, text=True, check=True)

    def test_equal(self):
        self.link("libechomem.so", "void emp_a(void) {}")
        self.plant("abi/symbols.txt", "emp_a\n")
        self.assertEqual(self.findings(symbols), [])

    def test_no_library(self):
        self.assert_reports(symbols, "L10", "build first")

    def test_new_and_lost_symbol(self):
        self.link("libechomem.so", "void emp_b(void) {}")
        self.plant("abi/symbols.txt", "emp_a\n")
        self.assertEqual(len(self.findings(symbols)), 2)

    def test_versioned_malloc(self):
        source = "void *malloc(unsigned long n) { return (void *)n; }"
        self.link("libechomem.so", "void emp_a(void) {}")
        self.plant("abi/symbols.txt", "emp_a\n")
        self.link("libechomem_malloc.so", source, "ECHOMEM_0.1 { global: malloc; };")
        self.plant("abi/malloc_symbols.txt", "malloc@@ECHOMEM_0.1\n")
        self.assert_reports(symbols, "L10", "outside every version node")


class UnusedTest(SeededTest):
    def build(self):
        """Objects of the planted slab.c and core/pool.c where CMake puts them, and a library that exports emp_a."""
        for room, name in (("slab", "slab"), ("core", "pool")):
            source = f"runtime/src/{room}/{name}.c"
            target = os.path.join(self.root, "build/CMakeFiles", f"echomem_{room}.dir", source + ".o")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            subprocess.run(["gcc", "-c", source, "-o", target], cwd=self.root, check=True)
        command = ["gcc", "-shared", "-fPIC", "-nostdlib", "-x", "c", "-", "-o", self.root + "/build/libechomem.so"]
        subprocess.run(command, input="void emp_a(void) {}", text=True, check=True)

    def setUp(self):
        super().setUp()
        self.plant("runtime/src/core/pool.c", "void emp_b(void); void emp_a(void) { emp_b(); }\n")

    def test_every_function_is_used_or_public(self):
        self.plant("runtime/src/slab/slab.c", "void emp_b(void) {}\n")
        self.build()
        self.assertEqual(self.findings(unused), [])

    def test_function_that_nobody_calls(self):
        self.plant("runtime/src/slab/slab.h", "void emp_c(void);\n")
        self.plant("runtime/src/slab/slab.c", "void emp_b(void) {} void emp_c(void) {}\n")
        self.build()
        self.assert_reports(unused, "U1", "emp_c")

    def test_a_test_is_no_user_of_a_high_room(self):
        self.plant("runtime/tests/slab/slab_test.c", "void emp_c(void); int main(void) { emp_c(); }\n")
        self.plant("runtime/src/slab/slab.c", "void emp_b(void) {} void emp_c(void) {}\n")
        self.build()
        self.assert_reports(unused, "U1", "emp_c")


class TidyTest(SeededTest):
    def setUp(self):
        super().setUp()
        self.plant(".clang-tidy", "Checks: '-*,bugprone-infinite-loop,readability-braces-around-statements'\n")
        source = "runtime/src/slab/slab.c"
        entry = {"directory": self.root, "file": source, "command": f"gcc -Iruntime/src -c {source}"}
        self.plant("build/compile_commands.json", json.dumps([entry]))

    def test_clean_file_passes_and_is_remembered(self):
        self.assertEqual(self.findings(tidy), [])
        self.assertEqual(len(os.listdir(os.path.join(self.root, "build", "tidy"))), 1)

    def test_finding_is_found_again_from_the_cache(self):
        self.change("runtime/src/slab/slab.c", "    return", "    if (flag == 0)\n        return 0;\n    return")
        self.assert_reports(tidy, "Y1", "braces")
        self.assert_reports(tidy, "Y1", "braces")

    def test_change_in_a_header_asks_again(self):
        self.assertEqual(self.findings(tidy), [])
        bad = "static inline int emp_x(int a) { if (a) return 1; return 0; }\n#endif\n"
        self.change("runtime/src/base/bits.h", "#endif\n", bad)
        self.change(".clang-tidy", "Checks", "HeaderFilterRegex: '.*'\nChecks")
        self.assert_reports(tidy, "Y1", "braces")
