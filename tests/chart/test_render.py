# SPDX-License-Identifier: Apache-2.0
"""What the chart renders: an API server takes it, values do what they say, mistakes are refused,
and the rights are those that tidegate needs and no more."""
import contextlib
import json
import os
import re
import shutil
import subprocess

import pytest
import yaml

from chart import (CHART, HERE, NAME, NAMESPACE, RELEASE, WIDE_NAME, Refused, helm, objects,
                   options, pod, printed, render, run_printed)
from apiserver import ApiServer, KubeGate
import manifests as m
from tidegate import eventually

# Every value that is off by default, or empty, but for those that exclude others.
EVERYTHING = {
    "nameOverride": "gate", "fullnameOverride": "edge-gate",
    "commonLabels": {"team": "edge"}, "commonAnnotations": {"note": "yes"},
    "image": {"tag": "x", "digest": "sha256:" + "0" * 64},
    "gatewayClass": {"annotations": {"a": "b"}, "labels": {"a": "b"},
                     "parametersRef": {"name": "wide", "namespace": "one"}},
    "imagePullSecrets": [{"name": "registry"}], "minReadySeconds": 1, "replicas": 3,
    "updateStrategy": {"type": "Recreate"}, "dnsPolicy": "Default",
    "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
    "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["a.test"]}],
    "lifecycle": {"postStart": {"sleep": {"seconds": 1}}},
    "securityContext": {"privileged": False}, "podSecurityContext": {"fsGroup": 1},
    "livenessProbe": {"periodSeconds": 7}, "readinessProbe": {"periodSeconds": 7},
    "startupProbe": {"enabled": True},
    "podLabels": {"a": "b"}, "podAnnotations": {"a": "b"}, "nodeSelector": {"a": "b"},
    "tolerations": [{"operator": "Exists"}], "priorityClassName": "system-node-critical",
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}},
    "topologySpreadConstraints": [],
    "runtimeClassName": "other", "schedulerName": "other", "accessLog": True,
    "haproxy": {"threads": 2, "maxconn": 10000, "spareBackends": 0}, "agent": {"threads": 2},
    "service": {"mode": "Shared", "annotations": {"a": "b"}, "labels": {"a": "b"},
                "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Local",
                "ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"],
                "loadBalancerClass": "example.com/lb", "loadBalancerSourceRanges": ["192.0.2.0/24"],
                "allocateLoadBalancerNodePorts": True, "trafficDistribution": "PreferClose",
                "clusterIP": "198.19.77.7", "externalIPs": ["192.0.2.1"],
                "loadBalancerIP": "192.0.2.1", "sessionAffinity": "ClientIP",
                "nodePorts": {"http": 30080}, "extraPorts": [{"name": "more", "port": 8080}]},
    "autoscaling": {"enabled": True, "targetMemoryUtilizationPercentage": 80,
                    "metrics": [{"type": "Pods", "pods": {
                        "metric": {"name": "a"}, "target": {"type": "AverageValue",
                                                            "averageValue": "1"}}}],
                    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}},
    "podDisruptionBudget": {"enabled": True, "minAvailable": 1},
    "networkPolicy": {"enabled": True, "from": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
                      "metricsFrom": [{"podSelector": {}}], "egress": [],
                      "extraIngress": [{"from": [{"podSelector": {}}]}]},
    "rbac": {"extraRules": [{"apiGroups": ["x.test"], "resources": ["x"], "verbs": ["get"]}],
             "secretNames": ["pem"]},
    "serviceAccount": {"name": "own", "annotations": {"a": "b"}},
    "extraArgs": ["--log-level=debug"], "extraEnv": [{"name": "A", "value": "b"}],
    "extraEnvFrom": [{"configMapRef": {"name": "x"}}],
    "extraVolumes": [{"name": "more", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
    "extraContainers": [{"name": "beside", "image": "a"}],
    "initContainers": [{"name": "before", "image": "a"}],
    "metrics": {"dashboard": {"enabled": True, "annotations": {"a": "b"}},
                "service": {"annotations": {"a": "b"}, "labels": {"a": "b"}}},
    "extraObjects": [m.obj("ConfigMap", "{{ .Release.Name }}-more", api="v1", ns=NAMESPACE)],
}
MONITORS = {"metrics.serviceMonitor.enabled": True, "metrics.podMonitor.enabled": True,
            "metrics.dashboard.enabled": True}
# HAProxy of somebody else's image.
CONTAINERS = {"haproxy.container.enabled": True, "initContainers": [{"name": "own", "image": "a"}]}
VARIANTS = {
    "default": {},
    "everything": EVERYTHING,
    "daemonset": {"kind": "DaemonSet", "updateStrategy": {"type": "OnDelete"}},
    "host": {"kind": "DaemonSet", "hostNetwork": True},
    "host-deployment": {"hostNetwork": True, "service.mode": "Shared"},
    "pool": {"kind": "DaemonSet", "hostNetwork": True, "service.mode": "Pool",
             "service.addressPool": ["192.0.2.0/28", "2001:db8::1"]},
    "namespaces": {"watchNamespaces": ["one", "two"], "rbac.secretNames": ["pem"]},
    "none": {"service.mode": "None", "networkPolicy.enabled": True},
    "policy": {"networkPolicy.enabled": True},
    "containers": CONTAINERS,
    "host-containers": dict(CONTAINERS, hostNetwork=True, kind="DaemonSet"),
}


@pytest.fixture(scope="session")
def server():
    with contextlib.closing(ApiServer()) as server:
        server.apply(*[m.namespace(name) for name in (NAMESPACE, "one", "two")])
        yield server


def test_lint():
    assert "0 chart(s) failed" in helm("lint", "--strict", CHART)


@pytest.mark.parametrize("variant", VARIANTS)
def test_api_server_takes_it(server, variant):
    text = render(VARIANTS[variant])
    # Of Grafana, the colour below all limits
    unlike = [line for line in text.splitlines() if re.search(r"\bnull\b|<no value>|%!", line)
              and '"value": null' not in line and "/dev/null" not in line]
    assert not unlike
    # As it would be stored: unknown fields, wrong types and values out of range are refused.
    taken = server.kubectl("apply", "--dry-run=server", "--server-side", "--validate=strict",
                           "-f", "-", text=text).splitlines()
    assert len(taken) == len([each for each in yaml.safe_load_all(text) if each])


NO_NAMESPACE = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "GatewayClass"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_namespaces_are_said(variant):
    """So that it is the same whoever sends it: helm, or kubectl with any namespace as its own."""
    places = {}
    for each in yaml.safe_load_all(render(dict(VARIANTS[variant], **MONITORS))):
        if each:
            places.setdefault(each["kind"], set()).add(each["metadata"].get("namespace"))
    roles = {NAMESPACE, *VARIANTS[variant].get("watchNamespaces", [])}
    assert {kind for kind, spaces in places.items() if spaces == {None}} == NO_NAMESPACE
    for kind in set(places) - NO_NAMESPACE:
        assert places[kind] == (roles if kind in ("Role", "RoleBinding") else {NAMESPACE}), kind
    assert "Pod" in places  # of `helm test`


@pytest.fixture
def fresh():
    """An API server that has nothing yet, for what helm itself does there."""
    with contextlib.closing(ApiServer(gateway_api=False)) as server:
        yield server


@pytest.mark.parametrize("create", [True, False])
def test_cluster_without_the_gateway_api(fresh, create):
    """Is told so, with the command to run, whoever makes the class."""
    def install(*words):
        return helm("install", RELEASE, CHART, "--namespace", NAMESPACE, "--create-namespace",
                    *options({"gatewayClass.create": create}), *words,
                    kubeconfig=fresh.cluster.kubeconfig)

    for words in (["--dry-run=server"], []):
        with pytest.raises(Refused) as refused:
            install(*words)
        assert "does not have the Gateway API's definitions" in str(refused.value)
        assert "kubectl apply --server-side -f https://" in str(refused.value)
    fresh.cluster.apply_gateway_api()
    install("--dry-run=server")


def test_plain_manifests(fresh, tmp_path):
    """As the page prints it, by somebody whose own namespace is another one."""
    fresh.install()
    fresh.kubectl("config", "set-context", "--current", "--namespace=kube-system")
    for command in printed("install-kubernetes.md")["Plain manifests"]:
        run_printed(command, tmp_path, fresh.cluster.kubeconfig)
    with open(tmp_path / "tidegate.yaml", encoding="utf-8") as source:
        manifests = [each for each in yaml.safe_load_all(source) if each]
    assert "Pod" not in {each["kind"] for each in manifests}
    for kind in {each["kind"] for each in manifests} - NO_NAMESPACE:
        count = len([each for each in manifests if each["kind"] == kind])
        assert len(fresh.kubectl("get", kind, "-n", "edge", "-l", "app.kubernetes.io/instance=edge",
                                 "-o", "name").splitlines()) == count, kind


def edit(path, change):
    with open(path, encoding="utf-8") as source:
        text = source.read()
    with open(path, "w", encoding="utf-8") as out:
        out.write(change(text))


def older_chart(tree):
    """As it was once: without a group of values, and one property of a Backend."""
    def without_property(text):
        crd = yaml.safe_load(text)
        for version in crd["spec"]["versions"]:
            del version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["appProtocol"]
        return yaml.safe_dump(crd)

    chart = tree / "helm/tidegate"
    shutil.copytree(CHART, chart)
    edit(chart / "Chart.yaml", lambda text: re.sub(r"(?m)^version: .*", "version: 0.0.9", text))
    edit(chart / "values.yaml", lambda text: re.sub(r"(?m)^crds:\n(  .*\n)+", "", text))
    edit(chart / "templates/crds.yaml", lambda text: text.replace(".Values.crds.install", "true"))
    edit(chart / "files/crds/backends.tidegate.io.yaml", without_property)


def test_upgrade_from_an_older_chart(fresh, tmp_path):
    """By the command of the page: definitions are the new ones, and what was set and made stays."""
    def properties():
        crd = json.loads(fresh.kubectl("get", "crd", "backends.tidegate.io", "-o", "json"))
        return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"][
            "properties"]

    def uid():
        return fresh.kubectl("get", "backend", "old", "-o", "jsonpath={.metadata.uid}")

    commands = printed("install-kubernetes.md")
    older_chart(tmp_path / "old")
    fresh.cluster.apply_gateway_api()
    run_printed(commands["The chart"][0], tmp_path / "old", fresh.cluster.kubeconfig)
    assert "appProtocol" not in properties()
    fresh.apply(m.backend("old", 80))
    before = uid()
    (tmp_path / "new").mkdir()
    run_printed(commands["Restarts and upgrades"][0], tmp_path / "new", fresh.cluster.kubeconfig)
    assert "appProtocol" in properties()
    assert before and uid() == before
    image = fresh.kubectl("get", "deployment", "edge-tidegate", "-n", "edge", "-o",
                          "jsonpath={.spec.template.spec.containers[0].image}")
    assert image.startswith("tidegate.test/")


