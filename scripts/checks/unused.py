"""Unused: a function that no other file of the product calls is either static or dead (rule U1).

Exported functions have their users outside. The rooms of the lowest ranks also offer seams to the tests (an injected
clock, a call that fails on purpose); in other rooms the comment of such a function says "for tests".
"""

import re

from .layers import SOURCE, nm, read_rooms, room_objects
from .source import Finding, code_of, comments_of, functions_of
from .symbols import exported, present

SEAM_RANK = 3
FOR_TESTS = re.compile(r"\bfor tests\b", re.IGNORECASE)
NAME = re.compile(r"\bemp_\w+")


def names_used(tree, path):
    """Names in a source or table; of a header only those inside its inline functions and macros, not declarations."""
    code = code_of(tree.text(path))
    if path.endswith(".h"):
        macros = re.findall(r"^[ \t]*#(?:\\\n|[^\n])*", code, re.MULTILINE)
        code = "\n".join([f.body for f in functions_of(tree.text(path))] + macros)
    return set(NAME.findall(code))


def declared_for_tests(tree):
    """Functions whose comment in a header says that they are for tests."""
    found = set()
    for path in tree.under(SOURCE.rstrip("/"), ".h"):
        lines = tree.text(path).splitlines()
        for comment in comments_of(tree.text(path)):
            if FOR_TESTS.search(comment.text):
                found |= set(NAME.findall(" ".join(lines[comment.last : comment.last + 2])))
    return found


def run(tree):
    public = set()
    for library, _ in present(tree):
        public |= {symbol.split("@")[0] for symbol in exported(library)}
    if not public:
        return []
    product = {p: names_used(tree, p) for p in tree.under(SOURCE.rstrip("/"), ".c", ".h", ".def")}
    by_tests = set().union(*(NAME.findall(tree.text(p)) for p in tree.under("runtime/tests", ".c", ".h")), ())
    for_tests = declared_for_tests(tree)
    found = []
    for name, room in read_rooms(tree).items():
        for each in sorted(room_objects(tree, name)):
            path = SOURCE + each.split("/" + SOURCE, 1)[-1][: -len(".o")]
            used = set().union(*(names for p, names in product.items() if p != path))
            for symbol in sorted(set(nm([each], "--defined-only", "-g"))):
                seam = symbol in by_tests and (room.rank <= SEAM_RANK or symbol in for_tests)
                if symbol.startswith("emp_") and symbol not in public | used and not seam:
                    found.append(Finding(path, 1, "U1", f"no other file uses {symbol}: make it static or remove it"))
    return found
