# SPDX-License-Identifier: Apache-2.0
"""tidectl in a cluster: weights of the route itself, with the user's own rights; and everything
else as `kubectl tidegate`. There is no kubelet here, so that `kubectl exec` is a stand-in, which
says how it was called and runs tidectl beside the gateway's socket; the real one is in
tests/chart/test_node.py."""
import json
import os
import subprocess
import threading

import pytest

import manifests as m
from tidegate import BUILD, eventually

TIDECTL = os.path.join(BUILD, "tidectl")
KUBECTL = """#!/bin/sh
printf '%s\\n' "$@" >"$0.called"
while [ "$1" != -- ]; do shift; done
shift 2
exec env -u KUBECONFIG TIDECTL --run-dir RUN_DIR "$@"
"""


class Ctl:
    """tidectl as a user runs it, on a machine of which nothing else is known."""

    def __init__(self, base, kubeconfig, run_dir="/nowhere"):
        self.bin = os.path.join(str(base), "bin")
        os.makedirs(self.bin)
        self.plugin = os.path.join(self.bin, "kubectl-tidegate")
        self.completion = os.path.join(self.bin, "kubectl_complete-tidegate")
        for path in (self.plugin, self.completion):
            os.symlink(TIDECTL, path)
        self.kubectl = os.path.join(self.bin, "kubectl")
        with open(self.kubectl, "w", encoding="ascii") as out:
            out.write(KUBECTL.replace("TIDECTL", TIDECTL).replace("RUN_DIR", run_dir))
        os.chmod(self.kubectl, 0o755)
        self.env = {"PATH": self.bin + ":/usr/bin:/bin", "KUBECONFIG": kubeconfig,
                    "XDG_RUNTIME_DIR": str(base), "HOME": str(base)}

    def run(self, *words, program=TIDECTL, **env):
        return subprocess.run([program, *words], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                              env=dict(self.env, **env), universal_newlines=True)

    def ok(self, *words, **more):
        done = self.run(*words, **more)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def fails(self, *words, status=1, **more):
        done = self.run(*words, **more)
        assert done.returncode == status, (words, done.stdout, done.stderr)
        return done.stderr

    def called(self):
        """The words that kubectl was called with."""
        with open(self.kubectl + ".called", encoding="utf-8") as words:
            return words.read().splitlines()


def weights(server, name, ns, kind="httproute"):
    route = json.loads(server.kubectl("get", kind, name, "-n", ns, "-o", "json"))
    return [[ref["weight"] for ref in rule["backendRefs"]] for rule in route["spec"]["rules"]]


def make_route(server, ns, name="shop"):
    server.apply(m.route(name, [m.rule(m.ref("a", 90), m.ref("b", 10), name="all"),
                                m.rule(m.ref("a", 1), matches=[m.prefix("/a")])], ns=ns,
                         hostnames=[name + ".test"],
                         parents=[m.parent(namespace="default")]))


@pytest.fixture
def ctl(server, tmp_path):
    return Ctl(tmp_path, server.cluster.kubeconfig)


# ---- the route itself ----

def test_weights_of_the_route(gate, server, ctl):
    server.apply(m.gateway("gw", m.listener("http", gate.port)))
    server.apply(m.route("shop", [m.rule(m.ref("a", 1), m.ref("b", 0))]))
    gate.start()
    eventually(lambda: gate.get("/").origin == "a")
    text = ctl.ok("weights", "shop", "a=0", "b=5")
    assert [line.split() for line in text.splitlines()] == [
        ["RULE", "BACKEND", "WEIGHT", "SHARE", "BEFORE", "ROUTE"],
        ["0", "default/a", "0", "0.00%", "1", "changed"],
        ["0", "default/b", "5", "100.00%", "0", "changed"]]
    eventually(lambda: gate.get("/").origin == "b")
    assert weights(server, "shop", "default") == [[0, 5]]
    assert "overridden" not in gate.ctl("weights", "shop")
    managers = json.loads(server.kubectl("get", "httproute", "shop", "--show-managed-fields",
                                         "-o", "json"))["metadata"]["managedFields"]
    assert "tidectl" in [each["manager"] for each in managers]


