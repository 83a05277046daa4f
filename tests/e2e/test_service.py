# SPDX-License-Identifier: Apache-2.0
"""The installed service under a systemd of its own."""
import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

import manifests as m
from load import Load
from tidegate import BUILD, HAPROXY, PATIENCE_S, TOP, Tidegate, alive, command_line, eventually

UNIT = "tidegate.service"
SYSTEMD = "/lib/systemd/systemd"


def cgroup_root():
    """Where this machine's cgroup2 hierarchy is mounted."""
    with open("/proc/mounts", encoding="utf-8") as mounts:
        return next((line.split()[1] for line in mounts if line.split()[2] == "cgroup2"), None)


pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts need root"),
    pytest.mark.skipif(not os.path.exists(SYSTEMD), reason="systemd is not installed"),
    pytest.mark.skipif(not cgroup_root(), reason="there is no cgroup2 hierarchy"),
    pytest.mark.skipif(not os.path.realpath(HAPROXY).startswith("/usr/"),
                       reason="the unit runs the system's HAProxy, and sees no home directories"),
]


class Service(Tidegate):
    """The Tidegate that systemd runs. Its files are seen through the root of systemd's process."""

    def __init__(self, base):
        super().__init__(base)
        self.cgroup = "tidegate-test-%d" % os.getpid()
        self.root = os.path.join(self.base, "system")
        os.makedirs(self.root)
        self.boot_log = os.path.join(self.base, "boot.log")
        self.namespaces = self.init = None

    def boot(self):
        with open(self.boot_log, "wb") as log:
            self.namespaces = subprocess.Popen(
                [os.path.join(TOP, "tests/e2e/boot-systemd"), self.root, os.path.abspath(BUILD),
                 self.dir, self.cgroup], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.init = eventually(self.find_init, timeout=60, interval=0.1)
        self.run_dir = "/proc/%d/root/run/tidegate" % self.init
        self.log_path = "/proc/%d/root/var/log/tidegate.log" % self.init

    def find_init(self):
        with open(self.boot_log, encoding="utf-8") as log:
            assert self.namespaces.poll() is None, log.read()
        with open("/proc/%d/task/%d/children" % ((self.namespaces.pid,) * 2),
                  encoding="ascii") as children:
            self.init = int(children.read() or 0)
        assert command_line(self.init).startswith(SYSTEMD.encode())
        self.systemctl("list-units")
        return self.init

    def close(self):
        if not self.namespaces:
            return
        for pid in filter(None, (self.init, self.namespaces.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.namespaces.wait()
        eventually(self.remove_cgroup)

    def remove_cgroup(self):
        top = os.path.join(cgroup_root(), self.cgroup)
        for path, _, _ in os.walk(top, topdown=False):
            os.rmdir(path)
        return True

    def inside(self, *command, check=True):
        done = subprocess.run(["nsenter", "--target", str(self.init), "--all", *command],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100,
                              universal_newlines=True)
        if check:
            assert done.returncode == 0, (command, done.stdout, self.log()[-3000:])
        return done.stdout

    def systemctl(self, *words, check=True):
        return self.inside("systemctl", "--no-pager", *words, check=check)

    def show(self, name):
        return self.systemctl("show", "--value", "--property", name, UNIT).strip()

    def signal_main(self, name):
        self.systemctl("kill", "--kill-whom=main", "--signal=" + name, UNIT)

    def processes(self):
        """Of the service's cgroup."""
        return self.inside("sh", "-c", "cat /sys/fs/cgroup/system.slice/%s/cgroup.procs 2>&-" %
                           UNIT, check=False).split()

    def start(self, ready=True):
        self.systemctl("start", UNIT)

    def stop(self):
        self.systemctl("stop", UNIT)


@pytest.fixture(scope="module")
def booted(tmp_path_factory, origins):
    done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--cgroup", "true"],
                          stderr=subprocess.PIPE, check=False)
    if done.returncode:
        pytest.skip("no namespaces: " + done.stderr.decode().strip())
    with contextlib.closing(Service(tmp_path_factory.mktemp("service"))) as service:
        service.base_manifests(origins.values())
        service.write("r", m.route("r", [m.rule("a"), m.rule("b", matches=[m.match(
            headers=[("x-v", "1[0-9]", "RegularExpression")])])], hostnames=["r.test"]))
        service.boot()
        yield service


@pytest.fixture
def service(booted):
    booted.systemctl("reset-failed")
    booted.start()
    yield booted
    booted.stop()


def answers(service):
    return (service.get(host="r.test").origin == "a" and
            service.get(host="r.test", headers=[("X-V", "17")]).origin == "b")


def active(service):
    return service.show("ActiveState") == "active" and service.show("SubState") == "running"


def test_started_means_ready(service):
    """No wait: `systemctl start` has waited. An edit is live, then, as anywhere."""
    assert answers(service)
    assert active(service)
    assert service.show("StatusText") == "HAProxy is what the source says"
    service.apply("edit", m.route("edit", [m.rule("c")], hostnames=["edit.test"]))
    assert service.get(host="edit.test").origin == "c"


def test_reload_and_upgrade_leave_haproxy_alone(service):
    worker, main = service.worker_pid(), service.show("MainPID")
    with Load(service.port, "r.test") as load:
        service.systemctl("reload", UNIT)
        service.signal_main("USR2")
        eventually(lambda: "becoming /usr/local/bin/tidegate" in service.log())
        eventually(lambda: active(service) and service.control("/readyz").status == 200)
        service.settle()
    load.verify()
    assert (service.worker_pid(), service.show("MainPID")) == (worker, main)
    assert "SIGHUP" in service.log()


def test_a_crash_is_no_news_for_traffic(service):
    worker, restarts = service.worker_pid(), int(service.show("NRestarts"))
    with Load(service.port, "r.test") as load, \
            Load(service.port, "r.test", headers=[("X-V", "17")]) as agents_load:
        service.signal_main("KILL")
        eventually(lambda: int(service.show("NRestarts")) == restarts + 1)
        eventually(lambda: active(service))
        service.settle()
        time.sleep(3)  # HAProxy looks after the agent meanwhile
    load.verify()
    agents_load.verify()
    assert service.worker_pid() == worker


def test_crashes_are_never_too_many(service):
    restarts = int(service.show("NRestarts"))
    for number in range(1, 8):
        service.signal_main("KILL")
        eventually(lambda: int(service.show("NRestarts")) >= restarts + number and active(service),
                   interval=0.1)
    service.settle()
    assert answers(service)


def test_one_that_hangs_is_started_again(service):
    path = "/proc/%d/root/run/systemd/system/%s.d" % (service.init, UNIT)
    os.makedirs(path)
    try:
        with open(os.path.join(path, "soon.conf"), "w", encoding="ascii") as out:
            out.write("[Service]\nWatchdogSec=2\n")
        service.systemctl("daemon-reload")
        service.systemctl("restart", UNIT)
        restarts = int(service.show("NRestarts"))
        time.sleep(3)
        assert int(service.show("NRestarts")) == restarts, service.log()[-3000:]
        service.signal_main("STOP")
        eventually(lambda: int(service.show("NRestarts")) == restarts + 1)
        eventually(lambda: active(service) and answers(service))
    finally:
        shutil.rmtree(path)
        service.systemctl("daemon-reload")


def test_restart_serves_the_last_good_plan(service):
    """The run directory outlives the service."""
    time.sleep(2.5)
    service.write_text("r", "{ this is not [ yaml")
    try:
        service.systemctl("restart", UNIT)
        eventually(lambda: answers(service))
        assert service.show("StatusText") != "HAProxy is what the source says"
    finally:
        service.write("r", m.route("r", [m.rule("a"), m.rule("b", matches=[m.match(
            headers=[("x-v", "1[0-9]", "RegularExpression")])])], hostnames=["r.test"]))
        service.settle()
    eventually(lambda: service.show("StatusText") == "HAProxy is what the source says")


def test_stop_lets_requests_end_and_leaves_nothing(service):
    got = []
    asking = threading.Thread(target=lambda: got.append(
        service.get("/?sleep=1500", host="r.test")))
    asking.start()
    time.sleep(0.5)
    processes = service.processes()
    assert len(processes) == 4, "tidegate, the agent, HAProxy's master and worker"
    service.stop()
    asking.join(PATIENCE_S)
    assert got and got[0].origin == "a"
    assert service.show("Result") == "success" and service.show("ActiveState") == "inactive"
    assert not service.processes()
    assert not alive(int(service.show("ExecMainPID")) or -1)
