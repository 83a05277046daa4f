# SPDX-License-Identifier: Apache-2.0
"""An orderly stop: what goes on, for how long, and what hurries it."""
import threading
import time

import pytest

import manifests as m
from load import Load
from tidegate import PATIENCE_S, alive, eventually

HOST = "stop.test"


@pytest.fixture
def start(cold_gate):
    def started(*options):
        cold_gate.options += options
        cold_gate.write("stop", m.route("stop", [m.rule("a")], hostnames=[HOST]))
        cold_gate.start()
        cold_gate.settle()
        return cold_gate
    return started


class Request:
    """One that takes its time."""

    def __init__(self, gate, milliseconds):
        self.answer = None
        self.thread = threading.Thread(target=self.ask, args=(gate, milliseconds))
        self.thread.start()
        eventually(lambda: "CurrConns: 1" in gate.runtime("show info"))

    def ask(self, gate, milliseconds):
        try:
            self.answer = gate.get("/?sleep=%d" % milliseconds, host=HOST, timeout=PATIENCE_S)
        except OSError:
            pass

    def end(self):
        self.thread.join(PATIENCE_S)
        return self.answer


def test_requests_may_end(start):
    gate = start()
    worker, long = gate.worker_pid(), Request(gate, 11500)
    assert gate.stop() == 0
    assert long.end().origin == "a"
    assert not alive(worker)


def test_requests_that_take_too_long_are_cut(start):
    gate = start("--stop-timeout", "1")
    worker, long = gate.worker_pid(), Request(gate, 8000)
    assert gate.stop() == 0
    assert not alive(worker)
    assert long.end() is None or long.answer.status >= 500


def test_drain(start):
    """For those that ask /readyz it is over, for all others it is not."""
    gate = start("--drain", "3")
    with Load(gate.port, HOST) as load:
        gate.process.terminate()
        eventually(lambda: gate.control("/readyz").status == 503)
        assert b"draining" in gate.control("/readyz").body
        assert gate.control("/healthz").status == 200
        assert gate.edit_works()
    load.verify()
    assert gate.process.wait(PATIENCE_S) == 0


def test_second_signal_ends_the_drain(start):
    """In order, though: requests may still end."""
    gate = start("--drain", "600")
    long = Request(gate, 4000)
    gate.process.terminate()
    eventually(lambda: gate.control("/readyz").status == 503)
    time.sleep(1.1)  # sooner it is the same wish
    assert gate.stop() == 0
    assert long.end().origin == "a"
