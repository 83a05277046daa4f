# SPDX-License-Identifier: Apache-2.0
"""The chart in a real cluster of one node, installed as a user does it. The node has to be up:
tests/cluster/up --crds. The image is built here; HAPROXY_VERSION says with which HAProxy."""
import contextlib
import json
import os
import re
import subprocess
import tempfile

import pytest
import yaml

from chart import (HERE, NAME, NAMESPACE, RELEASE, WIDE_NAME, Refused, helm, printed,
                   run_printed)
import clients
from load import Load
import node as machine
import parts
from release import OUR_KINDS, PATIENCE_S, Release
from tidegate import BUILD, eventually

HAPROXY = os.environ.get("HAPROXY_VERSION", "2.6")
# Not the 10 s that clusters have, but what one of two busy cores may need to learn of a pod's end:
# with 3 one request in thousands went to an address that was gone.
QUICK = {"drainSeconds": 6}


@pytest.fixture(scope="module")
def node():
    """With a Gateway, a route and two Pods behind it, and no release."""
    node = Release(HAPROXY)
    node.build()
    node.tool("load-image", "--binary", parts.build("echo-basic"), "tidegate.test/echo:1")
    node.uninstall()
    node.kubectl("apply", "-f", os.path.join(HERE, "../cluster/echo.yaml"))
    node.kubectl("apply", "-f", os.path.join(HERE, "web.yaml"))
    node.kubectl("-n", "check", "rollout", "status", "deployment/echo", "--timeout=60s")
    yield node
    node.uninstall()
    node.kubectl("delete", "namespace", "check")


@pytest.fixture
def release(node):
    node.install(**QUICK)
    return node


def get(address, port=80):
    with contextlib.closing(clients.connect(port, address=address)) as connection:
        return clients.exchange(connection, host="web.test")


def expect_pods(*place):
    """Both Pods answer there."""
    eventually(lambda: len({json.loads(get(*place).body)["pod"] for _ in range(10)}) == 2,
               timeout=60, what="two Pods at %s" % place[0])


def expect_status(node, address):
    """What people see of the Gateway."""
    def check():
        row = node.kubectl("-n", "check", "get", "gateway", "web", "--no-headers").split()
        assert row[2:4] == [address, "True"], row
        return True
    eventually(check, timeout=60)


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


PLAIN = "Plain manifests"


@pytest.fixture
def as_printed(node, tmp_path):
    """Runs the commands of a section of the page, and returns what they said; only the registry is
    ours."""
    def run(*commands):
        said = ""
        for command in commands:
            try:
                said += run_printed(command, tmp_path, node.cluster.kubeconfig,
                                    "tidegate.test/tidegate,image.tag=" + HAPROXY)
            except Refused as error:
                raise AssertionError("%s\n%s" % (error, node.told("edge"))) from error
        return said

    node.uninstall()
    yield run
    helm("uninstall", "edge", "--wait", "--ignore-not-found", "--namespace", "edge",
         kubeconfig=node.cluster.kubeconfig)
    node.kubectl("delete", "--ignore-not-found", "namespace/edge", *OUR_KINDS)


def test_install_page(as_printed):
    """Every command does what the page says."""
    for title, commands in printed("install-kubernetes.md").items():
        if title == PLAIN:
            continue
        said = as_printed(*commands)
        if title == "A first route":
            assert "HTTP/1.1 302 Found" in said and "location: http://example.com/" in said


def test_plain_manifests(node, as_printed, tmp_path):
    try:
        as_printed(*printed("install-kubernetes.md")[PLAIN])
        as_printed("kubectl -n edge rollout status deployment/edge-tidegate --timeout=90s",
                   "kubectl wait gatewayclass/tidegate --for=condition=Accepted --timeout=30s")
    finally:
        if (tmp_path / "tidegate.yaml").exists():
            node.kubectl("delete", "--ignore-not-found", "-f", str(tmp_path / "tidegate.yaml"))


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


def test_scale(release):
    address = release.address()
    expect_pods(address)
    with load(address) as running:
        for count in (3, 1, 2):
            release.kubectl("-n", NAMESPACE, "scale", "--replicas=%d" % count,
                            "deployment/" + NAME)
            release.rolled_out()
            eventually(lambda: len(release.pods()) == count, timeout=60)
    running.verify()


def test_upgrade(release):
    """To other values, which are other pods."""
    address = release.address()
    expect_pods(address)
    before = set(release.pods())
    with load(address) as running:
        release.install(**QUICK, logLevel="debug", podLabels={"team": "edge"})
        eventually(lambda: len(release.pods()) == 2, timeout=60, what="the end of the old pods")
    running.verify()
    assert not before & set(release.pods())
    assert all(pod["metadata"]["labels"]["team"] == "edge" for pod in release.pods().values())


