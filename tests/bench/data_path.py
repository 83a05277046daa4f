# SPDX-License-Identifier: Apache-2.0
"""Requests through the HAProxy that `tidegate run` drives, against a haproxy.cfg that somebody
wrote by hand for the same hosts: one map, one use_backend line.

HAProxy has one thread and a core of its own; wrk and the origin share another. Rounds of
both sides alternate. Every request asks for another host, in a fixed random order."""
import contextlib
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile

import bench
from bench import BenchError, Figure

TARGET = 0.90
BACKENDS = 4
CONNECTIONS = 64
PATH = "/api/orders/42"
READY_S = 180

ORIGIN_CFG = """\
global
  nbthread 1
defaults
  mode http
  timeout client 1m
  timeout server 1m
  timeout connect 5s
frontend origin
  bind 127.0.0.1:{port}
  http-request return status 200 content-type text/plain string ok
"""

# The same time-outs and connection handling as haproxy/base.cfg.
HAND_CFG = """\
global
  nbthread 1
  stats socket {dir}/hand.sock mode 600 level admin
defaults
  mode http
  balance roundrobin
  timeout client 50s
  timeout http-request 10s
  timeout http-keep-alive 1m
  timeout connect 5s
  timeout server 50s
  timeout queue 10s
  timeout tunnel 1h
  retries 3
  option redispatch 1
  option forwardfor
  option dontlognull
  http-reuse safe
frontend hand
  bind 127.0.0.1:{port}
  use_backend %[base,map_beg({dir}/hosts.map)]
"""

BASE_YAML = """\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: tidegate}}
spec: {{controllerName: tidegate.io/gateway-controller}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: gw, namespace: default}}
spec:
  gatewayClassName: tidegate
  listeners:
  - {{name: http, port: {port}, protocol: HTTP}}
"""

BACKEND_YAML = """\
---
apiVersion: tidegate.io/v1alpha1
kind: Backend
metadata: {{name: b{i}, namespace: default}}
spec:
  addresses:
  - {{host: 127.0.0.1, port: {port}}}
"""

ROUTE_YAML = """\
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: r{i}, namespace: default}}
spec:
  parentRefs: [{{name: gw}}]
  hostnames: [{host}]
  rules:
  - matches: [{{path: {{type: PathPrefix, value: /api}}}}]
    backendRefs: [{{group: tidegate.io, kind: Backend, name: b{backend}}}]
"""

WRK_LUA = """\
local requests, at = {}, 0
init = function()
  for line in io.lines("%s") do
    requests[#requests + 1] = wrk.format("GET", "%s", { Host = line })
  end
end
request = function()
  at = at %% #requests + 1
  return requests[at]
end
"""


def host(i):
    return "host%d.example.com" % i


