# SPDX-License-Identifier: Apache-2.0
"""./quickstart as a newcomer meets it: every command that it prints does what it says."""
import glob
import os
import re
import signal
import subprocess
import time

import pytest

from tidegate import BUILD, HAPROXY, TOP, eventually, free_port


@pytest.fixture
def shown(tmp_path):
    """A running quickstart on ports of its own, and what it printed."""
    ports = [free_port() for _ in range(4)]
    process = subprocess.Popen(
        [os.path.join(TOP, "quickstart")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        universal_newlines=True, start_new_session=True, cwd="/",
        env=dict(os.environ, TIDEGATE_BUILD=BUILD, HAPROXY=HAPROXY, HTTP_PORT=str(ports[0]),
                 QUICKSTART_DIR=str(tmp_path / "work"),
                 HTTPS_PORT=str(ports[1]), BACKEND_PORTS="%d %d" % tuple(ports[2:])))
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    process.shown = "".join(lines)
    process.ports = ports
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


def commands(process, pattern):
    found = [line.strip() for line in process.shown.splitlines()
             if line.startswith("    ") and re.search(pattern, line)]
    assert found, process.shown
    return found


def sh(command):
    done = subprocess.run(["sh", "-c", command], cwd=TOP, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True, timeout=60)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def canaries(process):
    """Who answers twenty requests of the canary loop."""
    return set(re.findall("I am (\\w+)", sh(commands(process, "for i in")[0])))


def test_every_printed_command_works(shown):
    assert "I am stable" in sh(commands(shown, "docs.example.test")[0])
    assert "GET /v1/items" in sh(commands(shown, "/api/items")[0])
    assert "I am canary" in sh(commands(shown, "X-User")[0])
    moved = sh(commands(shown, "old.example.test")[0])
    assert "301" in moved and "shop.example.test" in moved and "/some/where" in moved
    assert "I am" in sh(commands(shown, "--cacert")[0])
    seen = set()
    eventually(lambda: seen.update(canaries(shown)) or seen == {"stable", "canary"})
    # tidectl, then the YAML
    override = commands(shown, "weights shop.*=")[0]
    sh(re.sub("stable=\\d+ canary=\\d+", "stable=0 canary=1", override))
    assert canaries(shown) == {"canary"}
    sh(override)
    sh(commands(shown, "--clear")[0])
    sh(commands(shown, "sed ")[0])
    eventually(lambda: canaries(shown) == {"canary"})
    for command in commands(shown, "tidectl .*(status|explain|timeline)"):
        assert sh(command).strip()


def documented():
    """[(page, command, output)] of the pages that follow the quickstart, without what differs
    from one run to the next."""
    found = []
    for page in sorted(glob.glob(os.path.join(TOP, "docs/*.md"))):
        with open(page, encoding="utf-8") as text:
            blocks = [block for language, block in re.findall(
                r"^```(\w*)\n(.*?)^```", text.read(), re.M | re.S) if not language]
        for command, output in re.findall(r"^\$ tidectl (.*)\n((?:[^$\n].*\n|\n)*)",
                                          "".join(blocks), re.M):
            if re.match("maps|explain|diff|weights", command) and "\n...\n" not in output:
                found.append((os.path.basename(page), command, output.rstrip("\n")))
    # A split that nothing refers to any more stays for a while.
    return sorted(found, key=lambda one: one[1].startswith("weights"))


def test_documented_output(shown):
    assert len(documented()) > 8
    tidectl = commands(shown, "tidectl .*status")[0].rsplit(" ", 1)[0]
    for page, command, output in documented():
        command = command.replace("8080", str(shown.ports[0]))
        output = output.replace("8080", str(shown.ports[0]))
        lines = sh("%s %s" % (tidectl, command)).rstrip("\n")
        assert lines == output, (page, command)
        if command.startswith("weights"):
            sh("%s weights shop --clear" % tidectl)


def test_ctrl_c_cleans_up(shown):
    os.killpg(shown.pid, signal.SIGINT)
    rest = shown.stdout.read()
    assert shown.wait(30) == 0, rest
    assert "Stopped" in rest
    time.sleep(0.2)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as cmdline:
                assert b"\0%d\0" % shown.ports[2] not in cmdline.read()
        except OSError:
            pass


def test_port_that_is_taken_is_said(shown):
    done = subprocess.run([os.path.join(TOP, "quickstart")], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True, timeout=60,
                          env=dict(os.environ, TIDEGATE_BUILD=BUILD, HAPROXY=HAPROXY,
                                   HTTP_PORT=str(shown.ports[0])))
    assert done.returncode == 1
    assert "Port %d is taken" % shown.ports[0] in done.stdout
