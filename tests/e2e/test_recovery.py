# SPDX-License-Identifier: Apache-2.0
"""Everything that can die or be tampered with: last-good, drift, supervision, upgrades."""
import fcntl
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

import clients
import manifests as m
from load import Load
from tidegate import BUILD, PATIENCE_S, alive, eventually, free_port

HOST = "r.test"


@pytest.fixture
def served(gate):
    gate.apply("r", m.both_ways(HOST))
    return gate


# ---- last-good ----

def lose(gate, how):
    if how == "missing":
        shutil.rmtree(gate.dir)
    else:
        for name in os.listdir(gate.dir):
            with open(os.path.join(gate.dir, name), "w", encoding="utf-8") as out:
                out.write("{ this is not [ yaml\n")


@pytest.mark.parametrize("how", ["missing", "broken"])
def test_last_good_plan_is_served_when_the_source_is_gone(served, how):
    time.sleep(2.5)  # files follow the memory within 2 s
    served.kill_everything()
    lose(served, how)
    served.start(ready=False)
    eventually(lambda: served.answers_both(HOST), what="last-good routes")
    time.sleep(1)
    assert served.answers_both(HOST)


def test_source_that_comes_back_is_followed_again(served):
    time.sleep(2.5)
    served.kill_everything()
    os.rename(served.dir, served.dir + ".away")
    served.start(ready=False)
    eventually(lambda: served.answers_both(HOST), what="last-good routes")
    os.rename(served.dir + ".away", served.dir)
    assert served.edit_works()
    assert served.answers_both(HOST)


def test_files_follow_the_memory(served):
    served.apply("f", m.route("f", [m.rule("b")], hostnames=["follow.test"]))

    def written():
        maps = "".join(open(os.path.join(root, name), encoding="utf-8").read()
                       for root, _, names in os.walk(os.path.join(served.run_dir, "maps"))
                       for name in names)
        with open(os.path.join(served.run_dir, "plan.last"), encoding="utf-8") as plan:
            return "follow.test/" in maps and "follow.test/" in plan.read()
    eventually(written, timeout=3)


# ---- drift: what someone typed into the socket ----

def map_id(gate, ending):
    """The number of a map in `show map`."""
    for line in gate.runtime("show map").splitlines():
        found = re.match(r"(\d+) \((\S*%s)\)" % re.escape(ending), line)
        if found:
            return "#" + found.group(1)
    raise AssertionError(gate.runtime("show map"))


def map_entry(gate, ending, key):
    for line in gate.runtime("show map " + map_id(gate, ending)).splitlines():
        parts = line.split(" ", 2)
        if len(parts) > 2 and parts[1] == key:
            return parts[2]
    return None


def server_of(gate, backend_pattern):
    for line in gate.runtime("show servers state").splitlines():
        fields = line.split()
        if len(fields) > 4 and re.search(backend_pattern, fields[1]):
            return "%s/%s" % (fields[1], fields[3])
    raise AssertionError(gate.runtime("show servers state"))


def own_server(gate):
    """The server of origin a, found by its port: names of backends differ by version."""
    base = gate.get(host=HOST)
    assert base.origin == "a"
    with open(gate.path("00-base"), encoding="utf-8") as manifests:
        import yaml
        port = next(doc["spec"]["addresses"][0]["port"] for doc in yaml.safe_load_all(manifests)
                    if doc["kind"] == "Backend" and doc["metadata"]["name"] == "a")
    for line in gate.runtime("show servers state").splitlines():
        fields = line.split()
        if len(fields) > 18 and fields[18] == str(port):
            return "%s/%s" % (fields[1], fields[3])
    raise AssertionError(gate.runtime("show servers state"))


def clear_map(gate):
    gate.runtime("clear map " + map_id(gate, "routes.map"))


def delete_entry(gate):
    gate.runtime("del map %s %s/" % (map_id(gate, "routes.map"), HOST))


