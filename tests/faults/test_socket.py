# SPDX-License-Identifier: Apache-2.0
"""A Runtime API socket that does not answer as it should while a large change is made: traffic
gets the old answers or the new ones, and the new ones once the socket is well again."""
import os
import random
import signal
import socket
import time

import pytest

import manifests as m
import relay
import world
from helpers import differences, ready
from tidegate import PATIENCE_S, Tidegate, eventually
from traffic import Probe, Traffic

RANDOM = random.Random(4)


def slow(text, forward):
    time.sleep(0.3)
    return forward(text)


def late(text, forward):
    """Longer than a controller waits."""
    time.sleep(5.5)
    return forward(text)


def mute(text, forward):
    time.sleep(30)


def garbage(text, forward):
    return RANDOM.randbytes(RANDOM.randrange(1, 5000))


def done_but_garbage(text, forward):
    forward(text)
    return RANDOM.choice([b"", b"\n", b"\0\n\n", b"\xff" * 100 + b"\n\n", b"# name\n\n"])


def half(text, forward):
    answer = forward(text)
    return answer[:RANDOM.randrange(len(answer) + 1)]


def hang_up(text, forward):
    return None


def done_but_hung_up(text, forward):
    forward(text)


def first_half_only(text, forward):
    """HAProxy dies to us in the middle of a batch."""
    commands = relay.split(text)
    forward(relay.join(commands[:(len(commands) + 1) // 2]))


def refuse(text, forward):
    """What HAProxy says when it has no memory left, or is locked."""
    if relay.changes(text):
        return b"Out of memory error.\n\n"
    return forward(text)


def sometimes(text, forward):
    return RANDOM.choice([slow, garbage, half, hang_up, done_but_hung_up, first_half_only, refuse,
                          relay.Relay.pass_on, relay.Relay.pass_on])(text, forward)


def failures(gate):
    metrics = gate.metrics()
    return metrics["tidegate_command_failures_total"] + sum(
        not row["ok"] for row in gate.ctl_json("timeline"))


def change_with(gate, origins, behaviour, seconds):
    """Makes world B of A through that, and waits until all is well again."""
    probes = world.probes("A")
    worker = gate.worker_pid()
    with relay.Relay(gate) as between, Traffic(gate.port, probes) as traffic:
        world.allow(probes, "A", "B")
        between.behaviour = behaviour
        world.write(gate, origins, "B")
        time.sleep(seconds)
        said = failures(gate)
        between.behaviour = None
        at = time.monotonic()
        eventually(lambda: ready(gate) and world.is_live(gate, "B") and not differences(gate),
                   timeout=PATIENCE_S, interval=0.05, what="all well again")
        print("right again after %.1f s" % (time.monotonic() - at))
        world.allow(probes, "B")
        time.sleep(0.5)
    traffic.verify()
    assert gate.worker_pid() == worker
    return said


@pytest.mark.parametrize("behaviour, seconds", [
    (slow, 3), (late, 7), (mute, 6), (garbage, 3), (done_but_garbage, 3), (half, 3), (hang_up, 3),
    (done_but_hung_up, 3), (first_half_only, 3), (refuse, 3), (sometimes, 8),
], ids=lambda value: getattr(value, "__name__", ""))
def test_socket(worlds, origins, behaviour, seconds):
    said = change_with(worlds, origins, behaviour, seconds)
    if behaviour is not slow:
        assert said, "nothing tells of it"


def test_update_after_one_that_was_lost(worlds, origins):
    """The first update has no answer and is not in HAProxy; the second, which is waiting by then,
    builds upon it. No request sees a backend that is not there."""
    worlds.write("new", m.backend("new", origins["d"].port))

    def split(old, other, new, write=worlds.write):
        write("split", m.route("split", [m.rule(m.ref("a", old), m.ref(other, new))],
                               hostnames=["split.test"]))
    split(9, "b", 1, worlds.apply)
    lost = []

    def lose_the_first(text, forward):
        if relay.changes(text) and not lost:
            lost.append(text)
            time.sleep(5.5)
            return None
        return forward(text)
    probe = Probe("split.test", ["a", "b", "d"])
    with relay.Relay(worlds, lose_the_first), Traffic(worlds.port, [probe]) as traffic:
        split(9, "new", 1)
        eventually(lambda: lost, what="the first update")
        split(5, "new", 5)
        eventually(lambda: worlds.metric_sum("tidegate_command_failures_total"))
        eventually(lambda: ready(worlds) and not differences(worlds))
        time.sleep(0.5)
    traffic.verify()


def test_socket_of_another_haproxy(worlds, origins, tmp_path):
    """Whoever answers there, HAProxy of another run directory: it is not touched for long, and
    our own is right at once when it is back."""
    other = Tidegate(tmp_path / "other")
    other.base_manifests(origins.values())
    other.start()
    other.settle()
    try:
        real = os.path.join(other.run_dir, "haproxy.sock")

        def lead_astray(text, forward):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(real)
                connection.sendall(text)
                return b"".join(iter(lambda: connection.recv(65536), b""))
        assert change_with(worlds, origins, lead_astray, 5)
    finally:
        other.close()


def test_reload_by_hand_in_the_middle_of_applies(worlds, origins):
    """Somebody else reloads HAProxy while world follows world: the new worker starts from files
    that are younger than two seconds, not from the memory. What they do not have yet is 503 until
    the new worker is noticed; nothing is a wrong answer."""
    probes = world.probes("A")
    world.allow(probes, "A", "B")
    with Traffic(worlds.port, probes, reconnect=True) as traffic:
        for turn in range(6):
            world.write(worlds, origins, "BA"[turn % 2])
            time.sleep(RANDOM.uniform(0, 0.1))
            os.kill(worlds.master_pid(), signal.SIGUSR2)
            time.sleep(RANDOM.uniform(0.3, 1.5))
        eventually(lambda: ready(worlds) and world.is_live(worlds, "A") and
                   not differences(worlds), interval=0.1)
    assert not traffic.wrong(), (len(traffic.problems), traffic.count, traffic.wrong()[:5])
