# SPDX-License-Identifier: Apache-2.0
"""What is left of root after a start as root."""
import os
import socket

import pytest

import manifests as m
from tidegate import eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="there is nothing to give up")

CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID = 0, 1, 3, 4, 5, 6, 7
NET_BIND_SERVICE, SYS_RESOURCE = 10, 24
KEPT = sum(1 << bit for bit in (CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID,
                                NET_BIND_SERVICE, SYS_RESOURCE))


def status(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as lines:
        return dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)


def check(gate):
    for pid in gate.process.pid, gate.agent_pid(), gate.master_pid(), gate.worker_pid():
        said = status(pid)
        assert said["NoNewPrivs"] == "1", said
        for name in "CapBnd", "CapPrm", "CapEff":
            assert int(said[name], 16) & ~KEPT == 0, said
    worker = status(gate.worker_pid())
    assert "0" not in worker["Uid"].split(), worker
    assert int(worker["CapEff"], 16) == 0, worker


def test_only_what_is_needed_is_kept(gate):
    """The agent answers, a low port and a reload work without the rest."""
    low = next(port for port in range(900, 1000) if free(port))
    gate.write("low", m.gateway("low", m.listener("http", low)))
    gate.apply("list", m.route("list", [
        m.rule("b", matches=[m.match(headers=[("X-V", "^1+$", "RegularExpression")])]),
        m.rule("a")], hostnames=["list.test"], parents=[m.parent("gw"), m.parent("low")]))
    for port in gate.port, low:
        eventually(lambda: gate.get(host="list.test", headers=[("X-V", "11")],
                                    port=port).origin == "b")
    assert gate.metric_sum("tidegate_reloads_total") >= 1
    check(gate)


def free(port):
    try:
        socket.create_server(("127.0.0.1", port)).close()
        return True
    except OSError:
        return False
