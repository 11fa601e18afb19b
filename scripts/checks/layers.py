"""Layers: the include graph and the symbol tables agree with scripts/layers.conf (rules L0 to L12)."""

import configparser
import glob
import os
import re
import subprocess

from .source import Finding, code_of, includes_of, line_of

SOURCE = "runtime/src/"
CONF = "scripts/layers.conf"
PLATFORM_FOLDERS = ("linux", "x86_64", "aarch64")
PLATFORM_MACRO = re.compile(
    r"\b(__linux__|__linux|_WIN32|__APPLE__|__x86_64__|__aarch64__|__amd64__|__arm__|__AVX2__|__ARM_NEON)\b"
)
PLATFORM_FILES = (SOURCE + "base/compiler.h", SOURCE + "base/export.h")
# Rooms that stand outside the library, as its users do.
OUTSIDE = ("tool", "adapter")
PUBLIC_SYSTEM = {"stddef.h", "stdint.h", "stdbool.h", "stdalign.h", "string.h"}
# Test folders that look at the library from outside, and those that may look into every room.
PUBLIC_ONLY = ("facade", "dropin", "soak", "server")
ALL_ROOMS = ("misuse", "fault", "race", "model", "support")


class Room:
    def __init__(self, name, row, common):
        self.name = name
        self.rank = int(row["rank"])
        self.rooms = row["rooms"].split()
        self.platform = row["system"].split() == ["*"]
        self.system = set(row["system"].split()) | set(common["system"].split())
        self.libc = set(row["libc"].split()) | set(common["libc"].split())
        self.inline = set(row.get("inline", "").split())


def read_rooms(tree):
    parser = configparser.ConfigParser()
    parser.optionxform = str
    parser.read_string(tree.text(CONF))
    return {n: Room(n, parser[n], parser["common"]) for n in parser.sections() if n != "common"}


def public_headers(tree):
    """The headers that are installed, by their include path."""
    parser = configparser.ConfigParser()
    parser.read_string(tree.text(CONF))
    names = ((section, name) for section in parser.sections() for name in parser[section].get("public", "").split())
    return {f"{section}/{name}" for section, name in names}


def room_of(path):
    """The room of a source path, or None."""
    parts = path.split("/")
    return parts[2] if path.startswith(SOURCE) and len(parts) > 3 else None


def check_rows(rooms):
    for room in rooms.values():
        for other in room.rooms:
            if other not in rooms:
                yield Finding(CONF, 1, "L0", f"{room.name} lists the unknown room {other}")
            elif rooms[other].rank >= room.rank:
                yield Finding(CONF, 1, "L0", f"{room.name} (rank {room.rank}) may not list {other}, which is not lower")


def check_place(tree, rooms):
    for path in tree.under(SOURCE):
        room = room_of(path)
        if room not in rooms:
            yield Finding(path, 1, "L1", "belongs to no room of scripts/layers.conf")
            continue
        folders = path.split("/")[3:-1]
        if folders and (not rooms[room].platform or len(folders) > 1 or folders[0] not in PLATFORM_FOLDERS):
            yield Finding(path, 1, "L1", f"folders inside a room are platform folders of os and thread, not {folders}")


def check_quoted(tree, rooms, path, public):
    """L2, L4, L5, L9 for one file of a room."""
    room = room_of(path)
    for line, target, quoted in includes_of(tree.text(path)):
        if not quoted:
            continue
        full = SOURCE + target
        if ".." in target.split("/") or "/" not in target or not tree.has(full):
            yield Finding(path, line, "L5", f'"{target}" is not a path from runtime/src to an existing file')
            continue
        if not target.endswith((".h", ".def")):
            yield Finding(path, line, "L9", f'"{target}" is no header')
        other = target.split("/")[0]
        if other == room:
            continue
        if other not in rooms[room].rooms:
            yield Finding(path, line, "L2", f"room {room} may not include room {other}")
        if target.endswith("_internal.h"):
            yield Finding(path, line, "L4", f'"{target}" is internal to room {other}')
        if room in OUTSIDE and target not in public:
            yield Finding(path, line, "L2", f'room {room} sees public headers only, not "{target}"')


def check_angle(tree, rooms, path, room):
    """L6: system headers come from the row; a room with `*` uses them freely."""
    for line, target, quoted in includes_of(tree.text(path)):
        if not quoted and not rooms[room].platform and target not in rooms[room].system:
            yield Finding(path, line, "L6", f"room {room} may not include <{target}>")


def check_public(tree, path, public):
    """L7: a public header includes only public headers and a few C standard headers."""
    for line, target, quoted in includes_of(tree.text(path)):
        if quoted and target not in public:
            yield Finding(path, line, "L7", f'a public header may not include "{target}"')
        if not quoted and target not in PUBLIC_SYSTEM:
            yield Finding(path, line, "L7", f"a public header may not include <{target}>")


def check_own_first(tree, path):
    """L8: x.c includes x.h first, if there is one."""
    own = path[len(SOURCE) : -2] + ".h"
    parts = own.split("/")
    if len(parts) == 3:
        own = parts[0] + "/" + parts[2]
    if not tree.has(SOURCE + own):
        return
    included = includes_of(tree.text(path))
    if not included or included[0][1] != own:
        yield Finding(path, included[0][0] if included else 1, "L8", f'"{own}" must be the first include')


