# SPDX-License-Identifier: Apache-2.0
"""`tidegate run --external`: somebody else runs HAProxy and the agent, as the containers of a pod
do, here with the chart's own script."""
import contextlib
import os
import re
import signal
import subprocess
import threading

import pytest

import manifests as m
from load import Load
from tidegate import BUILD, HAPROXY, PATIENCE_S, TOP, Tidegate, alive, eventually, free_port

SCRIPT = os.path.join(TOP, "helm/tidegate/files/haproxy.sh")
HOST = "x.test"


class External(Tidegate):
    """With a HAProxy and an agent of the test's own."""

    def __init__(self, base):
        super().__init__(base)
        self.others = {}
        os.makedirs(self.run_dir, mode=0o750)

    def command(self):
        return [self.program, "run", "--run-dir", self.run_dir, "--external", *self.options,
                self.dir]

    def spawn(self, name, *words, path=os.path.dirname(HAPROXY)):
        with open(self.log_path, "ab") as log:
            self.others[name] = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=dict(os.environ, PATH=path + ":" + os.environ["PATH"]))

    def start_haproxy(self, **options):
        self.spawn("haproxy", "sh", SCRIPT, self.run_dir, "-q", **options)

    def start_agent(self):
        self.spawn("agent", os.path.join(BUILD, "tidegate-spoa"), "--listen",
                   "unix@%s/agent.sock" % self.run_dir, "--stats-socket",
                   self.run_dir + "/agent-stats.sock")

    def end(self, name, signum):
        """As a container ends, with all that is in it."""
        process = self.others.pop(name)
        if signum == signal.SIGKILL:
            os.killpg(process.pid, signum)
        else:
            process.send_signal(signum)
        return process.wait(PATIENCE_S)

    def close(self):
        """tidegate ends well, and leaves the others; these end when they are told."""
        status = self.stop() if self.process and self.process.poll() is None else None
        left = {name: process.poll() for name, process in self.others.items()}
        for name in sorted(self.others, reverse=True):  # HAProxy before its agent
            self.end(name, signal.SIGTERM)
        super().close()
        assert status in (None, 0), self.log()[-3000:]
        assert not [name for name, code in left.items() if code is not None], left


@pytest.fixture
def cold(tmp_path, origins):
    with contextlib.closing(External(tmp_path)) as gate:
        gate.base_manifests(origins.values())
        gate.write("r", m.both_ways(HOST))
        yield gate


@pytest.fixture
def gate(cold):
    cold.start_agent()
    cold.start_haproxy()
    cold.start()
    cold.settle()
    return cold


def not_ready(gate):
    answer = gate.control("/readyz")
    return answer.status == 503 and answer.body.decode()


def restarts(gate):
    return gate.metric_sum("tidegate_haproxy_restarts_total")


@pytest.mark.parametrize("first", ["haproxy", "tidegate"])
def test_order_of_the_start(cold, first):
    """Whoever comes first waits for the other; no reload is needed."""
    if first == "haproxy":
        cold.start_haproxy()
        eventually(lambda: os.path.exists(cold.run_dir + "/haproxy.version"))
        cold.start(ready=False)
    else:
        cold.start(ready=False)
        assert eventually(lambda: not_ready(cold))
        eventually(lambda: "haproxy.version" in cold.log())
        cold.start_haproxy()
    cold.start_agent()
    cold.wait_ready()
    eventually(lambda: cold.answers_both(HOST))
    assert cold.edit_works()
    assert cold.metric_sum("tidegate_reloads_total") == 0
    assert restarts(cold) == 0


def test_reload_signal_while_it_waits(cold):
    """SIGHUP before there is anything to tell."""
    cold.start(ready=False)
    eventually(lambda: "haproxy.version" in cold.log())
    cold.process.send_signal(signal.SIGHUP)
    cold.start_agent()
    cold.start_haproxy()
    cold.wait_ready()
    assert cold.answers_both(HOST)
    assert cold.metric_sum("tidegate_reloads_total") == 0


