# SPDX-License-Identifier: Apache-2.0
"""Too much of it: files of 100 MB, a thousand events a second. Bounded, named, nothing lost."""
import multiprocessing
import os
import random
import threading
import time

import yaml

import manifests as m
from helpers import AGENT_ROUTES, agent_probes, differences, ready, sanitized
from tidegate import eventually
from traffic import Probe, Traffic

MIB = 1 << 20
ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: big-%(n)d, namespace: default}
spec:
  hostnames: [big-%(n)d.test]
  parentRefs: [{name: gw}]
  rules: [{backendRefs: [{group: tidegate.io, kind: Backend, name: c}]}]
---
"""


CONFIGMAP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: big-%(n)d, namespace: default, labels: {a: b, c: d, e: f}}
data: {key: "%(n)d", other: some text that is neither long nor short, third: and some more}
---
"""


def resident(gate):
    with open("/proc/%d/statm" % gate.process.pid, encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def latency(gate, number):
    """Seconds from an edit to the answer that shows it."""
    name = "edit-%d" % number
    gate.write("edit", m.route("edit", [m.rule("d")], hostnames=[name + ".test"]))
    at = time.monotonic()
    eventually(lambda: gate.get(host=name + ".test").origin == "d", interval=0.005)
    return time.monotonic() - at


def has_finding(gate, words):
    return any(words in row["text"] for row in gate.ctl_json("findings"))


def test_file_of_100_megabytes(gate):
    """Of documents that would all be good."""
    gate.apply("r", *AGENT_ROUTES)
    before = resident(gate)
    text = "".join(ROUTE % {"n": n} for n in range(400))
    with Traffic(gate.port, agent_probes()) as traffic:
        gate.write_text("big", text * (100 * MIB // len(text)))
        eventually(lambda: has_finding(gate, "is larger than"))
        assert latency(gate, 1) < 2
        assert gate.get(host="big-1.test").status == 404
        if not sanitized():
            assert resident(gate) < before + 40 * MIB
        # Growing over the limit: what it said before stays.
        gate.write_text("big", text)
        eventually(lambda: gate.get(host="big-399.test").origin == "c")
        gate.write_text("big", text * (100 * MIB // len(text)))
        eventually(lambda: has_finding(gate, "is larger than"))
        assert gate.get(host="big-399.test").origin == "c"
        gate.remove("big")
        eventually(lambda: gate.get(host="big-399.test").status == 404)
        eventually(lambda: not has_finding(gate, "is larger than"))
    traffic.verify()
    assert ready(gate) and not differences(gate)


class Pulse:
    """Asks the controller all the time whether it lives; remembers the longest wait."""

    def __init__(self, gate):
        self.gate, self.longest = gate, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def run(self):
        while not self.over.is_set():
            began = time.monotonic()
            try:
                assert self.gate.control("/healthz").status == 200
            finally:  # a wait that was too long for us is one, too
                self.longest = max(self.longest, time.monotonic() - began)
            time.sleep(0.02)


def test_many_megabytes_at_once(gate):
    """A folder moves in. Its files are read over many turns of the loop, and count together."""
    files, documents = 16, 3000
    folder = os.path.join(gate.base, "big")
    os.makedirs(folder)
    for file in range(files):
        with open(os.path.join(folder, "%d.yaml" % file), "w", encoding="ascii") as out:
            out.write("".join(CONFIGMAP % {"n": file * documents + n} for n in range(documents)))
    counted = set()

    def count():
        counted.add(gate.metrics()['tidegate_objects{kind="ConfigMap"}'])
        return max(counted) == files * documents
    with Pulse(gate) as pulse, Traffic(gate.port, [Probe("none.test", [404])]) as traffic:
        began = time.monotonic()
        os.rename(folder, os.path.join(gate.dir, "big"))
        eventually(count, timeout=60)
        took = time.monotonic() - began
    print("%d files: %.2f s, the longest wait %.2f s" % (files, took, pulse.longest))
    traffic.verify()
    assert counted <= {0, files * documents}
    assert pulse.longest < took / 2


def test_endless_line_and_binary(gate):
    gate.apply("r", *AGENT_ROUTES)
    with Traffic(gate.port, agent_probes()) as traffic:
        gate.write_text("line", "a: " + "x" * (50 * MIB))
        gate.write_text("deep", "[" * (MIB // 2))
        with open(gate.path("binary.new"), "wb") as out:
            out.write(random.Random(1).randbytes(3 * MIB))
        os.rename(gate.path("binary.new"), gate.path("binary.yaml"))
        eventually(lambda: sorted(row["reason"] for row in gate.ctl_json("findings"))
                   == ["ParseFailed", "ParseFailed", "TooLarge"])
        assert latency(gate, 1) < 2
    traffic.verify()


def test_thousand_events_a_second(gate):
    """Files that come, change and go, manifests and others; an edit among them is live as ever,
    and what they say in the end is what counts."""
    gate.apply("r", *AGENT_ROUTES)
    # A process: it must not wait for our threads.
    fork = multiprocessing.get_context("fork")
    over, count = fork.Event(), fork.Value("i", 0)

    def put(name, text):
        with open(gate.path(".storm"), "w", encoding="ascii") as out:
            out.write(text)
        os.rename(gate.path(".storm"), gate.path(name))

    def storm():
        random_of = random.Random(1)
        routes = {(number, origin): yaml.dump(
            m.route("storm-%d" % number, [m.rule(origin)], hostnames=["storm-%d.test" % number]))
            for number in range(40) for origin in "ab"}
        due = time.monotonic()
        while not over.is_set():
            due += 0.010  # what a busy machine delays is made up for
            for _ in range(10):  # each makes at least two events
                number = random_of.randrange(40)
                kind = random_of.randrange(4)
                name = "storm-%d" % number
                if kind == 0:
                    put(name + ".txt", "no manifest")
                elif kind == 1 and os.path.exists(gate.path(name)):
                    gate.remove(name)
                else:
                    put(name, routes[number, random_of.choice("ab")])
                count.value += 2
            time.sleep(max(0, due - time.monotonic()))
    with Traffic(gate.port, agent_probes(), pause_s=0.02) as traffic:
        process = fork.Process(target=storm, daemon=True)
        process.start()
        began = time.monotonic()
        slowest = max(latency(gate, number) for number in range(20))
        while time.monotonic() - began < 5:
            time.sleep(0.05)
        rate = count.value / (time.monotonic() - began)
        over.set()
        process.join()
        for number in range(40):
            name = "storm-%d" % number
            gate.write(name, m.route(name, [m.rule("c")], hostnames=[name + ".test"]))
        gate.settle()
        assert all(gate.get(host="storm-%d.test" % number).origin == "c" for number in range(40))
    print("%d events a second, the slowest edit took %.0f ms" % (rate, 1000 * slowest))
    traffic.verify()
    assert rate > 1000
    assert slowest < 1
    assert not differences(gate)
