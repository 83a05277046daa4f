# SPDX-License-Identifier: Apache-2.0
"""A running Tidegate with as many routes and Services as a benchmark wants, two origins that
say which one they are, and an HAProxy that somebody wrote by hand."""
import contextlib
import itertools
import os
import random
import re
import socket
import subprocess
import tempfile
import time

import bench
from bench import BenchError
from data_path import check_tools, exchange, is_ready, worker_pid

READY_S = 180
ORIGINS = ("a", "b")
ADDRESSES = ["127.0.0.%d" % i for i in range(1, 5)]  # all of them reach each origin
MEMORY = "/dev/shm"

# Every origin answers with its name.
ORIGIN_CFG = """\
global
  nbthread 1
defaults
  mode http
  timeout client 1m
  timeout server 1m
  timeout connect 5s
""" + "".join("""\
frontend %s
  bind :{%s}
  http-request return status 200 content-type text/plain string %s
""" % (name, name, name) for name in ORIGINS)

HAND_CFG = """\
global
  nbthread 1
  stats socket {dir}/hand.sock mode 600 level admin
defaults
  mode http
  timeout client 50s
  timeout connect 5s
  timeout server 50s
frontend hand
  bind 127.0.0.1:{port}
  use_backend %[base,map_beg({dir}/hosts.map)]
"""

API = "apiVersion: gateway.networking.k8s.io/v1"
BASE = API + """
kind: GatewayClass
metadata: {{name: tidegate}}
spec: {{controllerName: tidegate.io/gateway-controller}}
---
""" + API + """
kind: Gateway
metadata: {{name: gw, namespace: default}}
spec:
  gatewayClassName: tidegate
  listeners:
  - {{name: http, port: {port}, protocol: HTTP}}
"""

ROUTE = API + """
kind: HTTPRoute
metadata: {{name: {name}, namespace: default}}
spec:
  parentRefs: [{{name: gw}}]
  hostnames: [{host}]
  rules:
  - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]
    filters: [{filters}]
    backendRefs: [{refs}]
"""

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: s{i}, namespace: default}}
spec:
  ports: [{{name: http, port: 80, protocol: TCP}}]
"""

SLICE = """\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: s{i}-1
  namespace: default
  labels: {{kubernetes.io/service-name: s{i}}}
addressType: IPv4
ports: [{{name: http, port: {port}, protocol: TCP}}]
endpoints:
{endpoints}"""

ENDPOINT = """\
- addresses: [{address}]
  conditions: {{ready: true}}
  targetRef: {{kind: Pod, name: {pod}}}
