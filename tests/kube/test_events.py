# SPDX-License-Identifier: Apache-2.0
"""Events: what a person must act on, once, and beside the object that it is about."""
import json
import os
import signal
import time

import pytest

import manifests as m
from tidegate import eventually

@pytest.fixture
def options(ns):
    return ["--lease-namespace", ns]


def events(server, ns):
    found = json.loads(server.kubectl("get", "events.events.k8s.io", "-n", ns, "-o", "json"))
    return [each for each in found["items"]
            if each["reportingController"] == m.CONTROLLER]


def event(server, ns, name, reason):
    return eventually(lambda: next((each for each in events(server, ns)
                                    if each["regarding"]["name"] == name and
                                    each["reason"] == reason), None),
                      what="event %s of %s" % (reason, name))


def count(found):
    return found.get("series", {}).get("count", 1)


def start(gate, server, ns, *listeners):
    server.apply(m.gateway("gw", *(listeners or [m.listener("http", gate.port)]), ns=ns))
    gate.start()
    eventually(lambda: gate.status()["leader"]["here"])


def created(gate):
    return gate.metrics()["tidegate_events_created_total"]


def bad_route(ns, name="bad", backend="nobody"):
    return m.route(name, [m.rule(m.ref(backend))], ns=ns, hostnames=[name + ".test"])


def test_what_is_told(gate, server, ns):
    """Errors of routes and Gateways; not what is well, nor what is other controllers'."""
    server.apply(bad_route(ns), m.route("good", [m.rule(m.ref("a", ns="default"))], ns=ns),
                 m.obj("ReferenceGrant", "g", {
                     "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute",
                               "namespace": ns}],
                     "to": [{"group": "tidegate.io", "kind": "Backend"}]}),
                 m.route("theirs", [m.rule(m.ref("nobody"))], ns=ns,
                         parents=[m.parent("elsewhere")]))
    start(gate, server, ns, m.listener("http", gate.port),
          m.listener("https", gate.port + 1, certs=["missing"]))
    told = event(server, ns, "bad", "BackendNotFound")
    route = json.loads(server.kubectl("get", "httproute", "bad", "-n", ns, "-o", "json"))
    assert told["regarding"]["uid"] == route["metadata"]["uid"]
    assert told["type"] == "Warning"
    assert told["note"].startswith("spec.rules[0].backendRefs[0]")
    assert "missing" in event(server, ns, "gw", "InvalidCertificateRef")["note"]
    assert "BackendNotFound" in server.kubectl("describe", "httproute", "bad", "-n", ns)
    time.sleep(2)
    assert {each["regarding"]["name"] for each in events(server, ns)} == {"bad", "gw"}
    server.kubectl("delete", "referencegrant", "g", "-n", "default")


def test_once(gate, server, ns):
    """Not again in the next passes, nor after a restart."""
    server.apply(bad_route(ns))
    start(gate, server, ns)
    first = event(server, ns, "bad", "BackendNotFound")
    for i in range(3):
        server.apply(m.route("other", [m.rule(m.ref("x%d" % i))], ns=ns, hostnames=["o.test"],
                             parents=[m.parent("elsewhere")]),
                     dict(bad_route(ns), metadata={"name": "bad", "namespace": ns,
                                                   "labels": {"i": str(i)}}))
        time.sleep(1.2)
    gate.stop()
    gate.start()
    eventually(lambda: gate.status()["leader"]["here"])
    server.apply(bad_route(ns, "later"))
    event(server, ns, "later", "BackendNotFound")  # so the first one's turn has come, too
    (again,) = [each for each in events(server, ns) if each["regarding"]["name"] == "bad"]
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert created(gate) == 1
    assert gate.metrics()["tidegate_events_failures_total"] == 0


def test_one_replica_tells(gate, second, server, ns):
    """The one that leads; the next one finds what has been told."""
    server.apply(bad_route(ns))
    start(gate, server, ns)
    first = event(server, ns, "bad", "BackendNotFound")
    second.start()
    server.apply(bad_route(ns, "more"))
    event(server, ns, "more", "BackendNotFound")
    time.sleep(2)
    assert created(second) == 0 and created(gate) == 2
    gate.stop()
    eventually(lambda: second.status()["leader"]["here"])
    server.apply(bad_route(ns, "later"))
    event(server, ns, "later", "BackendNotFound")
    assert created(second) == 1
    assert len(events(server, ns)) == 3
    again = event(server, ns, "bad", "BackendNotFound")
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_over_and_back(gate, server, ns):
    """Counted in the same Event, and at most once a minute."""
    server.apply(bad_route(ns))
    start(gate, server, ns)
    event(server, ns, "bad", "BackendNotFound")
    begin = time.monotonic()
    for _ in range(3):
        server.apply(dict(bad_route(ns), spec={"parentRefs": [{"name": "elsewhere"}]}))
        time.sleep(2)
        server.apply(bad_route(ns))
        time.sleep(2)
    assert count(event(server, ns, "bad", "BackendNotFound")) == 1
    eventually(lambda: count(event(server, ns, "bad", "BackendNotFound")) > 1, timeout=75,
               interval=1)
    assert time.monotonic() - begin > 50
    assert count(event(server, ns, "bad", "BackendNotFound")) == 4
    assert len(events(server, ns)) == 1
    assert created(gate) == 1 and gate.metrics()["tidegate_events_repeated_total"] == 1


def uid_of(server, ns, name):
    return server.kubectl("get", "httproute", name, "-n", ns, "-o", "jsonpath={.metadata.uid}")


