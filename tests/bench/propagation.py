# SPDX-License-Identifier: Apache-2.0
"""From the rename of a changed manifest to the first answer that shows it.

Each change sends the requests of one route, chosen at random, to the other origin; a client
asks for it over one connection until that one answers. A random pause before each change
keeps clear of whatever beats in the programs."""
import contextlib
import random
import statistics
import time

from bench import BenchError, Limit
from gateway import ORIGINS, Client, Gateway, h2load, host, ref, route

ROUTES, CHANGES = 3000, 1000
TARGETS = (("mean", 7.0), ("p99", 12.0), ("max", 40.0))
MAX_PAUSE_S, PATIENCE_S, ASK_S = 0.02, 10, 0.0002
RATE, LOAD_S = 1000, 600  # requests/s


def until_shown(client, name, wanted):
    end = time.monotonic() + PATIENCE_S
    while client.ask(name) != wanted:
        if time.monotonic() > end:
            raise BenchError("%s is not answered by %s within %d s" % (name, wanted, PATIENCE_S))
        time.sleep(ASK_S)


class Changes:
    """The same changes for both sides; each flips the origin of one host."""

    def __init__(self, count, routes, seed=1):
        self.dice = random.Random(seed)
        self.chosen = [self.dice.randrange(routes) for _ in range(count)]
        self.origin = {i: i % len(ORIGINS) for i in self.chosen}

    def __iter__(self):
        for i in self.chosen:
            self.origin[i] = 1 - self.origin[i]
            time.sleep(self.dice.uniform(0, MAX_PAUSE_S))
            yield i, ORIGINS[self.origin[i]]


def milliseconds(client, i, wanted, make_change):
    """make_change: the change and nothing else."""
    begin = time.monotonic()
    make_change()
    until_shown(client, host(i), wanted)
    return (time.monotonic() - begin) * 1000


def by_manifest(gateway, changes):
    client = Client(gateway.port)
    for i, wanted in changes:
        name = "r%d.yaml" % i
        gateway.prepare(name, route(i, [ref("s%d" % ORIGINS.index(wanted), 80)]))
        yield milliseconds(client, i, wanted, lambda: gateway.rename(name))


def by_hand(gateway, changes):
    client = Client(gateway.hand_port)
    for i, wanted in changes:
        command = "set map %s %s/ %s" % (gateway.path("hosts.map"), host(i), wanted)
        yield milliseconds(client, i, wanted, lambda: gateway.runtime(command))


def p99(times):
    return sorted(times)[-1 - len(times) // 100]


def figures(name, ours, hand, targets=TARGETS):
    for (what, target), summary in zip(targets, (statistics.mean, p99, max)):
        yield Limit("%s-%s" % (name, what), "ms", summary(ours), summary(hand), target)


def measure(args, under_load):
    with contextlib.ExitStack() as stack:
        routes = args.routes or ROUTES
        gateway = Gateway(stack, args, routes, len(ORIGINS))
        gateway.start_origins(stack)
        gateway.start_hand(stack)
        gateway.start(stack)
        gateway.wait_applied()
        gateway.write("uris.txt", "/\n")
        count = args.changes or CHANGES
        times = []
        for port, side in ((gateway.port, by_manifest), (gateway.hand_port, by_hand)):
            with contextlib.ExitStack() as while_measured:
                if under_load:
                    while_measured.enter_context(
                        h2load(gateway, port, LOAD_S, RATE, "uris.txt", "--h1",
                               "-H", "Host: " + host(0)))
                times.append(list(side(gateway, Changes(count, routes))))
    return times


def benchmark(name, under_load):
    def run(args):
        yield from figures(name, *measure(args, under_load))
    return run
