# SPDX-License-Identifier: Apache-2.0
"""The programs as their users meet them: documents made from their tables, colours, logs, signals,
who may start them, and what they leave alone."""
import json
import os
import pty
import re
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

import manifests as m
from load import Load
from tidegate import BUILD, HAPROXY, Tidegate, command_line, eventually, free_port

PROGRAMS = ["tidegate", "tidectl"]


def output(*command, check=True):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          timeout=60, universal_newlines=True)
    if check:
        assert done.returncode == 0, (command, done.stdout)
    return done.stdout


def binary(name):
    return os.path.join(BUILD, name)


def verbs(program):
    text = output(binary(program), "--help").partition("\nCommands:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^  ([a-z-]+)", text, re.M)
    assert len(found) > 1, text
    return found


# ---- help, man pages, completion: one table ----

@pytest.mark.parametrize("program", PROGRAMS)
def test_manual_has_every_command_and_option(program):
    page = output(binary(program), "help", "--man")
    plain = page.replace("\\-", "-")
    for verb in verbs(program):
        assert "\n.SS %s\n" % verb in plain
        for option in re.findall(r"--[a-z][a-z-]+", output(binary(program), verb, "--help")):
            assert option in plain, (verb, option)


@pytest.mark.parametrize("program", PROGRAMS)
def test_manual_is_readable(program):
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww"], timeout=60,
                          input=output(binary(program), "help", "--man"), check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    assert not done.stderr
    assert "COMMANDS" in re.sub(".\x08", "", done.stdout)


def bash_offers(program, *words):
    """What bash would offer for the last word."""
    script = """
        source %s
        COMP_WORDS=(%s) COMP_CWORD=%d
        compopt() { :; }
        _%s
        printf '%%s\\n' "${COMPREPLY[@]}"
    """ % (os.path.join(BUILD, program + ".bash"), " ".join("'%s'" % word for word in
                                                             (program, *words)), len(words), program)
    return output("bash", "-c", script).split()


