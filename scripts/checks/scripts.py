"""Scripts: shell and Python files parse, and what starts with #! is executable."""

import ast
import os
import subprocess

from .source import Finding


def check_shell(tree, path):
    result = subprocess.run(["bash", "-n", path], cwd=tree.root, capture_output=True, text=True, check=False)
    if result.returncode:
        yield Finding(path, 1, "X1", result.stderr.strip()[:300])
    if "set -" not in tree.text(path):
        yield Finding(path, 1, "X1", "a shell script says which errors stop it: set -euo pipefail")


def run(tree):
    found = []
    for path in tree.paths:
        first = tree.text(path).split("\n", 1)[0]
        if path.endswith(".py") or "python" in first and first.startswith("#!"):
            try:
                ast.parse(tree.text(path))
            except SyntaxError as error:
                found.append(Finding(path, error.lineno or 1, "X1", error.msg))
        if first.startswith("#!"):
            if "bash" in first or first.endswith("/sh"):
                found += check_shell(tree, path)
            if not os.access(os.path.join(tree.root, path), os.X_OK):
                found.append(Finding(path, 1, "X2", "starts with #! and is not executable"))
    return found
