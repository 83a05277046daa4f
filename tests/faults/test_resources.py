# SPDX-License-Identifier: Apache-2.0
"""What runs out: the disk, the right to write, descriptors, HAProxy's memory. Traffic goes on,
edits are live where they can be, and everything is right once there is room again."""
import contextlib
import os
import re
import resource
import subprocess
import time

import pytest

import manifests as m
from helpers import (AGENT_ROUTES, agent_probes, differences, events, kill, ready, recovered)
from tidegate import eventually
from traffic import Probe, Traffic


class Disk:
    """A small file system of its own below a run directory."""

    def __init__(self, path):
        self.path = path
        os.makedirs(path)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0755", "tidegate-test",
                               path], stderr=subprocess.PIPE, check=False)
        if done.returncode:
            os.rmdir(path)
            pytest.skip("cannot mount: %s" % done.stderr.decode().strip())

    def fill(self):
        with open(os.path.join(self.path, "ballast"), "wb", buffering=0) as out:
            try:
                while True:
                    out.write(b"x" * 4096)
            except OSError:
                pass

    def free(self):
        os.unlink(os.path.join(self.path, "ballast"))

    def remount(self, option):
        subprocess.run(["mount", "-o", "remount," + option, self.path], check=True)

    def close(self):
        subprocess.run(["umount", "-l", self.path], check=True)


@pytest.fixture
def disk(cold_gate):
    disk = Disk(cold_gate.run_dir)
    try:
        cold_gate.start()
        cold_gate.apply("r", *AGENT_ROUTES)
        # The master executes itself anew once its worker runs, and needs its files for that.
        eventually(lambda: "master" in cold_gate.runtime("show proc;quit", "master.sock"))
        yield disk
        cold_gate.close()
    finally:
        disk.close()


def edit(gate, origin):
    gate.apply("edit", m.route("edit", [m.rule(origin)], hostnames=["edit.test"]))
    assert gate.get(host="edit.test").origin == origin


def in_file(gate, name, text):
    with open(os.path.join(gate.run_dir, name), encoding="utf-8") as file:
        return text in file.read()


def test_full_disk(cold_gate, disk):
    gate = cold_gate
    with Traffic(gate.port, agent_probes()) as traffic:
        disk.fill()
        edit(gate, "c")
        eventually(lambda: any("No space" in reason for reason in events(gate, "write")),
                   timeout=5)
        assert gate.metrics()["tidegate_files_failing"] == 1
        assert ready(gate)
        gate.process.kill()
        gate.process.wait()
        gate.start()
        edit(gate, "d")
    traffic.verify()
    # HAProxy starts from older files, and is brought to the present before it is called ready.
    with Traffic(gate.port, agent_probes() + [Probe("edit.test", ["d", 404])],
                 reconnect=True) as traffic:
        at = kill(gate.worker_pid())
        eventually(lambda: gate.metric_sum("tidegate_haproxy_restarts_total") == 1)
        recovered(gate, traffic, at, "worker, with a full disk")
        assert gate.get(host="edit.test").origin == "d"
    eventually(lambda: gate.metrics()["tidegate_files_failing"] == 1, timeout=5)
    disk.free()
    eventually(lambda: in_file(gate, "plan.last", "edit.test"), timeout=6)
    eventually(lambda: gate.metrics()["tidegate_files_failing"] == 0, timeout=6)
    eventually(lambda: "files can be written again" in gate.log(), timeout=3)
    assert not differences(gate)


def test_new_listener_with_a_full_disk(cold_gate, disk):
    """A reload needs files: it waits, what is there goes on, and it comes when there is room."""
    from tidegate import free_port
    gate = cold_gate
    port = free_port()
    disk.fill()
    with Traffic(gate.port, agent_probes(), reconnect=True) as traffic:
        gate.write("more", m.gateway("more", m.listener("http", port)),
                   m.route("more", [m.rule("d")], parents=[m.parent("more")]))
        eventually(lambda: any("No space" in reason for reason in events(gate, "reload")))
        assert not ready(gate)
        edit(gate, "c")
        disk.free()
        eventually(lambda: gate.get(port=port).origin == "d")
        eventually(lambda: ready(gate) and not differences(gate))
    traffic.verify()