class Site:
    """One set of hosts and everything that serves it, in a directory of its own."""

    def __init__(self, count, args, directory):
        self.count, self.args, self.dir = count, args, directory
        self.ours, self.hand, self.origin = (bench.free_port() for _ in range(3))
        self.run_dir = os.path.join(directory, "run")

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, chunks):
        with open(self.path(name), "w", encoding="ascii") as out:
            out.writelines(chunks)

    def write_files(self):
        self.write("origin.cfg", [ORIGIN_CFG.format(port=self.origin)])
        self.write("hand.cfg", [HAND_CFG.format(dir=self.dir, port=self.hand)] + [
            "backend b%d\n  server origin 127.0.0.1:%d\n" % (i, self.origin)
            for i in range(BACKENDS)])
        self.write("hosts.map", ["%s/api b%d\n" % (host(i), i % BACKENDS)
                                 for i in range(self.count)])
        os.mkdir(self.path("manifests"))
        self.write("manifests/base.yaml", [BASE_YAML.format(port=self.ours)] + [
            BACKEND_YAML.format(i=i, port=self.origin) for i in range(BACKENDS)])
        self.write("manifests/routes.yaml", [
            ROUTE_YAML.format(i=i, host=host(i), backend=i % BACKENDS)
            for i in range(self.count)])
        asked = list(range(self.count))
        random.Random(1).shuffle(asked)
        self.write("asked.txt", ["%s\n" % host(i) for i in asked])
        self.write("wrk.lua", [WRK_LUA % (self.path("asked.txt"), PATH)])

    def start(self, stack, name, argv, core, check, mark=None):
        log = self.path(name + ".log")
        process = stack.enter_context(bench.running(argv, core, log, mark))
        bench.wait_for(check, READY_S, name, process, log)
        return process

    def start_all(self, stack):
        """The pids of the two HAProxy processes that serve: ours, by hand."""
        ours_core, other_core = bench.cores()
        haproxy, build = self.args.haproxy, self.args.build
        self.start(stack, "origin", [haproxy, "-db", "-f", self.path("origin.cfg")], other_core,
                   lambda: answers(self.origin, host(0)))
        hand = self.start(stack, "hand", [haproxy, "-db", "-f", self.path("hand.cfg")],
                          ours_core, lambda: answers(self.hand, host(self.count - 1)))
        self.start(stack, "tidegate",
                   [os.path.join(build, "tidegate"), "run", "--run-dir", self.run_dir,
                    "--haproxy", haproxy, "--agent", os.path.join(build, "tidegate-spoa"),
                    "--threads", "1", self.path("manifests")], ours_core,
                   lambda: is_ready(self.path("run/control.sock")), mark=self.run_dir)
        if not answers(self.ours, host(self.count - 1)):
            raise BenchError("tidegate is ready, but %s does not answer with 200"
                             % host(self.count - 1))
        return worker_pid(self.path("run/haproxy.sock")), hand.pid

    def round(self, port, pid):
        """(requests per second, CPU microseconds per request of process pid)."""
        before = bench.cpu_s(pid)
        done = subprocess.run(
            ["wrk", "-t1", "-c%d" % CONNECTIONS, "-d%d" % self.args.seconds, "-s",
             self.path("wrk.lua"), "http://127.0.0.1:%d" % port],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
            preexec_fn=bench.on_core(bench.cores()[1]), timeout=self.args.seconds + 30)
        used = bench.cpu_s(pid) - before
        requests = re.search(r"(\d+) requests in", done.stdout)
        rate = re.search(r"Requests/sec: +([\d.]+)", done.stdout)
        if done.returncode or not requests or not rate or not float(rate[1]) or \
                re.search(r"Non-2xx|Socket errors", done.stdout):
            raise BenchError("not all requests were answered with 200:\n%s" % done.stdout)
        return float(rate[1]), used * 1e6 / int(requests[1])


def exchange(family, address, text):
    with socket.socket(family) as connection:
        connection.settimeout(5)
        connection.connect(address)
        connection.sendall(text.encode())
        chunks = iter(lambda: connection.recv(65536), b"")
        return b"".join(chunks).decode("utf-8", "replace")


def http_status(family, address, target, name):
    answer = exchange(family, address, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
                      % (target, name))
    return answer.split(" ", 2)[1:2]


def answers(port, name):
    return http_status(socket.AF_INET, ("127.0.0.1", port), PATH, name) == ["200"]


def is_ready(control):
    return http_status(socket.AF_UNIX, control, "/readyz", "localhost") == ["200"]


def worker_pid(stats_socket):
    return int(re.search(r"^Pid: (\d+)", exchange(socket.AF_UNIX, stats_socket, "show info\n"),
                         re.M)[1])


def check_tools(args, programs=("tidegate", "tidegate-spoa")):
    missing = [tool for tool in ("wrk",) if not shutil.which(tool)]
    if not args.haproxy or not os.access(args.haproxy, os.X_OK):
        missing.append("HAProxy (HAPROXY=%s)" % (args.haproxy or ""))
    for name in programs:
        if not os.access(os.path.join(args.build, name), os.X_OK):
            missing.append("%s in %s (--build)" % (name, args.build))
    if missing:
        raise BenchError("missing: " + ", ".join(missing))


def benchmark(count):
    name = "data-path-%d" % count

    def run(args):
        check_tools(args)
        # A short path: the names of Unix sockets are limited.
        with contextlib.ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="tg-bench-"))
            site = Site(count, args, directory)
            site.write_files()
            ours_pid, hand_pid = site.start_all(stack)
            site.round(site.ours, ours_pid)  # warms up
            rounds = []
            for i in range(args.rounds):
                sides = [(site.ours, ours_pid), (site.hand, hand_pid)]
                results = {side: site.round(*side) for side in (sides[::-1] if i % 2 else sides)}
                rounds.append([results[side] for side in sides])
        ours, hand = zip(*rounds)
        yield Figure(name, "req/s", [r[0] for r in ours], [r[0] for r in hand], TARGET)
        yield Figure(name + "-cpu", "us", [r[1] for r in ours], [r[1] for r in hand], TARGET,
                     larger_is_better=False)
    return run
