"""Seeded faults of the layer check: every rule fires on its fault, and on nothing else."""

import os
import subprocess

from checks import layers
from tests.seeded import LAYERS, SeededTest

SLAB_H = "runtime/src/slab/slab.h"
SLAB_C = "runtime/src/slab/slab.c"


class LayersTest(SeededTest):
    def test_clean_tree_passes(self):
        self.assertEqual(self.findings(layers), [])

    def test_row_with_higher_room(self):
        row = "[sync]\nrank = 1\nrooms = base"
        self.plant("scripts/layers.conf", LAYERS.replace(row, row + " os"))
        self.assert_reports(layers, "L0", "may not list os")

    def test_row_with_unknown_room(self):
        self.plant("scripts/layers.conf", LAYERS.replace("rooms = base sync\n", "rooms = base sync attic\n"))
        self.assert_reports(layers, "L0", "attic")

    def test_file_in_no_room(self):
        self.plant("runtime/src/attic/old.c", "\n")
        self.assert_reports(layers, "L1", "no room")

    def test_folder_in_a_room_without_platform(self):
        self.plant("runtime/src/slab/linux/slab.c", '#include "slab/slab.h"\n')
        self.assert_reports(layers, "L1", "platform folders")

    def test_include_of_higher_room(self):
        self.change(SLAB_C, '"slab/slab.h"\n', '"slab/slab.h"\n#include "core/pool.h"\n')
        self.assert_reports(layers, "L2", "slab may not include room core")

    def test_tool_sees_public_headers_only(self):
        guard = "EMP_CORE_SECRET_INTERNAL_H"
        self.plant("runtime/src/core/secret_internal.h", f"#ifndef {guard}\n#define {guard}\n#endif\n")
        self.plant("runtime/src/tool/main.c", '#include "core/secret_internal.h"\n')
        self.assertIn("L2", self.rules(layers))

    def test_cycle(self):
        guard = "#define EMP_SYNC_ATOMIC_H\n"
        self.change("runtime/src/sync/atomic.h", guard, guard + '#include "sync/ring.h"\n')
        ring = '#ifndef EMP_SYNC_RING_H\n#define EMP_SYNC_RING_H\n#include "sync/atomic.h"\n#endif\n'
        self.plant("runtime/src/sync/ring.h", ring)
        self.assert_reports(layers, "L3", "cycle")

    def test_internal_header_of_another_room(self):
        guard = "EMP_BASE_BITS_INTERNAL_H"
        self.plant("runtime/src/base/bits_internal.h", f"#ifndef {guard}\n#define {guard}\n#endif\n")
        self.change(SLAB_C, '"slab/slab.h"\n', '"slab/slab.h"\n#include "base/bits_internal.h"\n')
        self.assert_reports(layers, "L4", "internal to room base")

    def test_relative_include(self):
        self.change(SLAB_C, '"slab/slab.h"\n', '"slab/slab.h"\n#include "../base/bits.h"\n')
        self.assert_reports(layers, "L5", "not a path")

    def test_include_in_a_comment_is_no_include(self):
        self.change(SLAB_C, '"slab/slab.h"\n', '"slab/slab.h"\n/*\n#include "core/pool.h"\n*/\n')
        self.assertEqual(self.findings(layers), [])

    def test_system_header_outside_the_row(self):
        self.change(SLAB_C, '"slab/slab.h"\n', '"slab/slab.h"\n#include <sys/mman.h>\n')
        self.assert_reports(layers, "L6", "sys/mman.h")

    def test_public_header_with_private_include(self):
        self.change("runtime/src/core/pool.h", "#include <stddef.h>\n", '#include "base/bits.h"\n')
        self.assert_reports(layers, "L7", "base/bits.h")

    def test_public_header_that_is_missing(self):
        self.plant("scripts/layers.conf", LAYERS.replace("public = pool.h", "public = pool.h gone.h"))
        self.assert_reports(layers, "L7", "core/gone.h does not exist")

    def test_own_header_not_first(self):
        self.change(SLAB_C, '#include "slab/slab.h"\n', '#include "base/bits.h"\n#include "slab/slab.h"\n')
        self.assert_reports(layers, "L8", "first include")

    def test_wrong_guard(self):
        self.change("runtime/src/base/bits.h", "EMP_BASE_BITS_H", "BITS_H")
        self.assert_reports(layers, "L9", "EMP_BASE_BITS_H")

    def test_include_of_a_source(self):
        self.change("runtime/src/core/pool.c", '#include "slab/slab.h"\n', '#include "slab/slab.c"\n')
        self.assert_reports(layers, "L9", "no header")

    def test_platform_macro(self):
        self.plant(SLAB_C, '#include "slab/slab.h"\n#ifdef __linux__\n#endif\n')
        self.assert_reports(layers, "L11", "__linux__")

    def test_test_of_a_lower_room_includes_a_higher_one(self):
        self.plant("runtime/tests/sync/ring_test.c", '#include "slab/slab.h"\n')
        self.assert_reports(layers, "L12", "slab/slab.h")

    def test_every_test_may_use_the_public_headers(self):
        self.change("runtime/tests/slab/slab_test.c", '"slab/slab.h"', '"core/pool.h"')
        self.assertEqual(self.findings(layers), [])

    def test_example_sees_public_headers_only(self):
        self.plant("examples/hello.c", '#include "slab/slab.h"\n')
        self.assert_reports(layers, "L12", "slab/slab.h")


class SymbolsBehindIncludes(SeededTest):
    """L10 works on objects: compile them where the build would put them."""

    def compile(self, room, text):
        folder = os.path.join(self.root, "build", "CMakeFiles", f"echomem_{room}.dir")
        os.makedirs(folder, exist_ok=True)
        command = ["gcc", "-x", "c", "-c", "-", "-o", os.path.join(folder, "x.o")]
        subprocess.run(command, input=text, text=True, check=True)

    def test_extern_of_a_higher_room(self):
        self.compile("core", "void emp_core_secret(void) {}")
        self.compile("slab", "extern void emp_core_secret(void); void emp_slab_a(void) { emp_core_secret(); }")
        self.assert_reports(layers, "L10", "emp_core_secret of room core")

    def test_libc_call_outside_the_list(self):
        self.compile("slab", "extern int getpid(void); int emp_slab_a(void) { return getpid(); }")
        self.assert_reports(layers, "L10", "getpid")

    def test_libc_call_of_an_inline_function_below(self):
        self.plant("scripts/layers.conf", LAYERS.replace("[sync]\n", "[sync]\ninline = getpid\n"))
        self.compile("slab", "extern int getpid(void); int emp_slab_a(void) { return getpid(); }")
        self.assertEqual(self.findings(layers), [])

    def test_external_name_without_prefix(self):
        self.compile("slab", "int slab_count(void) { return 1; }")
        self.assert_reports(layers, "L10", "slab_count")

    def test_model_engine_sees_sync_only(self):
        self.plant("runtime/model/engine/step.c", '#include "slab/slab.h"\n')
        self.assert_reports(layers, "L12", "out of reach")

    def test_model_protocol_sees_every_room(self):
        self.plant("runtime/model/protocol/slab.c", '#include "slab/slab.h"\n')
        self.assertEqual(self.findings(layers), [])

    def test_row_and_common_list_are_allowed(self):
        self.compile("base", "void emp_base_a(void) {}")
        self.compile("slab", "extern void emp_base_a(void); void emp_slab_a(void) { emp_base_a(); }")
        self.assertEqual(self.findings(layers), [])
