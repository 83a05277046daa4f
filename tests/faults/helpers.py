# SPDX-License-Identifier: Apache-2.0
"""What the tests of faults ask a Tidegate, and how long they wait."""
import json
import os
import signal
import time

import manifests as m
from tidegate import BUILD, alive, eventually
from traffic import Probe


def sanitized():
    with open(os.path.join(BUILD, "tidegate"), "rb") as program:
        return b"__asan_init" in program.read()


# From a kill to the right answer, and to "ready". Instrumented programs are slow.
RECOVERY_S = 6 if sanitized() else 2


def differences(gate):
    """What HAProxy is not as the plan says."""
    return json.loads(gate.ctl("-o", "json", "diff", check=False))


def ready(gate):
    return gate.control("/readyz").status == 200


def kill(pid):
    """Returns when it has ended, with the time of the kill."""
    at = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid), interval=0.001)
    return at


def recovered(gate, traffic, fault_at, what):
    """Waits until HAProxy is up and equal to the plan and all answers are right, and checks that
    this took no longer than it may. Returns the seconds it took."""
    eventually(lambda: ready(gate) and not differences(gate), interval=0.01, what=what)
    true_at = time.monotonic()
    eventually(lambda: traffic.count_since(traffic.last_problem(true_at)) >=
               3 * len(traffic.probes), what="right answers after: " + what)
    took = max(traffic.last_problem(fault_at), true_at) - fault_at
    assert took < RECOVERY_S, (what, took, traffic.since(fault_at + RECOVERY_S)[:5])
    return took


def events(gate, what):
    """The reasons of the timeline's events of a kind, newest first."""
    return [row["reason"] for row in gate.ctl_json("timeline") if row["what"] == what]


AGENT_ROUTES = [
    m.route("plain", [m.rule("a")], hostnames=["plain.test"]),
    # A regular expression: no map can say it.
    m.route("list", [m.rule("a"), m.rule("b", matches=[m.match(
        headers=[("x-v", "1[0-9]", "RegularExpression")])])], hostnames=["list.test"])]


def agent_probes():
    """Requests that HAProxy answers alone, and one that needs the agent."""
    return [Probe("plain.test", ["a"]),
            Probe("list.test", ["a"]),
            Probe("list.test", ["b"], headers=[("X-V", "17")])]
