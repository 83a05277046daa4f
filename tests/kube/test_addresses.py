# SPDX-License-Identifier: Apache-2.0
"""A Service for each Gateway: made by the leader, kept, removed; what it says is what is served.
Nobody else looks at these Services here: the tests give them addresses as a load balancer would,
and connect to the target ports as a node would."""
import json
import os
import re
import signal
import time

import pytest

import manifests as m
import tidegate
from proxy import Hold
from test_events import event, events
from test_status import condition, expect_told, stored
from tidegate import eventually

SELECTOR = {"app.kubernetes.io/name": "tidegate", "app.kubernetes.io/instance": "edge"}
CONTROLLER_LABEL = "tidegate.io/controller"
OURS = "app.kubernetes.io/managed-by=tidegate"


def ports(count=12):
    """A range of ports of the test's own, for --gateway-ports."""
    taken = sorted(tidegate.free_port() for _ in range(count))
    return "%d-%d" % (taken[0], taken[-1])


@pytest.fixture
def options(lease):
    return ["--gateway-services", ",".join("%s=%s" % pair for pair in SELECTOR.items()),
            "--gateway-ports", ports(), *lease]


@pytest.fixture(autouse=True)
def no_services(server):
    yield
    server.kubectl("delete", "services", "-n", "default", "-l", OURS)


def service(server, name, ns="default"):
    return eventually(lambda: json.loads(server.kubectl(
        "get", "service", name, "-n", ns, "-o", "json", check=False) or "null"),
        what="Service %s" % name)


def services(server):
    made = json.loads(server.kubectl("get", "services", "-n", "default", "-l", OURS, "-o", "json"))
    return {each["metadata"]["name"]: each for each in made["items"]}


def targets(made):
    """{port: target port}"""
    return {each["port"]: each["targetPort"] for each in made["spec"]["ports"]}


def assign(server, name, *ingress, ns="default"):
    """As a load balancer does."""
    server.kubectl("patch", "service", name, "-n", ns, "--subresource=status", "--type=merge",
                   "-p", json.dumps({"status": {"loadBalancer": {"ingress": list(ingress)}}}))


def gateway_condition(server, kind, name, ns="default"):
    """Of a Gateway, for its last change."""
    def check():
        gateway = stored(server, "gateway", name, ns)
        found = condition(gateway["status"]["conditions"], kind)
        assert found.get("observedGeneration") == gateway["metadata"]["generation"]
        return found
    return eventually(check)


def expect_programmed(server, name, status, reason, ns="default"):
    def check():
        found = gateway_condition(server, "Programmed", name, ns)
        assert (found["status"], found["reason"]) == (status, reason), found
        return found
    return eventually(check)


def addresses(server, name, ns="default"):
    return [each["value"] for each in stored(server, "gateway", name, ns)["status"]["addresses"]]


def leads(gate):
    eventually(lambda: gate.status()["leader"]["here"], timeout=30)


def start(gate, server, *objects):
    server.apply(*objects)
    gate.start()
    leads(gate)


def get(made, port=80, **more):
    """A request as a node sends it on, which the listener's port stands in."""
    return tidegate.clients.request(targets(made)[port], "/", "localhost:%d" % port, **more)


