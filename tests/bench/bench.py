# SPDX-License-Identifier: Apache-2.0
"""What benchmarks share: figures, and processes that never outlive them."""
import contextlib
import ctypes
import glob
import math
import os
import re
import signal
import socket
import statistics
import subprocess
import time

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
STOP_S = 10
libc = ctypes.CDLL(None, use_errno=True)


class BenchError(Exception):
    """A benchmark could not be run; the text says why."""


class Figure:
    """A result against its baseline: the target is a ratio, at least. Values and baselines are
    the rounds of both sides, in order."""

    def __init__(self, name, unit, values, baselines, target, larger_is_better=True):
        self.name, self.unit, self.target = name, unit, target
        self.value = statistics.median(values)
        self.baseline = statistics.median(baselines)
        # Neighbours in time are compared: what slows the machine down slows both.
        ratios = [v / b if larger_is_better else b / v for v, b in zip(values, baselines)]
        self.ratio = statistics.median(ratios)
        self.spread = max(ratios) - min(ratios)

    @property
    def met(self):
        return self.ratio >= self.target

    def __str__(self):
        return "%s %s %s baseline %s %s ratio %.3f target %.2f %s" % (
            self.name, number(self.value), self.unit, number(self.baseline), self.unit,
            self.ratio, self.target, "met" if self.met else "missed")

    def as_dict(self):
        return {"name": self.name, "value": self.value, "unit": self.unit,
                "baseline": self.baseline, "ratio": self.ratio, "spread": self.spread,
                "target": self.target, "met": self.met}


class Limit(Figure):
    """A result whose target is a value of its own unit, at most; the baseline says what the
    same machine does otherwise."""

    def __init__(self, name, unit, value, baseline, target):
        super().__init__(name, unit, [1], [1], target)
        self.value, self.baseline = value, baseline
        self.ratio = 1.0 if value == baseline else baseline / value if value else math.inf

    @property
    def met(self):
        return self.value <= self.target

    def as_dict(self):
        fields = super().as_dict()
        if math.isinf(self.ratio):
            fields["ratio"] = None
        return fields


def number(value):
    digits = 0 if value >= 1000 or value == int(value) else 2 if value >= 1 else 4
    return "%.*f" % (digits, value)


def cores():
    """(the core of what is measured, the core of everything else); the same if there is one."""
    available = sorted(os.sched_getaffinity(0))
    return available[0], available[-1]


def on_core(core):
    """For preexec_fn: pins the process (None: not), and ends it with its parent."""
    parent = os.getpid()

    def prepare():
        if core is not None:
            os.sched_setaffinity(0, {core})
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
    return prepare


@contextlib.contextmanager
def running(argv, core, log_path, mark=None):
    """A process; stopped at the end, with everything whose command line contains `mark`."""
    with open(log_path, "ab") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   preexec_fn=on_core(core))
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        if process.poll() is None:
            process.kill()
            process.wait()
        if mark:
            kill_marked(mark)


def kill_marked(mark):
    for _ in range(20):
        pids = [int(path.split("/")[2]) for path in glob.glob("/proc/[0-9]*/cmdline")
                if mark.encode() in read_bytes(path)]
        pids = [pid for pid in pids if pid != os.getpid()]
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def read_bytes(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def haproxy_version(haproxy):
    text = subprocess.run([haproxy, "-v"], stdout=subprocess.PIPE, universal_newlines=True,
                          check=True).stdout
    return tuple(int(part) for part in re.search(r"version (\d+)\.(\d+)", text).groups())


def cpu_s(pid):
    """User and system time of a process so far, in seconds."""
    fields = read_bytes("/proc/%d/stat" % pid).rsplit(b")", 1)
    if len(fields) < 2:
        raise BenchError("process %d has ended" % pid)
    user, system = fields[1].split()[11:13]
    return (int(user) + int(system)) * TICK_S


def free_port():
    """Below the ephemeral range, so that no outgoing connection takes it."""
    while True:
        free_port.next += 1
        with contextlib.suppress(OSError):
            socket.create_server(("", free_port.next)).close()
            return free_port.next


free_port.next = 25000 + os.getpid() % 5000


def rss_mib(pid):
    """Memory of a process that is in RAM."""
    found = re.search(rb"^VmRSS:\s+(\d+) kB", read_bytes("/proc/%d/status" % pid), re.M)
    if not found:
        raise BenchError("process %d has ended" % pid)
    return int(found[1]) / 1024


def wait_for(check, timeout_s, what, process, log_path, interval_s=0.05):
    end = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(OSError):
            if check():
                return
        if process.poll() is not None or time.monotonic() > end:
            why = "ended with status %s" % process.poll() if process.poll() is not None \
                else "is not ready after %d s" % timeout_s
            raise BenchError("%s %s; last lines of its log:\n%s" % (
                what, why, read_bytes(log_path)[-2000:].decode("utf-8", "replace")))
        time.sleep(interval_s)