def test_another_kind_keeps_addresses(release, tmp_path):
    """By the commands with which it is refused at first; there, and back."""
    def service():
        (found,) = json.loads(release.kubectl(
            "-n", NAMESPACE, "get", "services", "-l", "gateway.networking.k8s.io/gateway-name=web",
            "-o", "json"))["items"]
        return found["metadata"]

    address, uid = release.address(), service()["uid"]
    for kind in ("DaemonSet", "Deployment"):
        with pytest.raises(Refused, match="--cascade=orphan") as refused:
            release.install(**QUICK, kind=kind)
        for command in re.findall(r"kubectl .*", str(refused.value)):
            run_printed(command, tmp_path, release.cluster.kubeconfig)
        release.install(**QUICK, kind=kind)
        eventually(lambda: [owner["kind"] for owner in service().get("ownerReferences", [])] ==
                   [kind], timeout=60, what="the new owner")
        assert service()["uid"] == uid and release.address() == address
        expect_pods(address)


def holder(release):
    """The Pod's name, and "_" with what tells its processes apart."""
    return release.kubectl("-n", NAMESPACE, "get", "lease", NAME, "-o",
                           "jsonpath={.spec.holderIdentity}")


def status_of(pod, name):
    return next(each for each in pod["status"]["containerStatuses"] if each["name"] == name)


def kill(release, pod, name="tidegate"):
    """That container, without a word."""
    container = status_of(pod, name)["containerID"].rpartition("/")[2]
    machine.ctr(release.cluster, "tasks", "kill", "--signal", "SIGKILL", container)


def test_leader_killed(release):
    """Another process leads, and status is written."""
    def leader():
        return release.pods().get(holder(release).partition("_")[0])

    address = release.address()
    pod = eventually(leader, timeout=60, what="a leader")
    before = holder(release)
    kill(release, pod)
    expect_pods(address)
    eventually(lambda: holder(release) not in ("", before), timeout=60, what="another leader")
    release.kubectl("-n", "check", "patch", "httproute", "web", "--type=merge", "-p",
                    '{"spec": {"hostnames": ["web.test"]}}')
    try:
        generation = release.kubectl("-n", "check", "get", "httproute", "web", "-o",
                                     "jsonpath={.metadata.generation}")
        release.kubectl("-n", "check", "wait", "httproute", "web", "--timeout=30s",
                        "--for=jsonpath={.status.parents[0].conditions[0].observedGeneration}=" +
                        generation)
    finally:
        release.kubectl("-n", "check", "patch", "httproute", "web", "--type=json", "-p",
                        '[{"op": "remove", "path": "/spec/hostnames"}]')
    release.rolled_out()


def pick(release):
    """One replica: its name, its Pod, and the arguments with which get() asks it alone."""
    release.address()
    name, pod = sorted(release.pods().items())[0]
    port = release.kubectl("-n", NAMESPACE, "get", "services", "-l",
                           "gateway.networking.k8s.io/gateway-name=web", "-o",
                           "jsonpath={.items[0].spec.ports[0].targetPort}")
    return name, pod, (pod["status"]["podIP"], int(port))


def restarts(pod, name="tidegate"):
    return status_of(pod, name)["restartCount"]


def test_haproxy_killed(release):
    """It is back at once, in the same container."""
    name, pod, place = pick(release)
    expect_pods(*place)

    def in_pod(script):
        return release.kubectl("-n", NAMESPACE, "exec", name, "--", "bash", "-c", script)

    before = in_pod("cat /run/tidegate/haproxy.pid; kill -KILL $(< /run/tidegate/haproxy.pid)")
    eventually(lambda: in_pod("cat /run/tidegate/haproxy.pid") != before, what="another HAProxy")
    expect_pods(*place)
    assert restarts(release.pods()[name]) == restarts(pod)


def test_container_killed(release):
    """It serves again from the last good plan."""
    name, pod, place = pick(release)
    expect_pods(*place)
    kill(release, pod)
    eventually(lambda: restarts(release.pods()[name]) > restarts(pod), timeout=60,
               what="another container")
    expect_pods(*place)


def test_containerd_restarted(release):
    address = release.address()
    expect_pods(address)
    with load(address) as running:
        release.tool("process", "containerd", "restart")
        release.rolled_out()
    running.verify()


