"""Docstrings: every public function says what its caller must know (rule A1 of the public headers)."""

import re

from .layers import public_headers
from .source import Finding, code_of, comments_of, functions_of, line_of, split_parameters, without_directives

SOURCE = "runtime/src/"
FIELDS = ("Errors:", "Threads:", "Cost:", "Since:", "Source:")
HEAD_FIELDS = ("What it is for:", "When not to use it:", "Life cycle", "Threads", "Errors")
# A declaration at file level: a type, a name, a parameter list, attributes, a semicolon; no pointer to a function.
DECLARATION = re.compile(
    r"(?:^|[;}])\s*((?:[A-Za-z_][\w\s\*]*?[\s\*])(emp_\w+)\s*\((?!\s*\*)([^;{}]*)\)[^;{}()]*(?:\([^;{}]*\))*\s*);"
)


def declarations(text):
    """(line, name, result, parameter names) of the functions a header declares or defines."""
    code = without_directives(code_of(text))
    found, at = [], 0
    while True:
        match = DECLARATION.search(code, at)
        if not match:
            break
        at = match.end() - 1
        if re.search(r"\b(typedef|struct\s+\w+\s*\{)", match.group(1)):
            continue
        name_at = match.start(2)
        opening = code.index("(", name_at)
        depth, close = 0, opening
        for close in range(opening, len(code)):
            depth += (code[close] == "(") - (code[close] == ")")
            if depth == 0:
                break
        parameters = split_parameters(code[opening + 1 : close])
        found.append((line_of(code, match.start(1)), match.group(2), code[match.start(1) : name_at], parameters))
    for function in functions_of(text):
        if function.name.startswith("emp_") and not function.name.endswith(("_slow", "_")):
            result = "\n".join(code.splitlines()[function.first - 1 : function.body_line]).split(function.name)[0]
            found.append((function.first, function.name, result, function.parameters))
    return found


def parameter_name(parameter):
    pointer = re.search(r"\(\s*\*\s*(\w+)\s*\)", parameter)
    if pointer:
        return pointer.group(1)
    names = re.findall(r"[A-Za-z_]\w*", re.sub(r"\[[^\]]*\]", "", parameter))
    return names[-1] if names else ""


def returns_void(result):
    words = re.sub(r"\b(EMP_\w+|static|inline|extern)\b", "", result)
    return re.fullmatch(r"\s*void\s*", words) is not None


def check_one(path, text, declaration):
    line, name, result, parameters = declaration
    above = [c for c in comments_of(text) if c.last == line - 1]
    if not above or not above[-1].text.startswith("/**"):
        yield Finding(path, line, "A1", f"{name} has no /** docstring */ directly above")
        return
    comment = re.sub(r"\n\s*\*", "\n", above[-1].text)
    for field in FIELDS:
        if field not in comment:
            yield Finding(path, line, "A1", f"the docstring of {name} has no `{field}`")
    if "@returns" not in comment and not returns_void(result):
        yield Finding(path, line, "A1", f"the docstring of {name} has no `@returns`")
    for parameter in parameters:
        if parameter == "...":
            continue
        wanted = parameter_name(parameter)
        if not re.search(rf"@param\s+(?:\w+,\s*)*{re.escape(wanted)}\b", comment):
            yield Finding(path, line, "A1", f"the docstring of {name} has no `@param {wanted}`")
    for documented in re.findall(r"@param\s+(\w+)", comment):
        if documented not in [parameter_name(p) for p in parameters]:
            yield Finding(path, line, "A1", f"the docstring of {name} describes {documented}, which is no parameter")


def check_head(path, text):
    first = comments_of(text)[:1]
    head = first[0].text if first and first[0].first == 1 else ""
    for field in HEAD_FIELDS:
        if field not in head:
            yield Finding(path, 1, "A2", f"the file head does not say `{field}`")


def run(tree):
    found = []
    for path in sorted(SOURCE + header for header in public_headers(tree)):
        text = tree.text(path)
        found += check_head(path, text)
        for declaration in declarations(text):
            found += check_one(path, text, declaration)
    return found