class Installed:
    """A release that no node has heard of, in a namespace of its own. The definitions and the
    class are the server's."""

    def __init__(self, server, namespace, scratch):
        self.server, self.namespace, self.scratch = server, namespace, scratch

    def set(self, **values):
        """Installs or upgrades."""
        values = dict({"crds.install": False, "gatewayClass.create": False}, **values)
        return helm("upgrade", "--install", RELEASE, CHART, "--namespace", self.namespace,
                    "--create-namespace", *options(values),
                    kubeconfig=self.server.cluster.kubeconfig)

    def kubectl(self, *words):
        return self.server.kubectl("-n", self.namespace, *words)


@pytest.fixture
def installed(server, request, tmp_path):
    return Installed(server, re.sub(r"[^a-z]+", "-", request.node.name.lower()).strip("-"),
                     tmp_path)


@pytest.mark.parametrize("before, after", [("Deployment", "DaemonSet"),
                                           ("DaemonSet", "Deployment")])
def test_services_are_not_lost(installed, before, after):
    """With what owns them, when that is replaced: what is to be done first is said."""
    ns = installed.namespace
    installed.set(kind=before)
    labels = dict(OWN_LABELS, **{"app.kubernetes.io/managed-by": "tidegate"})
    service = m.obj("Service", "one--gw", {"ports": [{"port": 80}]}, api="v1", ns=ns, labels=labels)
    owner = {"apiVersion": "apps/v1", "kind": before, "name": NAME, "uid": "0-0"}
    owned = dict(service, metadata=dict(service["metadata"], ownerReferences=[owner]))
    installed.server.apply(owned)
    installed.set(kind=before, logLevel="debug")
    with pytest.raises(Refused) as refused:
        installed.set(kind=after)
    said = " ".join(str(refused.value).split())
    assert "-n %s delete %s %s --cascade=orphan" % (ns, before.lower(), NAME) in said
    with pytest.raises(Refused, match="--cascade=orphan"):
        installed.set(kind=before, fullnameOverride="other")
    installed.set(kind=before, **{"service.mode": "Shared"})
    # No other command but the first needs pods, or the controllers of a cluster.
    commands = re.findall(r"kubectl .*", str(refused.value))
    assert len(commands) == 4
    run_printed(commands[0], installed.scratch, installed.server.cluster.kubeconfig)
    for command in commands[1:]:
        run_printed(command + " --dry-run=server" * ("delete" in command.split()),
                    installed.scratch, installed.server.cluster.kubeconfig)
    installed.server.apply(service)
    installed.kubectl("delete", before.lower(), NAME)
    installed.set(kind=after)


