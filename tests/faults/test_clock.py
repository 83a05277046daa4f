# SPDX-License-Identifier: Apache-2.0
"""A system clock that jumps, by an hour in both directions, under every process (libfaketime)."""
import glob
import time

import pytest

import manifests as m
from helpers import (AGENT_ROUTES, agent_probes, differences, events, kill, recovered, sanitized)
from tidegate import eventually
from traffic import Traffic

HOUR = 3600


@pytest.fixture
def shift(cold_gate, tmp_path, monkeypatch):
    """shift(seconds): from now on the system's clock is off by so much."""
    libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not libraries:
        pytest.skip("libfaketime is not installed")
    if sanitized():
        pytest.skip("the sanitizers want to be loaded first")
    rc = tmp_path / "clock"

    def set_clock(seconds):
        rc.with_suffix(".new").write_text("%+d\n" % seconds)
        rc.with_suffix(".new").rename(rc)
    set_clock(0)
    monkeypatch.setenv("LD_PRELOAD", libraries[0])
    monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(rc))
    monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    cold_gate.start(ready=False)
    monkeypatch.undo()
    cold_gate.wait_ready()
    cold_gate.apply("r", *AGENT_ROUTES)
    return set_clock


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_clock_jumps(cold_gate, shift, jump):
    gate = cold_gate
    pids = gate.agents()
    with Traffic(gate.port, agent_probes(), clients_count=4) as traffic:
        time.sleep(0.3)
        shift(jump)
        time.sleep(1)
        gate.apply("edit", m.route("edit", [m.rule("c")], hostnames=["edit.test"]))
        assert gate.get(host="edit.test").origin == "c"
        time.sleep(2.5)  # a look at the agent, a read-back
        shift(0)
        gate.apply("edit", m.route("edit", [m.rule("d")], hostnames=["edit.test"]))
        assert gate.get(host="edit.test").origin == "d"
        time.sleep(1)
    traffic.verify()
    assert gate.agents() == pids
    check_metrics(gate)
    with Traffic(gate.port, agent_probes(), reconnect=True) as traffic:
        shift(jump)
        at = kill(gate.worker_pid())
        eventually(lambda: gate.metric_sum("tidegate_haproxy_restarts_total") == 1)
        recovered(gate, traffic, at, "worker, with another clock")
    assert events(gate, "restart")
    eventually(lambda: "restart failed: HAProxy" in gate.log())
    assert not differences(gate)


def check_metrics(gate):
    """Durations are of a clock that does not jump."""
    metrics = gate.metrics()
    assert 0 < metrics["tidegate_uptime_seconds"] < 300
    for name in ("pass", "apply"):
        assert 0 <= metrics["tidegate_%s_duration_seconds_sum" % name] < 60
