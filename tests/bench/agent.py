# SPDX-License-Identifier: Apache-2.0
"""What asking the agent costs: HAProxy answers the same request with and without a decision
list, through the same process; with pipelining and without.

HAProxy has one thread and a core of its own; wrk and the agent share another."""
import contextlib
import os
import re
import subprocess
import tempfile

import bench
from bench import BenchError, Figure
from data_path import CONNECTIONS, PATH, answers, check_tools

TARGET = 0.30  # 2.6 loses a third, 3.4 two thirds

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
frontend asks
  bind 127.0.0.1:{asks}
  filter spoe engine tidegate config {dir}/agent.spoe
  http-request set-var(txn.list) path,map_beg({dir}/lists.map)
  http-request send-spoe-group tidegate decide
  http-request deny deny_status 503 unless {{ var(txn.tg.route) -m found }}
  http-request return status 200 content-type text/plain lf-string "%[var(txn.list)]"
backend agents
  mode {mode}
  option spop-check
  server agent unix@{dir}/agent.sock
"""

ENGINE = """\
[tidegate]
spoe-agent tidegate
  groups decide
  use-backend agents
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
    text = subprocess.run([haproxy, "-v"], stdout=subprocess.PIPE, universal_newlines=True,
                          check=True).stdout
    major, minor = re.search(r"version (\d+)\.(\d+)", text).groups()
    return "spop" if (int(major), int(minor)) >= (3, 1) else "tcp"


def write_files(directory, args, plain, asks):
    texts = {
        "haproxy.cfg": CFG.format(dir=directory, plain=plain, asks=asks,
                                  mode=backend_mode(args.haproxy)),
        "agent.spoe": ENGINE,
        "lists.map": "/ %s\n" % LIST,
    }
    for name, text in texts.items():
        with open(os.path.join(directory, name), "w", encoding="ascii") as out:
            out.write(text)


def start_all(stack, directory, args, plain, asks, agent_args):
    haproxy_core, other_core = bench.cores()
    sock, log = os.path.join(directory, "agent.sock"), os.path.join(directory, "log")
    agent = stack.enter_context(bench.running(
        [os.path.join(args.build, "tidegate-spoa"), "--listen", "unix@" + sock, "--threads", "1",
         *agent_args], other_core, log))
    bench.wait_for(lambda: os.path.exists(sock), 5, "agent", agent, log)
    haproxy = stack.enter_context(bench.running(
        [args.haproxy, "-db", "-f", os.path.join(directory, "haproxy.cfg")], haproxy_core, log))
    for port in (plain, asks):
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


def benchmark(name, *agent_args):
    def run(args):
        check_tools(args, ["tidegate-spoa"])
        with contextlib.ExitStack() as stack:
            # A short path: the names of Unix sockets are limited.
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="tg-bench-"))
            plain, asks = bench.free_port(), bench.free_port()
            write_files(directory, args, plain, asks)
            start_all(stack, directory, args, plain, asks, agent_args)
            rate(asks, args.seconds)  # warms up
            rounds = []
            for i in range(args.rounds):
                ports = [asks, plain]
                rates = {port: rate(port, args.seconds)
                         for port in (ports[::-1] if i % 2 else ports)}
                rounds.append([rates[port] for port in ports])
        asked, answered = zip(*rounds)
        yield Figure(name, "req/s", list(asked), list(answered), TARGET)
    return run