def maintenance(gate):
    gate.runtime("set server %s state maint" % own_server(gate))


def delete_server(gate):
    server = own_server(gate)
    gate.runtime("set server %s state maint" % server)
    time.sleep(0.3)  # HAProxy 2.6 does not survive less
    gate.runtime("del server " + server)


def address(gate):
    gate.runtime("set server %s addr 127.0.0.1 port 1" % own_server(gate))


@pytest.mark.parametrize("tamper", [clear_map, delete_entry, maintenance, delete_server, address],
                         ids=lambda item: item.__name__)
def test_drift_is_repaired_and_counted(served, tamper):
    before = drift_count(served)
    tamper(served)
    # 5 s, and a little for a busy machine.
    eventually(lambda: served.answers_both(HOST), timeout=8, interval=0.1)
    eventually(lambda: drift_count(served) > before, timeout=3)
    eventually(lambda: "repair" in served.ctl("timeline"), timeout=3)


def drift_count(gate):
    values = {name: value for name, value in gate.metrics().items() if "drift" in name}
    assert values, "no metric of drift"
    return sum(values.values())


def test_silently_changed_value_is_repaired_within_a_minute(served):
    number = map_id(served, "routes.map")
    key = HOST + "/"
    value = map_entry(served, "routes.map", key)
    assert value
    before = drift_count(served)
    served.runtime("set map %s %s http-404" % (number, key))
    eventually(lambda: drift_count(served) > before, timeout=65, interval=0.2)
    eventually(lambda: map_entry(served, "routes.map", key) == value, timeout=5)


def test_certificate_that_was_set_by_hand_is_put_back(served):
    port = free_port()
    served.apply("tls", m.tls_secret("own", "own.test"),
                 m.gateway("tls", m.listener("https", port, certs=["own"])),
                 m.route("tls", [m.rule("a")], parents=[m.parent("tls")]))
    own = eventually(lambda: clients.peer_certificate(port, "own.test"))
    listing = served.runtime("show ssl cert").split()
    name = next(word for word in listing if "own" in word)
    cert, key = m.make_certificate("own.test")
    pem = "".join(line + "\n" for line in (cert + key).splitlines() if line)
    served.runtime("set ssl cert %s <<\n%s" % (name, pem))
    before = drift_count(served)
    assert "Success" in served.runtime("commit ssl cert " + name)
    # A check may have come just now: the other certificate is not always seen.
    eventually(lambda: drift_count(served) > before, timeout=65, interval=0.2)
    eventually(lambda: clients.peer_certificate(port, "own.test") == own, timeout=5)


def test_certificate_transaction_that_nobody_ends(served):
    """HAProxy has one for all certificates: as long as it is open, no other one can be renewed."""
    port = free_port()
    served.apply("tls", m.tls_secret("own", "own.test"),
                 m.gateway("tls", m.listener("https", port, certs=["own", "other"])),
                 m.route("tls", [m.rule("a")], parents=[m.parent("tls")]))
    served.apply("other", m.tls_secret("other", "other.test"))
    before = eventually(lambda: clients.peer_certificate(port, "other.test"))
    name = next(word for word in served.runtime("show ssl cert").split() if "own" in word)
    cert, key = m.make_certificate("own.test")
    pem = "".join(line + "\n" for line in (cert + key).splitlines() if line)
    assert "ransaction created" in served.runtime("set ssl cert %s <<\n%s" % (name, pem))
    served.apply("other", m.tls_secret("other", "other.test"))
    eventually(lambda: clients.peer_certificate(port, "other.test") != before, timeout=8)
    eventually(lambda: served.control("/readyz").status == 200, timeout=8)


def reload_by_hand(gate):
    worker = gate.worker_pid()
    os.kill(gate.master_pid(), signal.SIGUSR2)
    eventually(lambda: gate.worker_pid() != worker, what="another worker")


