"""Other real programs under each allocator: their output must equal, byte for byte, the output under glibc."""

import os
import statistics

from . import processes

HERE = os.path.dirname(os.path.abspath(__file__))


class Program:
    """A program, the command that runs it, and a short command that only starts it."""

    def __init__(self, name, command, short, **environment):
        self.name, self.command, self.short, self.environment = name, command, short, environment
        self.seconds, self.peaks, self.same, self.reference = {}, {}, {}, None

    def run(self, allocator, folder):
        """One run; the first of all must be glibc's, whose output is the reference."""
        output, seconds, peak, code = processes.run_measured(
            self.command, allocator.environment(**self.environment), folder
        )
        if self.reference is None:
            if code != 0:
                tail = output.decode(errors="replace")[-200:]
                raise RuntimeError(f"{self.name} fails under {allocator.label}: {tail}")
            self.reference = output
        label = allocator.label
        self.seconds.setdefault(label, []).append(seconds)
        self.peaks.setdefault(label, []).append(peak)
        self.same[label] = self.same.get(label, True) and code == 0 and output == self.reference

    def row(self, label):
        """(median seconds, median peak bytes, whether every output was the same)."""
        return statistics.median(self.seconds[label]), statistics.median(self.peaks[label]), self.same[label]


def all_programs():
    python = "/usr/bin/python3"
    sql = os.path.join(HERE, "workload.sql")
    return [
        Program(
            "python3 (PYTHONMALLOC=malloc, asyncio and threads)",
            [python, os.path.join(HERE, "workload.py")],
            [python, "-c", "pass"],
            PYTHONMALLOC="malloc",
            PYTHONHASHSEED="0",
        ),
        Program(
            "sqlite3 (builds and queries a database)",
            ["sqlite3", "-init", sql, ":memory:", ".exit"],
            ["sqlite3", "--version"],
        ),
    ]
