"""Unused: a function that no other file of the product calls is either static or dead (rule U1).

Exported functions have their users outside. The rooms of the lowest ranks also offer seams to the tests (an injected
clock, a call that fails on purpose); other rooms have no function that only tests call.
"""

import re

from .layers import SOURCE, nm, read_rooms, room_objects
from .source import Finding, code_of, functions_of
from .symbols import exported, present

SEAM_RANK = 3
NAME = re.compile(r"\bemp_\w+")


def names_used(tree, path):
    """Names in a source or table; of a header only those inside its inline functions and macros, not declarations."""
    code = code_of(tree.text(path))
    if path.endswith(".h"):
        macros = re.findall(r"^[ \t]*#(?:\\\n|[^\n])*", code, re.MULTILINE)
        code = "\n".join([f.body for f in functions_of(tree.text(path))] + macros)
    return set(NAME.findall(code))


def run(tree):
    public = set()
    for library, _ in present(tree):
        public |= {symbol.split("@")[0] for symbol in exported(library)}
    if not public:
        return []
    product = {p: names_used(tree, p) for p in tree.under(SOURCE.rstrip("/"), ".c", ".h", ".def")}
    by_tests = set().union(*(NAME.findall(tree.text(p)) for p in tree.under("runtime/tests", ".c", ".h")), ())
    found = []
    for name, room in read_rooms(tree).items():
        for each in sorted(room_objects(tree, name)):
            path = SOURCE + each.split("/" + SOURCE, 1)[-1][: -len(".o")]
            used = set().union(*(names for p, names in product.items() if p != path))
            for symbol in sorted(set(nm([each], "--defined-only", "-g"))):
                seam = symbol in by_tests and room.rank <= SEAM_RANK
                if symbol.startswith("emp_") and symbol not in public | used and not seam:
                    found.append(Finding(path, 1, "U1", f"no other file uses {symbol}: make it static or remove it"))
    return found
