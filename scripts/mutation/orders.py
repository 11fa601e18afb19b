"""Order mutants: the model checker weakens each memory order of the files it runs; what no program reaches survives."""

import os
import re
import subprocess

from checks.order import ATOMIC, SOURCE, accesses, operations
from checks.source import code_of

LEAST = 95
LINE = re.compile(r"^(killed|survived)\s+(runtime/src/[\w./]+):(\d+): ")
# __LINE__ of a macro call is its first or its last line, as the compiler likes.
REACH = 3


def ordered(tree, paths):
    """(path, line, operation) of every access in these files that is not relaxed."""
    known = operations(tree)
    found = []
    for path in paths:
        for line, name in accesses(code_of(tree.text(path)), known):
            if known[name] != "relaxed":
                found.append((path, line, name))
    return found


def verdicts(output):
    """[(killed, path, line)] of the lines that the checker prints."""
    matches = filter(None, map(LINE.match, output.splitlines()))
    return [(m.group(1) == "killed", m.group(2), int(m.group(3))) for m in matches]


def unreached(tree, tried):
    """Accesses of the protocol files, those of sync and those that the checker ran, for which no mutant was tried."""
    paths = {path for _, path, _ in tried} | set(tree.under(SOURCE + "sync", ".h"))
    places = [(path, line) for _, path, line in tried]
    return [
        (path, line, name)
        for path, line, name in ordered(tree, sorted(paths - {ATOMIC}))
        if not any(path == p and abs(line - n) <= REACH for p, n in places)
    ]


def run_orders(tree, program):
    """Prints every mutant and the ratio; True when enough are killed."""
    if not os.path.exists(program):
        print("mutate: build/emp_model is missing: run make build")
        return False
    result = subprocess.run([program, "--mutants"], capture_output=True, text=True, check=False)
    tried = verdicts(result.stdout)
    for line in result.stdout.splitlines():
        if LINE.match(line):
            print(line)
    print(result.stderr, end="")
    missing = unreached(tree, tried)
    for path, line, name in missing:
        print(f"survived {path}:{line}: no program reaches {name}")
    killed = sum(is_killed for is_killed, _, _ in tried)
    survived = len(tried) - killed + len(missing)
    percent = 100 * killed // (killed + survived) if tried else 0
    print(f"mutate: orders: {killed} killed, {survived} survived, {percent} % (at least {LEAST} %)", flush=True)
    return percent >= LEAST
