# SPDX-License-Identifier: Apache-2.0
"""What many routes cost: memory, the time until ready, and the CPU of a busy cluster."""
import contextlib
import itertools
import random
import statistics
import time

import bench
from bench import Limit
from gateway import Client, Gateway, host

ROUTES = 5000
PER_FILE = 100
SETTLE_S = 6   # three checks for drift
STARTS = 3
CPU_S, CPU_RATE, CPU_TARGET = 30, 10, 0.02
START_TARGET_S = 2.0


def memory(routes, services, target_mib):
    def run(args):
        with contextlib.ExitStack() as stack:
            gateway = Gateway(stack, args, args.routes or routes, args.routes or services,
                              PER_FILE)
            process, _ = gateway.start(stack)
            time.sleep(SETTLE_S)
            ours = bench.rss_mib(process.pid)
            theirs = bench.rss_mib(gateway.worker_pid())
        yield Limit("memory-%d" % routes, "MiB", ours, theirs, target_mib)
    return run


def one_start(args):
    """Seconds until ready: ours, with HAProxy inside; HAProxy alone, with what we wrote."""
    with contextlib.ExitStack() as stack:
        gateway = Gateway(stack, args, args.routes or ROUTES, args.routes or ROUTES, PER_FILE)
        gateway.start_origins(stack)
        with contextlib.ExitStack() as while_it_runs:
            ours = gateway.start(while_it_runs)[1]
        alone = gateway.start_haproxy(
            stack, "run/haproxy", lambda: Client(gateway.port).ask(host(0)))
        return ours, alone


def start(args):
    ours, alone = zip(*(one_start(args) for _ in range(min(args.rounds, STARTS))))
    yield Limit("start", "s", statistics.median(ours), statistics.median(alone),
                START_TARGET_S)


def change_endpoints(gateway, seconds):
    """At the rate; every change adds or removes a server."""
    dice, begin = random.Random(1), time.monotonic()
    for i in itertools.count():
        due = begin + i / CPU_RATE
        if due >= begin + seconds:
            break
        time.sleep(max(0, due - time.monotonic()))
        service = dice.randrange(gateway.service_count)
        gateway.replace("e%d.yaml" % service, gateway.slice(
            service, gateway.addresses[:dice.randint(1, len(gateway.addresses))]))


def used_cores(process, seconds, work):
    cpu, begin = bench.cpu_s(process.pid), time.monotonic()
    work()
    time.sleep(max(0, begin + seconds - time.monotonic()))
    return (bench.cpu_s(process.pid) - cpu) / (time.monotonic() - begin)


def cpu(args):
    with contextlib.ExitStack() as stack:
        gateway = Gateway(stack, args, args.routes or ROUTES, args.routes or ROUTES)
        gateway.start_origins(stack)
        process, _ = gateway.start(stack)
        time.sleep(SETTLE_S)
        idle = used_cores(process, CPU_S, lambda: None)
        busy = used_cores(process, CPU_S, lambda: change_endpoints(gateway, CPU_S))
        gateway.wait_applied()
    yield Limit("cpu", "cores", busy, idle, CPU_TARGET)