def test_autoscaling_begins_with_what_runs(installed):
    """And an upgrade leaves it to the autoscaler how many there are."""
    def replicas():
        return installed.kubectl("get", "deployment", NAME, "-o", "jsonpath={.spec.replicas}")

    installed.set(replicas=4)
    installed.set(**{"autoscaling.enabled": True})
    assert replicas() == "4"
    installed.kubectl("scale", "deployment", NAME, "--replicas=7")
    for level in ("debug", "info"):
        installed.set(**{"autoscaling.enabled": True, "logLevel": level})
        assert replicas() == "7"


def test_monitors():
    """Their definitions are somebody else's; these are the fields of them."""
    monitor = {"enabled": True, "namespace": "metrics", "labels": {"release": "p"},
               "scrapeTimeout": "5s", "relabelings": [{"action": "drop"}]}
    made = objects({"metrics.serviceMonitor": monitor, "metrics.podMonitor": monitor,
                    "service.mode": "Shared"})
    for kind, endpoints in (("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")):
        spec = made[kind, NAME]["spec"]
        assert made[kind, NAME]["metadata"]["namespace"] == "metrics"
        assert made[kind, NAME]["metadata"]["labels"]["release"] == "p"
        assert spec["namespaceSelector"] == {"matchNames": [NAMESPACE]}
        assert spec[endpoints] == [{"port": "metrics", "interval": "30s", "scrapeTimeout": "5s",
                                    "relabelings": [{"action": "drop"}]}]
    labels = made["Service", NAME + "-metrics"]["metadata"]["labels"]
    selected = made["ServiceMonitor", NAME]["spec"]["selector"]["matchLabels"]
    assert selected.items() <= labels.items()
    assert not selected.items() <= made["Service", NAME]["metadata"]["labels"].items()


