"""Tidy: clang-tidy over runtime/src; an answer is kept in <build>/tidy until the file or a header changes."""

import concurrent.futures
import hashlib
import json
import os
import re
import subprocess

from .source import Finding, includes_of

SOURCE = "runtime/src/"
LINE = re.compile(r"^(.*?):(\d+):\d+: (?:error|warning): (.*?)(?:,-warnings-as-errors\])?$")


def commands(tree):
    """{path: compile command} of the sources under runtime/src."""
    database = os.path.join(tree.build_dir, "compile_commands.json")
    if not os.path.exists(database):
        return {}
    with open(database, encoding="utf-8") as f:
        entries = json.load(f)
    found = {}
    for entry in entries:
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), tree.root)
        # The model checker compiles some of them once more, with headers of its own.
        if path.startswith(SOURCE) and tree.has(path) and "runtime/model/replace" not in entry["command"]:
            found[path] = entry["command"]
    return found


def closure(tree, path):
    """The file and every header of ours that it reaches."""
    seen, todo = {path}, [path]
    while todo:
        for _, target, quoted in includes_of(tree.text(todo.pop())):
            full = SOURCE + target
            if quoted and full not in seen and tree.has(full):
                seen.add(full)
                todo.append(full)
    return sorted(seen)


def fingerprint(tree, path, command):
    with open(__file__, "rb") as this:
        digest = hashlib.sha256(this.read() + command.encode() + tree.text(".clang-tidy").encode())
    for each in closure(tree, path):
        digest.update(tree.text(each).encode())
    return digest.hexdigest()


def ask(tree, path, command):
    """The findings of one file as [[path, line, text]], from the cache if nothing changed."""
    cache = os.path.join(tree.build_dir, "tidy", fingerprint(tree, path, command))
    if os.path.exists(cache):
        with open(cache, encoding="utf-8") as f:
            return json.load(f)
    full = ["clang-tidy", "--quiet", "-p", tree.build_dir, os.path.join(tree.root, path)]
    result = subprocess.run(full, cwd=tree.root, capture_output=True, text=True, check=False)
    matches = [match for match in map(LINE.match, result.stdout.splitlines()) if match]
    found = [[os.path.relpath(m.group(1), tree.root), int(m.group(2)), m.group(3)] for m in matches]
    found = [f for f in found if not f[0].startswith("..")]  # a system header is not ours to mend
    if result.returncode and not matches:
        found.append([path, 1, "clang-tidy failed: " + (result.stderr.strip() or result.stdout.strip())[-300:]])
    os.makedirs(os.path.dirname(cache), exist_ok=True)
    with open(cache, "w", encoding="utf-8") as f:
        json.dump(found, f)
    return found


def run(tree):
    jobs = sorted(commands(tree).items())
    if not jobs:
        return [Finding(".clang-tidy", 1, "Y1", "no compile_commands.json: build first")]
    seen, found = set(), []
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for answers in pool.map(lambda job: ask(tree, *job), jobs):
            for path, line, text in answers:
                if (path, line, text) not in seen:
                    seen.add((path, line, text))
                    found.append(Finding(path, line, "Y1", text))
    return found
