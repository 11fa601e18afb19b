"""The allocators of the demo: where each is, how a program gets it, and the proof that the program did."""

import glob
import os
import platform
import re
import subprocess

BINDING = re.compile(r"binding file \S+ \[\d+\] to (\S+) \[\d+\]: normal symbol `malloc'")
LIBRARY_FOLDERS = ("/usr/lib/{0}-linux-gnu", "/lib/{0}-linux-gnu", "/usr/lib64", "/lib64", "/usr/lib", "/lib")
# name, file pattern, Debian package
PEERS = (
    ("jemalloc", "libjemalloc.so.2", "libjemalloc2"),
    ("mimalloc", "libmimalloc.so.2*", "libmimalloc2.0"),
    ("tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"),
)


class Allocator:
    """A row of the tables: label, and the library to preload (None: as the program comes)."""

    def __init__(self, label, preload):
        self.label, self.preload = label, preload
        self.bound = {}  # program -> file name of the library that malloc binds to

    def environment(self, **extra):
        """The environment of a program that runs with this allocator."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LD_", "ECHOMEM_", "MALLOC_", "MIMALLOC_"))}
        if self.preload:
            kept["LD_PRELOAD"] = self.preload
        kept.update(extra)
        return kept


def find_library(pattern):
    for folder in LIBRARY_FOLDERS:
        found = sorted(glob.glob(os.path.join(folder.format(platform.machine()), pattern)))
        if found:
            return found[0]
    return None


def extra_peers():
    """{name: path} from ECHOMEM_BENCH_PEERS="name=path,...", as the bench reads it."""
    pairs = (item.partition("=") for item in os.environ.get("ECHOMEM_BENCH_PEERS", "").split(",") if item)
    return {name: os.path.abspath(path) for name, _, path in pairs}


def find_peers():
    """({name: path}, [package that is missing])."""
    found, missing = extra_peers(), []
    for name, pattern, package in PEERS:
        path = find_library(pattern)
        if path:
            found[name] = path
        else:
            missing.append(package)
    return found, missing


def for_redis(ours, peers, libc):
    """Debian's redis-server asks for libjemalloc, so glibc's row preloads glibc before it."""
    rows = [Allocator("jemalloc (as shipped)", None), Allocator("glibc", libc)]
    rows += [Allocator(name, path) for name, path in peers.items() if name != "jemalloc"]
    return rows + [Allocator("echomem", ours)]


def for_programs(ours, peers):
    """Programs that come with glibc's malloc."""
    rows = [Allocator("glibc", None)]
    rows += [Allocator(name, path) for name, path in peers.items()]
    return rows + [Allocator("echomem", ours)]


def malloc_owner(allocator, command, folder):
    """Runs a short command and asks the dynamic loader which library it bound malloc to."""
    output = os.path.join(folder, "bindings")
    environment = allocator.environment(LD_DEBUG="bindings", LD_DEBUG_OUTPUT=output, LD_BIND_NOW="1")
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    # A program that takes the address of malloc lends other objects its own entry for it, which leads to the owner.
    itself = {os.path.basename(command[0]), os.path.basename(os.path.realpath(command[0]))}
    owners = set()
    for path in glob.glob(output + ".*"):
        with open(path, encoding="utf-8", errors="replace") as lines:
            owners.update(os.path.basename(owner) for owner in BINDING.findall(lines.read()))
        os.unlink(path)
    return " and ".join(sorted(owners - itself)) or "unknown"


def expected_owner(allocator, shipped):
    """The library that must have bound: the preloaded one, or what the program is shipped with."""
    return os.path.basename(allocator.preload or shipped)