def test_header_name_that_a_reload_by_hand_has_dropped(served, version):
    """Before 3.4 a header's name is a line of the configuration; one that is no longer used leaves
    it with the next time that the file is written."""
    def with_header(value):
        return m.route("h", [m.rule("a", filters=[m.header_filter(
            "Request", set=[("X-Brand-New", value)])])], hostnames=["h.test"])

    def seen():
        return served.get(host="h.test").seen("x-brand-new")

    served.apply("h", with_header("1"))
    eventually(lambda: seen() == "1")
    served.apply("h", m.route("h", [m.rule("a")], hostnames=["h.test"]))
    eventually(lambda: seen() is None)
    served.apply("new", m.backend("new", free_port()), m.route("new", [m.rule("new")],
                                                               hostnames=["new.test"]))

    def written():
        with open(os.path.join(served.run_dir, "haproxy.cfg"), encoding="utf-8") as cfg:
            return "default:new" in cfg.read()
    eventually(written)
    reload_by_hand(served)
    eventually(lambda: served.control("/readyz").status == 200)
    time.sleep(3)
    served.apply("h", with_header("2"))
    eventually(lambda: seen() == "2")


def test_diff_does_not_hide_a_worker(served):
    """A new worker that `tidectl diff` was the first to meet is made equal to the plan at once."""
    for name in "ab":
        served.apply("r", m.route("r", [m.rule(name)], hostnames=[HOST]))
        eventually(lambda: served.get(host=HOST).origin == name)
        time.sleep(3 if name == "a" else 0)  # the files follow
    reload_by_hand(served)
    served.ctl("diff", check=False)
    eventually(lambda: served.get(host=HOST).origin == "b", timeout=8)


def test_drain_of_an_operator_is_not_drift(served):
    """It outlives a read-back, a new worker and a restart of ours, and can be seen."""
    rows = served.ctl("backends").splitlines()
    name = next(word for row in rows for word in row.split() if word.startswith("default:a"))

    def is_drained():
        return served.get(host=HOST).status == 503
    served.ctl("drain", name)
    eventually(is_drained, timeout=5)
    time.sleep(7)
    assert is_drained()
    assert name in served.ctl("status") and "drain" in served.ctl("status")
    os.kill(served.worker_pid(), signal.SIGKILL)
    eventually(lambda: served.metric_sum("tidegate_haproxy_restarts_total") == 1)
    served.wait_ready()
    assert is_drained()
    assert served.stop() == 0
    served.start()
    assert is_drained()
    served.ctl("drain", name, "--maint")
    eventually(lambda: "maint" in served.ctl("backends").lower())
    assert is_drained()
    served.ctl("drain", name, "--ready")
    eventually(lambda: served.answers_both(HOST), timeout=5)
    assert "drain" not in served.ctl("status")


# ---- supervision ----

@pytest.mark.parametrize("whom", ["worker", "master", "agent"])
def test_what_dies_is_started_again(served, whom):
    pid = getattr(served, whom + "_pid")()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid))
    eventually(lambda: served.answers_both(HOST), what="%s back" % whom)
    eventually(lambda: getattr(served, whom + "_pid")() != pid)
    assert served.edit_works()
    assert served.process.poll() is None


def test_dead_agent_fails_closed(served):
    """Without the agent a conditional route is 503, never the wrong backend."""
    os.kill(served.agent_pid(), signal.SIGKILL)
    seen = set()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        answer = served.get(host=HOST, headers=[("X-V", "b")])
        seen.add(answer.origin or answer.status)
    assert seen <= {"b", 503}
    eventually(lambda: served.answers_both(HOST))


def test_controller_that_dies_is_no_news_for_traffic(served):
    worker = served.worker_pid()
    with Load(served.port, HOST) as load:
        served.process.kill()
        served.process.wait()
        time.sleep(1)
        served.start()
        assert served.edit_works()
    load.verify()
    assert served.worker_pid() == worker