"""


def host(i):
    return "host%d.example.com" % i


def ref(name, port, weight=1):
    return "{name: %s, port: %d, weight: %d}" % (name, port, weight)


def route(i, refs, name="r{i}", path="/", hostname=None, filters=""):
    return ROUTE.format(name=name.format(i=i), host=hostname or host(i), path=path,
                        filters=filters, refs=", ".join(refs))


def chunks(items, size):
    items = iter(items)
    return iter(lambda: list(itertools.islice(items, size)), [])


class Gateway:
    """`tidegate run` on a directory of its own. Routes r0.. of hosts host0.., each to one of
    the Services s0..; Service sN is served by origin N modulo their number."""

    addresses = ADDRESSES  # that Services may have
    server_count = 2       # of those, at first

    def __init__(self, stack, args, routes, services, per_file=1):
        self.args, self.route_count, self.service_count = args, routes, services
        # A short path: the names of Unix sockets are limited. In memory, as /run is: replacing a
        # file takes some disks longer than everything that is measured.
        self.dir = stack.enter_context(tempfile.TemporaryDirectory(
            prefix="tg-bench-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))
        os.chmod(self.dir, 0o711)  # HAProxy gives up root, and has to reach the agent
        self.run_dir = self.path("run")
        self.port, self.hand_port = bench.free_port(), bench.free_port()
        self.origin_ports = {name: bench.free_port() for name in ORIGINS}
        self.make_source(stack)
        self.write_many("base", [BASE.format(port=self.port)], per_file)
        self.write_many("s", (SERVICE.format(i=i) for i in range(services)), per_file)
        self.write_many("e", (self.slice(i) for i in range(services)), per_file)
        self.write_many("r", (route(i, [ref("s%d" % (i % services), 80)])
                              for i in range(routes)), per_file)

    # ---- the source: files ----

    def make_source(self, _stack):
        os.mkdir(self.path("manifests"))

    def source(self):
        """The end of tidegate's command line."""
        return [self.path("manifests")]

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as out:
            out.write(text)

    def write_many(self, prefix, texts, per_file):
        for i, some in enumerate(chunks(texts, per_file)):
            self.write("manifests/%s%d.yaml" % (prefix, i), "---\n".join(some))

    def prepare(self, name, text):
        """The changed manifest beside the one it is to replace; hidden, so not read."""
        self.write("manifests/.new-" + name, text)

    def rename(self, name):
        os.rename(self.path("manifests/.new-" + name), self.path("manifests", name))

    def replace(self, name, text):
        self.prepare(name, text)
        self.rename(name)

    def remove(self, name):
        os.unlink(self.path("manifests", name))

    def slice(self, i, addresses=None):
        return SLICE.format(
            i=i, port=self.origin_ports[ORIGINS[i % len(ORIGINS)]],
            endpoints="".join(ENDPOINT.format(address=a, pod="s%d-%s" % (i, a.split(".")[-1]))
                              for a in addresses or self.addresses[:self.server_count]))

    # ---- processes ----

    def start(self, stack):
        """Returns the process and the seconds until it was ready."""
        check_tools(self.args)
        log = self.path("tidegate.log")
        begin = time.monotonic()
        process = stack.enter_context(bench.running(
            [os.path.join(self.args.build, "tidegate"), "run", "--run-dir", self.run_dir,
             "--haproxy", self.args.haproxy, "--threads", "1",
             "--agent", os.path.join(self.args.build, "tidegate-spoa"),
             *self.source()], None, log, self.run_dir))
        bench.wait_for(lambda: is_ready(self.path("run/control.sock")), READY_S, "tidegate",
                       process, log, 0.005)
        return process, time.monotonic() - begin

    def start_haproxy(self, stack, name, check):
        """Any other HAProxy than tidegate's own; the seconds until check() is true."""
        log = self.path(name + ".log")
        begin = time.monotonic()
        process = stack.enter_context(bench.running(
            [self.args.haproxy, "-db", "-f", self.path(name + ".cfg")], None, log))
        bench.wait_for(check, READY_S, name, process, log, 0.005)
        return time.monotonic() - begin

    def start_origins(self, stack):
        self.write("origin.cfg", ORIGIN_CFG.format(**self.origin_ports))
        self.start_haproxy(stack, "origin",
                           lambda: all(Client(port).ask("x") for port in
                                       self.origin_ports.values()))

    def start_hand(self, stack):
        """The same hosts by hand: a map, a line that uses it, a backend for each origin."""
        self.write("hand.cfg", HAND_CFG.format(dir=self.dir, port=self.hand_port) + "".join(
            "backend %s\n  server one 127.0.0.1:%d\n" % item
            for item in self.origin_ports.items()))
        self.write("hosts.map", "".join(
            "%s/ %s\n" % (host(i), ORIGINS[i % len(ORIGINS)]) for i in range(self.route_count)))
        self.start_haproxy(stack, "hand", lambda: Client(self.hand_port).ask(host(0)))

    # ---- what it says ----

    def worker_pid(self):
        return worker_pid(self.path("run/haproxy.sock"))

    def runtime(self, command, name="hand.sock"):
        return exchange(socket.AF_UNIX, self.path(name), command + "\n")

    def metric(self, name):
        """The sum over all labels."""
        text = exchange(socket.AF_UNIX, self.path("run/control.sock"),
                        "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        values = re.findall(r"^%s(?:\{[^}]*\})? (\S+)$" % name, text, re.M)
        if not values:
            raise BenchError("tidegate has no metric %s" % name)
        return sum(float(value) for value in values)

    def wait_applied(self, marker="zz-marker"):
        """Returns when all files written so far are live, and the seconds it took."""
        begin = time.monotonic()
        client = Client(self.port)
        self.replace(marker + ".yaml", route(0, [ref("s0", 80)], name=marker,
                                             hostname=marker + ".example.com"))
        while not client.ask(marker + ".example.com"):
            if time.monotonic() - begin > READY_S:
                raise BenchError("the last change does not become live")
            time.sleep(0.005)
        return time.monotonic() - begin


