# SPDX-License-Identifier: Apache-2.0
"""What our agent costs beside one that answers a constant (constant_agent.c): the same HAProxy
asks both the same question; with pipelining and without. And what asking costs at all: the
share of the throughput without a question that is kept.

HAProxy has one thread and a core of its own; wrk and the agents share another."""
import contextlib
import os
import re
import subprocess
import tempfile

import bench
from bench import BenchError, Figure
from data_path import CONNECTIONS, PATH, answers, check_tools

TARGET = 0.90
KEPT_TARGET = 0.30  # 2.6 loses a third, 3.4 two thirds: not ours to change

ENGINES = ("ours", "constant")
SIDES = ENGINES + ("plain",)

LIST = ('method=GET header.x-canary="always" => canary.80 default/store/0 ; '
        'path~"/api/[a-z]+/[0-9]+" query.q~"a+" => q.80 default/store/1 ; '
        "=> web.80 default/store/2")

CFG = """\
global
  nbthread 1
defaults
  mode http
  timeout client 50s
  timeout connect 5s
  timeout server 50s
frontend plain
  bind 127.0.0.1:{plain}
  http-request set-var(txn.list) path,map_beg({dir}/lists.map)
  http-request return status 200 content-type text/plain lf-string "%[var(txn.list)]"
"""

ASKING_CFG = """\
frontend {engine}
  bind 127.0.0.1:{port}
  filter spoe engine {engine} config {dir}/{engine}.spoe
  http-request set-var(txn.list) path,map_beg({dir}/lists.map)
  http-request send-spoe-group {engine} decide
  http-request deny deny_status 503 unless {{ var(txn.tg.route) -m found }}
  http-request return status 200 content-type text/plain lf-string "%[var(txn.list)]"
backend agent-{engine}
  mode {mode}
  option spop-check
  server agent unix@{dir}/{engine}.sock
"""

ENGINE = """\
[{engine}]
spoe-agent {engine}
  groups decide
  use-backend agent-{engine}
  option var-prefix tg
  option force-set-var
  timeout hello 1s
  timeout idle 1m
  timeout processing 500ms
spoe-group decide
  messages decide
spoe-message decide
  args list=var(txn.list) method=method path=path query=query headers=req.hdrs_bin
"""


def backend_mode(haproxy):
    """`mode spop` is of 3.1."""
    return "spop" if bench.haproxy_version(haproxy) >= (3, 1) else "tcp"


def build_constant_agent(args):
    """Its path. It is of no use outside of the benchmark, so that `make` leaves it out."""
    name = "tests/bench/constant_agent"
    done = subprocess.run(["make", "-s", "-C", args.build, name], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    if done.returncode:
        raise BenchError("cannot build %s:\n%s" % (name, done.stdout))
    return os.path.join(args.build, name)


def write_files(directory, args, ports):
    mode = backend_mode(args.haproxy)
    texts = {
        "haproxy.cfg": CFG.format(dir=directory, plain=ports["plain"]) + "".join(
            ASKING_CFG.format(dir=directory, mode=mode, engine=engine, port=ports[engine])
            for engine in ENGINES),
        "lists.map": "/ %s\n" % LIST,
    }
    texts.update((engine + ".spoe", ENGINE.format(engine=engine)) for engine in ENGINES)
    for name, text in texts.items():
        with open(os.path.join(directory, name), "w", encoding="ascii") as out:
            out.write(text)


def start_all(stack, directory, args, ports, pipelining):
    haproxy_core, other_core = bench.cores()
    log = os.path.join(directory, "log")
    sock = {engine: os.path.join(directory, engine + ".sock") for engine in ENGINES}
    commands = {
        "ours": [os.path.join(args.build, "tidegate-spoa"), "--listen", "unix@" + sock["ours"],
                 "--threads", "1"] + ([] if pipelining else ["--no-pipelining"]),
        "constant": [build_constant_agent(args), sock["constant"]] +
                    (["pipelining"] if pipelining else []),
    }
    for engine in ENGINES:
        agent = stack.enter_context(bench.running(commands[engine], other_core, log))
        bench.wait_for(lambda: os.path.exists(sock[engine]), 5, "agent", agent, log)
    haproxy = stack.enter_context(bench.running(
        [args.haproxy, "-db", "-f", os.path.join(directory, "haproxy.cfg")], haproxy_core, log))
    for port in ports.values():
        bench.wait_for(lambda: answers(port, "x"), 5, "haproxy", haproxy, log)


def rate(port, seconds):
    done = subprocess.run(
        ["wrk", "-t1", "-c%d" % CONNECTIONS, "-d%d" % seconds,
         "http://127.0.0.1:%d%s?q=b" % (port, PATH)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
        preexec_fn=bench.on_core(bench.cores()[1]), timeout=seconds + 30)
    found = re.search(r"Requests/sec: +([\d.]+)", done.stdout)
    if done.returncode or not found or re.search(r"Non-2xx|Socket errors", done.stdout):
        raise BenchError("not all requests were answered with 200:\n%s" % done.stdout)
    return float(found[1])


def benchmark(name, pipelining):
    def run(args):
        check_tools(args, ["tidegate-spoa"])
        with contextlib.ExitStack() as stack:
            # A short path: the names of Unix sockets are limited.
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="tg-bench-"))
            ports = {side: bench.free_port() for side in SIDES}
            write_files(directory, args, ports)
            start_all(stack, directory, args, ports, pipelining)
            rate(ports["ours"], args.seconds)  # warms up
            rates = {side: [] for side in SIDES}
            for i in range(args.rounds):
                for side in SIDES[::-1] if i % 2 else SIDES:
                    rates[side].append(rate(ports[side], args.seconds))
        yield Figure(name, "req/s", rates["ours"], rates["constant"], TARGET)
        yield Figure(name + "-kept", "req/s", rates["ours"], rates["plain"], KEPT_TARGET)
    return run
