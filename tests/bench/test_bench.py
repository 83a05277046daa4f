# SPDX-License-Identifier: Apache-2.0
"""Every benchmark runs and prints its figures as documented. What they say is not looked at: it
is a short run on a machine that does other things, too."""
import json
import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("TIDEGATE_BUILD") or os.path.join(HERE, "../../build")
SHORT = ["--build", BUILD, "--rounds", "1", "--seconds", "1", "--changes", "10", "--routes", "20"]
NUMBER = r"(\d+(\.\d+)?|inf)"
LINE = re.compile(r"\S+ {0} (\S+) baseline {0} \S+ ratio {0} target {0} (met|missed)".format(NUMBER))

# With their targets: ratios of throughput, otherwise values.
FIGURES = {
    "data-path-1": 0.9, "data-path-1-cpu": 0.9,
    "agent-pipelined": 0.9, "agent-pipelined-kept": 0.3,
    "agent-serial": 0.9, "agent-serial-kept": 0.3,
    "propagation-mean": 7, "propagation-p99": 12, "propagation-max": 40,
    "propagation-load-mean": 7, "propagation-load-p99": 12, "propagation-load-max": 40,
    "changes-failed": 0, "changes-reloads": 0, "changes-workers": 0,
    "memory-5000": 60, "memory-40000": 150, "start": 2, "cpu": 0.02,
}

# Whose targets depend on what was measured have none here.
KUBE = {
    "kube-propagation-mean": 10, "kube-propagation-p99": 25, "kube-propagation-failed": 0,
    "kube-start": 4, "kube-status": 20, "kube-apply": None, "kube-apply-writes": None,
}


def run(*words):
    done = subprocess.run([os.path.join(HERE, "run"), *SHORT, *words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=550,
                          universal_newlines=True)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout.splitlines()


def targets(*words):
    lines = run(*words)
    for line in lines:
        assert LINE.fullmatch(line), line
    return {line.split()[0]: float(line.split()[-2]) for line in lines}


def test_every_figure():
    assert targets("data-path-1", "agent", "propagation", "changes", "memory", "start",
                   "cpu") == FIGURES


def test_figures_at_an_api_server():
    found = targets("kube-propagation", "kube-start", "kube-apply")
    assert {name: KUBE[name] and target for name, target in found.items()} == KUBE


def test_json():
    found = [json.loads(line) for line in run("--json", "start")]
    assert [set(figure) for figure in found] == [{
        "name", "value", "unit", "baseline", "ratio", "spread", "target", "met"}]


def test_figures_are_documented():
    with open(os.path.join(HERE, "../../docs/benchmarks.md"), encoding="utf-8") as page:
        table = "".join(line for line in page if line.startswith("| `"))
    for name in {**FIGURES, **KUBE}:
        generic = re.sub(r"^data-path-\d+", "data-path-N", name)
        generic = re.sub(r"^agent-\w+-kept", "agent-*-kept", generic)
        generic = re.sub(r"^propagation-load-\w+", "propagation-load-*", generic)
        words = {generic, re.sub("^(kube-)?propagation", "", generic),
                 generic.replace("changes", "")}
        assert any("`%s`" % word in table for word in words), name