def test_two_gateways_with_one_port(gate, server, origins):
    start(gate, server,
          m.gateway("one", m.listener("http", 80), m.listener("more", 8080)),
          m.gateway("two", m.listener("http", 80)),
          m.route("one", [m.rule("a")], parents=[m.parent("one", port=80)]),
          m.route("more", [m.rule("b")], parents=[m.parent("one", port=8080)]),
          m.route("two", [m.rule("b")], parents=[m.parent("two")]),
          m.route("away", [m.rule(matches=[m.prefix("/away")], filters=[
              {"type": "RequestRedirect", "requestRedirect": {"path": {
                  "type": "ReplaceFullPath", "replaceFullPath": "/there"}}}])],
              parents=[m.parent("one", port=8080)]))
    one, two = service(server, "default--one"), service(server, "default--two")
    assert one["spec"]["type"] == "LoadBalancer" and one["spec"]["selector"] == SELECTOR
    assert one["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "tidegate", CONTROLLER_LABEL:
        "tidegate.io_gateway-controller", "gateway.networking.k8s.io/gateway-name": "one",
        "tidegate.io/gateway-namespace": "default"}
    assert [each["name"] for each in one["spec"]["ports"]] == ["port-80", "port-8080"]
    assert {each["protocol"] for each in one["spec"]["ports"]} == {"TCP"}
    assert set(targets(one)) == {80, 8080} and set(targets(two)) == {80}
    assert len({*targets(one).values(), *targets(two).values()}) == 3
    assert eventually(lambda: get(one).origin) == "a"
    assert eventually(lambda: get(one, 8080).origin) == "b"
    assert eventually(lambda: get(two).origin) == "b"
    # What clients see is the listener's port.
    away = tidegate.clients.request(targets(one)[8080], "/away", "gw.test:8080")
    assert away.header("location") == "http://gw.test:8080/there"
    for name in ("one", "two"):
        assert "gateway   default/%s port 80" % name in gate.ctl(
            "explain", "GET", "http://localhost/", "--gateway", "default/" + name, "--live")
    # Nobody has given them an address yet.
    found = expect_programmed(server, "one", "False", "AddressNotAssigned")
    assert "default--one" in found["message"]
    assign(server, "default--one", {"ip": "192.0.2.1"})
    assign(server, "default--two", {"hostname": "two.lb.test"})
    expect_programmed(server, "one", "True", "Programmed")
    expect_programmed(server, "two", "True", "Programmed")
    assert addresses(server, "one") == ["192.0.2.1"]
    assert stored(server, "gateway", "two")["status"]["addresses"] == [
        {"type": "Hostname", "value": "two.lb.test"}]
    expect_told(gate, server, "gateway", "one")
    assert re.search("default/one +- +192.0.2.1 ", gate.ctl("status"))


def test_ports_stay(gate, second, server):
    """Over another listener, a restart, another leader; and a Gateway that is gone and comes back."""
    start(gate, server, m.gateway("stay", m.listener("http", 80)), m.gateway(
        "other", m.listener("http", 80)), m.route("stay", [m.rule("a")],
                                                  parents=[m.parent("stay")]))
    first = service(server, "default--stay")
    service(server, "default--other")
    server.apply(m.gateway("stay", m.listener("http", 80), m.listener("more", 81)))
    more = eventually(lambda: (lambda made: 81 in targets(made) and made)(
        service(server, "default--stay")))
    assert targets(more)[80] == targets(first)[80]
    gate.stop()
    gate.start()
    leads(gate)
    assert eventually(lambda: get(first).origin) == "a"
    second.start()
    gate.stop()
    leads(second)
    assert eventually(lambda: get(first).origin) == "a"
    server.apply(m.gateway("third", m.listener("http", 80)))
    third = service(server, "default--third")
    made = services(server)
    assert targets(made["default--stay"]) == targets(more)
    assert made["default--stay"]["metadata"]["resourceVersion"] == more["metadata"][
        "resourceVersion"], "nothing is written where nothing differs"
    numbers = [each for one in made.values() for each in targets(one).values()]
    assert len(numbers) == len(set(numbers)) == 4
    assert targets(third)[80] in numbers
    assert second.metrics()["tidegate_services_writes_total"] == 1
    # A listener that goes takes its port with it
    server.apply(m.gateway("stay", m.listener("http", 80)))
    eventually(lambda: set(targets(service(server, "default--stay"))) == {80})
    # So does a Gateway
    server.delete("gateway", "stay")
    eventually(lambda: set(services(server)) == {"default--other", "default--third"})
    server.apply(m.gateway("stay", m.listener("http", 80)))
    assert targets(service(server, "default--stay"))[80] == targets(first)[80]
    assert eventually(lambda: get(first).origin) == "a"
    # And one that is somebody else's
    server.apply(m.gateway_class("other", "example.com/other"))
    server.kubectl("patch", "gateway", "stay", "--type=merge", "-p",
                   json.dumps({"spec": {"gatewayClassName": "other"}}))
    eventually(lambda: "default--stay" not in services(server))
    server.kubectl("delete", "gatewayclass", "other")


def test_leader_killed(gate, second, server):
    """What it has begun goes on with the next one, in the same ports."""
    start(gate, server, m.gateway("kill", m.listener("http", 80)),
          m.route("kill", [m.rule("a")], parents=[m.parent("kill")]))
    made = service(server, "default--kill")
    second.start()
    assert eventually(lambda: get(made).origin) == "a"
    os.kill(gate.process.pid, signal.SIGKILL)
    leads(second)
    server.apply(m.gateway("later", m.listener("http", 80)))
    later = service(server, "default--later")
    assert targets(service(server, "default--kill")) == targets(made)
    assert targets(later)[80] != targets(made)[80]


