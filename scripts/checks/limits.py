"""Sizes (files, functions, parameters, columns, nesting, #if, headers) and unfinished work: rules S1 to S7."""

import ast
import os
import re
import statistics

from .layers import public_headers
from .source import Finding, code_of, functions_of, includes_of, line_of

SOURCE = "runtime/src/"
FILE_LINES, HEADER_LINES, FUNCTION_LINES = 600, 300, 70
PARAMETERS, COLUMNS, NESTING = 5, 100, 4
SCRIPT_COLUMNS = 120
CONDITIONALS_PER_1000, CONDITIONAL_FREE_ROOMS = 8, ("base", "os", "thread")
HEADERS_REACHED, HEADERS_MEDIAN = 40, 20
FILE_BYTES = 400_000
# Written apart, so that this file does not contain the words it looks for.
UNFINISHED_WORDS = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "place" + "holder"]
UNFINISHED = re.compile(r"\b(" + "|".join(UNFINISHED_WORDS) + r")\b")
BANNED = {
    "strcpy": "memcpy with a known length", "strcat": "memcpy with a known length", "sprintf": "snprintf",
    "vsprintf": "vsnprintf", "gets": "fgets", "alloca": "a fixed array", "atoi": "strtol", "setjmp": "a status value",
    "longjmp": "a status value",
}


def check_file_size(path, text):
    lines = text.count("\n")
    limit = HEADER_LINES if path.endswith(".h") else FILE_LINES
    if lines > limit:
        yield Finding(path, lines, "S1", f"{lines} lines; the limit is {limit}")


def check_columns(path, text, limit):
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > limit:
            yield Finding(path, number, "S1", f"{len(line)} columns; the limit is {limit}")


def nesting_of(body):
    """The deepest block below the function's own braces; initialisers count, case labels do not."""
    depth = deepest = 0
    for c in body:
        if c == "{":
            depth += 1
            deepest = max(deepest, depth - 1)
        elif c == "}":
            depth -= 1
    return deepest


def check_functions(path, text):
    code = code_of(text)
    lines = code.splitlines()
    for function in functions_of(text):
        length = function.last - function.first + 1
        count = len(function.parameters)
        where = (path, function.first, "S1")
        if length > FUNCTION_LINES:
            yield Finding(*where, f"{function.name} has {length} lines; the limit is {FUNCTION_LINES}")
        if count > PARAMETERS:
            yield Finding(*where, f"{function.name} has {count} parameters; the limit is {PARAMETERS}")
        deepest = nesting_of(function.body)
        if deepest > NESTING:
            yield Finding(*where, f"{function.name} nests {deepest} deep; the limit is {NESTING}")
        for number in range(function.body_line, function.last):
            if re.match(r"\s*#\s*(if|ifdef|ifndef|elif|else)\b", lines[number - 1]):
                yield Finding(path, number, "S2", "#if in a function body: make a file per variant or a constant")


def check_banned(path, text):
    code = code_of(text)
    for match in re.finditer(r"\b(" + "|".join(BANNED) + r")\s*\(", code):
        name = match.group(1)
        yield Finding(path, line_of(code, match.start()), "S6", f"{name} is banned; use {BANNED[name]}")


def check_c(tree):
    for path in tree.under("", ".c", ".h", ".cc", ".def"):
        text = tree.text(path)
        yield from check_file_size(path, text)
        yield from check_columns(path, text, COLUMNS)
        if not path.endswith(".cc"):
            yield from check_functions(path, text)
        yield from check_banned(path, text)


def check_python(tree):
    for path in tree.paths:
        if not (path.startswith("scripts/") and is_python(tree, path)):
            continue
        text = tree.text(path)
        yield from check_file_size(path, text)
        yield from check_columns(path, text, SCRIPT_COLUMNS)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                length = node.end_lineno - node.lineno + 1
                if length > FUNCTION_LINES:
                    yield Finding(path, node.lineno, "S1", f"{node.name} has {length} lines")
                count = len([a for a in node.args.args if a.arg not in ("self", "cls")])
                if count > PARAMETERS:
                    yield Finding(path, node.lineno, "S1", f"{node.name} has {count} parameters")


def is_python(tree, path):
    return path.endswith(".py") or tree.text(path).startswith("#!/usr/bin/env python3")


def check_conditionals(tree):
    """S2: few #if per room; include guards do not count."""
    rooms = {}
    for path in tree.under(SOURCE, ".c", ".h"):
        code = code_of(tree.text(path))
        count = len(re.findall(r"^[ \t]*#[ \t]*if(?:def|ndef)?\b", code, re.MULTILINE)) - path.endswith(".h")
        lines, ifs = rooms.get(path.split("/")[2], (0, 0))
        rooms[path.split("/")[2]] = (lines + code.count("\n"), ifs + count)
    for room, (lines, ifs) in sorted(rooms.items()):
        allowed = max(1, lines * CONDITIONALS_PER_1000 // 1000)
        if room not in CONDITIONAL_FREE_ROOMS and ifs > allowed:
            yield Finding(SOURCE + room, 1, "S2", f"{ifs} #if in {lines} lines; the limit is {allowed}")


def check_reach(tree):
    """S4: how many of our headers a source file drags in."""
    memo = {}

    def reached(target):
        if target not in memo:
            memo[target] = set()
            path = SOURCE + target
            if tree.has(path):
                direct = [t for _, t, quoted in includes_of(tree.text(path)) if quoted]
                memo[target] = set(direct).union(*(reached(t) for t in direct))
        return memo[target]

    counts = {path: len(reached(path[len(SOURCE) :])) for path in tree.under(SOURCE, ".c")}
    for path, count in counts.items():
        if count > HEADERS_REACHED:
            yield Finding(path, 1, "S4", f"reaches {count} headers; the limit is {HEADERS_REACHED}")
    if counts and statistics.median(counts.values()) > HEADERS_MEDIAN:
        yield Finding(SOURCE, 1, "S4", f"the median file reaches more than {HEADERS_MEDIAN} headers")


def check_words_and_files(tree):
    """S7: no words of unfinished work, no binary or large files, no header that nobody includes."""
    included, public = set(), public_headers(tree)
    for path in tree.under("", ".c", ".h", ".cc", ".def"):
        included |= {t.rsplit("/", 1)[-1] for _, t, quoted in includes_of(tree.text(path)) if quoted}
    for path in tree.paths:
        size = os.path.getsize(os.path.join(tree.root, path))
        text = tree.text(path)
        if size > FILE_BYTES or "\0" in text:
            yield Finding(path, 1, "S7", f"large or binary file ({size} bytes)")
            continue
        for match in UNFINISHED.finditer(text):
            yield Finding(path, line_of(text, match.start()), "S7", f"{match.group()}: finish it or open an issue")
        is_public = path[len(SOURCE) :] in public
        if path.endswith((".h", ".def")) and not is_public and path.rsplit("/", 1)[1] not in included:
            yield Finding(path, 1, "S7", "nobody includes this file")


def run(tree):
    checks = (check_c, check_python, check_conditionals, check_reach, check_words_and_files)
    return [finding for check in checks for finding in check(tree)]