def test_read_only_run_directory(cold_gate, disk):
    gate = cold_gate
    with Traffic(gate.port, agent_probes()) as traffic:
        disk.remount("ro")
        edit(gate, "c")
        eventually(lambda: any("Read-only" in reason for reason in events(gate, "write")),
                   timeout=5)
        gate.process.kill()
        gate.process.wait()
        gate.start(ready=False)
        assert gate.process.wait(10) == 1
        assert "Read-only file system" in gate.log().splitlines()[-1]
        disk.remount("rw")
        gate.start()
        edit(gate, "d")
    traffic.verify()


def test_out_of_descriptors(gate):
    gate.apply("r", *AGENT_ROUTES)
    pid = gate.process.pid
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    in_use = max(int(name) for name in os.listdir("/proc/%d/fd" % pid)) + 1
    with Traffic(gate.port, agent_probes()) as traffic:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (in_use, usual[1]))
        holes = in_use - len(os.listdir("/proc/%d/fd" % pid))
        gate.write("edit", m.route("edit", [m.rule("c")], hostnames=["edit.test"]))
        time.sleep(5)
        assert gate.process.poll() is None
        resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
        eventually(lambda: gate.get(host="edit.test").origin == "c", timeout=6)
        eventually(lambda: ready(gate) and not differences(gate))
    traffic.verify()
    if holes == 0:
        assert "Too many open files" in gate.log()


def numbered(number):
    return m.route("many-%d" % number, [m.rule("c", filters=[m.header_filter(
        "Request", set=[("x-number", "%d-%s" % (number, "x" * 4000))])])],
        hostnames=["many-%d.test" % number])


@pytest.fixture
def limited(cold_gate, tmp_path):
    """limited(KiB or "unlimited"): the memory of a HAProxy that starts from now on."""
    limit = tmp_path / "limit"
    wrapper = tmp_path / "haproxy"
    wrapper.write_text('#!/bin/sh\n[ "$1" = -W ] && ulimit -v $(cat %s)\nexec %s "$@"\n' % (
        limit, cold_gate.haproxy))
    wrapper.chmod(0o755)
    cold_gate.haproxy = str(wrapper)
    return lambda size: limit.write_text(str(size))


def test_haproxy_out_of_memory(cold_gate, limited):
    """HAProxy may refuse or die of it, but gives no wrong answer, and has it all afterwards."""
    gate = cold_gate
    limited("unlimited")
    gate.start()
    gate.apply("r", *AGENT_ROUTES, numbered(0))  # its header name is known from now on
    with open("/proc/%d/status" % gate.worker_pid(), encoding="ascii") as status:
        size = int(re.search(r"VmPeak:\s+(\d+)", status.read()).group(1))
    limited(size + 2048)
    kill(gate.master_pid())
    eventually(lambda: ready(gate) and not differences(gate))
    with Traffic(gate.port, agent_probes(), reconnect=True) as traffic:
        gate.write("many", *map(numbered, range(1, 3000)))
        eventually(lambda: not ready(gate), interval=0.01, what="not enough memory")
        time.sleep(1)
        limited("unlimited")
        for pid in gate.masters():
            with contextlib.suppress(ProcessLookupError):  # it died of it at this moment
                kill(pid)
        eventually(lambda: ready(gate) and gate.get(host="many-2999.test").origin == "c" and
                   not differences(gate), interval=0.1)
    assert not traffic.wrong(), traffic.wrong()[:5]
    metrics = gate.metrics()
    assert (metrics["tidegate_command_failures_total"] > 0 or
            metrics["tidegate_haproxy_restarts_total"] > 2)
