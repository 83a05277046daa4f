# SPDX-License-Identifier: Apache-2.0
"""Two worlds that differ in everything a change without a reload can touch.

write(gate, origins, "A" or "B") makes all of it one change: one file. probes() are requests
whose answers are known in each; between the two, each of both is right."""
import functools

import manifests as m
from traffic import Probe

SIZE = 4  # of each kind of route


@functools.lru_cache(maxsize=None)
def certificate(world):
    return m.make_certificate("tls.test", "%s.tls.test" % world.lower())


def filters(world):
    return [m.header_filter("Request", set=[("x-world", world)]),
            m.header_filter("Response", add=[("x-answer", world)])]


def common(number, world, one, two):
    """Routes that are in both worlds, with other contents."""
    host = "%d.test" % number
    return [
        # A plain verdict moves to another backend.
        m.route("plain-%d" % number, [m.rule(one)], hostnames=["plain-" + host]),
        # A record changes: filters, time-out, one backend to two.
        m.route("record-%d" % number,
                [m.rule(one, filters=filters(world), timeouts={"request": "7s"})
                 if world == "A" else
                 m.rule(m.ref(one, 3), m.ref(two, 7), filters=filters(world))],
                hostnames=["record-" + host]),
        # A decision list, a method, a path come and go.
        m.route("list-%d" % number,
                [m.rule(two, matches=[m.match(headers=[("x-v", "2")])]),
                 m.rule(one, matches=[m.match("/"), m.match("/deep/%s" % world, method="POST")])],
                hostnames=["list-" + host]),
    ]


def only(number, world, one):
    """A route and a backend that the other world does not have."""
    name = "only-%s-%d" % (world.lower(), number)
    return [m.backend(name, one.port),
            m.route(name, [m.rule(name)], hostnames=["%s.test" % name])]


def objects(origins, world):
    one, two = ("a", "b") if world == "A" else ("c", "d")
    result = [m.tls_secret("tls", pem=certificate(world))]
    for number in range(SIZE):
        result += common(number, world, one, two)
        result += only(number, world, origins[one])
        # Its servers change; one stays, with another weight.
        result += [
            m.backend("moving-%d" % number,
                      {"host": "127.0.0.1", "port": origins["a"].port,
                       "weight": 1 if world == "A" else 5},
                      {"host": "127.0.0.1", "port": origins["b" if world == "A" else "c"].port}),
            m.route("moving-%d" % number, [m.rule("moving-%d" % number)],
                    hostnames=["moving-%d.test" % number])]
    return result


def schema(tls_port):
    """What is a listener's: it is there before the worlds are, and does not change."""
    return m.gateway("tls", m.listener("https", tls_port, hostname="tls.test", certs=["tls"]))


def write(gate, origins, world):
    gate.write("world", *objects(origins, world))


def probes(world):
    """The requests with their answers in that world; the same order for each."""
    one, two = ("a", "b") if world == "A" else ("c", "d")
    result = []
    for number in range(SIZE):
        host = "%d.test" % number
        result += [
            Probe("plain-" + host, [one]),
            Probe("record-" + host, [one] if world == "A" else [one, two]),
            Probe("list-" + host, [one]),
            Probe("list-" + host, [two], headers=[("X-V", "2")]),
            Probe("only-a-" + host, [one if world == "A" else 404]),
            Probe("only-b-" + host, [one if world == "B" else 404]),
            Probe("moving-" + host, ["a", "b" if world == "A" else "c"]),
        ]
    return result


def allow(probes_in_use, *worlds):
    """From now on the answers of these worlds are right."""
    for probe, *answers in zip(probes_in_use, *(probes(world) for world in worlds)):
        probe.allowed = set().union(*(answer.allowed for answer in answers))


def is_live(gate, name):
    """Whether every probe gets the answer of that world."""
    def right(probe):
        answer = gate.get(probe.target, host=probe.host, headers=probe.headers)
        return (answer.origin or answer.status) in probe.allowed
    return all(right(probe) for probe in probes(name))
