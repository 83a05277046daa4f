# SPDX-License-Identifier: Apache-2.0
"""The chart in a real cluster of one node, installed as a user does it. The node has to be up:
tests/cluster/up --crds. The image is built here; HAPROXY_VERSION says with which HAProxy."""
import contextlib
import json
import os
import subprocess

import pytest

import cluster
from chart import CHART, HERE, NAME, NAMESPACE, RELEASE, Refused, helm, options
import clients
from load import Load
import node as machine
import parts
from tidegate import BUILD, eventually

HAPROXY = os.environ.get("HAPROXY_VERSION", "2.6")
IMAGE = {"image.repository": "tidegate.test/tidegate", "image.tag": HAPROXY,
         "drainSeconds": 3}
PATIENCE_S = 120


class Node:
    """The cluster, and our release in it."""

    def __init__(self):
        self.cluster = cluster.of_arguments(None)
        assert self.cluster.processes.pid("kubelet"), "no node is up: tests/cluster/up --crds"
        self.tool("load-image", subprocess.run(
            [os.path.join(HERE, "../image/build"), HAPROXY], check=True, timeout=900,
            stdout=subprocess.PIPE, universal_newlines=True).stdout.strip())
        self.tool("load-image", "--binary", parts.build("echo-basic"), "tidegate.test/echo:1")

    def tool(self, name, *words):
        subprocess.run([os.path.join(HERE, "../cluster", name), *words], check=True, timeout=300,
                       stdout=subprocess.DEVNULL)

    def kubectl(self, *words):
        return subprocess.run(
            [parts.build("kubectl"), "--kubeconfig", self.cluster.kubeconfig, *words],
            check=True, timeout=2 * PATIENCE_S, stdout=subprocess.PIPE,
            universal_newlines=True).stdout.strip()

    def helm(self, *words):
        return helm(*words, "--namespace", NAMESPACE, kubeconfig=self.cluster.kubeconfig)

    def install(self, **values):
        """Or upgrades: what the release is from now on."""
        return self.helm("upgrade", "--install", RELEASE, CHART, "--create-namespace", "--wait",
                         "--timeout", "%ds" % PATIENCE_S, *options(dict(IMAGE, **values)))

    def uninstall(self):
        with contextlib.suppress(Refused):
            self.helm("uninstall", RELEASE, "--wait", "--ignore-not-found")
        self.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")

    def rolled_out(self, what="deployment/" + NAME):
        self.kubectl("-n", NAMESPACE, "rollout", "status", what, "--timeout=%ds" % PATIENCE_S)

    def pods(self):
        listed = json.loads(self.kubectl(
            "-n", NAMESPACE, "get", "pods", "-l", "app.kubernetes.io/instance=" + RELEASE,
            "-o", "json"))
        return {pod["metadata"]["name"]: pod for pod in listed["items"]}

    def address(self):
        """Of the Gateway's Service, as its load balancer has it."""
        return eventually(lambda: self.kubectl(
            "-n", NAMESPACE, "get", "services", "-l",
            "gateway.networking.k8s.io/gateway-name=web", "-o",
            "jsonpath={.items[*].status.loadBalancer.ingress[0].ip}"),
            what="a load balancer's address")

    def tidectl(self, *words):
        return self.kubectl("-n", NAMESPACE, "exec", "deployment/" + NAME, "--", "tidectl", *words)


@pytest.fixture(scope="module")
def node():
    """With a Gateway, a route and two Pods behind it, and no release."""
    node = Node()
    node.uninstall()
    node.kubectl("apply", "-f", os.path.join(HERE, "../cluster/echo.yaml"))
    node.kubectl("apply", "-f", os.path.join(HERE, "web.yaml"))
    node.kubectl("-n", "check", "rollout", "status", "deployment/echo", "--timeout=60s")
    yield node
    node.uninstall()
    node.kubectl("delete", "namespace", "check")


@pytest.fixture
def release(node):
    node.install()
    yield node


def get(address, target="/"):
    with contextlib.closing(clients.connect(80, address=address)) as connection:
        return clients.exchange(connection, target=target, host="web.test")


def expect_pods(address):
    """Both Pods answer there."""
    eventually(lambda: len({json.loads(get(address).body)["pod"] for _ in range(10)}) == 2,
               timeout=60, what="two Pods at " + address)


def load(address):
    """A connection that is closed between two requests is opened again: the end of a pod is the
    end of its connections."""
    return Load(80, "web.test", address=address, reconnect=True,
                check=lambda answer: answer.status == 200)


def test_next_commands(release):
    notes = release.helm("get", "notes", RELEASE)
    for command in ("rollout status deployment/" + NAME, "get gatewayclass tidegate",
                    "deployment/%s -- tidectl status" % NAME):
        assert command in notes, notes
    assert "Phase:          Succeeded" in release.helm("test", RELEASE)