def test_what_is_others(gate, server):
    """Their fields stay; ours are put right; a Service that is not ours is not touched."""
    theirs = m.obj("Service", "default--taken", {"ports": [{"port": 80}]}, api="v1")
    server.apply(theirs)
    try:
        start(gate, server, m.gateway("mine", m.listener("http", 80)))
        made = service(server, "default--mine")
        server.kubectl("patch", "service", "default--mine", "--type=merge", "-p", json.dumps({
            "metadata": {"labels": {"team": "edge"}, "annotations": {"lb.test/pool": "a"}},
            "spec": {"sessionAffinity": "ClientIP", "selector": {"wrong": "yes"},
                     "ports": [dict(made["spec"]["ports"][0], targetPort="wrong")]}}))

        def put_right():
            now = service(server, "default--mine")
            assert now["spec"]["selector"] == SELECTOR
            assert now["metadata"]["labels"]["team"] == "edge"
            assert now["metadata"]["annotations"]["lb.test/pool"] == "a"
            assert now["spec"]["sessionAffinity"] == "ClientIP"
            for field in ("clusterIP", "clusterIPs", "type", "ipFamilies"):
                assert now["spec"][field] == made["spec"][field]
            assert now["spec"]["ports"][0]["nodePort"] == made["spec"]["ports"][0]["nodePort"]
            return targets(now) == targets(made)
        eventually(put_right)
        before = stored(server, "service", "default--taken")
        server.apply(m.gateway("taken", m.listener("http", 80)))
        found = gate.expect_finding("Service", "ServiceNotWritten")
        assert found["object"] == "default/default--taken" and "not made" in found["text"]
        expect_programmed(server, "taken", "False", "AddressNotAssigned")
        assert stored(server, "service", "default--taken") == before
        server.delete("gateway", "taken")
        gate.expect_no_finding("Service", "ServiceNotWritten")
        assert stored(server, "service", "default--taken") == before
    finally:
        server.delete("service", "default--taken")


def test_a_port_twice(gate, server):
    """Somebody makes two Services have one target port: one of them gets another."""
    start(gate, server, m.gateway("a", m.listener("http", 80)), m.gateway(
        "b", m.listener("http", 80)), m.route("a", [m.rule("a")], parents=[m.parent("a")]),
        m.route("b", [m.rule("b")], parents=[m.parent("b")]))
    a, b = service(server, "default--a"), service(server, "default--b")
    b["spec"]["ports"][0]["targetPort"] = targets(a)[80]
    server.kubectl("patch", "service", "default--b", "--type=merge", "-p",
                   json.dumps({"spec": {"ports": b["spec"]["ports"]}}))
    eventually(lambda: targets(service(server, "default--b"))[80] != targets(a)[80])
    assert targets(service(server, "default--a")) == targets(a)
    assert eventually(lambda: get(service(server, "default--b")).origin) == "b"
    assert get(a).origin == "a"


def test_addresses_of_the_spec(gate, server):
    def gateway(*wanted):
        server.apply(m.gateway("asks", m.listener("http", 80), addresses=list(wanted)))

    def made():
        return service(server, "default--asks")

    def accepted():
        return gateway_condition(server, "Accepted", "asks")

    ip = {"type": "IPAddress"}
    gateway(ip)
    gate.start()
    leads(gate)
    # Any address
    assert "loadBalancerIP" not in made()["spec"]
    expect_programmed(server, "asks", "False", "AddressNotAssigned")
    assign(server, "default--asks", {"ip": "192.0.2.9"})
    expect_programmed(server, "asks", "True", "Programmed")
    assert addresses(server, "asks") == ["192.0.2.9"]
    # This one, which the load balancer has not
    gateway(dict(ip, value="192.0.2.10"))
    eventually(lambda: made()["spec"].get("loadBalancerIP") == "192.0.2.10")
    expect_programmed(server, "asks", "False", "AddressNotUsable")
    eventually(lambda: "AddressNotUsable" in server.kubectl("describe", "gateway", "asks").partition(
        "Events:")[2])
    assert accepted()["status"] == "True"
    # ... until it has
    assign(server, "default--asks", {"ip": "192.0.2.10"})
    expect_programmed(server, "asks", "True", "Programmed")
    assert stored(server, "gateway", "asks")["status"]["addresses"] == [
        dict(ip, value="192.0.2.10")]
    # A type that nobody has
    gateway(dict(ip, value="192.0.2.10"), {"type": "test/fake", "value": "x"})
    eventually(lambda: (lambda found: (found["status"], found["reason"]) ==
                        ("False", "UnsupportedAddress"))(accepted()))
    assert made()["spec"]["loadBalancerIP"] == "192.0.2.10", "what there is stays"
    # Several
    gateway(dict(ip, value="192.0.2.10"), dict(ip, value="2001:db8::10"))
    eventually(lambda: made()["metadata"]["annotations"].get("metallb.io/loadBalancerIPs") ==
               "192.0.2.10,2001:db8::10")
    assert "loadBalancerIP" not in made()["spec"]
    assign(server, "default--asks", {"ip": "2001:db8::10"}, {"ip": "192.0.2.10"})
    expect_programmed(server, "asks", "True", "Programmed")
    # None any more: what was asked for is taken back
    gateway()
    eventually(lambda: "metallb.io/loadBalancerIPs" not in made()["metadata"].get(
        "annotations", {}))
    assert "tidegate.io/fields" not in made()["metadata"].get("annotations", {})


