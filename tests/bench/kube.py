# SPDX-License-Identifier: Apache-2.0
"""The controller at a real API server (etcd and kube-apiserver, no nodes)."""
import contextlib
import random
import time

import bench
import footprint
from bench import BenchError, Limit
from gateway import ENDPOINT, ORIGINS, SERVICE, SLICE, Client, h2load, host, ref, route
from kube_gateway import KubeGateway
from propagation import (ASK_S, CHANGES, MAX_PAUSE_S, PATIENCE_S, RATE, ROUTES, Changes, by_hand,
                         figures)

PROPAGATION = (("mean", 10.0), ("p99", 25.0))
PACE_S, MARGIN_S = 0.06, 10  # of a change, and around all
NAMESPACES = 50
MEMORY_MIB, CPU_CORES, REQUESTS_PER_S = 60, 0.03, 1
APPLY_RATIO = 1.3
PODS, SURGE, NOTICE_S = 100, 10, 1.0
PODS_CFG = """\
global
  nbthread 1
  stats socket {dir}/pods.sock mode 600 level admin
defaults
  mode http
  timeout client 1m
  timeout server 1m
  timeout connect 5s
"""
POD_CFG = """\
frontend p{port}
  bind :{port}
  http-request return status 200 content-type text/plain string p{port}
"""
START_S, STATUS_S = 4.0, 20.0
COUNTED = "x-bench"
FILTER = "{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: %s, value: v%d}]}}"


def has_header(value):
    wanted = b"%s: v%d\r\n" % (COUNTED.encode(), value)
    return lambda head, body: wanted in head.lower() + b"\r\n"


def has_origin(name):
    return lambda head, body: b" 200 " in head[:16] and body == name.encode()


class Mixed:
    """Changes of all kinds, each: the manifest's name, its text, the host to ask, and what
    tells from head and body of an answer that the change is there."""

    def __init__(self, gateway):
        self.gateway, self.dice, self.number = gateway, random.Random(1), 0
        self.kinds = [self.weight, self.header, self.backend, self.new_route]

    def next(self):
        self.number += 1
        i = self.dice.randrange(self.gateway.route_count)
        return self.kinds[self.number % len(self.kinds)](i)

    def other_origin(self, i):
        """(the Service of the route that another origin serves, that origin)"""
        client = Client(self.gateway.port)
        now = client.ask(host(i))
        client.close()
        j = i + 1 if ORIGINS[i % 2] == now else i
        return j % self.gateway.service_count, ORIGINS[j % 2]

    def weight(self, i):
        j, origin = self.other_origin(i)
        other = (j + 1) % self.gateway.service_count
        return "r%d.yaml" % i, route(i, [ref("s%d" % j, 80, 1), ref("s%d" % other, 80, 0)]), \
            host(i), has_origin(origin)

    def backend(self, i):
        j, origin = self.other_origin(i)
        return "r%d.yaml" % i, route(i, [ref("s%d" % j, 80)]), host(i), has_origin(origin)

    def header(self, i):
        return "r%d.yaml" % i, \
            route(i, [ref("s%d" % i, 80)], filters=FILTER % (COUNTED, self.number)), \
            host(i), has_header(self.number)

    def new_route(self, i):
        name = "n%d" % self.number
        return name + ".yaml", \
            route(i, [ref("s%d" % i, 80)], name=name, hostname=name + ".example.com"), \
            name + ".example.com", has_origin(ORIGINS[i % 2])


def milliseconds(client, name, shows, make_change):
    """From the API server's answer on."""
    make_change()
    begin = time.monotonic()
    while not shows(*client.exchange(name)):
        if time.monotonic() - begin > PATIENCE_S:
            raise BenchError("a change of %s is not live within %d s" % (name, PATIENCE_S))
        time.sleep(ASK_S)
    return (time.monotonic() - begin) * 1000


def by_object(gateway, count):
    client, changes = Client(gateway.port), Mixed(gateway)
    for _ in range(count):
        file, text, name, shows = changes.next()
        gateway.prepare(file, text)
        time.sleep(changes.dice.uniform(0, MAX_PAUSE_S))
        yield milliseconds(client, name, shows, lambda: gateway.rename(file))


@contextlib.contextmanager
def running(args, routes, namespaces=1):
    """A gateway that serves it all, its process, and the seconds until it was ready."""
    with contextlib.ExitStack() as stack:
        gateway = KubeGateway(stack, args, routes, routes, namespaces)
        gateway.start_origins(stack)
        gateway.start_hand(stack)
        # For the load; and before 3.4 the first filter of a header's name reloads.
        gateway.replace("l.yaml", route(0, [ref("s0", 80)], "l", hostname="localhost",
                                        filters=FILTER % (COUNTED, 0)))
        process, seconds = gateway.start(stack)
        yield gateway, process, seconds


def propagation(args):
    routes, count = (args.routes or ROUTES) // 2 * 2, args.changes or CHANGES
    with running(args, routes) as (gateway, _, _):
        gateway.write("uris.txt", "/\n")
        with h2load(gateway, gateway.port, MARGIN_S, RATE, "uris.txt") as load:
            still = load.failed()
        hand = list(by_hand(gateway, Changes(count, routes)))
        with h2load(gateway, gateway.port, int(count * PACE_S) + MARGIN_S, RATE,
                    "uris.txt") as load:
            times = list(by_object(gateway, count))
            load.check_running()
            failed = load.failed()
    yield from figures("kube-propagation", times, hand, PROPAGATION)
    yield Limit("kube-propagation-failed", "requests", failed, still, 0)