def test_where_the_route_is(server, ns, ctl):
    make_route(server, ns)
    assert json.loads(ctl.ok("weights", "shop:all", "-n", ns, "-o", "json"))[0] == {
        "rule": "0:all", "backend": ns + "/a", "weight": 90, "share": "90.00%", "before": 90,
        "changed": False}
    ctl.ok("weights", ns + "/shop:all", "a=7", program=ctl.plugin)
    assert weights(server, "shop", ns) == [[7, 10], [1]]
    # Of a context's namespace
    with open(server.cluster.kubeconfig, encoding="ascii") as source:
        text = source.read()
    config = os.path.join(ctl.bin, "config")
    with open(config, "w", encoding="ascii") as out:
        out.write(text)
    server.kubectl("config", "set-context", "--current", "--namespace", ns,
                   "--kubeconfig", config)
    ctl.ok("weights", "shop", "a=8", KUBECONFIG=config)
    ctl.ok("weights", "shop", "b=9", "--kubeconfig", config, KUBECONFIG="")
    assert weights(server, "shop", ns) == [[8, 9], [8]]


REFUSED = [
    (["nobody", "a=1"], 1, "there is no route {ns}/nobody"),
    (["shop", "z=1"], 1, 'no backendRef "z": it has a, b, a'),
    (["shop:9", "a=1"], 1, 'no rule "9"'),
    (["shop", "a"], 2, "NAME=WEIGHT"),
    (["shop/../x", "a=1"], 2, "is no route"),
    (["shop", "a=1", "--context", "none"], 1, "no context 'none'"),
]


def test_kinds(server, ns, ctl):
    """A GRPCRoute is found where no HTTPRoute has the name, and else by its kind."""
    def make(name):
        server.apply(m.route(name, [m.rule(m.ref("a", 9), m.ref("b", 1))], kind="GRPCRoute", ns=ns,
                             parents=[m.parent(namespace="default")]))

    make("calls")
    ctl.ok("weights", "calls", "b=2", "-n", ns)
    assert weights(server, "calls", ns, "grpcroute") == [[9, 2]]
    make_route(server, ns)
    make("shop")
    ctl.ok("weights", "GRPCRoute/%s/shop" % ns, "b=3")
    assert weights(server, "shop", ns, "grpcroute") == [[9, 3]]
    ctl.ok("weights", "shop:all", "b=4", "-n", ns)
    assert weights(server, "shop", ns) == [[90, 4], [1]]
    assert "there is no GRPCRoute %s/none" % ns in ctl.fails("weights", "grpcroute/%s/none" % ns, "a=1")


def test_what_is_refused(server, ns, ctl):
    make_route(server, ns)
    for words, status, want in REFUSED:
        assert want.format(ns=ns) in ctl.fails("weights", *words, "-n", ns, status=status)
    assert weights(server, "shop", ns) == [[90, 10], [1]]


def test_rights(server, ns, ctl):
    """The verb and the resource to grant, one after the other."""
    make_route(server, ns)
    routes = {"apiGroups": ["gateway.networking.k8s.io"], "resources": ["httproutes"]}
    name = "weigher"
    server.account(name)
    kubeconfig = server.user_kubeconfig(os.path.join(ctl.bin, "user"),
                                        {"token": server.token(name)})
    words = ["weights", ns + "/shop", "a=1", "--kubeconfig", kubeconfig]
    for verbs, missing in ([], "get"), (["get"], "patch"):
        server.allow(name, *([dict(routes, verbs=verbs)] if verbs else []))
        text = eventually(lambda: (lambda t: '"%s"' % missing in t and t)(ctl.fails(*words)))
        assert "httproutes of group gateway.networking.k8s.io in namespace " + ns in text
        assert "system:serviceaccount:default:weigher" in text
    server.allow(name, dict(routes, verbs=["get", "patch"]))
    eventually(lambda: ctl.run(*words).returncode == 0)
    assert weights(server, "shop", ns) == [[1, 10], [1]]


