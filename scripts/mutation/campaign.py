"""A mutation campaign: a copy of the tree, one build, then per mutant a rebuild and the quick tests."""

import json
import os
import resource
import shutil
import signal
import subprocess
import time

QUICK_SECONDS = 4.0
DATA_LIMIT = 6 << 30
CONFIGURE = [
    "-DECHOMEM_WERROR=OFF", "-DECHOMEM_BENCH=OFF", "-DECHOMEM_TOOL=OFF", "-DECHOMEM_MODEL=OFF", "-DCMAKE_C_FLAGS=-O1",
]


class Test:
    """One ctest: how to run it, its label (the room), and how long it took unmutated."""

    def __init__(self, entry):
        properties = {p["name"]: p["value"] for p in entry.get("properties", [])}
        self.name = entry["name"]
        self.command = entry["command"]
        self.folder = properties.get("WORKING_DIRECTORY", ".")
        self.labels = properties.get("LABELS", [])
        self.environment = dict(e.split("=", 1) for e in properties.get("ENVIRONMENT", []))
        self.seconds = None

    def passes(self, limit):
        """Runs it in a process group of its own, which is ended whole when the limit is over."""
        with subprocess.Popen(
            self.command, cwd=self.folder, env={**os.environ, **self.environment}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=limit_memory,
        ) as process:
            try:
                return process.wait(timeout=limit) == 0
            except subprocess.TimeoutExpired:
                return False
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass


def limit_memory():
    """A mutant may allocate without end: bound what it can touch (reserved address space does not count)."""
    resource.setrlimit(resource.RLIMIT_DATA, (DATA_LIMIT, DATA_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Campaign:
    def __init__(self, tree, folder, jobs):
        self.tree, self.jobs = tree, jobs
        self.copy, self.build = os.path.join(folder, "tree"), os.path.join(folder, "build")
        self._copy_tree()
        self._build_all()
        self.tests = self._quick_tests()

    def _copy_tree(self):
        """Files that changed since the last campaign are copied, so that the build stays incremental."""
        kept = set(self.tree.paths)
        for path in self.tree.paths:
            source, target = os.path.join(self.tree.root, path), os.path.join(self.copy, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if not os.path.exists(target) or open(source, "rb").read() != open(target, "rb").read():
                shutil.copy2(source, target)
                os.utime(target)
        for folder, _, names in os.walk(self.copy):
            for name in names:
                full = os.path.join(folder, name)
                if os.path.relpath(full, self.copy) not in kept:
                    os.remove(full)

    def _build_all(self):
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        if not os.path.exists(os.path.join(self.build, "CMakeCache.txt")):
            subprocess.run(["cmake", "-S", self.copy, "-B", self.build, *generator, *CONFIGURE], check=True,
                           stdout=subprocess.DEVNULL)
        print("mutate: building the unmutated tree", flush=True)
        if not self.compiles():
            raise SystemExit("mutate: the unmutated tree does not build")

    def compiles(self):
        command = ["cmake", "--build", self.build, "--parallel", str(self.jobs)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _quick_tests(self):
        command = ["ctest", "--show-only=json-v1"]
        listed = subprocess.run(command, cwd=self.build, capture_output=True, text=True, check=True)
        tests = []
        for entry in json.loads(listed.stdout)["tests"]:
            test = Test(entry)
            start = time.monotonic()
            if test.passes(QUICK_SECONDS):
                test.seconds = time.monotonic() - start
                tests.append(test)
        print(f"mutate: {len(tests)} tests pass in under {QUICK_SECONDS:.0f} s each and are used", flush=True)
        return tests

    def order_for(self, mutant):
        """The tests of the mutated room first, then the others, quick ones first."""
        room = mutant.path.split("/")[2]
        return sorted(self.tests, key=lambda t: (room not in t.labels, t.seconds))

    def verdict(self, mutant):
        target = os.path.join(self.copy, mutant.path)
        text = self.tree.text(mutant.path)
        try:
            with open(target, "w", encoding="utf-8") as out:
                out.write(mutant.applied(text))
            if not self.compiles():
                return "invalid"
            for test in self.order_for(mutant):
                if not test.passes(5 + 5 * test.seconds):
                    return "killed by " + test.name
            return "survived"
        finally:
            with open(target, "w", encoding="utf-8") as out:
                out.write(text)

    def run(self, mutants, budget):
        """(number killed, survivors), in the order given, until the budget is used up."""
        killed, survived, start = 0, [], time.monotonic()
        for number, mutant in enumerate(mutants, 1):
            if time.monotonic() - start > budget:
                print(f"mutate: the budget of {budget:.0f} s ended after {number - 1} of {len(mutants)} mutants")
                break
            verdict = self.verdict(mutant)
            print(f"[{number}/{len(mutants)}] {mutant}: {verdict}", flush=True)
            if verdict == "survived":
                survived.append(mutant)
            elif verdict != "invalid":
                killed += 1
        return killed, survived
