# SPDX-License-Identifier: Apache-2.0
"""A Tidegate of a test's own: the real programs, a manifest directory, a run directory."""
import fcntl
import glob
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import yaml

import clients
import manifests as m

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("TIDEGATE_BUILD") or os.path.join(TOP, "build")
HAPROXY = os.environ.get("HAPROXY") or shutil.which("haproxy", path=os.environ["PATH"] +
                                                    ":/usr/sbin:/usr/local/sbin") or "haproxy"
# Instrumented programs on a busy two-core machine are slow; nothing here measures speed.
PATIENCE_S = 20


def haproxy_version():
    text = subprocess.run([HAPROXY, "-v"], check=True, stdout=subprocess.PIPE,
                          universal_newlines=True).stdout
    return tuple(int(part) for part in re.search(r"version (\d+)\.(\d+)", text).groups())


class Ports:
    """Ports of this test run alone: a block, held by a lock, below the ephemeral range, so that
    neither another run nor an outgoing connection takes one before HAProxy does."""

    FIRST, BLOCK, BLOCKS = 20000, 400, 31

    def __init__(self):
        directory = os.path.join("/tmp", "tidegate-e2e-ports-%d" % os.getuid())
        os.makedirs(directory, exist_ok=True)
        for block in range(self.BLOCKS):
            self.lock = open(os.path.join(directory, str(block)), "w", encoding="ascii")
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            first = self.FIRST + block * self.BLOCK
            self.numbers = itertools.cycle(range(first, first + self.BLOCK))
            return
        raise RuntimeError("%d test runs at once?" % self.BLOCKS)

    def take(self):
        for port in itertools.islice(self.numbers, self.BLOCK):
            try:
                socket.create_server(("", port)).close()
                return port
            except OSError:
                pass
        raise RuntimeError("no free port is left")


PORTS = Ports()


def free_port():
    """A port nobody listens on now."""
    return PORTS.take()


def eventually(check, timeout=PATIENCE_S, interval=0.02, what="condition"):
    """Calls check() until it returns something true, and returns that. Failed assertions and
    broken connections count as "not yet"."""
    end = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = check()
            if value:
                return value
            last = value
        except (AssertionError, OSError, http.client.HTTPException, ValueError) as error:
            last = error
        if time.monotonic() > end:
            if isinstance(last, AssertionError):
                raise last
            raise AssertionError("%s did not come true in %g s; last: %r" % (what, timeout, last))
        time.sleep(interval)