def test_upgrade_in_place(gate):
    """Of tidegate alone: what the others run goes on."""
    worker = gate.worker_pid()
    with Load(gate.port, HOST) as load:
        gate.process.send_signal(signal.SIGUSR2)
        eventually(lambda: gate.log().count("info ready: ") == 2)
        assert gate.edit_works()
    load.verify()
    assert gate.worker_pid() == worker
    assert gate.metric_sum("tidegate_reloads_total") == restarts(gate) == 0


def test_new_listener(gate):
    """A reload, by the master that somebody else has started."""
    port = free_port()
    worker = gate.worker_pid()
    with Load(gate.port, HOST, reconnect=True) as load:
        gate.write("more", m.gateway("more", m.listener("http", port)),
                   m.route("more", [m.rule("d")], parents=[m.parent("more")]))
        eventually(lambda: gate.get(host="any.test", port=port).origin == "d")
    load.verify()
    assert gate.worker_pid() != worker
    assert restarts(gate) == 0
    assert gate.edit_works()
    # And again, since the first one has cost us the connection to the master
    gate.write("most", m.gateway("most", m.listener("http", free_port())))
    eventually(lambda: gate.metric_sum("tidegate_reloads_total") == 2)
    assert gate.edit_works()
    assert restarts(gate) == 0


def test_haproxy_is_another_before_we_look(gate):
    """It is not taken for the one that it was before."""
    gate.apply("late", m.route("late", [m.rule("d")], hostnames=["late.test"]))
    gate.process.send_signal(signal.SIGSTOP)
    gate.end("haproxy", signal.SIGKILL)
    gate.start_haproxy()
    eventually(lambda: gate.get(host="none.test").status == 404)
    gate.process.send_signal(signal.SIGCONT)
    eventually(lambda: restarts(gate) == 1)
    gate.wait_ready()
    assert gate.get(host="late.test").origin == "d"
    assert gate.answers_both(HOST)
    assert gate.edit_works()


@pytest.mark.parametrize("how", ["worker", "master", "container", "reload"])
def test_haproxy_ends(gate, how):
    """It is not ready until another one is what the objects say, and is not started by us."""
    gate.apply("late", m.route("late", [m.rule("d")], hostnames=["late.test"]))
    if how == "reload":
        gate.write("more", m.gateway("more", m.listener("http", free_port())))
        eventually(lambda: gate.metric_sum("tidegate_reloads_total") == 1, interval=0.002)
    if how in ("container", "reload"):
        gate.end("haproxy", signal.SIGKILL)
    else:
        pid = gate.worker_pid() if how == "worker" else int(re.search(
            r"(\d+)\s+master", gate.runtime("show proc;quit", "master.sock")).group(1))
        os.kill(pid, signal.SIGKILL)
        gate.others.pop("haproxy").wait(PATIENCE_S)
    assert eventually(lambda: not_ready(gate), timeout=5)
    gate.write("late", m.route("late", [m.rule("c")], hostnames=["late.test"]))
    gate.start_haproxy()
    gate.wait_ready()
    assert gate.get(host="late.test").origin == "c"
    assert restarts(gate) == 1
    assert gate.metric_sum("tidegate_frontends_blocked") == 0
    eventually(lambda: gate.answers_both(HOST))
    assert gate.edit_works()


def test_haproxy_from_older_files(gate):
    """It was starting while we wrote: what it has loaded is seen, and not for long."""
    with open(gate.run_dir + "/haproxy.cfg", encoding="utf-8") as cfg:
        old = cfg.read()
    port = free_port()
    gate.write("more", m.gateway("more", m.listener("http", port)))
    eventually(lambda: gate.get(port=port).status == 404)
    gate.wait_ready()
    gate.end("haproxy", signal.SIGKILL)
    eventually(lambda: gate.log().count("HAProxy may be started") == 2)
    with open(gate.run_dir + "/haproxy.cfg", "w", encoding="utf-8") as cfg:
        cfg.write(old)
    gate.start_haproxy()
    gate.wait_ready()
    assert gate.get(port=port).status == 404
    assert gate.edit_works()


def test_agent_restarted(gate):
    """Nothing is decided without it, and all again as soon as it is back."""
    eventually(lambda: gate.metric_sum("tidegate_agent_frames_sent_total"))
    gate.end("agent", signal.SIGKILL)
    assert gate.get(host=HOST, headers=[("X-V", "b")]).status == 503
    eventually(lambda: gate.metric_sum("tidegate_agent_restarts_total") == 1)
    gate.start_agent()
    eventually(lambda: gate.answers_both(HOST))
    assert restarts(gate) == 0