@pytest.mark.parametrize("pause_s", [0, 2])
def test_another_of_that_name(gate, server, ns, pause_s):
    """What kubectl shows of an object is what is said of its UID."""
    server.apply(bad_route(ns))
    start(gate, server, ns)
    first = event(server, ns, "bad", "BackendNotFound")
    server.delete("httproute", "bad", ns)
    time.sleep(pause_s)
    server.apply(bad_route(ns))
    uid = uid_of(server, ns, "bad")
    eventually(lambda: any(each["regarding"]["uid"] == uid for each in events(server, ns)))
    assert len(events(server, ns)) == created(gate) == 2
    again = next(each for each in events(server, ns)
                 if each["metadata"]["uid"] == first["metadata"]["uid"])
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_slowly(gate, server, ns):
    """At most a few a second, whatever breaks at once."""
    server.apply(*[bad_route(ns, "bad-%d" % i) for i in range(20)])
    start(gate, server, ns)
    eventually(lambda: created(gate) > 0)
    begin = time.monotonic()
    eventually(lambda: len(events(server, ns)) == 20)
    assert time.monotonic() - begin > 3


def test_haproxy_fails(gate, server, ns, tmp_path):
    """A HAProxy that does not start again: each Gateway's users are told."""
    haproxy = os.path.join(str(tmp_path), "haproxy")
    os.symlink(gate.haproxy, haproxy)
    gate.haproxy = haproxy
    start(gate, server, ns)
    os.unlink(haproxy)
    with open(haproxy, "w", encoding="ascii") as out:
        out.write("#!/bin/sh\necho not today >&2\nexit 1\n")
    os.chmod(haproxy, 0o755)
    os.kill(gate.master_pid(), signal.SIGKILL)
    assert event(server, ns, "gw", "HAProxyFailed")["note"]


def log_in_without_rights(gate, server, name):
    """As somebody who may do all but write Events."""
    server.account(name, {"apiGroups": ["*"], "resources": ["*"],
                          "verbs": ["get", "list", "watch", "update"]},
                   {"apiGroups": ["gateway.networking.k8s.io"], "resources": ["*"],
                    "verbs": ["patch"]},
                   {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
                    "verbs": ["create"]})
    gate.log_in({"token": server.token(name)})


def test_without_rights(gate, server, ns):
    """Everything else goes on, and it is said once."""
    log_in_without_rights(gate, server, "wordless")
    server.apply(*[bad_route(ns, "bad-%d" % i) for i in range(5)])
    start(gate, server, ns)
    eventually(lambda: gate.metrics()["tidegate_events_failures_total"] == 5)
    said = [line for line in gate.log().splitlines() if "Events cannot be written" in line]
    assert len(said) == 1 and "grant create" in said[0]
    assert not events(server, ns)
    eventually(lambda: json.loads(server.kubectl(
        "get", "httproute", "bad-0", "-n", ns, "-o", "json")).get("status"))


def test_fails_for_a_moment(proxy, gate, server, ns):
    """It is no matter of rights, and the Event is there soon."""
    answers = [(500,), (429, {"Retry-After": "1"}), (503,), (401,)]
    proxy.before = lambda request: answers.pop() if (
        answers and request.method == "POST" and request.path.endswith("/events")) else None
    gate.kubeconfig = proxy.kubeconfig
    server.apply(bad_route(ns))
    start(gate, server, ns)
    event(server, ns, "bad", "BackendNotFound")
    assert not answers
    assert gate.metrics()["tidegate_events_failures_total"] == 4
    assert "Events cannot be written" not in gate.log()


def test_namespace_ends(gate, server, ns, elsewhere):
    """It takes no Events any more; the others are told, and nobody is asked for rights."""
    def in_elsewhere(*parents):
        return m.route("bad", [m.rule(m.ref("nobody"))], ns=elsewhere, parents=list(parents))
    server.apply(in_elsewhere(m.parent("nobody")))
    start(gate, server, ns)
    server.kubectl("delete", "namespace", elsewhere, "--wait=false")
    server.apply(in_elsewhere(m.parent(namespace=ns)))
    eventually(lambda: gate.metrics()["tidegate_events_failures_total"] == 1)
    server.apply(bad_route(ns))
    event(server, ns, "bad", "BackendNotFound")
    assert not events(server, elsewhere)
    assert "Events cannot be written" not in gate.log()


def test_rights_in_one_namespace(gate, server, ns):
    """That of a GatewayClass is in another one: the others are told all the same."""
    name = "local"
    log_in_without_rights(gate, server, name)
    rights = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    server.apply(
        m.obj("Role", name, ns=ns, api="rbac.authorization.k8s.io/v1", rules=[
            {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]}]),
        m.obj("RoleBinding", name, ns=ns, api="rbac.authorization.k8s.io/v1", roleRef=rights,
              subjects=[{"kind": "ServiceAccount", "name": name, "namespace": "default"}]))
    astray = m.gateway_class(ns)
    astray["spec"]["parametersRef"] = {"group": "tidegate.io", "kind": "GatewayParameters",
                                       "name": "missing", "namespace": ns}
    server.apply(astray, bad_route(ns))
    try:
        start(gate, server, ns)
        event(server, ns, "bad", "BackendNotFound")
        eventually(lambda: gate.metrics()["tidegate_events_failures_total"] == 1)
        assert 'in the namespace "default"' in gate.log()
    finally:
        server.kubectl("delete", "gatewayclass", ns)