def check_guard(tree, path):
    """L9: the guard is EMP_<PATH>_H."""
    want = "EMP_" + re.sub(r"[/.\-]", "_", path[len(SOURCE) :]).upper()
    code = code_of(tree.text(path))
    match = re.search(r"^[ \t]*#[ \t]*ifndef[ \t]+(\w+)\s*\n[ \t]*#[ \t]*define[ \t]+(\w+)", code, re.MULTILINE)
    if not match or match.group(1) != want or match.group(2) != want:
        yield Finding(path, 1, "L9", f"include guard must be {want}")


def check_platform(tree, path, room):
    """L11: only base/compiler.h, its public counterpart, the adapters and the SIMD files ask for a platform."""
    name = path.rsplit("/", 1)[1]
    if room in ("os", "thread") or path in PLATFORM_FILES or re.search(r"_(avx2|neon)\.c$", name):
        return
    code = code_of(tree.text(path))
    for match in PLATFORM_MACRO.finditer(code):
        line = line_of(code, match.start())
        yield Finding(path, line, "L11", f"{match.group()} belongs in base/compiler.h, os or thread")


def check_cycles(tree):
    """L3: no include cycle between files."""
    graph = {}
    for path in tree.under(SOURCE, ".h", ".c", ".def"):
        graph[path] = [SOURCE + t for _, t, quoted in includes_of(tree.text(path)) if quoted]
    state = {}

    def visit(path, trail):
        state[path] = 1
        for target in graph.get(path, []):
            if state.get(target) == 1:
                loop = " -> ".join(trail[trail.index(target) :] + [target])
                yield Finding(path, 1, "L3", f"include cycle {loop}")
            elif target not in state:
                yield from visit(target, trail + [target])
        state[path] = 2

    for path in graph:
        if path not in state:
            yield from visit(path, [path])


def allowed_in_tests(folder, rooms):
    """Which rooms a test folder may include (L12)."""
    if folder in ALL_ROOMS:
        return set(rooms)
    if folder in rooms:
        return {folder} | set(rooms[folder].rooms)
    return {"core"}


def check_users(tree, rooms):
    """L12: everybody sees the public headers; tests also their room and what it sees; micro benches and
    the protocols of the model checker every room, its engine sync only."""
    headers = public_headers(tree)
    for path in tree.under("", ".c", ".h", ".cc"):
        parts = path.split("/")
        if path.startswith("runtime/tests/") and len(parts) > 3:
            allowed, public = allowed_in_tests(parts[2], rooms), parts[2] in PUBLIC_ONLY
        elif path.startswith("runtime/model/"):
            allowed, public = set(rooms) if "/protocol/" in path else {"sync"}, False
        elif path.startswith("runtime/bench/micro/"):
            allowed, public = set(rooms), False
        elif path.startswith(("runtime/bench/", "runtime/fuzz/", "examples/")):
            allowed, public = {"core"}, True
        else:
            continue
        for line, target, quoted in includes_of(tree.text(path)):
            room = target.split("/")[0]
            if not quoted or room not in rooms or not tree.has(SOURCE + target):
                continue
            if target not in headers and (public or room not in allowed):
                yield Finding(path, line, "L12", f'"{target}" is out of reach from here')


def nm(paths, *options):
    listed = subprocess.run(["nm", *options, *paths], capture_output=True, text=True, check=True).stdout
    return [line.split()[-1] for line in listed.splitlines() if line and not line.endswith(":") and line.split()]


def room_objects(tree, room):
    folder = os.path.join(tree.build_dir, "CMakeFiles", f"echomem_{room}.dir")
    return glob.glob(os.path.join(folder, "**", "*.o"), recursive=True)


def check_symbols(tree, rooms):
    """L10: an undefined symbol of a room is defined in a room of its row or stands in its libc list."""
    objects = {name: room_objects(tree, name) for name in rooms}
    defined = {n: set(nm(o, "--defined-only", "-g")) if o else set() for n, o in objects.items()}
    for name, room in rooms.items():
        where = SOURCE + name
        for symbol in sorted(defined[name]):
            if not symbol.startswith("emp_") and name != "preload" and symbol != "main":
                yield Finding(where, 1, "L10", f"external symbol {symbol} does not start with emp_")
        if not objects[name] or name == "tool":
            continue
        lower = [rooms[r] for r in room.rooms]
        reachable = set().union(defined[name], *(defined[r.name] for r in lower), *(r.inline for r in lower))
        for symbol in sorted(set(nm(objects[name], "-u"))):
            if symbol in reachable or symbol in room.libc:
                continue
            owner = [n for n in rooms if symbol in defined[n]]
            if owner:
                yield Finding(where, 1, "L10", f"uses {symbol} of room {owner[0]} behind the includes' back")
            elif not room.platform and not symbol.startswith("emp_"):
                yield Finding(where, 1, "L10", f"calls {symbol}, which is not in its libc list")


def run(tree):
    rooms, public = read_rooms(tree), public_headers(tree)
    found = list(check_rows(rooms)) + list(check_place(tree, rooms))
    for path in tree.under(SOURCE, ".c", ".h", ".def"):
        room = room_of(path)
        if room not in rooms:
            continue
        found += check_quoted(tree, rooms, path, public)
        found += check_angle(tree, rooms, path, room)
        found += check_platform(tree, path, room)
        if path.endswith(".c"):
            found += check_own_first(tree, path)
        if path.endswith(".h"):
            found += check_guard(tree, path)
        if path[len(SOURCE) :] in public:
            found += check_public(tree, path, public)
    missing = [p for p in sorted(public) if not tree.has(SOURCE + p)]
    found += [Finding(CONF, 1, "L7", f"the public header {p} does not exist") for p in missing]
    return found + list(check_cycles(tree)) + list(check_users(tree, rooms)) + list(check_symbols(tree, rooms))