@pytest.fixture(scope="module")
def metrics(server, tmp_path_factory):
    """The names of all that a running tidegate counts."""
    with contextlib.closing(KubeGate(tmp_path_factory.mktemp("metrics"), server)) as gate:
        server.apply(m.gateway_class())
        gate.start()
        return eventually(lambda: (lambda names: "tidegate_agent_requests_total" in names and
                                   "tidegate_ready" in names and names)(
            {key.partition("{")[0] for key in gate.metrics()}))


def queries(panels):
    """(panel, query) of all panels and rows."""
    for panel in panels:
        yield from queries(panel.get("panels", []))
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]


def test_dashboard(metrics):
    """Each query asks for something that there is, with the labels that it has."""
    enabled = {"enabled": True, "namespace": "grafana", "annotations": {"grafana_folder": "edge"}}
    config = objects({"metrics.dashboard": enabled})["ConfigMap", NAME + "-dashboard"]
    assert config["metadata"]["namespace"] == "grafana"
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert config["metadata"]["annotations"]["grafana_folder"] == "edge"
    dashboard = json.loads(config["data"]["tidegate.json"])
    found = list(queries(dashboard["panels"]))
    for title, query in found:
        names = set(re.findall(r"\btidegate_\w+", query))
        assert names and names <= metrics, title
        # What is summed up by is a label of a metric, or one of every scrape
        for label in re.findall(r" by \((\w+)\)", query):
            assert label in ("pod", "le", "severity", "kind", "reason", "code"), title
    variables = {each["name"] for each in dashboard["templating"]["list"]}
    assert set(re.findall(r"\$(\w+)", " ".join(query for _, query in found))) <= \
        variables | {"__rate_interval"}
    assert len(found) > 30
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert all(x + w <= 24 for _, w, x, _ in places)
    assert not [kind for kind, _ in objects() if kind == "ConfigMap"]


def test_pods_are_restricted():
    """As the strictest of the Pod Security Standards has it."""
    spec = pod()
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]}}


def test_helm_test():
    """Its Pod may run where the others may, and reach them, and is not one of them."""
    made = objects({"podSecurityContext": {"runAsUser": 7}, "commonLabels": {"team": "edge"},
                    "securityContext": {"readOnlyRootFilesystem": False},
                    "networkPolicy.enabled": True,
                    "networkPolicy.metricsFrom": [{"namespaceSelector": {}}]})
    test, policy = made["Pod", NAME + "-test"], made["NetworkPolicy", NAME]["spec"]
    spec = made["Deployment", NAME]["spec"]["template"]["spec"]
    assert test["spec"]["securityContext"]["runAsUser"] == 7
    assert test["spec"]["securityContext"].items() <= spec["securityContext"].items()
    assert (test["spec"]["containers"][0]["securityContext"] ==
            spec["containers"][0]["securityContext"])
    labels = test["metadata"]["labels"].items()
    assert labels >= {"team": "edge"}.items() and not labels & OWN_LABELS.items()
    allowed_in = policy["ingress"][1]["from"]
    assert allowed_in[0] == {"namespaceSelector": {}}
    assert labels >= allowed_in[1]["podSelector"]["matchLabels"].items()
    assert "from" not in objects({"networkPolicy.enabled": True})["NetworkPolicy", NAME]["spec"][
        "ingress"][1]


