"""Unused: a function that no other file of the product calls is either static or dead (rule U1).

Exported functions have their users outside. The decorators that make a call fail on purpose (*_fault.c) and the
audits serve the tests.
"""

import os

from .layers import SOURCE, nm, read_rooms, room_objects
from .source import Finding
from .symbols import exported, present

FOR_TESTS = ("_fault.c.o", "_audit.c.o")


def run(tree):
    public = set()
    for library, _ in present(tree):
        public |= {symbol.split("@")[0] for symbol in exported(library)}
    if not public:
        return []
    objects = [o for room in read_rooms(tree) for o in room_objects(tree, room)]
    wanted = set(nm(objects, "-u")) if objects else set()
    found = []
    for each in sorted(objects):
        if each.endswith(FOR_TESTS):
            continue
        path = SOURCE + each.split(".dir/" + SOURCE, 1)[-1][: -len(".o")] if SOURCE in each else os.path.basename(each)
        for symbol in sorted(set(nm([each], "--defined-only", "-g"))):
            if symbol.startswith("emp_") and symbol not in public and symbol not in wanted:
                found.append(Finding(path, 1, "U1", f"no other file uses {symbol}: make it static or remove it"))
    return found