def test_told_address(gate, server):
    """--address says where Gateways are reached, whatever the Service says."""
    gate.options += ["--address", "198.51.100.7"]
    start(gate, server, m.gateway("told", m.listener("http", 80)))
    expect_programmed(server, "told", "True", "Programmed")
    assert addresses(server, "told") == ["198.51.100.7"]


def test_owner(gate, server):
    """What the leader has made belongs to its Deployment."""
    pod = {"metadata": {"labels": SELECTOR}, "spec": {"containers": [{"name": "x", "image": "x"}]}}
    server.apply(m.obj("Deployment", "edge", {"selector": {"matchLabels": SELECTOR},
                                              "template": pod}, api="apps/v1"))
    uid = stored(server, "deployment", "edge")["metadata"]["uid"]
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "edge", "uid": uid}
    gate.options += ["--owner", "deployments/edge"]
    start(gate, server, m.gateway("owned", m.listener("http", 80)))
    assert service(server, "default--owned")["metadata"]["ownerReferences"] == [owner]
    lease = gate.options[gate.options.index("--lease-name") + 1]
    eventually(lambda: stored(server, "lease", lease)["metadata"].get("ownerReferences") == [owner])
    server.delete("deployment", "edge")


def test_many(gate, server):
    """More Gateways than ports: those that there are ports for are served, the others say why."""
    low, high = gate.options[gate.options.index("--gateway-ports") + 1].split("-")
    room = int(high) - int(low) + 1
    names = ["many-%02d" % i for i in range(room + 1)]
    start(gate, server, *[m.gateway(name, m.listener("http", 80)) for name in names])
    eventually(lambda: len(services(server)) == room)
    found = gate.expect_finding("Service", "ServiceNotWritten")
    assert "--gateway-ports" in found["text"]
    numbers = [each for made in services(server).values() for each in targets(made).values()]
    assert sorted(numbers) == list(range(int(low), int(high) + 1))
    # One goes, and the port is free.
    server.delete("gateway", next(name for name in names
                                  if "default--" + name in services(server)))
    gate.expect_no_finding("Service", "ServiceNotWritten")
    eventually(lambda: len(services(server)) == room)


def test_names(gate, server, ns):
    """Gateways of other namespaces have their Services in ours; names that are no Service's are
    shortened, and no two become one."""
    dotted, long = "a.b", "x" * 80
    start(gate, server, m.gateway(dotted, m.listener("http", 80), ns=ns),
          m.gateway(long, m.listener("http", 80), ns=ns),
          m.gateway("gw", m.listener("http", 80), ns=ns))
    eventually(lambda: len(services(server)) == 3)
    made = {each["metadata"]["labels"]["gateway.networking.k8s.io/gateway-name"]: name
            for name, each in services(server).items()}
    assert made["gw"] == ns + "--gw"
    assert made[dotted].startswith("gw-" + ns + "--a-b---")
    assert all(len(name) <= 63 for name in made.values())


READ = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
WRITE = {"apiGroups": ["gateway.networking.k8s.io", "coordination.k8s.io", "events.k8s.io"],
         "resources": ["*"], "verbs": ["*"]}