def state_and_parent(pid):
    """("S", 1); ("X", 0) when it has gone."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as stat:
            state, parent = stat.read().rsplit(")", 1)[1].split()[:2]
            return state, int(parent)
    except OSError:
        return "X", 0


def is_stopped(pid):
    """Every thread: the one that takes the signal stops the others."""
    threads = os.listdir("/proc/%d/task" % pid)
    return all(state_and_parent(int(thread))[0] == "T" for thread in threads)


def alive(pid):
    """Whether a process runs (a zombie does not)."""
    return state_and_parent(pid)[0] not in "XZ"


def command_line(pid):
    """Each word with a 0 behind it; nothing when it has gone."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as cmdline:
            return cmdline.read()
    except OSError:
        return b""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=clients.TIMEOUT_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Tidegate:
    numbers = itertools.count(1)

    def __init__(self, base, *options, haproxy=HAPROXY, program=None, user=None):
        self.base = str(base)
        self.program = program or os.path.join(BUILD, "tidegate")
        self.user = {"user": user, "extra_groups": []} if user else {}
        self.dir = os.path.join(self.base, "manifests")
        # Sockets have short names, pytest's directories long ones.
        self.run_dir = "/tmp/tg-e2e-%d-%d" % (os.getpid(), next(self.numbers))
        self.options = list(options)
        self.haproxy = haproxy
        self.agent = os.path.join(BUILD, "tidegate-spoa")
        self.log_path = os.path.join(self.base, "tidegate.log")
        self.process = None
        self.marker = 0
        self.port = free_port()
        os.makedirs(self.dir)

    # ---- life ----

    def start(self, ready=True):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **self.user)
        log.close()
        if ready:
            self.wait_ready()
        return self

    def command(self):
        return [self.program, "run", "--run-dir", self.run_dir, "--haproxy", self.haproxy,
                "--agent", self.agent, *self.options, *self.source()]

    def source(self):
        """The arguments that say where the objects come from."""
        return [self.dir]

    def wait_ready(self):
        def check():
            assert self.process.poll() is None, "tidegate ended: %s\n%s" % (
                self.process.returncode, self.log())
            return self.control("/readyz").status == 200
        eventually(check, what="readiness")

    def stop(self):
        """An orderly stop; the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def kill_everything(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for _ in range(50):
            pids = self.children()
            if not pids:
                return
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)

    def close(self):
        """Stops, and complains about what only shows at the end."""
        status = None
        if self.process and self.process.poll() is None:
            status = self.stop()
        left = self.left_over() if status is not None else []
        self.kill_everything()
        shutil.rmtree(self.run_dir, ignore_errors=True)
        reports = [line for line in self.log().splitlines()
                   if re.search(r"ERROR: \w+Sanitizer|runtime error:", line)]
        assert not reports, reports
        assert status in (None, 0), "exit status %s\n%s" % (status, self.log()[-3000:])
        assert not left, "processes left after a stop: %s\n%s" % (
            left, self.log()[-3000:])

    def left_over(self):
        """Command lines of what still runs a moment after an orderly stop."""
        end = time.monotonic() + 2
        while self.children() and time.monotonic() < end:
            time.sleep(0.02)
        left = []
        for pid in self.children():
            left.append((pid, command_line(pid).split(b"\0")[:3]))
        return left

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    # ---- manifests ----

    def path(self, name):
        return os.path.join(self.dir, name if "." in name else name + ".yaml")

    def write_text(self, name, text):
        """As an editor does it: a new file is renamed over the old one."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        hidden = os.path.join(os.path.dirname(path), ".new")
        with open(hidden, "w", encoding="utf-8", errors="surrogateescape") as out:
            out.write(text)
        os.rename(hidden, path)

    def write(self, name, *objects):
        self.write_text(name, yaml.dump_all(objects, Dumper=getattr(yaml, "CSafeDumper",
                                                                    yaml.SafeDumper)))

    def remove(self, name):
        os.unlink(self.path(name))

    def base_manifests(self, origins, *listeners):
        """The class, the Gateway "gw" with one HTTP listener, a Backend for each origin."""
        self.write("00-base", m.gateway_class(),
                   m.gateway("gw", *(listeners or [m.listener("http", self.port)])),
                   *[m.backend(origin.name, origin.port) for origin in origins])

    def settle(self, timeout=PATIENCE_S):
        """Returns when everything written so far is live: what is read after it comes later."""
        self.marker += 1
        host = "m%d.marker" % self.marker
        self.write("zz-marker", m.route("zz-marker", [m.rule("a")], hostnames=[host]))
        eventually(lambda: self.get("/", host=host).status == 200, timeout=timeout,
                   what="marker route %s" % host)

    def apply(self, name, *objects):
        self.write(name, *objects)
        self.settle()

    # ---- asking ----

    def get(self, target="/", host="localhost", **options):
        return clients.request(options.pop("port", self.port), target, host, **options)

    def answers_both(self, host):
        """As manifests.both_ways() of that host wants it."""
        return (self.get(host=host).origin == "a" and
                self.get(host=host, headers=[("X-V", "b")]).origin == "b")

    def edit_works(self):
        self.apply("edit", m.route("edit", [m.rule("c")], hostnames=["edit.test"]))
        return self.get(host="edit.test").origin == "c"

    def control(self, path):
        connection = UnixConnection(os.path.join(self.run_dir, "control.sock"))
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return clients.Response(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def metrics(self):
        """{"name{labels}": value}"""
        result = {}
        for line in self.control("/metrics").body.decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                result[name] = float(value)
        return result

    def metric_sum(self, name):
        return sum(value for key, value in self.metrics().items()
                   if key == name or key.startswith(name + "{"))

    def ctl(self, *args, check=True):
        """tidectl's standard output."""
        done = subprocess.run([os.path.join(BUILD, "tidectl"), "--run-dir", self.run_dir, *args],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                              universal_newlines=True)
        if check:
            assert done.returncode == 0, (args, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def ctl_json(self, *args):
        return json.loads(self.ctl("-o", "json", *args))

    def runtime(self, command, sock="haproxy.sock"):
        """The operator's own hands on HAProxy's Runtime API."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(clients.TIMEOUT_S)
            connection.connect(os.path.join(self.run_dir, sock))
            connection.sendall(command.encode() + b"\n")
            chunks = iter(lambda: connection.recv(65536), b"")
            return b"".join(chunks).decode("utf-8", "replace")

    # ---- processes ----

    def children(self):
        """Everything that runs on our run directory, except the controller itself."""
        result = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            pid = int(path.split("/")[2])
            text = command_line(pid)
            ours = any(self.run_dir.encode() + end in text for end in (b"/", b"\0"))
            if ours and alive(pid) and not (
                    self.process and pid == self.process.pid):
                result.append(pid)
        return sorted(result)

    def masters(self):
        """Every HAProxy master of the run directory."""
        mark = b"-p\0%s/haproxy.pid\0" % self.run_dir.encode()
        return [pid for pid in self.children() if mark in command_line(pid) and
                mark not in command_line(state_and_parent(pid)[1])]

    def agents(self):
        """Every agent of the run directory."""
        return [pid for pid in self.children() if os.path.basename(
            command_line(pid).split(b"\0")[0]) == b"tidegate-spoa"]

    def worker_pid(self):
        """Of the worker that answers now; one that is dying hangs up."""
        def ask():
            return re.search(r"^Pid: (\d+)", self.runtime("show info"), re.M)
        return int(eventually(ask, what="an answer of HAProxy").group(1))

    def master_pid(self):
        """Of the only one. No socket is asked: HAProxy may be short of memory, or dying."""
        def find():
            masters = self.masters()
            assert len(masters) == 1, masters
            return masters[0]
        return eventually(find)

    def agent_pid(self):
        return eventually(self.agents, what="an agent")[0]
