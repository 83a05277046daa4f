# SPDX-License-Identifier: Apache-2.0
"""`kill -9` of every process, alone and together: right answers or none, and all of it back
within RECOVERY_S."""
import os
import stat
import threading
import time

import pytest

import manifests as m
from helpers import AGENT_ROUTES, agent_probes, differences, events, kill, ready, recovered
from tidegate import Tidegate, eventually, free_port
from traffic import Traffic


@pytest.fixture
def served(gate):
    gate.apply("r", *AGENT_ROUTES)
    gate.apply("late", m.backend("late", 1), m.route("late", [m.rule("b")],
                                                     hostnames=["late.test"]))
    return gate


def traffic_of(gate):
    return Traffic(gate.port, agent_probes(), reconnect=True)


def back(gate, traffic, at, what):
    took = recovered(gate, traffic, at, what)
    print("%s: right again after %.2f s, %d of %d requests failed" % (
        what, took, len(traffic.problems), traffic.count))
    assert not traffic.wrong(), traffic.wrong()[:5]


@pytest.mark.parametrize("whom", ["worker", "master", "agent"])
def test_kill(served, whom):
    pid = getattr(served, whom + "_pid")()
    started = served.agents if whom == "agent" else served.masters
    counter = "tidegate_%s_restarts_total" % ("agent" if whom == "agent" else "haproxy")
    before = served.metric_sum(counter)
    with traffic_of(served) as traffic:
        at = kill(pid)
        eventually(lambda: served.metric_sum(counter) == before + 1, interval=0.01)
        back(served, traffic, at, whom)
    assert len(started()) == 1 and pid not in started()
    assert any("signal 9" in reason or "137" in reason
               for reason in events(served, "restart")), events(served, "restart")
    if whom == "agent":  # what it does not decide never noticed
        assert all(problem.probe.host == "list.test" and problem.got == 503
                   for problem in traffic.problems), traffic.problems[:5]


def test_kill_again_and_again(served):
    """A HAProxy that dies soon after its start is started with growing pauses, and forgiven."""
    with traffic_of(served) as traffic:
        for _ in range(3):
            kill(served.master_pid())
            eventually(lambda: not ready(served), interval=0.005)
            eventually(lambda: ready(served))
        at = kill(served.master_pid())
        back(served, traffic, at, "fourth master")


@pytest.mark.parametrize("rest", ["", "worker", "master", "agent", "master agent worker"])
def test_kill_of_the_controller_and(served, rest):
    pids = [getattr(served, name + "_pid")() for name in rest.split()]
    with traffic_of(served) as traffic:
        served.process.kill()
        served.process.wait()
        for pid in pids:
            kill(pid)
        at = time.monotonic()
        served.start(ready=False)
        eventually(lambda: ready_is_true(served), interval=0.005)
        back(served, traffic, at, "controller " + rest)
    if not rest:
        traffic.verify()
    assert len(served.masters()) == 1


def ready_is_true(gate):
    """At the first moment at which it says ready, nothing is different."""
    if not ready(gate):
        return False
    found = differences(gate)
    if found:
        raise RuntimeError("ready, but: %s" % found)
    return True


def slow_haproxy(tmp_path, haproxy):
    """A HAProxy that takes its time before it reads its configuration."""
    path = tmp_path / "slow-haproxy"
    path.write_text('#!/bin/sh\n[ "$1" = -W ] && sleep 0.5\nexec %s "$@"\n' % haproxy)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def failing(tmp_path, program, first_word):
    """A wrapper of a program that ends at once while tmp_path/fail exists, and the times of those
    starts (version questions do not count)."""
    path, times = tmp_path / ("failing-" + os.path.basename(program)), tmp_path / "times"
    path.write_text('#!/bin/sh\n[ "$1" = %s ] && [ -e %s ] && date +%%s.%%N >>%s && exit 1\n'
                    'exec %s "$@"\n' % (first_word, tmp_path / "fail", times, program))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path), lambda: [float(line) for line in times.read_text().split()]