def test_agent_that_hangs(gate):
    """We cannot end it; whoever runs it asks it."""
    def check():
        return subprocess.run([os.path.join(BUILD, "tidegate-spoa"), "--check",
                               gate.run_dir + "/agent-stats.sock"], check=False, timeout=20,
                              stderr=subprocess.DEVNULL).returncode
    assert check() == 0
    gate.others["agent"].send_signal(signal.SIGSTOP)
    assert check() == 1
    gate.others["agent"].send_signal(signal.SIGCONT)
    assert check() == 0
    gate.end("agent", signal.SIGKILL)
    assert check() == 1
    gate.start_agent()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGUSR1])
def test_haproxy_that_never_started_ends(cold, signum):
    cold.start_haproxy()
    eventually(lambda: os.path.exists(cold.run_dir + "/haproxy.version"))
    assert cold.end("haproxy", signum) == 0


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_controller_restarted(gate, signum):
    """However it ends, traffic does not notice, nor that of a route that is too new for the
    last-good plan; what was changed meanwhile comes with the next."""
    worker = gate.worker_pid()
    gate.apply("late", m.route("late", [m.rule("d")], hostnames=["late.test"]))
    with Load(gate.port, HOST) as load, Load(gate.port, "late.test") as late:
        gate.process.send_signal(signum)
        gate.process.wait(PATIENCE_S)
        gate.write("edit", m.route("edit", [m.rule("d")], hostnames=["edit.test"]))
        gate.start()
        eventually(lambda: gate.get(host="edit.test").origin == "d")
        assert gate.edit_works()
    load.verify()
    late.verify()
    assert gate.worker_pid() == worker
    assert gate.metric_sum("tidegate_reloads_total") == 0


def test_all_but_the_files_are_new(gate):
    """As after a crash of the whole pod's processes: the last-good plan is what is served first."""
    gate.process.kill()
    gate.process.wait()
    gate.end("haproxy", signal.SIGKILL)
    gate.start_haproxy()
    gate.start()
    assert gate.answers_both(HOST)
    assert gate.edit_works()
    assert gate.metric_sum("tidegate_reloads_total") == 0


@pytest.fixture
def older(tmp_path):
    """A HAProxy that says it is of 2.6, which every one can be driven as."""
    wrapper = tmp_path / "older" / "haproxy"
    wrapper.parent.mkdir()
    wrapper.write_text('#!/bin/sh\n[ "$1" = -v ] && echo "HAProxy version 2.6.99" || '
                       'exec %s "$@"\n' % HAPROXY)
    wrapper.chmod(0o755)
    return str(wrapper.parent)


def test_haproxy_of_another_version(gate, older):
    """It does not start before its configuration is written anew."""
    assert "2.6.99" not in gate.ctl("status")
    gate.end("haproxy", signal.SIGKILL)
    gate.start_haproxy(path=older)
    eventually(lambda: "version 2.6.99" in gate.ctl("status"))
    gate.wait_ready()
    assert gate.answers_both(HOST)
    assert gate.edit_works()


def test_haproxy_is_told_to_end(gate):
    """By any signal: it ends its requests, without us."""
    worker = gate.worker_pid()
    gate.process.terminate()
    assert gate.process.wait(PATIENCE_S) == 0
    assert gate.answers_both(HOST)
    answer = []
    asking = threading.Thread(target=lambda: answer.append(gate.get("/?sleep=1500", host=HOST)))
    asking.start()
    eventually(lambda: "CurrConns: 1" in gate.runtime("show info"))
    gate.end("haproxy", signal.SIGTERM)
    asking.join(PATIENCE_S)
    assert answer and answer[0].origin == "a"
    assert not alive(worker)


def test_options_that_make_no_sense(cold):
    done = subprocess.run([*cold.command(), "--haproxy", HAPROXY], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, timeout=20)
    assert done.returncode == 2
    assert "--haproxy is of programs that tidegate starts" in done.stdout
