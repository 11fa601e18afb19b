"""Headers: every header compiles alone; a public one as C11, C2x and C++17, with gcc and with clang."""

import concurrent.futures
import os
import shutil
import subprocess

from .layers import public_headers
from .source import Finding

SOURCE = "runtime/src/"
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", SOURCE]
PUBLIC = [
    ["gcc", "-x", "c", "-std=c11", "-Wundef", "-Wstrict-prototypes"],
    ["clang", "-x", "c", "-std=c2x"],
    ["g++", "-x", "c++", "-std=c++17"],
    ["clang++", "-x", "c++", "-std=c++17"],
]
ROOM = [["gcc", "-x", "c", "-std=gnu11", "-DEMP_DEBUG=1", "-DEMP_AUDIT=0", "-DEMP_SECURE=0", "-DEMP_FAULT=0"]]


def compile_alone(tree, path, command):
    """The first error of a file that holds one #include of the header, or None."""
    include = f'#include "{path[len(SOURCE):]}"\n'
    full = [*command, *WARNINGS, "-"]
    result = subprocess.run(full, cwd=tree.root, input=include, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return None
    lines = result.stderr.splitlines() or ["failed"]
    errors = [line for line in lines if "error" in line] or lines
    return f"{' '.join(command[:1] + command[3:4])}: {errors[0][:200]}"


def run(tree):
    jobs, public = [], public_headers(tree)
    for path in tree.under(SOURCE, ".h"):
        if path.startswith(SOURCE + "tool/"):
            continue
        commands = PUBLIC if path[len(SOURCE) :] in public else ROOM
        jobs += [(path, command) for command in commands if shutil.which(command[0])]
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        answers = pool.map(lambda job: compile_alone(tree, *job), jobs)
        return [Finding(path, 1, "L7", text) for (path, _), text in zip(jobs, answers) if text]