class Client:
    """One connection that is kept; tells which origin answers."""

    def __init__(self, port, address="127.0.0.1"):
        self.address, self.socket = (address, port), None

    def ask(self, name, target="/"):
        """The origin's name; None: not 200."""
        head, body = self.exchange(name, target)
        return body.decode() if head.split(b" ", 2)[1] == b"200" else None

    def exchange(self, name, target="/"):
        """Head and body of the answer."""
        if not self.socket:
            self.socket = socket.create_connection(self.address, 5)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(b"GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target.encode(),
                                                                   name.encode()))
        head, body = self.receive()
        if b"connection: close" in head.lower():
            self.close()
        return head, body

    def receive(self):
        data = b""
        while True:
            head, end, body = data.partition(b"\r\n\r\n")
            if end:
                length = re.search(rb"(?i)^content-length: *(\d+)", head, re.M)
                if length and len(body) >= int(length[1]):
                    return head, body
            more = self.socket.recv(65536)
            if not more:
                self.close()
                raise ConnectionError("the connection was closed")
            data += more

    def close(self):
        self.socket.close()
        self.socket = None


class Load:
    """A program that makes requests for a time and counts those that failed. Stopped at the
    end of the block, unless failed() has waited for it."""

    def __init__(self, argv, log_path, least, count, failures):
        """least: requests that must succeed; count, failures: patterns of its output."""
        self.argv, self.log_path, self.least = argv, log_path, least
        self.count, self.failures = count, failures

    def __enter__(self):
        with open(self.log_path, "w", encoding="ascii") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, preexec_fn=bench.on_core(None))
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def check_running(self):
        if self.process.poll() is not None:
            raise BenchError("%s ended before what it was to be the load for" % self.argv[0])

    def failed(self):
        """Waits for the end."""
        self.process.wait()
        text = bench.read_bytes(self.log_path).decode("utf-8", "replace")
        done = re.search(self.count, text)
        if self.process.returncode or not done:
            raise BenchError("%s ended with status %s:\n%s" % (
                self.argv[0], self.process.returncode, text))
        if int(done[1]) < self.least:
            raise BenchError("%s came to a standstill:\n%s" % (self.argv[0], text))
        return sum(int(number) for pattern in self.failures
                   for found in re.finditer(pattern, text) for number in found.groups())


def wrk(gateway, seconds, connections, script):
    return Load(["wrk", "-t1", "-c%d" % connections, "-d%d" % seconds, "--timeout", "5s", "-s",
                 gateway.path(script), "http://localhost:%d" % gateway.port],
                gateway.path("wrk.log"), 100 * seconds, r"(\d+) requests in",
                [r"connect (\d+), read (\d+), write (\d+), timeout (\d+)",
                 r"Non-2xx or 3xx responses: (\d+)"])


def h2load(gateway, port, seconds, rate, uris, *options):
    """A constant rate, in requests per second of all clients together."""
    clients = 4
    return Load(["h2load", "-c%d" % clients, "--rps=%d" % (rate // clients), "-D%d" % seconds,
                 "-i", gateway.path(uris), "--base-uri", "http://localhost:%d" % port, *options],
                gateway.path("h2load.log"), seconds * rate // 10, r"(\d+) succeeded",
                [r"(\d+) failed, (\d+) errored, (\d+) timeout",
                 r"(\d+) 3xx, (\d+) 4xx, (\d+) 5xx"])
