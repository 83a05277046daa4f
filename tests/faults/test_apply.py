# SPDX-License-Identifier: Apache-2.0
"""An apply that ends in the middle: the controller killed at every command of a large one."""
import threading
import time

import relay
import world
from helpers import RECOVERY_S, differences
from tidegate import eventually
from traffic import Traffic


class Killer:
    """Lets through the first commands of an apply, then kills the controller."""

    def __init__(self, gate):
        self.gate, self.left, self.count = gate, None, 0
        self.killed = threading.Event()
        self.lock = threading.Lock()

    def arm(self, left):
        self.left, self.count = left, 0
        self.killed.clear()

    def __call__(self, text, forward):
        with self.lock:
            if not relay.changes(text):
                return forward(text)
            commands = relay.split(text)
            self.count += len(commands)
            if self.left is None:
                return forward(text)
            if self.left >= len(commands):
                self.left -= len(commands)
                return forward(text)
            if self.left > 0:
                forward(relay.join(commands[:self.left]))
            self.left = None
            self.gate.process.kill()
            self.killed.set()
            return None


def test_controller_killed_at_every_command(worlds, origins):
    probes = world.probes("A")
    killer = Killer(worlds)
    kills, whole, slowest = 0, 0, 0.0
    with relay.Relay(worlds, killer), Traffic(worlds.port, probes) as traffic:
        now, after = "A", "B"
        while whole < 2:  # the applies in both directions
            world.allow(probes, now, after)
            killer.arm((kills + whole) // 2)
            world.write(worlds, origins, after)
            eventually(lambda: killer.killed.is_set() or world.is_live(worlds, after),
                       what="apply of %s" % after)
            if killer.killed.is_set():
                kills += 1
                worlds.process.wait()
                began = time.monotonic()
                worlds.start()
                slowest = max(slowest, time.monotonic() - began)
            else:
                whole += 1
            # Ready means true: at once, not later.
            world.allow(probes, after)
            assert not differences(worlds), (kills, after)
            assert not traffic.problems, (kills, after, traffic.problems[:5])
            now, after = after, now
    print("%d kills, the slowest recovery took %.2f s" % (kills, slowest))
    traffic.verify()
    assert kills > 100, "the applies have only %d commands" % kills
    assert slowest < RECOVERY_S