@pytest.fixture
def containers(node):
    """HAProxy in its own, of an image that is not ours, and of another version than ours has."""
    node.load("3.4", "haproxy")
    return {"haproxy.container.enabled": True,
            "haproxy.container.image": "tidegate.test/haproxy:3.4"}


def test_haproxy_in_a_container_of_its_own(node, containers):
    """It serves on while its tidegate is started anew, and its successor is what the objects
    say."""
    node.install(**QUICK, **containers)
    address = node.address()
    expect_pods(address)
    assert "HAProxy:  ready, version 3.4" in node.tidectl("status")
    before = set(node.pods())
    # The agent is asked until the end.
    asking = Load(80, "web.test", "/agent", address=address, reconnect=True,
                  headers=[("X-A", "abc")], check=lambda answer: answer.status == 200)
    with load(address) as running, asking:
        node.kubectl("-n", NAMESPACE, "rollout", "restart", "deployment/" + NAME)
        node.rolled_out()
        eventually(lambda: not before & set(node.pods()), timeout=60, what="new pods only")
    running.verify()
    asking.verify()
    name, pod, place = pick(node)
    with Load(place[1], "web.test", address=place[0], check=lambda answer: answer.status == 200
              ) as running:
        kill(node, pod, "tidegate")
        eventually(lambda: restarts(node.pods()[name]) > restarts(pod), timeout=60,
                   what="another tidegate")
        node.rolled_out()
    running.verify()
    kill(node, pod, "haproxy")
    eventually(lambda: restarts(node.pods()[name], "haproxy") > restarts(pod, "haproxy"),
               timeout=60, what="another HAProxy")
    node.rolled_out()
    expect_pods(*place)
    assert restarts(node.pods()[name]) == restarts(pod) + 1
    assert restarts(node.pods()[name], "haproxy") == restarts(pod, "haproxy") + 1


@pytest.mark.parametrize("haproxy", ["ours", "theirs"])
def test_network_of_the_node(node, containers, haproxy):
    node.install(**QUICK, hostNetwork=True, kind="DaemonSet",
                 **(containers if haproxy == "theirs" else {}))
    expect_pods("198.18.0.1")
    first = set(node.pods())
    node.kubectl("-n", NAMESPACE, "rollout", "restart", "daemonset/" + NAME)
    node.rolled_out("daemonset/" + NAME)
    assert not first & set(node.pods())
    expect_pods("198.18.0.1")
    expect_status(node, "198.18.0.1")


def test_one_service_for_all(node):
    """Its address is every Gateway's, also where the Service's own namespace is not watched."""
    node.install(**QUICK, watchNamespaces=["check"], **{"service.mode": "Shared"})
    address = eventually(lambda: node.kubectl(
        "-n", NAMESPACE, "get", "service", NAME, "-o",
        "jsonpath={.status.loadBalancer.ingress[0].ip}"), timeout=60)
    expect_status(node, address)
    expect_pods(address)


def test_kind_forbidden(release):
    """All works but that kind, also at a start, and the operator is told what to grant."""
    role = json.loads(release.kubectl("get", "clusterrole", WIDE_NAME, "-o", "json"))
    rules = [rule for rule in role["rules"] if "backends" not in rule["resources"]]
    assert len(rules) == len(role["rules"]) - 1
    apply_as_helm(release, {"apiVersion": role["apiVersion"], "kind": role["kind"],
                            "metadata": {"name": WIDE_NAME, "labels": role["metadata"]["labels"]},
                            "rules": rules})
    release.kubectl("-n", NAMESPACE, "rollout", "restart", "deployment/" + NAME)
    release.rolled_out()
    expect_pods(release.address())
    found = json.loads(release.tidectl("findings", "-o", "json"))
    assert [(each["kind"], each["reason"]) for each in found] == [
        ("Backend", "Forbidden"), ("GatewayParameters", "Forbidden")], found
    assert "backends" in found[0]["text"]


def apply_as_helm(release, *objects):
    """As if the chart had them, so that its next upgrade sets them right."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as out:
        yaml.safe_dump_all(objects, out)
        out.flush()
        release.kubectl("apply", "--server-side", "--field-manager=helm", "-f", out.name)


def test_namespaces(node):
    """With rights in one namespace alone."""
    node.install(**QUICK, watchNamespaces=["check"])
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

    node.install(**QUICK)
    assert "deployment.apps/" + NAME in leftovers()
    node.helm("uninstall", RELEASE, "--wait")
    eventually(lambda: leftovers() == OUR_KINDS, timeout=60)
    # What stayed is taken over again.
    node.install(**QUICK)