def test_traffic(release):
    expect_pods(release.address())
    assert "HAProxy:  ready, version " + HAPROXY in release.tidectl("status")
    assert "No findings" in release.tidectl("findings")


def test_kubectl_tidegate(release, tmp_path):
    """The plug-in, with kubectl's own exec: what tidectl says there, and its exit status."""
    os.symlink(os.path.join(BUILD, "tidectl"), str(tmp_path / "kubectl-tidegate"))
    kubectl = parts.build("kubectl")
    path = "%s:%s:/usr/bin:/bin" % (tmp_path, os.path.dirname(kubectl))

    def run(*words):
        return subprocess.run(
            ["kubectl", "tidegate", *words], timeout=PATIENCE_S, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
            env={"PATH": path, "KUBECONFIG": release.cluster.kubeconfig, "HOME": str(tmp_path)})

    release.rolled_out()
    leader = json.loads(run("status", "-o", "json").stdout)["leader"]
    assert leader["here"], "the pod that leads is asked"
    assert "web" in run("get", "HTTPRoute").stdout
    assert run("explain", "GET", "http://web.test/").returncode == 0
    assert run("get", "HTTPRoute", "check/nobody").returncode == 1
    assert run("get", "Nonsense").returncode == 2
    changed = run("weights", "check/web", "-o", "json")
    assert changed.returncode == 0, changed.stderr


def test_rollout_restart(release):
    address = release.address()
    expect_pods(address)
    before = set(release.pods())
    with load(address) as running:
        release.kubectl("-n", NAMESPACE, "rollout", "restart", "deployment/" + NAME)
        release.rolled_out()
        eventually(lambda: not before & set(release.pods()), timeout=60, what="new pods only")
    running.verify()
    print("requests:", running.count)


def test_scale(release):
    address = release.address()
    expect_pods(address)
    with load(address) as running:
        for count in (3, 1):
            release.kubectl("-n", NAMESPACE, "scale", "--replicas=%d" % count,
                            "deployment/" + NAME)
            release.rolled_out()
            eventually(lambda: len(release.pods()) == count, timeout=60)
    running.verify()
    print("requests:", running.count)


def test_haproxy_killed(release):
    """It is back at once, in the same container."""
    address = release.address()
    release.kubectl("-n", NAMESPACE, "scale", "--replicas=1", "deployment/" + NAME)
    eventually(lambda: len(release.pods()) == 1, timeout=60)
    release.kubectl("-n", NAMESPACE, "exec", "deployment/" + NAME, "--", "bash", "-c",
                    'kill -KILL $(< /run/tidegate/haproxy.pid)')
    expect_pods(address)
    (pod,) = release.pods().values()
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_container_killed(release):
    """It serves again from the last good plan."""
    address = release.address()
    release.kubectl("-n", NAMESPACE, "scale", "--replicas=1", "deployment/" + NAME)
    eventually(lambda: len(release.pods()) == 1, timeout=60)
    expect_pods(address)
    (pod,) = release.pods().values()
    container = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    machine.ctr(release.cluster, "tasks", "kill", "--signal", "SIGKILL", container)
    eventually(lambda: [each for each in release.pods().values() if
                        each["status"]["containerStatuses"][0]["restartCount"] == 1], timeout=60)
    expect_pods(address)


def test_containerd_restarted(release):
    address = release.address()
    expect_pods(address)
    with load(address) as running:
        release.tool("process", "containerd", "restart")
        release.rolled_out()
    running.verify()


def test_network_of_the_node(node):
    node.install(hostNetwork=True, kind="DaemonSet")
    expect_pods("198.18.0.1")
    first = set(node.pods())
    node.kubectl("-n", NAMESPACE, "rollout", "restart", "daemonset/" + NAME)
    node.rolled_out("daemonset/" + NAME)
    assert not first & set(node.pods())
    expect_pods("198.18.0.1")


def test_namespaces(node):
    """With rights in one namespace alone."""
    node.install(watchNamespaces=["check"])
    expect_pods(node.address())
    assert "No findings" in node.tidectl("findings")


def test_uninstall(node):
    def leftovers():
        kinds = node.kubectl("api-resources", "--verbs=list", "-o", "name").split()
        found = node.kubectl("get", ",".join(kinds), "--all-namespaces", "--ignore-not-found",
                             "-l", "app.kubernetes.io/instance=" + RELEASE, "-o", "name").split()
        leases = node.kubectl("-n", NAMESPACE, "get", "leases", "-o", "name").split()
        return sorted(name for name in found + leases
                      if not name.startswith(("endpoint", "pod.metrics")))

    node.install()
    assert "deployment.apps/" + NAME in leftovers()
    node.helm("uninstall", RELEASE, "--wait")
    crd = ["customresourcedefinition.apiextensions.k8s.io/backends.tidegate.io"]
    eventually(lambda: leftovers() == crd, timeout=60)
    # What stayed is taken over again.
    node.install()