@pytest.mark.parametrize("whom", ["haproxy", "agent"])
def test_what_cannot_start_is_tried_with_growing_pauses(tmp_path, cold_gate, whom):
    gate = cold_gate
    program, times = failing(tmp_path, getattr(gate, whom),
                             "-W" if whom == "haproxy" else "--listen")
    setattr(gate, whom, program)
    gate.start()
    gate.apply("r", *AGENT_ROUTES)
    (tmp_path / "fail").touch()
    kill(gate.master_pid() if whom == "haproxy" else gate.agent_pid())
    eventually(lambda: (tmp_path / "times").exists() and len(times()) >= 5)
    pauses = [later - earlier for earlier, later in zip(times(), times()[1:])]
    print(pauses)
    # A busy machine makes them longer, nothing shorter.
    assert all(pause > 0.15 * 2 ** number for number, pause in enumerate(pauses)), pauses
    (tmp_path / "fail").unlink()
    with traffic_of(gate) as traffic:
        eventually(lambda: traffic.count_since(traffic.last_problem(0)) > 20)
    eventually(lambda: ready(gate) and not differences(gate))


def test_reload_that_fails_for_a_while(tmp_path, cold_gate):
    """It is tried again without another change, and what was said of it is over then."""
    gate = cold_gate
    gate.haproxy, times = failing(tmp_path, gate.haproxy, "-c")
    gate.start()
    port = free_port()
    (tmp_path / "fail").touch()
    gate.write("more", m.gateway("more", m.listener("http", port)),
               m.route("more", [m.rule("a")], parents=[m.parent("more")]))
    eventually(lambda: (tmp_path / "times").exists() and len(times()) >= 4)
    pauses = [later - earlier for earlier, later in zip(times(), times()[1:])]
    assert all(pause > 0.1 * 2 ** number for number, pause in enumerate(pauses)), pauses
    assert "haproxy -c" in gate.ctl("status") and "not Programmed" in gate.ctl("status")
    (tmp_path / "fail").unlink()
    eventually(lambda: gate.get(port=port).origin == "a")
    eventually(lambda: "not Programmed" not in gate.ctl("status"))
    assert "Trouble" not in gate.ctl("status")


def test_controller_killed_while_haproxy_starts(tmp_path, origins):
    """Nobody has written down yet which process it is; a second one would share its ports."""
    gate = Tidegate(tmp_path)
    gate.haproxy = slow_haproxy(tmp_path, gate.haproxy)
    gate.base_manifests(origins.values())
    try:
        for _ in range(3):
            gate.start(ready=False)
            eventually(gate.masters, interval=0.001)
            gate.process.kill()
            gate.process.wait()
        gate.start()
        assert len(gate.masters()) == 1, gate.log()
        assert len(gate.agents()) == 1
        gate.settle()
    except AssertionError:
        print(gate.log())
        raise
    finally:
        gate.close()


def test_controller_killed_while_haproxy_stops(served):
    """The next one does not take a HAProxy that only waits for its last request."""
    answers = []

    def ask():
        answers.append(served.get("/?sleep=4000", host="plain.test"))
    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.3)
    served.process.terminate()
    time.sleep(0.5)
    served.process.kill()
    served.process.wait()
    with traffic_of(served) as traffic:
        at = time.monotonic()
        served.start(ready=False)
        back(served, traffic, at, "controller while HAProxy stops")
    asking.join()
    assert answers[0].origin == "a"
    assert any("is stopping" in reason for reason in events(served, "adopt"))
    eventually(lambda: len(served.masters()) == 1)


def test_kill_in_the_middle_of_a_reload(served):
    """A listener is added and HAProxy dies: both are there afterwards."""
    from tidegate import free_port
    for whom in ("worker", "master", "controller"):
        port = free_port()
        with traffic_of(served) as traffic:
            served.write("more-" + whom, m.gateway(whom, m.listener("http", port)),
                         m.route(whom, [m.rule("d")], parents=[m.parent(whom)]))
            time.sleep(0.03)
            if whom == "controller":
                served.process.kill()
                served.process.wait()
                at = time.monotonic()
                served.start(ready=False)
            else:
                at = kill(getattr(served, whom + "_pid")())
            eventually(lambda: served.get(port=port).origin == "d", interval=0.01)
            back(served, traffic, at, "reload, " + whom)
