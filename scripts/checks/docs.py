"""Documents: design tags resolve both ways, links lead somewhere, every requirement row is traced (rules T1 to T4)."""

import os
import re
from functools import lru_cache

from .layers import CONF, read_rooms
from .source import Finding, line_of

ROWS = {"A": 12, "B": 11, "C": 10, "D": 9, "E": 9, "F": 5, "G": 8}
TRACE = "docs/traceability.md"
DESIGN = "docs/design/"
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
IMAGE = re.compile(r"!\[[^\]\n]*\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:runtime|docs|scripts|examples|cmake|abi|\.ci)/[\w./\-]*[\w/])`")
MAKE = re.compile(r"`make ([a-z]+)")


def tag_pattern(rooms):
    return re.compile(r"[\[`]((?:" + "|".join(rooms) + r")\.[a-z]+\.[a-z0-9][a-z0-9\-]*)[\]`]")


def prose_of(text):
    """The text with fenced code blanked."""
    return re.sub(r"^```.*?^```", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.MULTILINE | re.DOTALL)


def check_tags(tree, rooms):
    """T1: a cited tag is defined in its room's design page. T2: a defined tag is cited, `inv` by a test or audit."""
    pattern = tag_pattern(rooms)
    defined = {}
    for path in tree.under(DESIGN, ".md"):
        room = os.path.basename(path)[:-3]
        for match in pattern.finditer(tree.text(path)):
            if match.group(1).split(".")[0] == room:
                defined.setdefault(match.group(1), (path, line_of(tree.text(path), match.start())))
    cited, proved = set(), set()
    for path in tree.under("runtime", ".c", ".h", ".def", ".cc") + tree.under("examples", ".c"):
        text = tree.text(path)
        for match in pattern.finditer(text):
            tag = match.group(1)
            cited.add(tag)
            if path.startswith("runtime/tests/") or "_audit(" in text:
                proved.add(tag)
            if tag not in defined:
                page = f"{DESIGN}{tag.split('.')[0]}.md"
                yield Finding(path, line_of(text, match.start()), "T1", f"[{tag}] is not defined in {page}")
    for tag, (path, line) in sorted(defined.items()):
        if tag not in cited:
            yield Finding(path, line, "T2", f"[{tag}] is cited nowhere in runtime/")
        elif ".inv." in tag and tag not in proved:
            yield Finding(path, line, "T2", f"[{tag}] is an invariant that no test and no audit cites")


def check_design_pages(tree, rooms):
    for room in rooms:
        if tree.under(f"runtime/src/{room}") and not tree.has(f"{DESIGN}{room}.md"):
            yield Finding(f"{DESIGN}{room}.md", 1, "T1", f"room {room} has no design page")


@lru_cache(maxsize=None)
def anchors_of(text):
    """The anchors GitHub makes of the headings of a document."""
    found = set()
    for match in re.finditer(r"^#{1,6}\s+(.*?)\s*$", prose_of(text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match.group(1)).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number, name = 0, slug
        while name in found:
            number += 1
            name = f"{slug}-{number}"
        found.add(name)
    return found


def check_links(tree):
    """T4: relative links, their anchors, and paths in backticks exist; `make x` is a target."""
    targets = set(re.findall(r"^([a-z]+):", tree.text("Makefile"), re.MULTILINE)) if tree.has("Makefile") else set()
    for path in tree.under("", ".md"):
        text = prose_of(tree.text(path))
        folder = os.path.dirname(path)
        for match in list(LINK.finditer(text)) + list(IMAGE.finditer(text)):
            target = match.group(1)
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            full = os.path.normpath(os.path.join(folder, name)) if name else path
            line = line_of(text, match.start())
            if not tree.has(full):
                yield Finding(path, line, "T4", f"link to {target}: no such file")
            elif anchor and full.endswith(".md") and anchor not in anchors_of(tree.text(full)):
                yield Finding(path, line, "T4", f"link to {target}: no such heading")
        for match in PATH.finditer(text):
            if not tree.has(match.group(1)):
                yield Finding(path, line_of(text, match.start()), "T4", f"{match.group(1)} does not exist")
        for match in MAKE.finditer(text):
            if match.group(1) not in targets:
                yield Finding(path, line_of(text, match.start()), "T4", f"there is no target `make {match.group(1)}`")


def check_traceability(tree):
    """T3: one table row per requirement, naming existing files, or saying why it is not there yet."""
    if not tree.has(TRACE):
        yield Finding(TRACE, 1, "T3", "is missing")
        return
    rows = {}
    for number, line in enumerate(tree.text(TRACE).splitlines(), 1):
        match = re.match(r"\|\s*\**([A-G]\d+)\**\s*\|(.*)", line)
        if match:
            rows.setdefault(match.group(1), (number, match.group(2)))
    for letter, last in ROWS.items():
        for number in range(1, last + 1):
            row = f"{letter}{number}"
            if row not in rows:
                yield Finding(TRACE, 1, "T3", f"row {row} is missing")
                continue
            line, rest = rows[row]
            tests = [p for p in re.findall(r"runtime/(?:tests|bench)/[\w./]+", rest)]
            if not tests and "not yet" not in rest.lower():
                yield Finding(TRACE, line, "T3", f"row {row} names no test and does not say `not yet` with its reason")


def check_headings(tree):
    """T5: one first-level heading per document."""
    for path in tree.under("", ".md"):
        count = len(re.findall(r"^# ", prose_of(tree.text(path)), re.MULTILINE))
        if count != 1:
            yield Finding(path, 1, "T5", f"{count} first-level headings; a document has one")


def run(tree):
    rooms = list(read_rooms(tree)) if tree.has(CONF) else []
    found = list(check_tags(tree, rooms)) + list(check_design_pages(tree, rooms))
    return found + list(check_links(tree)) + list(check_traceability(tree)) + list(check_headings(tree))