def test_completion_of_bash():
    assert set(verbs("tidectl")) <= set(bash_offers("tidectl", ""))
    assert bash_offers("tidectl", "reload-r") == ["reload-reasons"]
    assert "--live" in bash_offers("tidectl", "explain", "--l")
    assert "--live" not in bash_offers("tidectl", "status", "--")
    assert bash_offers("tidectl", "status", "--output", "y") == ["yaml"]
    assert set(bash_offers("tidegate", "run", "--log-level", "")) == {
        "error", "warning", "info", "debug"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_completion_of_zsh(program):
    with open(os.path.join(BUILD, program + ".zsh"), encoding="utf-8") as script:
        text = script.read()
    assert text.startswith("#compdef %s\n" % program)
    for verb in verbs(program):
        assert "\n\t\t'%s:" % verb in text and "\n\t\t%s) _arguments" % verb in text
    if shutil.which("zsh"):
        output("zsh", "-n", os.path.join(BUILD, program + ".zsh"))


# ---- colours ----

def on_a_terminal(*command):
    """What the command prints when its output is one."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = b""
    try:
        while data := os.read(ours, 65536):
            text += data
    except OSError:
        pass  # that is how a terminal ends
    os.close(ours)
    assert process.wait(30) == 0, text
    return text.decode()


def test_colours_on_a_terminal_alone(gate):
    status = [binary("tidectl"), "--run-dir", gate.run_dir, "status"]
    assert "\x1b[" in on_a_terminal(*status)
    assert "\x1b[" not in on_a_terminal(*status, "--no-color")
    assert "\x1b[" not in output(*status)


# ---- logs ----

def test_json_log_names_objects(tmp_path, origins):
    gate = Tidegate(tmp_path, "--log-format", "json")
    gate.base_manifests(origins.values())
    gate.write("bad", m.route("bad", [m.rule("nobody", matches=[m.prefix('/"\\')])],
                              hostnames=["bad.test"]))
    with open(os.path.join(gate.dir.encode(), b"not-utf8-\xff\xc3(.yaml"), "wb") as out:
        out.write(b"a: [\xfe")
    gate.start()
    try:
        gate.settle()
        eventually(lambda: '"bad"' in gate.log() and "not-utf8" in gate.log())
    finally:
        gate.close()
    with open(gate.log_path, encoding="utf-8") as log:  # strictly
        # HAProxy has lines of its own, if it says anything.
        lines = [json.loads(line) for line in log if not line.startswith(("[", "Proxy "))]
    assert any("listening on" in line["message"] for line in lines), "the agent's"
    assert {"time", "level", "message"} <= set(lines[0])
    assert any((line.get("kind"), line.get("namespace"), line.get("name")) ==
               ("HTTPRoute", "default", "bad") and line["level"] in ("error", "warning")
               for line in lines), lines


def test_log_level_is_changed_while_it_runs(gate):
    def lines(level):
        return len(re.findall(" %s " % level, gate.log()))

    def edit(number):
        gate.apply("r", m.route("r", [m.rule("a")], hostnames=["r%d.test" % number]))
        time.sleep(0.3)
    edit(0)
    assert lines("info") and not lines("debug")
    gate.ctl("log-level", "debug")
    edit(1)
    assert eventually(lambda: lines("debug"))
    gate.ctl("log-level", "error")
    assert gate.ctl("log-level").strip().endswith("error")
    time.sleep(1.5)  # what was to be said before is said
    before = len(gate.log())
    edit(2)
    time.sleep(1.5)
    assert not re.search(r" (info|debug|warning) ", gate.log()[before:])


# ---- signals ----

def test_sighup_sees_what_no_event_tells(gate):
    """A file that is still open for writing has no event yet."""
    gate.apply("r", m.route("r", [m.rule("a")], hostnames=["r.test"]))
    with open(gate.path("r"), "r+", encoding="utf-8") as file:
        text = file.read()
        assert "name: a\n" in text
        file.seek(0)
        file.write(text.replace("name: a\n", "name: b\n"))
        file.flush()
        time.sleep(0.5)
        assert gate.get(host="r.test").origin == "a"
        gate.process.send_signal(1)
        eventually(lambda: gate.get(host="r.test").origin == "b")


def test_sighup_takes_even_nothing(gate):
    """Manifests that are broken at the start do not end the last-good plan; SIGHUP means them."""
    gate.apply("r", m.route("r", [m.rule("a")], hostnames=["r.test"]))
    eventually(lambda: "r.test" in gate.control("/v1/plan").body.decode())
    time.sleep(2.5)
    assert gate.stop() == 0
    for name in os.listdir(gate.dir):
        os.unlink(os.path.join(gate.dir, name))
    gate.start(ready=False)
    eventually(lambda: gate.get(host="r.test").origin == "a")
    assert gate.metrics()["tidegate_holding_last_good"] == 1
    gate.process.send_signal(1)
    eventually(lambda: not listening(gate.port))
    assert gate.metrics()["tidegate_holding_last_good"] == 0


def listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    except ConnectionRefusedError:
        return False


def test_upgrade_runs_the_new_binary(tmp_path, origins):
    """The file at its path is another one by then."""
    installed = tmp_path / "bin" / "tidegate"
    installed.parent.mkdir()
    shutil.copy(binary("tidegate"), installed)
    gate = Tidegate(tmp_path, program=str(installed))
    gate.base_manifests(origins.values())
    gate.start()
    try:
        gate.apply("r", m.route("r", [m.rule("a")], hostnames=["r.test"]))
        worker = gate.worker_pid()
        shutil.copy(binary("tidegate"), tmp_path / "bin" / "new")
        os.rename(tmp_path / "bin" / "new", installed)
        executable = "/proc/%d/exe" % gate.process.pid
        assert os.stat(executable).st_ino != os.stat(installed).st_ino
        with Load(gate.port, "r.test") as load:
            gate.process.send_signal(12)
            eventually(lambda: os.stat(executable).st_ino == os.stat(installed).st_ino)
            gate.wait_ready()
            gate.settle()
        load.verify()
        assert gate.worker_pid() == worker
    finally:
        gate.close()


# ---- what it needs, and takes ----

def test_why_haproxy_does_not_start(cold_gate, tmp_path):
    """HAProxy itself is quiet then."""
    more = tmp_path / "more.cfg"
    more.write_text("global\n  tune.nonsense 1\n")
    stubborn = tmp_path / "haproxy"
    stubborn.write_text('#!/bin/sh\n[ "$1" = -v ] && exec %s -v\nexec %s "$@" -f %s\n' % (
        HAPROXY, HAPROXY, more))
    stubborn.chmod(0o755)
    cold_gate.haproxy = str(stubborn)
    cold_gate.start(ready=False)
    eventually(lambda: "unknown keyword 'tune.nonsense'" in cold_gate.log())
    assert cold_gate.control("/readyz").status == 503
    more.write_text("")
    cold_gate.wait_ready()


def sockets_of(pid):
    try:
        names = os.listdir("/proc/%d/fd" % pid)
        links = [os.readlink("/proc/%d/fd/%s" % (pid, name)) for name in names]
    except OSError:
        return set()
    return {link[len("socket:["):-1] for link in links if link.startswith("socket:[")}


def tcp_listeners():
    """{inode: port}"""
    found = {}
    for path in "/proc/net/tcp", "/proc/net/tcp6":
        with open(path, encoding="ascii") as table:
            for line in list(table)[1:]:
                fields = line.split()
                if fields[3] == "0A":
                    found[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    return found


def test_nothing_listens_on_tcp_unless_asked(gate):
    open_ports = tcp_listeners()
    ports = {open_ports[inode] for pid in [gate.process.pid, *gate.children()]
             for inode in sockets_of(pid) if inode in open_ports}
    assert ports == {gate.port}


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test shows it then")
def test_without_root(origins):
    """Ports above 1023: nothing needs root."""
    with tempfile.TemporaryDirectory(prefix="tidegate-nobody-") as base:
        os.chmod(base, 0o755)
        for name in "tidegate", "tidegate-spoa":
            shutil.copy(binary(name), base)
        gate = Tidegate(base, program=os.path.join(base, "tidegate"), user="nobody",
                        haproxy=shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin") or
                        HAPROXY)  # others may be in a home directory
        gate.agent = os.path.join(base, "tidegate-spoa")
        gate.base_manifests(origins.values())
        try:
            gate.start()
            check_without_root(gate)
        finally:
            gate.close()


def check_without_root(gate):
    gate.apply("r", m.route("r", [m.rule("a"), m.rule("b", matches=[m.match(
        headers=[("x-v", "1[0-9]", "RegularExpression")])])], hostnames=["r.test"]))
    assert gate.get(host="r.test").origin == "a"
    assert gate.get(host="r.test", headers=[("X-V", "17")]).origin == "b"
    gate.write("second", m.gateway("second", m.listener("http", free_port())))
    eventually(lambda: gate.metric_sum("tidegate_reloads_total") == 1)
    for pid in [gate.process.pid, *gate.children()]:
        assert os.stat("/proc/%d" % pid).st_uid != 0, command_line(pid)
