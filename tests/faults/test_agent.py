# SPDX-License-Identifier: Apache-2.0
"""An agent that hangs, answers late, answers lies: 503 or an answer that a route of the list has,
never a crash, and nothing of it for requests that need no agent."""
import os
import signal
import time

import pytest

from helpers import AGENT_ROUTES, agent_probes, events, kill, ready
from tidegate import Tidegate, command_line, eventually
from traffic import Traffic

HEADERS = [("X-V", "17")]


@pytest.fixture
def served(gate):
    gate.apply("r", *AGENT_ROUTES)
    return gate


def ask(gate):
    try:
        answer = gate.get(host="list.test", headers=HEADERS)
    except ConnectionError:
        return "closed"
    return answer.origin or answer.status


def test_agent_that_hangs(served):
    pid, worker = served.agent_pid(), served.worker_pid()
    probes = agent_probes()
    for probe in probes[1:]:
        probe.allowed |= {503}
    os.kill(pid, signal.SIGSTOP)
    with Traffic(served.port, probes) as traffic:
        at = time.monotonic()
        eventually(lambda: served.agents() not in ([pid], []), what="another agent")
        eventually(lambda: ask(served) == "b")
        print("an agent that hangs: right again after %.1f s" % (time.monotonic() - at))
        for probe in probes:
            probe.allowed -= {503}
        time.sleep(0.5)
        assert not traffic.wrong()
    traffic.verify()
    assert served.metric_sum("tidegate_agent_restarts_total") == 1
    assert any("hangs" in reason for reason in events(served, "restart"))
    assert served.worker_pid() == worker


def test_agent_that_hangs_for_a_moment(served):
    """Shorter than what counts as dead: it is not ended, and the requests come right again."""
    pid = served.agent_pid()
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1)
    os.kill(pid, signal.SIGCONT)
    eventually(lambda: ask(served) == "b", timeout=3)
    time.sleep(4)
    assert served.agent_pid() == pid
    assert ask(served) == "b"


@pytest.fixture(scope="module")
def lied(tmp_path_factory, origins):
    gate = Tidegate(tmp_path_factory.mktemp("lied"))
    gate.agent = os.path.join(os.path.dirname(os.path.abspath(__file__)), "liar")
    gate.base_manifests(origins.values())
    gate.write("r", *AGENT_ROUTES)
    gate.start()
    gate.settle()
    yield gate
    gate.close()


def lie(gate, *words):
    with open(os.path.join(gate.run_dir, "lie.new"), "w", encoding="ascii") as out:
        out.write(" ".join(words))
    os.rename(os.path.join(gate.run_dir, "lie.new"), os.path.join(gate.run_dir, "lie"))


BROKEN = ("huge", "broken", "half", "garbage", "another", "types")
TRUTH = ("say", "default:b.0 default/list/1")


@pytest.mark.parametrize("words, answers", [
    (TRUTH, {"b"}),
    (("say", "default:a.0 default/other/0"), {"a"}),  # of another rule: still one of ours
    (("twice", "default:b.0 default/list/1"), {"b"}),
    (("late", "default:b.0 default/list/1"), {503}),
    (("silent",), {503}),
    (("nothing",), {503}),
    (("huge",), {503}),
    (("broken",), {503}),
    (("half", "default:b.0 x"), {503}),
    (("garbage",), {503}),
    (("another", "default:b.0 x"), {503}),
    (("types",), {503}),
    (("hang_up",), {503}),
    (("say", ""), {503}),
    (("say", "no-such-backend a/b/0"), {503}),
    (("say", "@no/such/rule"), {503}),
    (("say", "~nosuchid"), {503}),
    (("say", "?nosuchlist"), {503}),
    (("say", "%nosuchsplit/10/10"), {503}),
    (("say", r"\x00\xff\r\n\r\nHTTP/1.1 200 OK"), {503}),
    (("say", "default:b.0\\r\\nx: y"), {503, "b"}),
    (("say", "http-redirect -"), {302, 503}),
    (("say", "http-ask -"), {200, 503}),
    (("say", "tidegate-agent -"), {"closed", 503}),
    (("say", "spare-63 -"), {503}),
    (("say", "default.gw.%d x" % 1), {503}),
], ids=lambda value: "-".join(value)[:30] if isinstance(value, tuple) else "")
def test_agent_that_lies(lied, version, words, answers):
    worker = lied.worker_pid()
    lie(lied, *words)
    seen = {ask(lied) for _ in range(6)}
    assert seen <= answers, seen
    assert lied.get(host="plain.test").origin == "a"
    lie(lied, *TRUTH)
    if version >= (3, 1) and words[0] in BROKEN:
        # The connections of a mux that saw half a frame are not given up soon: it fails closed
        # until the agent is another process.
        for pid in lied.children():
            if b"agent-stats.sock" in command_line(pid):
                kill(pid)
    eventually(lambda: ask(lied) == "b", timeout=3)
    assert lied.worker_pid() == worker
    assert ready(lied)


def test_lies_about_oneself_do_not_spoil_the_metrics(lied):
    time.sleep(2.5)
    for name in lied.metrics():
        assert name.startswith("tidegate_"), name