def test_network_of_the_node():
    spec = pod({"hostNetwork": True, "kind": "DaemonSet"}, "DaemonSet")
    assert spec["hostNetwork"] and spec["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert "sysctls" not in spec["securityContext"]  # of the node: not the pod's to set
    (container,) = spec["containers"]
    assert container["securityContext"]["capabilities"] == {
        "drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
    assert "--user=root" in container["args"]
    # Listeners' ports as a pod's would keep its successor off the node.
    (port,) = container["ports"]
    assert port["name"] == "metrics"
    assert port["containerPort"] != 9100  # node-exporter's
    assert ("Service", NAME) not in objects({"hostNetwork": True})
    rolling = objects({"hostNetwork": True})["Deployment", NAME]["spec"]["strategy"]
    assert rolling == {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}


def test_haproxy_in_a_container_of_its_own():
    """Three of them, alike restricted, with one directory; the agent is a sidecar, so that it is
    there before the others and after them."""
    spec = pod(dict(CONTAINERS, **{
        "service.mode": "Shared", "haproxy.container.image": "h.test/haproxy:9",
        "haproxy.container.resources": {"limits": {"cpu": 2}}, "agent.threads": 3}))
    tidegate, haproxy = spec["containers"]
    own, agent = spec["initContainers"]
    assert [each["name"] for each in (tidegate, haproxy, own, agent)] == [
        "tidegate", "haproxy", "own", "agent"]
    assert "--external" in tidegate["args"]
    assert not [word for word in tidegate["args"] if word.startswith("--agent")]
    assert haproxy["image"] == "h.test/haproxy:9"
    assert haproxy["resources"] == {"limits": {"cpu": 2},
                                    "requests": {"cpu": "100m", "memory": "64Mi"}}
    with open(os.path.join(CHART, "files/haproxy.sh"), encoding="ascii") as script:
        assert haproxy["command"] + haproxy["args"] == [
            "sh", "-c", script.read(), "haproxy.sh", "/run/tidegate", "-q"]
    assert agent["restartPolicy"] == "Always" and "--threads=3" in agent["args"]
    assert agent["image"] == tidegate["image"]
    for each in (haproxy, agent):
        assert each["securityContext"] == tidegate["securityContext"]
        assert each["volumeMounts"] == tidegate["volumeMounts"]
    # All serve on for a while; the agent is told to end when the others have ended.
    assert haproxy["lifecycle"] == tidegate["lifecycle"] and "lifecycle" not in agent
    assert [port["name"] for port in haproxy["ports"]] == ["http", "https"]
    assert [port["name"] for port in tidegate["ports"]] == ["metrics"]
    for values in ({"accessLog": True}, {"logLevel": "debug"}):  # what it says is wanted
        assert pod(dict(CONTAINERS, **values))["containers"][1]["args"][-1] == "/run/tidegate"
    assert "ports" not in pod(CONTAINERS)["containers"][1]
    assert "initContainers" not in pod()
    assert "--external" not in pod()["containers"][0]["args"]


OWN_LABELS = {"app.kubernetes.io/name": "tidegate", "app.kubernetes.io/instance": "edge"}


def gateway_service(values=None):
    """What Gateways' Services are like."""
    (container,) = pod(values)["containers"]
    option = "--gateway-service="
    return json.loads(next(word for word in container["args"] if word.startswith(option))[len(option):])


def test_services():
    """Whose they are, what binds, and who may make them."""
    def about(**service):
        made = objects({"service." + key: value for key, value in service.items()} |
                       {"networkPolicy.enabled": True})
        container = made["Deployment", NAME]["spec"]["template"]["spec"]["containers"][0]
        role = made["Role", NAME + "-leader"]["rules"]
        return (("Service", NAME) in made,
                [each for each in container["args"] if each.startswith("--gateway-")][:2],
                [port["name"] for port in container["ports"]],
                made["NetworkPolicy", NAME]["spec"]["ingress"][0]["ports"],
                [rule["verbs"] for rule in role if rule["resources"] == ["services"]])

    listeners = [{"port": 80}, {"port": 443}]
    assert about() == (
        False, ["--gateway-services=app.kubernetes.io/instance=edge,app.kubernetes.io/name=tidegate",
                "--gateway-ports=20000-29999"], ["metrics"], [{"port": 20000, "endPort": 29999}],
        [["list", "watch", "create", "update", "delete"]])
    assert gateway_service() == {"type": "LoadBalancer", "labels": OWN_LABELS}
    assert gateway_service({
        "commonLabels": {"a": "b"}, "commonAnnotations": {"a": "b"}, "service.type": "NodePort",
        "service.annotations": {"c": "d"}, "service.allocateLoadBalancerNodePorts": False,
        "service.ipFamilies": ["IPv6"], "service.externalTrafficPolicy": "Local"}) == {
            "type": "NodePort", "labels": dict(OWN_LABELS, a="b"), "ipFamilies": ["IPv6"],
            "annotations": {"a": "b", "c": "d"}, "externalTrafficPolicy": "Local",
            "allocateLoadBalancerNodePorts": False}
    assert about(targetPorts={"first": 1000, "last": 1999})[1][1] == "--gateway-ports=1000-1999"
    assert about(mode="Shared") == (True, [], ["metrics", "http", "https"], listeners,
                                    [["list", "watch"]])
    assert about(mode="Shared", extraPorts=[
        {"port": 53, "protocol": "UDP"}, {"port": 90, "targetPort": "nine"}])[3] == listeners + [
            {"port": 53, "protocol": "UDP"}, {"port": "nine", "protocol": "TCP"}]
    assert about(mode="None") == (False, [], ["metrics", "http", "https"], listeners, [])


def test_address_pool():
    """HAProxy binds in the network of the node; there is no Service, and no right to make one."""
    values = dict(VARIANTS["pool"], kind="Deployment")
    made = objects(values)
    (container,) = pod(values)["containers"]
    assert [each for each in container["args"] if "pool" in each or "gateway-s" in each] == [
        "--address-pool=192.0.2.0/28", "--address-pool=2001:db8::1"]
    assert ("Service", NAME) not in made
    assert not [rule for rule in made["Role", NAME + "-leader"]["rules"]
                if rule["resources"] == ["services"]]


def test_values_of_the_user_win():
    spec = pod({"podSecurityContext": {"runAsUser": 7}, "readinessProbe": {"periodSeconds": 9},
                "livenessProbe": {"enabled": False}, "topologySpreadConstraints": []})
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsUser"] == 7
    assert spec["securityContext"]["fsGroup"] == 65532
    assert container["readinessProbe"]["periodSeconds"] == 9
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert "livenessProbe" not in container and "startupProbe" not in container
    (container,) = pod({"startupProbe": {"enabled": True}})["containers"]
    assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert spec["topologySpreadConstraints"] == []


def test_image():
    def image(**values):
        return pod({"image": values})["containers"][0]["image"]

    digest = "sha256:" + "0" * 64
    assert image() == "tidegate:0.1.0"
    assert image(repository="r.test:5000/t", tag="x") == "r.test:5000/t:x"
    assert image(tag="x", digest=digest) == "tidegate@" + digest


def test_versions_are_those_of_the_source():
    with open(os.path.join(CHART, "../../configure.ac"), encoding="ascii") as source:
        version = re.search(r"AC_INIT\(\[tidegate\], \[([^]]*)\]", source.read()).group(1)
    chart = yaml.safe_load(helm("show", "chart", CHART))
    assert chart["appVersion"] == version


@pytest.mark.parametrize("values, where", [
    ({"replica": 2}, "replica"),
    ({"service.typ": "NodePort"}, "typ"),
    ({"kind": "StatefulSet"}, "kind"),
    ({"lifecycle": {"preStart": {}}}, "preStart"),
    ({"haproxy.container.image": ""}, "image"),
    ({"service.mode": "PerRoute"}, "mode"),
    ({"service.mode": "Pool", "service.addressPool": ["192.0.2.1"]}, "hostNetwork"),
    ({"service.mode": "Pool", "hostNetwork": True}, "addressPool"),
    ({"service.addressPool": ["192.0.2.1"], "hostNetwork": True}, "addressPool"),
    ({"service.nodePorts": {"http": 30080}}, "service.nodePorts is for"),
    ({"service.externalIPs": ["192.0.2.1"], "service.mode": "None"}, "this is None"),
    ({"service.healthCheckNodePort": 30080, "hostNetwork": True}, "service.healthCheckNodePort"),
    ({"listeners": [{"name": "a", "port": 0}]}, "port"),
    ({"commonLabels": {"a": True}}, "commonLabels"),
    ({"autoscaling.enabled": True, "kind": "DaemonSet"}, "autoscaling"),
    ({"metrics.serviceMonitor.enabled": True, "metrics.service.enabled": False}, "metrics.service"),
])
def test_mistakes(values, where):
    with pytest.raises(Refused, match=re.escape(where)):
        render(values)


def test_page_of_the_values():
    subprocess.run([os.path.join(HERE, "values"), "--check"], check=True, timeout=60)


def test_every_value_is_in_the_schema():
    """And the schema has none that is not a value."""
    with open(os.path.join(CHART, "values.schema.json"), encoding="utf-8") as source:
        schema = json.load(source)
    values = yaml.safe_load(helm("show", "values", CHART))

    def compare(schema, values, path):
        if "$ref" in schema:
            schema = definitions[schema["$ref"].rpartition("/")[2]]
        if not isinstance(values, dict) or schema.get("additionalProperties") is not False:
            return
        known = set(schema["properties"]) - {"global"}  # of helm, for charts with subcharts
        assert known == set(values), path
        for key, value in values.items():
            compare(schema["properties"][key], value, path + "." + key)

    definitions = schema["definitions"]
    compare(schema, values, "")


def leaves(values, path=()):
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, path + (key,))
        else:
            yield path + (key,)


with open(os.path.join(CHART, "values.yaml"), encoding="utf-8") as text:
    DEFAULTS = yaml.safe_load(text)
MONITOR = {"namespace": "one", "labels": {"a": "b"}, "scrapeTimeout": "5s",
           "relabelings": [{"action": "drop"}], "metricRelabelings": [{"action": "drop"}]}
# What else a value may be, where it is neither off nor empty, or excludes others.
OTHERS = [
    {"image": {"pullPolicy": "Always"}, "controllerName": "x.test/c", "kind": "DaemonSet",
     "logLevel": "debug", "logFormat": "json", "watchNamespaces": ["one"],
     "listeners": [{"name": "http", "port": 8080}],
     "haproxy": {"container": {"imagePullPolicy": "Always"}},
     # The port: a dry run allocates it, and then finds it taken
     "service": {"type": "NodePort", "addressPool": ["192.0.2.1"], "healthCheckNodePort": 30081},
     "metrics": {"serviceMonitor": MONITOR, "podMonitor": MONITOR,
                 "dashboard": {"namespace": "one"}}},
    EVERYTHING]
# What has to be set for a value to count, beside `enabled` of its group.
NEEDS = {
    r"agent\.resources\.": {"haproxy.container.enabled": True},
    r"gatewayClass\.parametersRef\.namespace": {"gatewayClass.parametersRef.name": "wide"},
    r"listeners": {"service.mode": "Shared"},
    r"service\.addressPool": dict(VARIANTS["pool"], kind="Deployment"),
    r"service\.(trafficDistribution|clusterIP|externalIPs|loadBalancerIP|healthCheckNodePort|"
    r"sessionAffinity|nodePorts|extraPorts)": {"service.mode": "Shared"},
}


def at(values, path):
    """None: there is none."""
    for key in path:
        values = (values or {}).get(key)
    return values


def another_value(path):
    default = at(DEFAULTS, path)
    for others in OTHERS:
        if at(others, path) not in (None, default):
            return at(others, path)
    assert default not in (None, "", [], {}), "EVERYTHING lacks it"
    if isinstance(default, bool):
        return not default
    return default + 1 if isinstance(default, int) else "other"


def needed(path):
    name = ".".join(path)
    found = {".".join(path[:i]) + ".enabled": True for i in range(1, len(path))
             if at(DEFAULTS, path[:i] + ("enabled",)) is False and path[i] != "enabled"}
    for pattern, values in NEEDS.items():
        if re.match(pattern, name):
            found.update(values)
    return found


@pytest.mark.parametrize("path", leaves(DEFAULTS), ids=".".join)
def test_no_value_is_dead(path):
    """Each does something by itself."""
    values = needed(path)
    assert render(values) != render(dict(values, **{".".join(path): another_value(path)}))


def test_class_of_another_name():
    made = objects({"gatewayClass.name": "other", "controllerName": "x.test/c"})
    assert made["GatewayClass", "other"]["spec"]["controllerName"] == "x.test/c"
    assert "--controller-name=x.test/c" in pod({"controllerName": "x.test/c"})["containers"][0]["args"]
    assert not [kind for kind, _ in objects({"gatewayClass.create": False}) if kind == "GatewayClass"]


def test_parameters_of_the_class():
    def reference(**values):
        return objects({"gatewayClass.parametersRef": values})["GatewayClass", "tidegate"][
            "spec"].get("parametersRef")

    ours = {"group": "tidegate.io", "kind": "GatewayParameters", "name": "wide"}
    assert reference() is None
    assert reference(name="wide") == dict(ours, namespace=NAMESPACE)
    assert reference(name="wide", namespace="one") == dict(ours, namespace="one")


def test_lifecycle():
    """Of the user, beside ours; a preStop instead of it."""
    def lifecycle(**values):
        return pod(values)["containers"][0].get("lifecycle")

    ours = {"preStop": {"sleep": {"seconds": 10}}}
    own = {"exec": {"command": ["sleep", "60"]}}
    assert lifecycle() == ours
    assert lifecycle(lifecycle={"postStart": own}) == dict(ours, postStart=own)
    assert lifecycle(lifecycle={"preStop": own}) == {"preStop": own}
    assert lifecycle(drainSeconds=0) is None
    assert lifecycle(drainSeconds=0, lifecycle={"preStop": own}) == {"preStop": own}


def test_definitions_stay(server):
    """They are upgraded with the chart, and outlive it."""
    crd = objects()["CustomResourceDefinition", "backends.tidegate.io"]
    assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert not [kind for kind, _ in objects({"crds.install": False})
                if kind == "CustomResourceDefinition"]


def rights(values):
    """The manifests of the account and its rights."""
    return [each for each in yaml.safe_load_all(render(values))
            if each and (each["kind"] == "ServiceAccount" or "Role" in each["kind"])]


def allowed(manifests):
    """{(group, resource, verb)} of all roles."""
    return {(group, resource, verb) for each in manifests for rule in each.get("rules", [])
            for group in rule["apiGroups"] for resource in rule["resources"]
            for verb in rule["verbs"]}


def asked(requests):
    """What was asked for, likewise."""
    return {(each["objectRef"].get("apiGroup", ""),
             "/".join(filter(None, (each["objectRef"]["resource"],
                                    each["objectRef"].get("subresource")))), each["verb"])
            for each in requests if "objectRef" in each}


# What takes longer, or other objects, than a test has.
RARE = {("events.k8s.io", "events", "get"), ("events.k8s.io", "events", "patch"),  # it happens again
        ("tidegate.io", "backends", "get"),  # an Event about it
        ("tidegate.io", "gatewayparameters", "get")}  # status of it


@pytest.mark.parametrize("page", ["roles.md", "kubernetes.md"])
def test_roles_of_the_pages(server, page):
    """What is said to be of one namespace is not given in all of them."""
    with open(os.path.join(CHART, "../../docs", page), encoding="utf-8") as source:
        blocks = re.findall(r"^```yaml\n(.*?)^```", source.read(), re.MULTILINE | re.DOTALL)
    roles = [each for block in blocks for each in yaml.safe_load_all(block)
             if isinstance(each, dict) and each.get("apiVersion", "").startswith("rbac.")]
    spaces = {each["metadata"]["namespace"] for each in roles if each["kind"] == "Role"}
    server.apply(*map(m.namespace, spaces))
    server.kubectl("apply", "--dry-run=server", "--server-side", "--validate=strict", "-f", "-",
                   text=yaml.safe_dump_all(roles))
    wide = allowed(each for each in roles if each["kind"] == "ClusterRole")
    assert wide and not {each for each in wide if each[1] in ("pods", "pods/exec", "leases")}
    assert {verb for _, resource, verb in wide if resource in ("services", "secrets")} <= {
        "list", "watch"}
    if page == "kubernetes.md":
        assert allowed(roles) == allowed(rights({}))


def own_options(values):
    """What the chart's pods are told, but for what is of a pod alone."""
    (container,) = pod(values)["containers"]
    return [word for word in container["args"][1:]
            if not word.startswith(("--kubernetes", "--run-dir", "--metrics"))]


@pytest.mark.parametrize("variant", ["default", "namespaces"])
def test_rights_are_enough(server, tmp_path, variant):
    """With them tidegate reads, makes and writes all that it asks for, and what it makes belongs to
    the release. And none is there that it does not use."""
    values = VARIANTS[variant]
    server.apply(objects(values)["Deployment", NAME], *rights(values))
    uid = json.loads(server.kubectl("get", "deployment", NAME, "-n", NAMESPACE, "-o", "json"))[
        "metadata"]["uid"]
    pem = m.make_certificate("tls.test")
    user = ":%s:%s" % (NAMESPACE, NAME)
    with contextlib.closing(KubeGate(tmp_path, server, "--lease-namespace", NAMESPACE,
                                     *own_options(values))) as gate:
        server.apply(m.gateway_class(), m.tls_secret("pem", ns="one", pem=pem),
                     m.gateway("gw", m.listener("https", 443, certs=["pem"]), ns="one"),
                     *[m.route("bad", [m.rule("nobody")], ns="one", kind=kind)
                       for kind in ("HTTPRoute", "GRPCRoute")],
                     m.backend("own", 80, ns="one"),
                     m.obj("GatewayParameters", "own", {}, ns="one", api="tidegate.io/v1alpha1"))
        gate.log_in({"token": server.kubectl("create", "token", NAME, "-n", NAMESPACE).strip()})
        gate.start()

        def made(kind, name):
            owners = json.loads(server.kubectl("get", kind, name, "-n", NAMESPACE, "-o", "json"))[
                "metadata"].get("ownerReferences", [])
            return [owner["uid"] for owner in owners] == [uid]

        try:
            eventually(lambda: gate.metrics()['tidegate_objects{kind="Secret"}'] == 1)
            eventually(lambda: made("service", "one--gw"))
            # What has no owner gets one, after `kubectl delete --cascade=orphan` of another, too.
            server.kubectl("patch", "service", "one--gw", "-n", NAMESPACE, "--type=json", "-p",
                           '[{"op": "remove", "path": "/metadata/ownerReferences"}]')
            eventually(lambda: made("service", "one--gw"))
            assert server.kubectl("get", "service", "-n", NAMESPACE, "-o", "name", "-l",
                                  ",".join("%s=%s" % pair for pair in OWN_LABELS.items())) == (
                                      "service/one--gw\n")
            eventually(lambda: made("lease", NAME), timeout=30)
            server.apply(m.gateway("gw", m.listener("https", 443, certs=["pem"]),
                                   m.listener("http", 80), ns="one"))
            eventually(lambda: server.kubectl("get", "service", "one--gw", "-n", NAMESPACE, "-o",
                                              "jsonpath={.spec.ports[*].port}") == "80 443")
            eventually(lambda: server.kubectl("get", "gateway", "gw", "-n", "one", "-o",
                                              "jsonpath={.status.conditions[*].reason}"
                                              ) == "Accepted AddressNotAssigned")
            for kind in ("httproute", "grpcroute"):
                eventually(lambda: server.kubectl(
                    "get", kind, "bad", "-n", "one", "-o",
                    "jsonpath={.status.parents[*].conditions[*].reason}"
                    ) == "Accepted BackendNotFound")
            for kind in ("backend", "gatewayparameters"):
                eventually(lambda: server.kubectl(
                    "get", kind, "own", "-n", "one", "-o",
                    "jsonpath={.status.controllers[*].conditions[*].reason}") == "Accepted")
            # The second variant finds the Event of the first's object
            eventually(lambda: "BackendNotFound" in server.kubectl("get", "events", "-n", "one"))
            assert gate.metrics()["tidegate_events_failures_total"] == 0
            server.kubectl("delete", "gateway,httproute,grpcroute,backend,gatewayparameters", "--all", "-n",
                           "one")
            eventually(lambda: not server.kubectl("get", "service", "one--gw", "-n", NAMESPACE,
                                                  "--ignore-not-found"))
            assert not gate.findings()
            # The second variant has no status of the class to write.
            requests = server.audit(user)
            assert not [each for each in requests
                        if each.get("responseStatus", {}).get("code") == 403]
            assert allowed(rights(values)) - asked(requests) <= RARE
        finally:
            server.kubectl("delete", "gateway", "gw", "-n", "one", "--ignore-not-found")
            server.kubectl("delete", "clusterrolebinding,clusterrole", WIDE_NAME)
            server.kubectl("delete", "deployment", NAME, "-n", NAMESPACE)
            server.kubectl("delete", "lease", NAME, "-n", NAMESPACE)
