"""Atomic orders: every access says why its order is enough, and every tag has both sides (rules O1 to O4).

docs/memory-order.md lists the tags with their sides and reasons; `scripts/check --write order` renews it.
"""

import os
import re
from typing import NamedTuple

from .source import Finding, code_of, comments_of, functions_of, line_of

SOURCE = "runtime/src/"
ATOMIC = SOURCE + "sync/atomic.h"
EXPORT = SOURCE + "base/export.h"
PAGE = "docs/memory-order.md"
REACH = 3
TAG = re.compile(r"\border\(([\w.\-]+)\):((?:(?!\*/|\border\().)*)", re.DOTALL)
RAW = re.compile(r"\b(__atomic_\w+|__sync_\w+|atomic_\w+|_Atomic|stdatomic\.h|__ATOMIC_\w+)\b")
VOLATILE = re.compile(r"(\basm\b|\b__asm__\b|\b__asm\b)?\s*\b(volatile|__volatile__)\b")
RELEASING = {"release", "acq_rel", "seq_cst"}
ACQUIRING = {"acquire", "acq_rel", "seq_cst", "consume"}


class Use(NamedTuple):
    """One access under a tag, with the reason its comment gives."""

    order: str
    path: str
    line: int
    function: str
    reason: str


def operations(tree):
    """The macros and functions of sync/atomic.h that name an order: {name: order}."""
    if not tree.has(ATOMIC):
        return {}
    names = re.findall(r"\b(emp_\w+?_(relaxed|acquire|release|acq_rel|seq_cst))\b\s*\(", code_of(tree.text(ATOMIC)))
    return dict(names)


def accesses(code, known):
    if not known:
        return
    for match in re.finditer(r"\b(" + "|".join(map(re.escape, known)) + r")\s*\(", code):
        yield line_of(code, match.start()), match.group(1)


def tags_near(comments, line):
    """The (tag, reason) pairs of the comments that end at most REACH lines above, or stand on, the line."""
    found = []
    for comment in comments:
        if comment.first <= line <= comment.last + REACH:
            found += TAG.findall(comment.text)
    return found


def function_at(text, line):
    """The function around a line; "" at file level."""
    return next((f.name for f in functions_of(text) if f.first <= line <= f.last), "")


def plain(reason):
    """The reason as one line, without the order that it begins with."""
    words = " ".join(re.sub(r"\n\s*\*?\s*", " ", reason).split()).rstrip(".")
    return re.sub(r"^(relaxed|acquire|release|acq_rel|seq_cst)( look)?[;,:]?\s*", "", words)


def check_accesses(tree, path, known, sides):
    text = tree.text(path)
    comments = comments_of(text)
    for line, name in accesses(code_of(text), known):
        near = tags_near(comments, line)
        if not near:
            yield Finding(path, line, "O1", f"{name} has no `order(<tag>):` comment within {REACH} lines")
        for tag, reason in near:
            if not re.search(r"[A-Za-z]{2}", reason):
                yield Finding(path, line, "O1", f"order({tag}) gives no reason")
            use = Use(known[name], path, line, function_at(text, line), plain(reason))
            sides.setdefault(tag, []).append(use)


def check_sides(sides):
    for tag, uses in sorted(sides.items()):
        orders = {use.order for use in uses}
        path, line = uses[0].path, uses[0].line
        if orders & ACQUIRING and not orders & RELEASING:
            yield Finding(path, line, "O3", f"order({tag}) has an acquiring side and no releasing side")
        if orders & RELEASING and not orders & ACQUIRING:
            yield Finding(path, line, "O3", f"order({tag}) has a releasing side and no acquiring side")


def check_raw(tree, path):
    """O2: nothing but the two layers touches shared memory by builtins or volatile; `asm volatile` is no access."""
    if path in (ATOMIC, EXPORT):
        return
    code = code_of(tree.text(path))
    for match in RAW.finditer(code):
        line = line_of(code, match.start())
        yield Finding(path, line, "O2", f"{match.group()}: atomics go through sync/atomic.h")
    for match in VOLATILE.finditer(code):
        if not match.group(1):
            line = line_of(code, match.start(2))
            yield Finding(path, line, "O2", "volatile orders nothing between threads: use sync/atomic.h")


SIDES = (("releasing", RELEASING), ("acquiring", ACQUIRING), ("relaxed", {"relaxed"}))


def table_of(sides):
    """Per tag, which files hold its releasing, acquiring and relaxed sides."""
    yield "| tag | releasing side | acquiring side | relaxed |"
    yield "|---|---|---|---|"
    for tag, uses in sorted(sides.items()):
        cells = [sorted({use.path[len(SOURCE) :] for use in uses if use.order in orders}) for _, orders in SIDES]
        yield f"| `{tag}` | " + " | ".join(", ".join(f"`{c}`" for c in cell) or "-" for cell in cells) + " |"


def reasons_of(uses):
    """Each access of a tag once per side: where it is and what its comment says."""
    for name, orders in SIDES:
        seen = []
        for use in uses:
            where = f"`{use.function}`, `{use.path[len(SOURCE) :]}`"
            line = f"- {name}: {where}: {use.reason}" if use.order in orders else ""
            if line and line not in seen:
                seen.append(line)
                yield line


def page_of(sides):
    """The generated page: a table of the tags, then every access of each with the reason for its order."""
    lines = [
        "# Memory orders",
        "",
        "Generated from the `order(<tag>):` comments by `scripts/check --write order`. A tag that only has relaxed",
        "accesses publishes nothing; its comments say why that is enough. The model checker weakens every order of the",
        "files that it runs and shows that it is needed: [model](design/model.md).",
        "",
        *table_of(sides),
    ]
    for tag, uses in sorted(sides.items()):
        lines += ["", f"## {tag}", "", *reasons_of(uses)]
    return "\n".join(lines) + "\n"


def collect(tree):
    """(findings of the accesses, {tag: [Use]})."""
    known, found, sides = operations(tree), [], {}
    for path in tree.under(SOURCE, ".c", ".h", ".def"):
        found += check_raw(tree, path)
        if path != ATOMIC:
            found += check_accesses(tree, path, known, sides)
    return found, sides


def write(tree):
    full = os.path.join(tree.root, PAGE)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as out:
        out.write(page_of(collect(tree)[1]))
    tree.forget(PAGE)


def run(tree):
    found, sides = collect(tree)
    found += check_sides(sides)
    if not tree.has(PAGE) or tree.text(PAGE) != page_of(sides):
        found.append(Finding(PAGE, 1, "O4", "is not what the comments say: run scripts/check --write order"))
    return found
