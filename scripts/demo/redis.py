"""Debian's redis-server, unmodified: started on a unix socket, driven, filled, emptied, left idle, measured."""

import os
import random
import re
import socket
import subprocess
import time

from . import processes

KEYS = 300_000
BATCH = 1000
DELETED = 0.9
IDLE_SECONDS = 3.0
REQUESTS = 200_000
CLIENTS = 32
PIPELINE = 16
VALUE_BYTES = 256
SEED = 20


class Server:
    """One redis-server with one allocator."""

    def __init__(self, allocator, folder, number):
        self.allocator = allocator
        self.socket_path = os.path.join(folder, f"{number}.sock")
        self.log_path = os.path.join(folder, f"{number}.log")
        self.rates = {"SET": [], "GET": []}
        self.filled = self.peak = self.thinned = self.emptied = self.truth = 0
        self.ready_at = 0.0  # when the idle time is over
        command = ["redis-server", "--port", "0", "--unixsocket", self.socket_path, "--save", "", "--appendonly", "no"]
        command += ["--daemonize", "no", "--dir", folder, "--logfile", self.log_path]
        self.process = processes.start(
            command, env=allocator.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.connection = self._connect()

    def _connect(self):
        for _ in range(100):
            if self.process.poll() is not None:
                break
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(self.socket_path)
                connection.settimeout(30)
                return connection.makefile("rwb")
            except OSError:
                connection.close()
                time.sleep(0.05)
        raise RuntimeError(f"redis-server does not answer with {self.allocator.label}: {last_line(self.log_path)}")

    def ask(self, *commands):
        """Sends commands in one go and returns their replies, as bytes or numbers."""
        for command in commands:
            parts = [p if isinstance(p, bytes) else str(p).encode() for p in command]
            self.connection.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        self.connection.flush()
        return [self._reply() for _ in commands]

    def _reply(self):
        line = self.connection.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.connection.read(size + 2)[:-2]
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest
        raise RuntimeError(f"redis-server with {self.allocator.label} answered {line.decode(errors='replace')!r}")

    def stop(self):
        processes.stop(self.process)


def last_line(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            return (lines.read().strip().splitlines() or ["no message"])[-1]
    except OSError:
        return "no message"


def benchmark(server):
    """One round of redis-benchmark: requests per second of SET and GET."""
    command = ["redis-benchmark", "-s", server.socket_path, "-t", "set,get", "-n", REQUESTS, "-c", CLIENTS]
    command += ["-P", PIPELINE, "-d", VALUE_BYTES, "-r", 100_000, "--csv"]
    process = processes.start([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    output = process.communicate()[0].decode()
    processes.stop(process)
    rates = dict(re.findall(r'^"(SET|GET)","([\d.]+)"', output, re.MULTILINE))
    if set(rates) != {"SET", "GET"}:
        raise RuntimeError(f"redis-benchmark gave no figures with {server.allocator.label}")
    for name, rate in rates.items():
        server.rates[name].append(float(rate))


def value_of(key):
    """The value of a key, the same on every run: most are small, one in twenty has some KiB."""
    chance = random.Random(SEED * KEYS + key)
    shape = chance.random()
    size = chance.randint(16, 128) if shape < 0.7 else chance.randint(129, 1024)
    if shape >= 0.95:
        size = chance.randint(1025, 4096)
    return bytes([65 + key % 26]) * size


def fill(server, values):
    server.ask(["FLUSHALL"])
    for first in range(0, KEYS, BATCH):
        server.ask(*(["SET", f"key:{key}", values[key]] for key in range(first, min(first + BATCH, KEYS))))
    server.filled = processes.memory_bytes(server.process.pid, "VmRSS")


def thin_out(server, doomed):
    """Deletes nine keys in ten, in random order."""
    for first in range(0, len(doomed), BATCH):
        server.ask(["DEL", *(f"key:{key}" for key in doomed[first : first + BATCH])])
    server.ready_at = time.monotonic() + IDLE_SECONDS


def resident_after_idle(server):
    time.sleep(max(0.0, server.ready_at - time.monotonic()))
    return processes.memory_bytes(server.process.pid, "VmRSS")


def compare(server, values, survivors):
    """Reads the memory after the idle time, proves that what is left is intact, and that INFO speaks of this malloc."""
    server.thinned = resident_after_idle(server)
    if server.ask(["DBSIZE"])[0] != len(survivors):
        raise RuntimeError(f"redis-server with {server.allocator.label} lost keys")
    for first in range(0, len(survivors), BATCH):
        keys = survivors[first : first + BATCH]
        if server.ask(*(["GET", f"key:{key}"] for key in keys)) != [values[key] for key in keys]:
            raise RuntimeError(f"redis-server with {server.allocator.label} returned a wrong value")
    numbers = dict(re.findall(rb"^(\w+):(\d+)\r?$", server.ask(["INFO", "memory"])[0], re.MULTILINE))
    server.truth = int(numbers[b"allocator_allocated"]) / int(numbers[b"used_memory"])


def empty(server):
    server.ask(["FLUSHALL"])
    server.ready_at = time.monotonic() + IDLE_SECONDS


def finish(server):
    server.emptied = resident_after_idle(server)
    server.peak = max(server.filled, processes.memory_bytes(server.process.pid, "VmHWM"))
    server.stop()