def service_rights(*verbs):
    return {"apiGroups": [""], "resources": ["services"], "verbs": list(verbs)}


def told_of_service(server, name, text):
    """An Event at the Gateway."""
    eventually(lambda: [each for each in events(server, "default")
                        if each["reason"] == "ServiceNotWritten" and text in each["note"] and
                        each["regarding"]["kind"] == "Gateway" and
                        each["regarding"]["name"] == name], what="event of " + name)


def test_rights(gate, server):
    """What is forbidden is said, with what to grant; the rest goes on."""
    server.account("maker", READ, WRITE)
    gate.log_in({"token": server.token("maker")})
    start(gate, server, m.gateway("right", m.listener("http", 80)),
          m.route("right", [m.rule("a")], parents=[m.parent("right")]))
    found = gate.expect_finding("Service", "ServiceNotWritten")
    assert "grant the verb create on services in namespace default" in found["text"]
    told_of_service(server, "right", "grant the verb create")
    expect_programmed(server, "right", "False", "AddressNotAssigned")
    server.allow("maker", READ, WRITE, service_rights("create"))
    gate.expect_no_finding("Service", "ServiceNotWritten")
    made = service(server, "default--right")
    assert eventually(lambda: get(made).origin) == "a"
    server.apply(m.gateway("right", m.listener("http", 80), m.listener("more", 81)))
    assert "grant the verb update" in gate.expect_finding("Service", "ServiceNotWritten")["text"]
    assert get(made).origin == "a"
    server.allow("maker", READ, WRITE, service_rights("create", "update"))
    gate.expect_no_finding("Service", "ServiceNotWritten")
    server.delete("gateway", "right")
    assert "grant the verb delete" in gate.expect_finding("Service", "ServiceNotWritten")["text"]
    server.allow("maker", READ, WRITE, service_rights("create", "update", "delete"))
    eventually(lambda: not services(server), timeout=40)


def quota(server, ns, used):
    """Of one Service; nobody else counts here."""
    server.apply(m.obj("ResourceQuota", "one", {"hard": {"services": "1"}}, ns=ns, api="v1"))
    server.kubectl("patch", "resourcequota", "one", "-n", ns, "--subresource=status",
                   "--type=merge", "-p", json.dumps({"status": {
                       "hard": {"services": "1"}, "used": {"services": str(used)}}}))


def test_removed_while_it_is_written(proxy, gate, server):
    """The answer to our write comes after the watch has seen the Service go: it is made again."""
    written = proxy.after = Hold(lambda request: request.method == "PUT" and
                                 request.path.endswith("/services/default--again"))
    gate.kubeconfig = proxy.kubeconfig
    start(gate, server, m.gateway("again", m.listener("http", 80)))
    first = service(server, "default--again")
    server.apply(m.gateway("again", m.listener("http", 80), m.listener("more", 81)))
    written.expect()
    server.delete("service", "default--again")
    time.sleep(1)
    written.go_on()
    eventually(lambda: services(server)["default--again"]["metadata"]["uid"] !=
               first["metadata"]["uid"] if services(server) else False)


def test_quota(gate, server, ns):
    """What there is no room for does not keep what is not wanted any more from being removed."""
    gate.options += ["--lease-namespace", ns]
    quota(server, ns, 0)
    start(gate, server, *[m.gateway("q%d" % i, m.listener("http", 80)) for i in range(3)])
    service(server, "default--q0", ns)
    found = gate.expect_finding("Service", "ServiceNotWritten")
    assert "exceeded quota" in found["text"] and "grant" not in found["text"]
    assert found["object"] == ns + "/default--q1"
    told_of_service(server, "q2", "exceeded quota")
    server.delete("gateway", "q0")
    eventually(lambda: not server.kubectl("get", "service", "default--q0", "-n", ns,
                                          "--ignore-not-found"))
    # Nobody tells that there is room: it is tried again.
    quota(server, ns, 0)
    eventually(lambda: "default--q" in server.kubectl("get", "services", "-n", ns, "-o", "name"))


@pytest.mark.parametrize("status", [403, 500])
def test_one_is_refused(proxy, gate, server, status):
    """By a policy, or since no port is left: those behind it are made all the same."""
    proxy.before = lambda request: (status,) if request.method == "POST" and (
        request.body.get("metadata", {}).get("name") == "default--first") else None
    gate.kubeconfig = proxy.kubeconfig
    start(gate, server, *[m.gateway(name, m.listener("http", 80)) for name in ("first", "next")])
    service(server, "default--next")
    found = gate.expect_finding("Service", "ServiceNotWritten")
    assert found["object"] == "default/default--first" and "proxy says %d" % status in found["text"]
    proxy.before = lambda request: None
    gate.expect_no_finding("Service", "ServiceNotWritten")
    service(server, "default--first")