def test_edits_made_while_the_controller_was_away(served):
    worker = served.worker_pid()
    served.process.kill()
    served.process.wait()
    served.write("r", m.route("r", [m.rule("d")], hostnames=[HOST]))
    served.start()
    eventually(lambda: served.get(host=HOST).origin == "d")
    assert served.worker_pid() == worker


@pytest.mark.skipif(os.geteuid() != 0, reason="HAProxy is somebody else only if started as root")
def test_run_directory_that_was_given_to_another_group(served):
    """As systemd does with a RuntimeDirectory=: HAProxy has to reach the agent that it knows."""
    agent = served.agent_pid()
    served.process.kill()
    served.process.wait()
    for name in [".", *os.listdir(served.run_dir)]:
        os.chown(os.path.join(served.run_dir, name), 0, 0)
    served.start()
    time.sleep(3)  # HAProxy looks for the agent again
    assert served.answers_both(HOST)
    assert served.agent_pid() == agent


def test_upgrade_in_place(served):
    worker = served.worker_pid()
    with Load(served.port, HOST) as load:
        served.process.send_signal(signal.SIGUSR2)
        time.sleep(1)
        served.wait_ready()
        assert served.edit_works()
    load.verify()
    assert served.worker_pid() == worker
    assert served.process.poll() is None


def test_orderly_stop_lets_requests_end(served):
    answer = []

    def ask():
        answer.append(served.get("/?sleep=1500", host=HOST))
    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.5)
    assert served.stop() == 0
    asking.join(PATIENCE_S)
    assert answer and answer[0].origin == "a"
    assert not served.left_over()


@pytest.mark.parametrize("slow, delay", [("-c", 0.15), ("-W", 0.3), ("-W", 0.5), ("-W", 0.7)])
def test_stop_in_the_middle_of_a_reload(cold_gate, tmp_path, slow, delay):
    """While the configuration is validated, and while HAProxy's master executes itself anew."""
    wrapper = tmp_path / "haproxy"
    wrapper.write_text('#!/bin/bash\n[ "$1" = %s ] && sleep 0.5\nexec -a "$0" %s "$@"\n' % (
        slow, cold_gate.haproxy))
    wrapper.chmod(0o755)
    cold_gate.haproxy = str(wrapper)
    cold_gate.start()
    cold_gate.settle()
    cold_gate.apply("r", m.route("r", [m.rule("a")], hostnames=[HOST]))
    answer = []
    asking = threading.Thread(target=lambda: answer.append(
        cold_gate.get("/?sleep=2000", host=HOST)))
    asking.start()
    cold_gate.write("more", m.gateway("more", m.listener("http", free_port())))
    time.sleep(delay)
    began = time.monotonic()
    assert cold_gate.stop() == 0
    assert time.monotonic() - began < 6, cold_gate.log()
    asking.join()
    assert answer[0].origin == "a"
    assert not cold_gate.left_over()


def test_last_good_survives_an_orderly_stop(served):
    served.stop()
    shutil.rmtree(served.dir)
    served.start(ready=False)
    eventually(lambda: served.answers_both(HOST), what="last-good routes")


def test_second_controller_on_a_run_directory_is_refused(served):
    done = subprocess.run([os.path.join(BUILD, "tidegate"), "run", "--run-dir",
                           served.run_dir, "--haproxy", served.haproxy, served.dir],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20,
                          universal_newlines=True)
    assert done.returncode != 0
    assert "another tidegate runs in " + served.run_dir in done.stdout
    assert served.answers_both(HOST)


def test_lock_that_is_still_held_after_a_kill(served):
    """By a child that has not executed its program yet: only for a moment."""
    served.process.kill()
    served.process.wait()
    with open(os.path.join(served.run_dir, "tidegate.lock"), encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        served.start(ready=False)
        time.sleep(0.7)
    served.wait_ready()
    assert served.answers_both(HOST)
