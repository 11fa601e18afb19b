"""What every checker needs: the files of the tree, C text with comments and strings separated, functions, includes."""

import os
import re
import subprocess
from functools import lru_cache
from typing import NamedTuple

SKIPPED_FOLDERS = {".git", "build", "__pycache__"}


class Finding:
    """One violation: where it is, which rule it breaks, and what to do about it."""

    def __init__(self, path, line, rule, text):
        self.path, self.line, self.rule, self.text = path, line, rule, text

    def __str__(self):
        return f"{self.path}:{self.line}: [{self.rule}] {self.text}"

    def __repr__(self):
        return str(self)


class Tree:
    """The files of the project, by path from its root: what git tracks or would track, else what is there."""

    def __init__(self, root, build_dir=None):
        self.root = root
        self.build_dir = build_dir or os.path.join(root, "build")
        self.paths = sorted(self._list())
        self._text = {}

    def _list(self):
        if os.path.isdir(os.path.join(self.root, ".git")):
            command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
            listed = subprocess.run(command, cwd=self.root, capture_output=True, check=True).stdout
            paths = (p for p in listed.decode().split("\0") if p)
            return [p for p in paths if os.path.isfile(os.path.join(self.root, p))]
        found = []
        for folder, subfolders, names in os.walk(self.root):
            subfolders[:] = [s for s in subfolders if s not in SKIPPED_FOLDERS]
            found += [os.path.relpath(os.path.join(folder, n), self.root) for n in names]
        return found

    def under(self, folder, *suffixes):
        """Paths under a folder ("" for all) whose names end in one of the suffixes."""
        start = folder.rstrip("/") + "/" if folder else ""
        ends = suffixes or ("",)
        return [p for p in self.paths if p.startswith(start) and p.endswith(ends)]

    def has(self, path):
        return os.path.exists(os.path.join(self.root, path))

    def forget(self, path):
        """Called after a file was rewritten."""
        self._text.pop(path, None)

    def text(self, path):
        if path not in self._text:
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as f:
                self._text[path] = f.read()
        return self._text[path]


TOKEN = re.compile(
    r"//(?:\\\n|[^\n])*"
    r"|/\*.*?\*/"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'(?:\\.|[^'\\\n])*'",
    re.DOTALL,
)


def _blank(text):
    return re.sub(r"[^\n]", " ", text)


@lru_cache(maxsize=None)
def code_of(text):
    """The text with comments blanked and strings emptied; every character keeps its place."""

    def replace(match):
        token = match.group()
        if token[0] == "/":
            return _blank(token)
        return token[0] + _blank(token[1:-1]) + token[-1]

    return TOKEN.sub(replace, text)


class Comment:
    """A comment and the lines it covers; // comments on successive lines count as one."""

    def __init__(self, first, last, text):
        self.first, self.last, self.text = first, last, text


@lru_cache(maxsize=None)
def comments_of(text):
    found = []
    for match in TOKEN.finditer(text):
        token = match.group()
        if token[0] != "/":
            continue
        first = line_of(text, match.start())
        last = first + token.count("\n")
        own_line = not text[text.rfind("\n", 0, match.start()) + 1 : match.start()].strip()
        joined = found and own_line and token[1] == "/" and found[-1].last == first - 1
        if joined and found[-1].text.startswith("//"):
            found[-1].last, found[-1].text = last, found[-1].text + "\n" + token
        else:
            found.append(Comment(first, last, token))
    return found


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


class Function(NamedTuple):
    """A function definition: first is its first line, last that of its last brace, body_line that of its first."""

    name: str
    parameters: list
    first: int
    last: int
    body: str
    body_line: int


def _matching(code, at, opening, closing, step):
    depth = 0
    while 0 <= at < len(code):
        if code[at] == opening:
            depth += 1
        elif code[at] == closing:
            depth -= 1
            if depth == 0:
                return at
        at += step
    return -1


def split_parameters(text):
    """The top-level comma-separated parts of a parameter list."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    parts.append(text[start:].strip())
    return [] if parts in (["void"], [""]) else parts


def without_directives(code):
    """The code with preprocessor lines (and their continuations) and lines of one bare macro blanked."""
    lines = re.compile(r"^(?:[ \t]*#(?:\\\n|[^\n])*|[A-Z][A-Z0-9_]+$)", re.MULTILINE)
    return lines.sub(lambda match: _blank(match.group()), code)


@lru_cache(maxsize=None)
def functions_of(text):
    """Function definitions, found as a parameter list before a brace at file level."""
    code = without_directives(code_of(text))
    found, at, start = [], 0, 0
    while at < len(code):
        c = code[at]
        if c == ";":
            start = at + 1
        elif c == "{":
            end = _matching(code, at, "{", "}", 1)
            if end < 0:
                break
            head = code[start:at]
            if re.fullmatch(r'\s*extern\s+"\s*"\s*', head):
                at, start = at + 1, at + 1
                continue
            function = _function_from(code, head, start, at, end)
            if function:
                found.append(function)
            at = end
            if function or not re.search(r"\b(struct|union|enum)\b|=", head):
                start = end + 1
        elif c == "}":
            start = at + 1
        at += 1
    return found


def _function_from(code, head, start, brace, end):
    stripped = head.rstrip()
    if not stripped.endswith(")") or "=" in head:
        return None
    close = start + len(stripped) - 1
    opening = _matching(code, close, ")", "(", -1)
    name = re.search(r"([A-Za-z_]\w*)\s*$", code[start:opening])
    if not name:
        return None
    parameters = split_parameters(code[opening + 1 : close])
    first = line_of(code, start + len(head) - len(head.lstrip()))
    body_line = line_of(code, brace)
    return Function(name.group(1), parameters, first, line_of(code, end), code[brace : end + 1], body_line)


INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.MULTILINE)


@lru_cache(maxsize=None)
def includes_of(text):
    """(line, path, is_quoted) of each #include that is not inside a comment."""
    code = code_of(text)
    found = []
    for match in INCLUDE.finditer(text):
        hash_at = text.index("#", match.start())
        if code[hash_at] == "#":
            found.append((line_of(text, hash_at), match.group(1) or match.group(2), bool(match.group(1))))
    return found
