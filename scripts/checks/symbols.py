"""Symbols: what the shared libraries export equals abi/*.txt (`scripts/check --write symbols` rewrites them)."""

import os
import subprocess

from .source import Finding

LIBRARIES = {"libechomem.so": "abi/symbols.txt", "libechomem_malloc.so": "abi/malloc_symbols.txt"}


def exported(library):
    """Defined dynamic symbols with their versions, sorted."""
    command = ["nm", "-D", "--defined-only", "--with-symbol-versions", library]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    fields = [line.split() for line in lines]
    return sorted(f[-1] for f in fields if len(f) >= 2 and f[-2] != "A")


def present(tree):
    for name, listing in LIBRARIES.items():
        library = os.path.join(tree.build_dir, name)
        if os.path.exists(library):
            yield library, listing


def write(tree):
    for library, listing in present(tree):
        with open(os.path.join(tree.root, listing), "w", encoding="utf-8") as out:
            out.write("\n".join(exported(library)) + "\n")
        tree.forget(listing)


def run(tree):
    found = []
    if not os.path.exists(os.path.join(tree.build_dir, "libechomem.so")):
        found.append(Finding("abi/symbols.txt", 1, "L10", "no libechomem.so to look at: build first"))
    for library, listing in present(tree):
        want = set(tree.text(listing).split()) if tree.has(listing) else set()
        have = set(exported(library))
        name = os.path.basename(library)
        found += [Finding(listing, 1, "L10", f"{name} exports {s}, which is not listed") for s in sorted(have - want)]
        found += [Finding(listing, 1, "L10", f"{name} does not export {s}") for s in sorted(want - have)]
        if "malloc" in name:
            bad = [s for s in sorted(have) if "@" in s and not s.startswith("emp_")]
            found += [Finding(listing, 1, "L10", f"{s} must stay outside every version node") for s in bad]
    return found