def is_of(kind):
    """Lists and watches."""
    return lambda request: request.method == "GET" and request.path.endswith("/" + kind)


def forbid(kind):
    return lambda request: (403,) if is_of(kind)(request) else None


def test_gateways_that_may_be_read_again(proxy, gate, server):
    """When the list of Gateways is there, but what is made of it is not yet, no Service goes."""
    start(gate, server, m.gateway("stays", m.listener("http", 80)))
    service(server, "default--stays")
    gate.stop()
    proxy.before = forbid("gateways")
    gate.kubeconfig = proxy.kubeconfig
    gate.start()
    leads(gate)
    gate.expect_finding("Gateway", "Forbidden")
    eventually(lambda: gate.status()["source"]["complete"])
    removed = []
    asked = proxy.before = Hold(is_of("gateways"))
    proxy.after = lambda request: (
        removed.append(request.path) if request.method == "DELETE" else None)
    os.kill(gate.process.pid, signal.SIGHUP)
    asked.expect()
    time.sleep(0.5)
    # The end of the list is seen amid changes of the Service, each of which is looked at.
    os.kill(gate.process.pid, signal.SIGSTOP)
    asked.go_on()
    for number in range(100):
        proxy.send("PATCH", "/api/v1/namespaces/default/services/default--stays", {
            "metadata": {"annotations": {"others.test/note": "%05000d" % number}}})
    os.kill(gate.process.pid, signal.SIGCONT)
    gate.expect_no_finding("Gateway", "Forbidden")
    time.sleep(1)
    assert not removed


def test_classes_that_may_be_read_again(proxy, gate, server):
    """A Gateway that goes while it is not known whose Gateways are whose: its Service follows when
    that is known again."""
    gate.kubeconfig = proxy.kubeconfig
    start(gate, server, m.gateway("goes", m.listener("http", 80)))
    service(server, "default--goes")
    proxy.before = forbid("gatewayclasses")
    proxy.drop(is_of("gatewayclasses"))
    gate.expect_finding("GatewayClass", "Forbidden")
    server.delete("gateway", "goes")
    time.sleep(1)
    assert "default--goes" in services(server)
    proxy.before = lambda request: None
    os.kill(gate.process.pid, signal.SIGHUP)
    eventually(lambda: not services(server))


def test_other_namespaces(gate, server, ns):
    """With --watch-namespace Services are read in our own namespace all the same, and only those
    of Gateways."""
    gate.options += ["--watch-namespace", ns]
    server.apply(m.obj("Service", "other", {"ports": [{"port": 80}]}, api="v1"))
    try:
        start(gate, server, m.gateway("gw", m.listener("http", 80), ns=ns))
        made = service(server, ns + "--gw")
        assign(server, ns + "--gw", {"ip": "192.0.2.3"})
        expect_programmed(server, "gw", "True", "Programmed", ns)
        assert eventually(lambda: get(made).status) == 404
        assert gate.metrics()['tidegate_objects{kind="Service"}'] == 1
    finally:
        server.delete("service", "other")


# ---- what Services are like ----

def parameters(name, ns="default", **service):
    return m.obj("GatewayParameters", name, {"service": service}, ns=ns,
                 api="tidegate.io/v1alpha1")


def parameters_ref(name, **more):
    return dict(group="tidegate.io", kind="GatewayParameters", name=name, **more)


@pytest.fixture
def own_class(server, request):
    """A class of the test's own, whose parameters are GatewayParameters default/class."""
    name = request.node.name.replace("_", "-")
    made = m.gateway_class(name)
    made["spec"]["parametersRef"] = parameters_ref("class", namespace="default")
    server.apply(made)
    yield name
    server.kubectl("delete", "gatewayclass", name)
    server.kubectl("delete", "gatewayparameters", "--all", "-n", "default")


