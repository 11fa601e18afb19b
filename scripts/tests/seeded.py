"""A small clean tree in a temporary folder, into which a test plants one fault."""

import os
import shutil
import tempfile
import unittest

from checks.source import Tree

LAYERS = """\
[common]
system = stddef.h stdint.h
libc = memcpy
[base]
rank = 0
rooms =
system =
libc =
[sync]
rank = 1
rooms = base
system =
libc =
[os]
rank = 2
rooms = base
system = *
libc = *
[slab]
rank = 5
rooms = base sync
system = immintrin.h
libc =
[core]
rank = 9
public = pool.h
rooms = base sync os slab
system =
libc =
[tool]
rank = 10
rooms = core
system = *
libc = *
"""

CLEAN = {
    "scripts/layers.conf": LAYERS,
    "runtime/src/base/bits.h": "#ifndef EMP_BASE_BITS_H\n#define EMP_BASE_BITS_H\n#endif\n",
    "runtime/src/sync/atomic.h": (
        "#ifndef EMP_SYNC_ATOMIC_H\n#define EMP_SYNC_ATOMIC_H\n"
        "#define emp_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)\n"
        "#define emp_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)\n"
        "#define emp_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)\n#endif\n"
    ),
    "runtime/src/slab/slab.h": (
        '#ifndef EMP_SLAB_SLAB_H\n#define EMP_SLAB_SLAB_H\n#include "base/bits.h"\n#include "sync/atomic.h"\n'
        "int emp_slab_ready(int *flag);\n#endif\n"
    ),
    "runtime/src/slab/slab.c": (
        '/* [slab.inv.flag] */\n#include "slab/slab.h"\n\nint emp_slab_ready(int *flag)\n{\n'
        "    /* order(slab-flag): release; the slab is filled before. */\n    emp_store_release(flag, 1);\n"
        "    /* order(slab-flag): acquire; the slab is filled. */\n    return emp_load_acquire(flag);\n}\n"
    ),
    "runtime/src/core/pool.h": (
        "/* What it is for: x. When not to use it: y.\n * Life cycle: none. Threads: any. Errors: none. */\n"
        "#ifndef EMP_CORE_POOL_H\n#define EMP_CORE_POOL_H\n#include <stddef.h>\n\n"
        "/**\n * Allocates.\n * @param size bytes. @returns a block.\n"
        " * Errors: none. Threads: any. Cost: O(1). Since: 0.1. Source: A1.\n */\n"
        'void *emp_pool_alloc(size_t size) __attribute__((visibility("default")));\n#endif\n'
    ),
    "runtime/src/core/pool.c": (
        '#include "core/pool.h"\n#include "slab/slab.h"\n\n'
        "void *emp_pool_alloc(size_t size)\n{\n    return size ? (void *)0 : (void *)0;\n}\n"
    ),
    "runtime/tests/slab/slab_test.c": '/* Shows [slab.inv.flag]. */\n#include "slab/slab.h"\n',
    "docs/design/base.md": "# base\n",
    "docs/design/sync.md": "# sync\n",
    "docs/design/core.md": "# core\n",
    "docs/design/slab.md": "# slab\n\n- `slab.inv.flag`: the flag is set last.\n",
    "docs/traceability.md": "# Traceability\n\n",
    "Makefile": "check: ## all\n",
    "README.md": "# Readme\n\nSee [the page](docs/design/slab.md#slab), `make check`, `runtime/src/slab/slab.c`.\n",
}


def traceability():
    from checks.docs import ROWS

    ids = [f"{letter}{number}" for letter, last in ROWS.items() for number in range(1, last + 1)]
    rows = [f"| {row} | x | `runtime/tests/slab/slab_test.c` |" for row in ids]
    return CLEAN["docs/traceability.md"] + "\n".join(rows) + "\n"


class SeededTest(unittest.TestCase):
    """setUp makes the clean tree; plant() writes a file; rules() runs a checker and returns the rules it reports."""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="seeded.")
        self.addCleanup(shutil.rmtree, self.root)
        for path, text in CLEAN.items():
            self.plant(path, text)
        self.plant("docs/traceability.md", traceability())

    def plant(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as out:
            out.write(text)

    def change(self, path, old, new):
        with open(os.path.join(self.root, path), encoding="utf-8") as f:
            text = f.read()
        self.assertIn(old, text)
        self.plant(path, text.replace(old, new))

    def remove(self, path):
        os.remove(os.path.join(self.root, path))

    def findings(self, checker):
        return checker.run(Tree(self.root))

    def rules(self, checker):
        return sorted({finding.rule for finding in self.findings(checker)})

    def assert_reports(self, checker, rule, words):
        """Exactly this rule is broken, and one report says so in these words."""
        found = self.findings(checker)
        self.assertEqual(sorted({f.rule for f in found}), [rule], found)
        self.assertTrue(any(words in f.text for f in found), found)
