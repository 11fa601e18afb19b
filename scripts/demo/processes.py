"""Child processes that never outlive the demo, and their memory as the kernel counts it."""

import ctypes
import os
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_running = []


def _end_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command, **options):
    """Starts a command in a session of its own (Ctrl-C reaches only the demo, which ends its children)."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_end_with_parent, **options
    )
    _running.append(process)
    return process


def stop(process):
    """Ends a process by its id: politely, after two seconds for good."""
    if process in _running:
        _running.remove(process)
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def stop_all():
    for process in list(_running):
        stop(process)


def memory_bytes(pid, field):
    """A field of /proc/<pid>/status such as VmRSS or VmHWM (the peak), in bytes; 0 when the process is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def run_measured(command, environment, folder):
    """Runs a command to its end. Returns (output, seconds, peak resident bytes, exit code)."""
    output_path = os.path.join(folder, "output")
    peak = 0
    with open(output_path, "w+b") as output:
        begin = time.monotonic()
        process = start(command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
        while process.poll() is None:
            # The kernel keeps the peak; only what grows in the last three milliseconds is missed.
            peak = max(peak, memory_bytes(process.pid, "VmHWM"))
            time.sleep(0.003)
        seconds = time.monotonic() - begin
        stop(process)
        output.seek(0)
        return output.read(), seconds, peak, process.returncode