def test_nothing_is_lost(server, ns, ctl):
    """Somebody changes the same route all the time, those backendRefs too."""
    make_route(server, ns)
    over, written = threading.Event(), []

    def write():
        while not over.is_set():
            number = len(written) + 1
            server.kubectl("patch", "httproute", "shop", "-n", ns, "--type=json", "-p", json.dumps([
                {"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": number},
                {"op": "add", "path": "/metadata/labels", "value": {"number": str(number)}}]))
            written.append(number)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for i in range(30):
            ctl.ok("weights", ns + "/shop:0", "a=%d" % (1000 + i))
            assert weights(server, "shop", ns)[0][0] == 1000 + i
    finally:
        over.set()
        thread.join()
    route = json.loads(server.kubectl("get", "httproute", "shop", "-n", ns, "-o", "json"))
    assert route["metadata"]["labels"] == {"number": str(written[-1])}
    assert weights(server, "shop", ns) == [[1029, written[-1]], [1]]
    assert len(written) > 10


def test_server_is_away(server, ctl):
    config = os.path.join(ctl.bin, "config")
    with open(server.cluster.kubeconfig, encoding="ascii") as source, \
            open(config, "w", encoding="ascii") as out:
        out.write(source.read().replace(":%d" % server.port, ":9"))
    assert "cannot be reached" in ctl.fails("weights", "shop", "a=1", "--kubeconfig", config)


# ---- one data plane ----