def test_class_that_is_made_again(gate, server, ns):
    """Its Gateways keep their Services, and so their addresses; until they are another's."""
    gate.options += ["--lease-namespace", ns]

    def uid():
        return server.kubectl("get", "service", "default--keeps", "-n", ns, "--ignore-not-found",
                              "-o", "jsonpath={.metadata.uid}")
    keeps = m.gateway("keeps", m.listener("http", 80))
    keeps["spec"]["gatewayClassName"] = "again"
    start(gate, server, m.gateway_class("again"), keeps, m.gateway("goes", m.listener("http", 80)))
    service(server, "default--goes", ns)
    before = service(server, "default--keeps", ns)["metadata"]["uid"]
    server.kubectl("delete", "gatewayclass", "again")
    server.delete("gateway", "goes")
    eventually(lambda: not server.kubectl("get", "service", "default--goes", "-n", ns,
                                          "--ignore-not-found"))
    time.sleep(1)
    assert uid() == before
    server.apply(m.gateway_class("again"))
    expect_programmed(server, "keeps", "False", "AddressNotAssigned")
    assert uid() == before
    server.kubectl("delete", "gatewayclass", "again")
    server.apply(m.gateway_class("again", "example.com/another"))
    eventually(lambda: not uid())
    server.kubectl("delete", "gatewayclass", "again")


def test_gateway_that_is_refused(gate, server, ns):
    """After a restart no version of it is known that is good: it is there all the same."""
    gate.options += ["--lease-namespace", ns]
    odd = {"addresses": [{"type": "NamedAddress", "value": "two\nlines"}]}
    start(gate, server, m.gateway("odd", m.listener("http", 80)),
          m.gateway("goes", m.listener("http", 80)))
    before = service(server, "default--odd", ns)
    gate.stop()
    server.apply(m.gateway("odd", m.listener("http", 80), **odd))
    gate.start()
    leads(gate)
    gate.expect_finding("Gateway", "FieldValueInvalid")
    server.delete("gateway", "goes")
    time.sleep(2)
    assert service(server, "default--odd", ns)["metadata"]["uid"] == before["metadata"]["uid"]
    server.delete("gateway", "odd")
    eventually(lambda: not server.kubectl("get", "services", "-n", ns, "-l", OURS, "-o", "name"))


def test_removed_while_they_are_listed(proxy, gate, server, ns):
    """The list still has what the watch has told the end of: it is made all the same."""
    gate.options += ["--lease-namespace", ns]
    start(gate, server, m.gateway("ghost", m.listener("http", 80)))
    before = service(server, "default--ghost", ns)["metadata"]["uid"]
    gate.stop()
    listed = proxy.after = Hold(lambda request: request.method == "GET" and
                                request.path.endswith("/services") and
                                "labelSelector" in request.query and "watch" not in request.query)
    gate.kubeconfig = proxy.kubeconfig
    gate.start()
    listed.expect()
    server.delete("service", "default--ghost", ns)
    time.sleep(1)
    listed.go_on()
    eventually(lambda: service(server, "default--ghost", ns)["metadata"]["uid"] != before)


def test_infrastructure(gate, server):
    """Labels and annotations of the Gateway are those of its Service, and go again."""
    def gateway(**infrastructure):
        server.apply(m.gateway("infra", m.listener("http", 80), infrastructure=infrastructure))

    def metadata():
        return service(server, "default--infra")["metadata"]

    gateway(labels={"team": "a", "tier": "edge"}, annotations={"lb.test/pool": "a"})
    gate.start()
    leads(gate)
    assert metadata()["labels"]["team"] == "a" and metadata()["labels"]["tier"] == "edge"
    assert metadata()["annotations"]["lb.test/pool"] == "a"
    server.kubectl("annotate", "service", "default--infra", "others.test/note=yes")
    gateway(labels={"team": "b"})
    eventually(lambda: metadata()["labels"]["team"] == "b")
    eventually(lambda: "tier" not in metadata()["labels"])
    eventually(lambda: metadata()["annotations"].keys() == {"others.test/note",
                                                            "tidegate.io/fields"})
    assert metadata()["labels"]["tidegate.io/gateway-namespace"] == "default"