def busy(args):
    """Memory, CPU and requests while endpoints of 5,000 Services change."""
    routes = args.routes or footprint.ROUTES
    with running(args, routes, NAMESPACES) as (gateway, process, _):
        def measure(work):
            before = gateway.requests()
            cores = footprint.used_cores(process, footprint.CPU_S, work)
            return cores, (gateway.requests() - before) / footprint.CPU_S

        gateway.wait_published()
        time.sleep(footprint.SETTLE_S)
        idle, idle_requests = measure(lambda: None)
        cores, requests = measure(
            lambda: footprint.change_endpoints(gateway, footprint.CPU_S))
        gateway.wait_applied()
        ours, theirs = bench.rss_mib(process.pid), bench.rss_mib(gateway.worker_pid())
    yield Limit("kube-memory", "MiB", ours, theirs, MEMORY_MIB)
    yield Limit("kube-cpu", "cores", cores, idle, CPU_CORES)
    yield Limit("kube-requests", "requests/s", requests, idle_requests, REQUESTS_PER_S)


def start(args):
    routes = args.routes or footprint.ROUTES
    with running(args, routes, NAMESPACES) as (gateway, _, seconds):
        begin = time.monotonic()
        gateway.wait_published(routes)
        published = seconds + time.monotonic() - begin
        with contextlib.ExitStack() as stack:
            alone = gateway.start_haproxy(
                stack, "run/haproxy", lambda: Client(gateway.port).ask(host(0)))
    yield Limit("kube-start", "s", seconds, alone, START_S)
    yield Limit("kube-status", "s", published, gateway.seconds_to_create, STATUS_S)


def apply(args):
    """All routes at once, by kubectl."""
    routes = args.routes or footprint.ROUTES
    with running(args, 2) as (gateway, _, _):
        gateway.write("routes.yaml", "---\n".join(
            gateway.place_text(route(i, [ref("s%d" % (i % 2), 80)], name="many{i}",
                                     hostname="many%d.example.com" % i))
            for i in range(routes)))
        gateway.wait_published()
        before = gateway.metric("tidegate_status_writes_total")
        begin = time.monotonic()
        gateway.kubectl_apply(gateway.path("routes.yaml"))
        applied = time.monotonic() - begin
        client = Client(gateway.port)
        while not client.ask("many%d.example.com" % (routes - 1)):
            time.sleep(ASK_S)
        gateway.wait_published(before + routes)
        published = time.monotonic() - begin
        writes = gateway.metric("tidegate_status_writes_total") - before
    yield Limit("kube-apply", "s", published, applied, APPLY_RATIO * applied)
    # One for each route; the Gateway, whose count of routes changes, has one a second.
    yield Limit("kube-apply-writes", "writes", writes, routes, routes + int(published) + 2)


class Pods:
    """Servers of one Service, each with a port of its own, in slices of one endpoint."""

    def __init__(self, stack, gateway, count):
        self.gateway, self.ports = gateway, [bench.free_port() for _ in range(count)]
        gateway.write("pods.cfg", PODS_CFG.format(dir=gateway.dir) + "".join(
            POD_CFG.format(port=port) for port in self.ports))
        gateway.start_haproxy(stack, "pods",
                              lambda: Client(self.ports[-1], gateway.address).ask("x"))

    def slice(self, i, ready):
        return SLICE.format(
            i="p", port=self.ports[i], endpoints=ENDPOINT.format(
                address=self.gateway.address, pod="pod%d" % i)).replace(
                    "sp-1", "p%d" % i).replace("ready: true", ready)

    def begin(self, i):
        self.gateway.replace("pod%d.yaml" % i, self.slice(i, "ready: true"))

    def terminate(self, i):
        self.gateway.replace("pod%d.yaml" % i, self.slice(
            i, "ready: false, serving: true, terminating: true"))

    def end(self, i):
        self.gateway.runtime("shutdown frontend p%d" % self.ports[i], "pods.sock")
        self.gateway.remove("pod%d.yaml" % i)


def roll(pods):
    """As a Deployment does: some new ones come, then as many old ones go; each serves on for a
    while after it is told to end."""
    for first in range(0, PODS, SURGE):
        for i in range(first, first + SURGE):
            pods.begin(PODS + i)
        time.sleep(NOTICE_S)
        for i in range(first, first + SURGE):
            pods.terminate(i)
        time.sleep(NOTICE_S)
        for i in range(first, first + SURGE):
            pods.end(i)


def rolling(args):
    with running(args, 2) as (gateway, _, _), contextlib.ExitStack() as stack:
        pods = Pods(stack, gateway, 2 * PODS)
        gateway.replace("sp.yaml", SERVICE.format(i="p"))
        for i in range(PODS):
            pods.begin(i)
        gateway.replace("l.yaml", route("p", [ref("sp", 80)], "l", hostname="localhost"))
        gateway.wait_applied()
        gateway.write("uris.txt", "/\n")
        seconds = int(2 * NOTICE_S * PODS / SURGE + 3 * MARGIN_S)
        with h2load(gateway, gateway.port, MARGIN_S, RATE, "uris.txt") as load:
            still = load.failed()
        with h2load(gateway, gateway.port, seconds, RATE, "uris.txt") as load:
            roll(pods)
            load.check_running()
            failed = load.failed()
        answering = Client(gateway.port).ask("localhost")
        if answering not in ["p%d" % port for port in pods.ports[PODS:]]:
            raise BenchError("%s answers, which is none of the new ones" % answering)
    yield Limit("kube-rolling-failed", "requests", failed, still, 0)
