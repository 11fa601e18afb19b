"""Format: every C file is exactly what clang-format makes of it."""

import re
import subprocess

from .source import Finding

LINE = re.compile(r"^(.*?):(\d+):\d+: error: code should be clang-formatted")


def run(tree):
    paths = tree.under("", ".c", ".h", ".cc")
    found, seen = [], set()
    if not paths:
        return found
    command = ["clang-format", "--dry-run", "-Werror", *paths]
    result = subprocess.run(command, cwd=tree.root, capture_output=True, text=True, check=False)
    for line in result.stderr.splitlines():
        match = LINE.match(line)
        if match and match.group(1) not in seen:
            seen.add(match.group(1))
            found.append(Finding(match.group(1), int(match.group(2)), "F1", f"run clang-format -i {match.group(1)}"))
    if result.returncode and not found:
        found.append(Finding(".clang-format", 1, "F1", result.stderr.strip()[:300]))
    return found
