"""The mutants: small faults in the function bodies of runtime/src, found on tokens outside comments and strings."""

import random
import re
from typing import NamedTuple

from checks.source import code_of, functions_of, line_of, without_directives

SOURCE = "runtime/src/"
RELATION = {"<=": "<", ">=": ">", "==": "!=", "!=": "==", "<": "<=", ">": ">="}
LOGIC = {"&&": "||", "||": "&&"}
ARITHMETIC = {"+": "-", "-": "+"}
OPERATOR = re.compile(r"<<=|>>=|->|<<|>>|\+\+|--|<=|>=|==|!=|&&|\|\||[+\-*/%&|^]=|[<>+\-]")
NUMBER = re.compile(r"(?<![\w.])(\d+)(u|U|ul|UL|ull|ULL)?(?![\w.])")
TRUTH = re.compile(r"\b(true|false)\b")
NEGATION = re.compile(r"(?<![\w)\]])!(?=[\w(])")
# A call, an assignment or a step that stands on lines of its own.
STATEMENT = re.compile(
    r"(?<=[;{}])\s*\n[ \t]+((?:\(void\))?[A-Za-z_*(][^;{}=]*?(?:\([^;{}]*\)|=[^;{}]+|\+\+|--));(?=\s*\n)"
)
# What only states or annotates: its removal changes nothing that a test could see.
NOT_MUTATED = re.compile(r"\b(emp_assert|emp_check|static_assert|_Static_assert|emp_cpu_relax|emp_prefetch)\b")
# The smaller or larger of two values: when they are equal, either is the answer, so `<` and `<=` are one.
OPERAND = r"[A-Za-z0-9_]\w*(?:(?:->|\.)\w+|\[\w+\])*"
SELECTION = re.compile(
    rf"(?:[=(,?:]|\breturn)\s+?(?P<left>{OPERAND})\s+(?P<relation><=|>=|<|>)\s+(?P<right>{OPERAND})\s+\?\s+"
    r"(?:(?P=left)\s+:\s+(?P=right)|(?P=right)\s+:\s+(?P=left))(?=\s*[;),])"
)
KEYWORD = re.compile(r"(return|goto|break|continue|case|default|else|if|while|for|do|switch)\b")


class Mutant(NamedTuple):
    """One fault: replace text[start:end] of the file by new."""

    path: str
    line: int
    start: int
    end: int
    old: str
    new: str

    def __str__(self):
        old = " ".join(self.old.split())
        change = f"{old!r} -> {self.new!r}" if self.new else f"without {old!r}"
        return f"{self.path}:{self.line}: {change}"

    def applied(self, text):
        return text[: self.start] + self.new + text[self.end :]


def _operators(code, begin, end):
    selections = {match.start("relation") for match in SELECTION.finditer(code, begin, end)}
    for match in OPERATOR.finditer(code, begin, end):
        old = match.group()
        if match.start() in selections:
            continue
        new = RELATION.get(old) or LOGIC.get(old)
        if not new and old in ARITHMETIC:
            binary = re.search(r"([)\]]|\w+)\s*$", code[max(begin, match.start() - 40) : match.start()])
            new = ARITHMETIC[old] if binary and not KEYWORD.match(binary.group(1)) else None
        if new:
            yield match.start(), match.end(), old, new


def _words(code, begin, end):
    for match in NUMBER.finditer(code, begin, end):
        digits = match.group(1)
        value = int(digits, 8 if digits[0] == "0" else 10) + 1
        yield match.start(1), match.end(1), digits, str(value)
    for match in TRUTH.finditer(code, begin, end):
        yield match.start(), match.end(), match.group(), "false" if match.group() == "true" else "true"
    for match in NEGATION.finditer(code, begin, end):
        yield match.start(), match.end(), "!", " "


def _statements(code, begin, end):
    for match in STATEMENT.finditer(code, begin, end):
        text = match.group(1)
        declares = re.match(r"(?:(?:const|static|struct|enum|unsigned|\w+)\s+)+\**\w+\s*(=|\[|$)", text)
        if not KEYWORD.match(text) and not declares:
            yield match.start(1), match.end(1) + 1, text + ";", ""


def _spans(text):
    """Offsets of the function bodies."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for function in functions_of(text):
        yield starts[function.body_line - 1], starts[function.last]


def mutants_of(path, text):
    code = without_directives(code_of(text))
    ignored = set()
    for match in NOT_MUTATED.finditer(code):
        last = code.find(";", match.start())
        ignored |= set(range(line_of(code, match.start()), line_of(code, max(last, match.start())) + 1))
    found = []
    for begin, end in _spans(text):
        for finder in (_operators, _words, _statements):
            for start, stop, _, new in finder(code, begin, end):
                line = line_of(code, start)
                if line not in ignored:
                    found.append(Mutant(path, line, start, stop, text[start:stop], new))
    return found


def all_mutants(tree, room=None):
    """Every mutant of the sources this machine builds, in a fixed shuffled order."""
    folder = SOURCE + (room or "")
    paths = [p for p in tree.under(folder.rstrip("/"), ".c") if not re.search(r"_neon\.c$|/aarch64/", p)]
    found = [m for p in paths if not p.startswith(SOURCE + "tool/") for m in mutants_of(p, tree.text(p))]
    random.Random(20).shuffle(found)
    return found


def in_slice(mutants, number, count):
    return mutants[number - 1 :: count]