def test_parameters(gate, server, own_class):
    """The Gateway's over the class's, those over the installation's."""
    gate.options += ["--gateway-service", json.dumps({
        "type": "NodePort", "externalTrafficPolicy": "Local", "labels": {"by": "option"}})]
    server.apply(parameters("class", labels={"by": "class"}, externalTrafficPolicy="Cluster"),
                 parameters("own", type="ClusterIP", labels={"more": "own"}))
    gateway = m.gateway("para", m.listener("http", 80))
    gateway["spec"]["gatewayClassName"] = own_class
    start(gate, server, gateway, m.gateway("plain", m.listener("http", 80)),
          m.route("para", [m.rule("a")], parents=[m.parent("para")]))

    def spec(name, field):
        return service(server, "default--" + name)["spec"].get(field)

    assert spec("plain", "type") == "NodePort"
    assert spec("plain", "externalTrafficPolicy") == "Local"
    assert spec("para", "type") == "NodePort"
    assert spec("para", "externalTrafficPolicy") == "Cluster"
    made = service(server, "default--para")
    assert made["metadata"]["labels"]["by"] == "class"
    expect_programmed(server, "para", "True", "Programmed")
    assert addresses(server, "para") == [made["spec"]["clusterIP"]]
    # The Gateway's own; ports and address stay.
    gateway["spec"]["infrastructure"] = {"parametersRef": parameters_ref("own")}
    server.apply(gateway)
    eventually(lambda: spec("para", "type") == "ClusterIP")
    now = service(server, "default--para")
    assert now["metadata"]["labels"]["more"] == "own"
    assert (targets(now), now["spec"]["clusterIP"]) == (targets(made), made["spec"]["clusterIP"])
    assert "externalTrafficPolicy" not in now["spec"]
    # A change of them is a change of it.
    server.apply(parameters("own", type="ClusterIP", internalTrafficPolicy="Local"))
    eventually(lambda: spec("para", "internalTrafficPolicy") == "Local")
    assert "more" not in service(server, "default--para")["metadata"]["labels"]
    # Without those of the Gateway it is not accepted; what there is stays.
    server.delete("gatewayparameters", "own")
    eventually(lambda: gateway_condition(server, "Accepted", "para")["reason"] ==
               "InvalidParameters")
    assert spec("para", "internalTrafficPolicy") == "Local"
    # Without those of the class everything stays as it is, traffic too.
    del gateway["spec"]["infrastructure"]
    server.apply(gateway)
    eventually(lambda: spec("para", "type") == "NodePort")
    server.delete("gatewayparameters", "class")

    def class_condition():
        status = json.loads(server.kubectl("get", "gatewayclass", own_class, "-o", "json"))["status"]
        return condition(status["conditions"], "Accepted")
    eventually(lambda: class_condition()["reason"] == "InvalidParameters")
    told = event(server, "default", own_class, "InvalidParameters")
    assert told["regarding"]["kind"] == "GatewayClass"
    assert "default/class" in told["note"]
    assert told["note"] in server.kubectl("describe", "gatewayclass", own_class)
    assert get(service(server, "default--para")).origin == "a"
    assert service(server, "default--para")["metadata"]["labels"]["by"] == "class"
    server.apply(parameters("class", labels={"by": "other"}))
    eventually(lambda: class_condition()["status"] == "True")
    eventually(lambda: service(server, "default--para")["metadata"]["labels"]["by"] == "other")


def test_parameters_are_checked(server):
    """By the API server, as by tidegate."""
    for wrong in ({"type": "ExternalName"}, {"ipFamilies": ["IPv5"]}, {"externalTrafficPolicy": ""},
                  {"ipFamilies": ["IPv4", "IPv4"]}, {"loadBalancerSourceRanges": ["192.0.2.1"]}):
        with pytest.raises(AssertionError, match="spec.service"):
            server.apply(parameters("wrong", **wrong))


def test_what_the_api_server_refuses(gate, server):
    """One Gateway's Service is refused: that one is told of, the others are made."""
    start(gate, server, parameters("v6", ipFamilies=["IPv6"], ipFamilyPolicy="SingleStack"),
          m.gateway("v6", m.listener("http", 80),
                    infrastructure={"parametersRef": parameters_ref("v6")}),
          m.gateway("well", m.listener("http", 80)))
    service(server, "default--well")
    found = gate.expect_finding("Service", "ServiceNotWritten")
    assert found["object"] == "default/default--v6" and "ipFamilies" in found["text"]
    told_of_service(server, "v6", "ipFamilies")
    assert "ServiceNotWritten" in gate.log()
    assert not [each for each in events(server, "default") if each["regarding"]["name"] == "well"]
    server.delete("gateway", "v6")
    gate.expect_no_finding("Service", "ServiceNotWritten")
    server.delete("gatewayparameters", "v6")
