"""Our echo server: every object from pools beside every object from malloc, one source, one load generator."""

import json
import os
import re
import shutil
import statistics
import subprocess
import time

from . import processes

CONNECTIONS = 32
ROUND_SECONDS = 0.8
LEAST_ROUNDS = 3  # also when time is short
OPEN_SHARE = 0.4  # of the slower build's rate: what the open loop asks for
IDLE_CONNECTIONS = 10_000
# Stacks that slept a second are parked, and memory that was idle for a second goes back: twice that and some.
SETTLE_SECONDS = 3.5
COUNTED_REQUESTS = 2000
FEW, MANY = 200, 800  # requests under callgrind; the difference leaves start and end out
READY_SECONDS = 20.0


class Server:
    """One running server."""

    def __init__(self, build, preload=None, valgrind=None):
        command = [os.path.join(build.folder, build.program), "--port=0", "--idle-timeout=300"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("LD_", "ECHOMEM_", "MALLOC_"))}
        if preload:
            environment["LD_PRELOAD"] = preload
        if valgrind:
            # Under valgrind the library would check every operation on the slow path.
            environment["ECHOMEM_VALGRIND"] = "off"
            command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={valgrind}", *command]
        self.build = build
        self.process = processes.start(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        found = re.search(r":(\d+)", self.process.stdout.readline())
        if not found:
            raise RuntimeError(f"{build.program} does not start")
        self.port = int(found.group(1))

    def load(self, *options):
        """Runs the load generator to its end. Returns its figures."""
        command = [os.path.join(self.build.folder, "load_generator"), f"--port={self.port}", "--json", "--quiet"]
        process = processes.start([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        output = process.communicate()[0]
        processes.stop(process)
        if process.returncode != 0:
            raise RuntimeError(f"{self.build.program} did not answer every request: {output.strip()}")
        return json.loads(output)

    def mallocs(self):
        """Calls to malloc so far, as the preloaded counter has them."""
        command = ["python3", "-c", _ASK, str(self.port)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
        return json.loads(answer)["mallocs"]

    def resident(self):
        return processes.memory_bytes(self.process.pid, "VmRSS") + processes.memory_bytes(self.process.pid, "VmPTE")

    def stop(self):
        """Ends it by SIGTERM and expects that it says that nothing was left behind."""
        self.process.terminate()
        code = self.process.wait(READY_SECONDS)
        processes.stop(self.process)
        if code != 0:
            raise RuntimeError(f"{self.build.program} ended with {code}")


_ASK = """
import sys, urllib.request
print(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/stats", timeout=10).read().decode())
"""


class Build:
    """A row of the table."""

    def __init__(self, label, folder, program):
        self.label, self.folder, self.program = label, folder, program
        self.rates, self.latencies = [], []
        self.idle_bytes = self.peak = self.after = 0
        self.mallocs = self.instructions = None
        self.noise = 0.0  # instructions of one run that another does not have, as a share

    def latency_us(self, name):
        return statistics.median(figures[name] for figures in self.latencies) / 1000


def builds(folder):
    return [Build("pools", folder, "echo_server"), Build("malloc", folder, "echo_server_malloc")]


def missing(folder):
    """What is not built, as one line; None when all is there."""
    if not os.path.exists(os.path.join(folder, "echo_server")):
        return "the echo server is not built, so left out: install the package libuv1-dev (scripts/setup run does)"
    return None


def drive(rows, rounds, step, is_over):
    """Closed loop for the rate, then an open loop that asks both for the same rate, rounds interleaved."""
    servers = [Server(row) for row in rows]
    load = [f"--connections={CONNECTIONS}", f"--seconds={ROUND_SECONDS}"]
    for number in range(rounds):
        for server in servers if number % 2 == 0 else reversed(servers):
            step(f"echo server: as fast as it goes, round {number + 1} of {rounds}, {server.build.label}")
            server.build.rates.append(server.load(*load)["rate"])
        if number + 1 >= LEAST_ROUNDS and is_over():
            break
    rate = OPEN_SHARE * min(statistics.median(row.rates) for row in rows)
    for number in range(rounds):
        for server in servers if number % 2 == 0 else reversed(servers):
            step(f"echo server: {rate:.0f} requests a second, round {number + 1} of {rounds}, {server.build.label}")
            server.build.latencies.append(server.load(*load, f"--rate={rate:.0f}"))
        if number + 1 >= LEAST_ROUNDS and is_over():
            break
    for server in servers:
        server.stop()
    return rate


def stand_idle(rows, step):
    """Opens the idle connections to both servers, reads their memory, closes them, reads it again."""
    servers = [Server(row) for row in rows]
    bare = [server.resident() for server in servers]
    holders = []
    for server in servers:
        step(f"echo server: {IDLE_CONNECTIONS} connections, {server.build.label}")
        command = [os.path.join(server.build.folder, "load_generator"), f"--port={server.port}", "--quiet"]
        command += [f"--idle={IDLE_CONNECTIONS}", "--hold=600"]
        holder = processes.start(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if holder.stdout.readline().split() != ["idle", str(IDLE_CONNECTIONS)]:
            raise RuntimeError(f"not every one of {IDLE_CONNECTIONS} connections could be opened (see ulimit -n)")
        holders.append(holder)
    step("echo server: the connections stand idle")
    time.sleep(SETTLE_SECONDS)
    for server, before in zip(servers, bare):
        server.build.idle_bytes = (server.resident() - before) / IDLE_CONNECTIONS
    for holder in holders:
        processes.stop(holder)
    step("echo server: the connections are closed")
    time.sleep(SETTLE_SECONDS)
    for server in servers:
        server.build.peak = processes.memory_bytes(server.process.pid, "VmHWM")
        server.build.after = processes.memory_bytes(server.process.pid, "VmRSS")
        server.stop()


def count_mallocs(rows, step):
    """Calls to malloc for a request, with a counter preloaded, after as many requests to warm up."""
    for row in rows:
        step(f"echo server: counting calls to malloc, {row.label}")
        server = Server(row, preload=os.path.join(row.folder, "libmalloc_counter.so"))
        load = [f"--connections={CONNECTIONS}", "--seconds=30", f"--requests={COUNTED_REQUESTS}"]
        server.load(*load)
        server.load(*load)
        before = server.mallocs()
        # The question itself opens a connection; asked twice, its share is known.
        between = server.mallocs()
        figures = server.load(*load)
        row.mallocs = max(0, server.mallocs() - between - (between - before)) / figures["answered"]
        server.stop()


def _instructions(row, requests, folder):
    out = os.path.join(folder, f"{row.program}.{requests}")
    server = Server(row, valgrind=out)
    server.load("--connections=1", "--seconds=60", f"--requests={requests}")
    server.stop()
    with open(out, encoding="ascii", errors="replace") as lines:
        found = re.search(r"^(?:summary|totals): (\d+)", lines.read(), re.MULTILINE)
    if not found:
        raise RuntimeError("valgrind wrote no total")
    return int(found.group(1))


def count_instructions(rows, folder, step):
    """Instructions in user space for a request; twice for the first build: what differs between the two is noise."""
    if not shutil.which("valgrind"):
        return
    for row in rows:
        counts = []
        for number in range(2 if row is rows[0] else 1):
            step(f"echo server: counting instructions, {row.label}, run {number + 1}")
            few, many = (_instructions(row, requests, folder) for requests in (FEW, MANY))
            counts.append((many - few) / (MANY - FEW))
        row.instructions = statistics.mean(counts)
        row.noise = abs(counts[0] - counts[-1]) / row.instructions