def test_override_has_to_be_meant(gate, server):
    server.apply(m.gateway("gw", m.listener("http", gate.port)))
    server.apply(m.route("one", [m.rule(m.ref("a", 1), m.ref("b", 0))]))
    gate.start()
    eventually(lambda: gate.get("/").origin == "a")
    done = subprocess.run([TIDECTL, "--run-dir", gate.run_dir, "weights", "one", "a=0", "b=1"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                          universal_newlines=True)
    assert done.returncode == 2 and "--override" in done.stderr
    assert gate.get("/").origin == "a"
    assert "overridden" in gate.ctl("weights", "one", "a=0", "b=1", "--override")
    assert gate.get("/").origin == "b"
    assert weights(server, "one", "default") == [[1, 0]]


# ---- kubectl tidegate ----

def make_pod(server, ns, name, release="edge", ready=True):
    server.apply(m.obj("Pod", name, {"containers": [{"name": "tidegate", "image": "x"}]}, ns=ns,
                       api="v1", labels={"app.kubernetes.io/name": "tidegate",
                                         "app.kubernetes.io/instance": release}))
    server.kubectl("patch", "pod", name, "-n", ns, "--subresource=status", "--type=merge", "-p",
                   json.dumps({"status": {"phase": "Running", "conditions": [
                       {"type": "Ready", "status": "True" if ready else "False"}]}}))


@pytest.fixture
def pods(server, ns):
    """Two of one release; the second leads."""
    make_pod(server, ns, "edge-1")
    make_pod(server, ns, "edge-2")
    server.apply(m.obj("Lease", "edge", {"holderIdentity": "edge-2_01234567"}, ns=ns,
                       api="coordination.k8s.io/v1"))
    yield ns
    server.kubectl("delete", "pods", "--all", "-n", ns, "--force", "--grace-period=0")


def test_plugin(gate, server, pods, tmp_path):
    server.apply(m.gateway("gw", m.listener("http", gate.port)))
    gate.start()
    ctl = Ctl(tmp_path, server.cluster.kubeconfig, gate.run_dir)
    # The same as beside the daemon, formats and statuses too
    assert ctl.ok("get", "gatewayclass", program=ctl.plugin) == gate.ctl("get", "gatewayclass")
    assert ctl.called() == ["exec", "--namespace=" + pods, "--container=tidegate", "edge-2", "--",
                            "tidectl", "get", "--", "gatewayclass"]
    assert json.loads(ctl.ok("-o", "json", "status", program=ctl.plugin))["leader"]
    assert "nobody" in ctl.fails("weights", "nobody", "--override", program=ctl.plugin)
    assert ctl.run("socket", "show", "info", program=ctl.plugin).returncode == 0
    # What concerns one data plane says so
    done = ctl.run("log-level", "debug", program=ctl.plugin)
    assert "in pod %s/edge-2 alone, one of 2" % pods in done.stderr and done.returncode == 0
    # Colours are the terminal's
    assert "\x1b" not in ctl.ok("status", program=ctl.plugin)
    assert "\x1b" in ctl.ok("status", "--color", program=ctl.plugin)
    assert "--color" in ctl.called()
    # tidectl, where no daemon is but a kubeconfig; options for kubectl are passed on
    ctl.ok("findings")
    ctl.ok("findings", "--context", current_context(server),
           "--kubeconfig", server.cluster.kubeconfig)
    assert ctl.called()[:3] == ["--kubeconfig=" + server.cluster.kubeconfig,
                                "--context=" + current_context(server), "exec"]


VERBS = [["status"], ["get", "HTTPRoute"], ["findings"], ["explain", "GET", "http://x:{port}/"],
         ["plan"], ["diff"], ["backends"], ["weights", "shop", "--override"],
         ["drain", "default:a.0"], ["drain", "default:a.0", "--ready"], ["maps"], ["timeline"],
         ["reload-reasons"], ["log-level"], ["socket", "show", "version"]]


def test_verbs_of_the_plugin(gate, server, pods, tmp_path):
    """Each of tidectl's does in the pod what it does beside the daemon."""
    server.apply(m.gateway("gw", m.listener("http", gate.port)), m.route("shop", [m.rule("a")]))
    gate.start()
    eventually(lambda: "No differences" in gate.ctl("diff", check=False))
    ctl = Ctl(tmp_path, server.cluster.kubeconfig, gate.run_dir)
    all_verbs = set(ctl.ok("", program=ctl.completion).splitlines()[:-1])
    assert {words[0] for words in VERBS} | {"help", "version"} == all_verbs
    for words in VERBS:
        words = [word.format(port=gate.port) for word in words]
        # Until no second passes in between: some tell how long ago something was
        eventually(lambda: ctl.ok(*words, program=ctl.plugin) == gate.ctl(*words),
                   what=" ".join(words))
        assert ctl.called()[5:7] == ["tidectl", words[0]]


def current_context(server):
    return server.kubectl("config", "current-context").strip()


def test_choice_of_the_pod(server, pods, ctl):
    ctl.run("status", "--pod", "edge-1", program=ctl.plugin)
    assert "edge-1" in ctl.called()
    assert "edge-1" in ctl.fails("status", "--pod", "nobody", program=ctl.plugin)
    assert "no pod of Tidegate runs" in ctl.fails("status", "-n", "kube-system", program=ctl.plugin)
    make_pod(server, pods, "inner-1", release="inner")
    text = ctl.fails("status", program=ctl.plugin)
    assert "2 Tidegates: %s/edge, %s/inner" % (pods, pods) in text
    ctl.run("status", "-l", "app.kubernetes.io/instance=inner", program=ctl.plugin)
    assert "inner-1" in ctl.called()


def test_rights_to_pods(server, pods, ctl):
    """A user of one namespace; with both names given, none is needed to look."""
    name = "looker"
    server.account(name)
    config = server.user_kubeconfig(os.path.join(ctl.bin, "user"), {"token": server.token(name)})
    text = ctl.fails("status", "--kubeconfig", config, program=ctl.plugin)
    assert '"list" for pods' in text and "cannot list" in text
    ctl.run("status", "--kubeconfig", config, "--pod", "edge-1", "-n", pods, program=ctl.plugin)
    assert "edge-1" in ctl.called()
    server.allow(name, {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]})
    eventually(lambda: "Tidegate" not in ctl.run("status", "--kubeconfig", config,
                                                 program=ctl.plugin).stderr)
    assert "edge-1" in ctl.called()  # who leads is not known


def test_no_kubectl(pods, ctl):
    os.unlink(ctl.kubectl)
    text = ctl.fails("status", program=ctl.plugin, PATH=ctl.bin)
    assert text.startswith("kubectl tidegate: kubectl is not in PATH")


def test_a_daemon_of_this_machine(ctl):
    text = ctl.fails("status", "--run-dir", "/run/x", "--pod", "edge-1", status=2)
    assert "leave them out" in text
    assert "no tidegate at /run/x" in ctl.fails("status", "--run-dir", "/run/x")


@pytest.mark.parametrize("words, want", [
    (["st"], ["status", ":4"]),
    (["-o", ""], ["table", "json", "yaml", ":4"]),
    (["weights", "--over"], ["--override", ":4"]),
    (["weights", "shop", ""], [":0"]),
    (["--kubeconfig", ""], [":0"]),
    (["--po"], ["--pod", ":4"]),
])
def test_completion(ctl, words, want):
    assert ctl.ok(*words, program=ctl.completion).splitlines() == want
