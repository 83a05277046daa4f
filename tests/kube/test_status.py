# SPDX-License-Identifier: Apache-2.0
"""Status of the objects: right, written once, by one replica, beside other writers."""
import json
import os
import signal
import socket
import threading
import time

import manifests as m
import tidegate
from proxy import Hold
from tidegate import eventually

OTHER = {"parentRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "theirs"},
         "controllerName": "example.com/theirs",
         "conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
                         "lastTransitionTime": "2020-01-01T00:00:00Z"}]}


def stored(server, kind, name, ns="default"):
    return json.loads(server.kubectl("get", kind, name, "-n", ns, "-o", "json"))


def condition(conditions, kind):
    return next((c for c in conditions if c["type"] == kind), None)


def parents(server, name, ns="default"):
    return stored(server, "httproute", name, ns).get("status", {}).get("parents", [])


def ours(server, name, ns="default"):
    return [p for p in parents(server, name, ns) if p["controllerName"] == m.CONTROLLER]


def accepted(server, name, ns="default"):
    """Our Accepted condition of a route, once its status is that of its last change."""
    def check():
        route = stored(server, "httproute", name, ns)
        entries = [p for p in route.get("status", {"parents": []})["parents"]
                   if p["controllerName"] == m.CONTROLLER]
        assert entries
        found = condition(entries[0]["conditions"], "Accepted")
        assert found["observedGeneration"] == route["metadata"]["generation"]
        return found
    return eventually(check)


def bare(value):
    """A status without what only the API server knows of it."""
    if isinstance(value, list):
        return [bare(each) for each in value]
    if isinstance(value, dict):
        return {key: bare(each) for key, each in value.items() if key != "lastTransitionTime"}
    return value


def expect_told(gate, server, kind, name):
    """tidectl says what is written."""
    def check():
        told, = json.loads(gate.ctl("get", kind, name, "-o", "json"))
        assert told["status"] == bare(stored(server, kind, name)["status"])
        return True
    eventually(check)


def programmed(server, name="gw", ns="default", status=None):
    """Our Programmed condition of a Gateway, once it is that of its last change, and has this
    status. A HAProxy that takes long to start makes it "False" on the way."""
    def check():
        gateway = stored(server, "gateway", name, ns)
        found = condition(gateway["status"]["conditions"], "Programmed")
        assert found.get("observedGeneration") == gateway["metadata"]["generation"]
        assert status in (None, found["status"]), found
        return found
    return eventually(check)


def start(gate, server, *listeners):
    server.apply(m.gateway("gw", *(listeners or [m.listener("http", gate.port)])))
    gate.start()
    eventually(lambda: gate.status()["leader"]["here"])


def test_grpc_route(gate, server):
    """Of the same name as an HTTPRoute: each has a status, findings and an Event of its own."""
    server.apply(m.route("both", [m.rule("a")]),
                 m.route("both", [m.rule(m.service_ref("nobody"))], kind="GRPCRoute"))
    start(gate, server)
    assert accepted(server, "both")["status"] == "True"
    expect_told(gate, server, "httproute", "both")

    def check():
        parent, = stored(server, "grpcroute", "both")["status"]["parents"]
        assert condition(parent["conditions"], "Accepted")["status"] == "True"
        return condition(parent["conditions"], "ResolvedRefs")["reason"] == "BackendNotFound"
    eventually(check)
    expect_told(gate, server, "grpcroute", "both")
    gateway = stored(server, "gateway", "gw")
    assert gateway["status"]["listeners"][0]["attachedRoutes"] == 2
    eventually(lambda: "BackendNotFound" in server.kubectl(
        "get", "events", "--field-selector",
        "involvedObject.kind=GRPCRoute,involvedObject.name=both"))


def test_life(gate, server):
    gate.options += ["--address", "192.0.2.7", "--address", "gate.example.com"]
    server.apply(m.route("life", [m.rule("a")]))
    start(gate, server)
    found = accepted(server, "life")
    assert (found["status"], found["reason"]) == ("True", "Accepted")
    programmed(server, status="True")
    gateway = eventually(lambda: (lambda g: g["status"]["listeners"][0]["attachedRoutes"] and g)(
        stored(server, "gateway", "gw")))
    assert gateway["status"]["addresses"] == [{"type": "IPAddress", "value": "192.0.2.7"},
                                              {"type": "Hostname", "value": "gate.example.com"}]
    assert gateway["status"]["listeners"][0]["supportedKinds"] == [
        {"group": "gateway.networking.k8s.io", "kind": kind} for kind in ("HTTPRoute", "GRPCRoute")]
    for kind, name in (("gatewayclass", "tidegate"), ("gateway", "gw"), ("httproute", "life")):
        expect_told(gate, server, kind, name)
    # It breaks: one condition turns, the other keeps its time
    time.sleep(1.1)
    server.apply(m.route("life", [m.rule("missing")]))
    later = accepted(server, "life")
    assert later["lastTransitionTime"] == found["lastTransitionTime"]
    refs = condition(ours(server, "life")[0]["conditions"], "ResolvedRefs")
    assert (refs["status"], refs["reason"]) == ("False", "BackendNotFound")
    assert refs["lastTransitionTime"] > found["lastTransitionTime"]
    # Not ours any more: our entry goes
    server.apply(m.route("life", [m.rule("a")], parents=[m.parent("elsewhere")]))
    eventually(lambda: not parents(server, "life"))
    # Gone from the Gateway's count, too
    eventually(lambda: stored(server, "gateway", "gw")["status"]["listeners"][0][
        "attachedRoutes"] == 0)


def test_class(gate, server):
    start(gate, server)

    def check():
        status = stored(server, "gatewayclass", "tidegate")["status"]
        assert "supportedFeatures" in status
        assert condition(status["conditions"], "Accepted")["status"] == "True"
        assert condition(status["conditions"], "SupportedVersion")["status"] == "True"
        return [feature["name"] for feature in status["supportedFeatures"]]
    names = eventually(check)
    assert names == sorted(names) and "HTTPRoute" in names and len(names) <= 64


def supported(server):
    status = stored(server, "gatewayclass", "tidegate")["status"]
    return condition(status["conditions"], "SupportedVersion")


def test_version_that_cannot_be_read_now(proxy, gate, server):
    """The condition stays; the version is read when it can be."""
    start(gate, server)
    before = eventually(lambda: supported(server))
    gate.stop()
    asked = []

    def fail(request):
        if "/customresourcedefinitions/" not in request.path:
            return None
        asked.append(request)
        return (500,)
    proxy.before = fail
    gate.kubeconfig = proxy.kubeconfig
    start(gate, server, m.listener("http", gate.port), m.listener("more", tidegate.free_port()))
    eventually(lambda: len(asked) >= 3)
    assert supported(server) == before
    proxy.before = lambda request: (
        404,) if "/customresourcedefinitions/" in request.path else None
    eventually(lambda: supported(server) is None)
    gate.stop()
    proxy.before = lambda request: None
    gate.start()  # leaves it as the other tests want it
    eventually(lambda: supported(server))


def test_quiet_when_nothing_changes(gate, server):
    """One write for each object; none after a restart."""
    server.apply(*[m.route("quiet-%d" % i, [m.rule("a")]) for i in range(30)])
    start(gate, server)
    for i in range(30):
        accepted(server, "quiet-%d" % i)
    eventually(lambda: gate.metrics()["tidegate_status_pending"] == 0)
    # and class, Gateway, the origins' Backends
    assert gate.metrics()["tidegate_status_writes_total"] <= 30 + 1 + 3 + 2
    gate.stop()
    gate.start()
    eventually(lambda: gate.status()["leader"]["here"])
    eventually(lambda: gate.metrics()["tidegate_status_pending"] == 0)
    assert gate.metrics()["tidegate_status_writes_total"] == 0


def test_others_entries(gate, server):
    """Another controller writes the same routes' status all the time; nobody loses anything."""
    server.apply(m.route("shared", [m.rule("a")]))
    start(gate, server)
    accepted(server, "shared")
    over, mine = threading.Event(), []

    def write():
        number = 0
        while not over.is_set():
            route = stored(server, "httproute", "shared")
            status = route.get("status") or {"parents": []}
            number += 1
            entry = json.loads(json.dumps(OTHER))
            entry["conditions"][0]["message"] = str(number)
            status["parents"] = [p for p in status["parents"]
                                 if p["controllerName"] != OTHER["controllerName"]] + [entry]
            route["status"] = status
            done = server.kubectl("replace", "--subresource=status", "-f", "-",
                                  text=json.dumps(route), check=False)
            if done:
                mine.append(number)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for i in range(12):
            server.kubectl("patch", "httproute", "shared", "--type=merge", "-p",
                           json.dumps({"spec": {"hostnames": ["h%d.test" % i]}}))
            accepted(server, "shared")
    finally:
        over.set()
        thread.join()
    entries = parents(server, "shared")
    assert [p["controllerName"] for p in entries].count(m.CONTROLLER) == 1
    theirs = [p for p in entries if p["controllerName"] == OTHER["controllerName"]]
    assert theirs[0]["conditions"][0]["message"] == str(mine[-1]), "their last write stands"
    # What is ours is put right when somebody else wipes it
    server.kubectl("patch", "httproute", "shared", "--subresource=status", "--type=merge", "-p",
                   json.dumps({"status": {"parents": theirs}}))
    accepted(server, "shared")
    assert len(parents(server, "shared")) == 2


def test_programmed_follows_the_apply(gate, server):
    start(gate, server)
    programmed(server, status="True")
    pids = [gate.master_pid(), gate.worker_pid()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        server.apply(m.gateway("gw", m.listener("http", gate.port),
                               m.listener("more", tidegate.free_port())))
        assert programmed(server, status="False")["reason"] == "Pending"
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    programmed(server, status="True")


def test_port_that_somebody_has(gate, server):
    """Its listener is not programmed, and one that is free is; so it is said, until it is free."""
    def listener(name, status):
        found = {each["name"]: condition(each["conditions"], "Programmed")
                 for each in stored(server, "gateway", "two")["status"].get("listeners", [])}
        return found.get(name, {}).get("status") == status and found[name]

    taken, free = tidegate.free_port(), tidegate.free_port()
    gate.start()
    with socket.create_server(("", taken)):
        server.apply(m.gateway("two", m.listener("taken", taken), m.listener("free", free)))
        eventually(lambda: "cannot bind *:%d" % taken in str(listener("taken", "False")))
        assert listener("taken", "False")["reason"] == "Pending"
        eventually(lambda: listener("free", "True"))
        assert programmed(server, "two")["status"] == "True"
        assert gate.metrics()["tidegate_frontends_blocked"] == 1
        assert "PortUnavailable" in gate.ctl("findings")
        expect_told(gate, server, "gateway", "two")
        eventually(lambda: "PortUnavailable" in server.kubectl(
            "get", "events", "-n", "default", "-o", "jsonpath={.items[*].reason}"))
    eventually(lambda: listener("taken", "True"), timeout=10)
    assert gate.metrics()["tidegate_frontends_blocked"] == 0
    assert "PortUnavailable" not in gate.ctl("findings")


def test_two_replicas(gate, second, server):
    server.account("pair", {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})
    server.apply(m.route("pair", [m.rule("a")]))
    start(gate, server)
    second.port = gate.port  # not reached; it only has to hold the same plan
    second.start(ready=False)
    eventually(lambda: second.status()["leader"]["identity"] ==
               gate.status()["leader"]["identity"])
    assert not second.status()["leader"]["here"]
    accepted(server, "pair")
    assert second.metrics()["tidegate_status_writes_total"] == 0
    # An orderly stop gives the lead away at once
    gate.stop()
    eventually(lambda: second.status()["leader"]["here"], timeout=6)
    server.apply(m.route("pair", [m.rule("b")]))
    accepted(server, "pair")


def test_leader_killed(gate, second, server):
    start(gate, server)
    second.start(ready=False)
    eventually(lambda: second.status()["leader"]["identity"])
    os.kill(gate.process.pid, signal.SIGKILL)
    eventually(lambda: second.status()["leader"]["here"], timeout=25)


def holder(server, gate):
    lease = stored(server, "lease", gate.options[gate.options.index("--lease-name") + 1])
    return lease["spec"]["holderIdentity"]


def test_stop_when_another_has_taken_over(proxy, gate, server):
    """The Lease that is read last is another's: it is not given back."""
    gate.kubeconfig = proxy.kubeconfig
    start(gate, server)
    asked = proxy.before = Hold(lambda request: request.method == "GET" and
                                "/leases/" in request.path)
    name = gate.options[gate.options.index("--lease-name") + 1]
    server.kubectl("patch", "lease", name, "-n", "default", "--type=merge", "-p",
                   json.dumps({"spec": {"holderIdentity": "another"}}))
    asked.expect()
    gate.process.terminate()
    eventually(lambda: "signal 15" in gate.log())
    asked.go_on()
    assert gate.stop() == 0
    assert holder(server, gate) == "another"


def test_stop_while_it_takes_over(proxy, gate, server):
    """The answer to what makes us the leader is still to come: it is waited for, and given back."""
    written = proxy.after = Hold(lambda request: request.method == "POST" and
                                 request.path.endswith("/leases"))
    gate.kubeconfig = proxy.kubeconfig
    gate.start()
    written.expect()
    assert holder(server, gate)
    gate.process.terminate()
    eventually(lambda: "signal 15" in gate.log())
    written.go_on()
    assert gate.stop() == 0
    assert holder(server, gate) == ""


def test_lead_is_lost(gate, server):
    """While the API server is away nobody leads; afterwards somebody does, and catches up."""
    server.apply(m.route("lost", [m.rule("a")]))
    start(gate, server)
    accepted(server, "lost")
    with server.frozen():
        eventually(lambda: not gate.status()["leader"]["here"], timeout=20)
    eventually(lambda: gate.status()["leader"]["here"], timeout=40)
    server.apply(m.route("lost", [m.rule("b")]))
    accepted(server, "lost")


def test_lead_stays_under_overload(proxy, gate, server):
    """An API server that wants less status gets less status; the Lease is renewed all the same."""
    def before(request):
        return (429, {"Retry-After": "60"}) if request.path.endswith("/status") else None
    proxy.before = before
    gate.kubeconfig = proxy.kubeconfig
    start(gate, server)
    eventually(lambda: gate.metrics()["tidegate_status_failures_total"] > 0)
    end = time.monotonic() + 17
    while time.monotonic() < end:
        assert gate.status()["leader"]["here"]
        time.sleep(0.5)
    assert "does not lead any more" not in gate.log()


def test_one_is_refused(proxy, gate, server):
    """It is said for as long as it is so, whatever else is written."""
    proxy.before = lambda request: (422,) if request.path.endswith(
        "/httproutes/refused/status") else None
    gate.kubeconfig = proxy.kubeconfig
    server.apply(m.route("refused", [m.rule("a")]), m.route("fine", [m.rule("a")]))
    start(gate, server)
    gate.expect_finding("HTTPRoute", "StatusNotWritten")
    server.apply(m.route("fine", [m.rule("b")]))
    accepted(server, "fine")
    assert [f for f in gate.findings() if f["reason"] == "StatusNotWritten"]
    server.delete("httproute", "refused")
    gate.expect_no_finding("HTTPRoute", "StatusNotWritten")


def is_status_of(name):
    return lambda request: request.method == "PATCH" and request.path.endswith(name + "/status")


def test_one_that_changes_often(proxy, gate, server):
    """Written once a second, in the end what its last change makes of it."""
    written = []
    proxy.before = lambda request: (
        written.append(time.monotonic()) if is_status_of("/often")(request) else None)
    gate.kubeconfig = proxy.kubeconfig
    server.apply(m.route("often", [m.rule("a")]))
    start(gate, server)
    accepted(server, "often")
    changes, end = 0, time.monotonic() + 3
    while time.monotonic() < end:
        changes += 1
        proxy.send("PATCH",
                   "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/often",
                   {"spec": {"hostnames": ["h%d.test" % changes]}})
        time.sleep(0.15)
    accepted(server, "often")
    hasty = [later - at for at, later in zip(written, written[1:]) if later - at < 0.9]
    conflicts = gate.metrics()["tidegate_status_conflicts_total"]
    print("%d changes, %d writes, %d conflicts" % (changes, len(written), conflicts))
    assert changes > len(written) > 2
    assert len(hasty) <= conflicts, "a write that was refused is tried again sooner"


def test_another_of_that_name(proxy, gate, server):
    """The watch shows it before the answer to the last one's status has come."""
    gate.kubeconfig = proxy.kubeconfig
    written = proxy.after = Hold(is_status_of("/again"))
    server.apply(m.route("again", [m.rule("a")], hostnames=["old.test"]))
    start(gate, server)
    written.expect()
    server.delete("httproute", "again")
    server.apply(m.route("again", [m.rule("a")], hostnames=["new.test"]))
    eventually(lambda: gate.get("/", host="new.test").origin == "a")
    assert not parents(server, "again")
    written.go_on()
    accepted(server, "again")


def test_many_at_once(proxy, gate, server):
    """16 requests; the others wait for their turn."""
    names = ["many-%d" % i for i in range(40)]
    held = proxy.before = Hold(lambda request: "/httproutes/many-" in request.path)
    gate.kubeconfig = proxy.kubeconfig
    server.apply(*[m.route(name, [m.rule("a")]) for name in names])
    start(gate, server)
    held.expect()
    time.sleep(2)
    with proxy.lock:
        assert len([each for each in proxy.running.values() if held.wanted(each)]) == 16
    held.go_on()
    for name in names:
        accepted(server, name)


READ = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
LEASE = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
         "verbs": ["get", "create", "update"]}
STATUS = {"apiGroups": ["gateway.networking.k8s.io"], "verbs": ["patch"],
          "resources": ["gatewayclasses/status", "gateways/status", "httproutes/status", "grpcroutes/status"]}
OUR_STATUS = {"apiGroups": ["tidegate.io"], "verbs": ["patch"],
              "resources": ["backends/status", "gatewayparameters/status"]}


def test_rights(gate, server):
    """The rights of the documentation are enough; without them it serves, and says so."""
    server.account("writer", READ)
    gate.log_in({"token": server.token("writer")})
    server.apply(m.gateway("gw", m.listener("http", gate.port)), m.route("rights", [m.rule("a")]))
    gate.start()
    eventually(lambda: "forbidden" in gate.status()["leader"].get("trouble", ""))
    assert gate.get("/").origin == "a"
    assert not parents(server, "rights")
    server.allow("writer", READ, LEASE)
    eventually(lambda: gate.status()["leader"]["here"])
    gate.expect_finding("HTTPRoute", "StatusNotWritten")
    server.apply(m.backend("rights", 80))
    gate.expect_finding("Backend", "StatusNotWritten")
    server.allow("writer", READ, LEASE, STATUS, OUR_STATUS)
    gate.expect_no_finding("HTTPRoute", "StatusNotWritten")
    gate.expect_no_finding("Backend", "StatusNotWritten")
    accepted(server, "rights")
    assert verdict(server, "backend", "rights")["status"] == "True"
    server.delete("backend", "rights")


def test_switched_off(gate, server):
    gate.options.append("--no-status")
    server.account("silent", READ)
    gate.log_in({"token": server.token("silent")})
    server.apply(m.gateway("gw", m.listener("http", gate.port)), m.route("silent", [m.rule("a")]))
    gate.start()
    assert "leader" not in gate.status()
    time.sleep(1)
    assert {event["verb"] for event in server.audit(":silent")} <= {"get", "list", "watch"}
    assert not parents(server, "silent")


# ---- our own kinds ----

def parameters(name, ns, *ranges):
    return m.obj("GatewayParameters", name, {"service": {"loadBalancerSourceRanges": list(ranges)}},
                 ns=ns, api="tidegate.io/v1alpha1")


def verdict(server, kind, name, ns="default", controller=m.CONTROLLER):
    """The controller's Accepted condition, once it is that of the last change."""
    def check():
        found = stored(server, kind, name, ns)
        entries = [entry for entry in found.get("status", {}).get("controllers", [])
                   if entry["controllerName"] == controller]
        assert len(entries) == 1, found
        said = condition(entries[0]["conditions"], "Accepted")
        assert said["observedGeneration"] == found["metadata"]["generation"]
        return said
    return eventually(check)


def version(server, kind, name, ns):
    return stored(server, kind, name, ns)["metadata"]["resourceVersion"]


def writes(gate):
    eventually(lambda: gate.metrics()["tidegate_status_pending"] == 0)
    return gate.metrics()["tidegate_status_writes_total"]


def test_our_kinds(gate, server, ns):
    """Nobody refers to them; the API server takes them, and we do not, until they are put right."""
    server.apply(m.backend("good", 80, ns=ns), parameters("bad", ns, "192.0.2.0/33"))
    start(gate, server)
    good = verdict(server, "backend", "good", ns)
    assert (good["status"], good["reason"]) == ("True", "Accepted")
    bad = verdict(server, "gatewayparameters", "bad", ns)
    assert (bad["status"], bad["reason"]) == ("False", "FieldValueInvalid")
    assert bad["message"].startswith("spec.service.loadBalancerSourceRanges[0]: must be ")
    time.sleep(1.1)
    server.apply(m.backend("good", 80, ns=ns, host="192.0.2"), parameters("bad", ns, "192.0.2.0/24"))
    worse = verdict(server, "backend", "good", ns)
    assert (worse["status"], worse["reason"]) == ("False", "FieldValueInvalid")
    assert "addresses[0].host" in worse["message"]
    assert worse["lastTransitionTime"] > good["lastTransitionTime"]
    assert verdict(server, "gatewayparameters", "bad", ns)["status"] == "True"
    assert server.kubectl("get", "backends", "-n", ns).splitlines()[1].split()[:3] == [
        "good", "192.0.2", "False"]
    server.apply(m.backend("good", 81, ns=ns))
    assert verdict(server, "backend", "good", ns)["message"] == good["message"]


def test_our_kinds_are_written_once(gate, server, ns):
    """Not after other changes, nor a restart; what has changed meanwhile is said by who leads."""
    server.apply(m.backend("once", 80, ns=ns), parameters("once", ns))
    start(gate, server)
    verdict(server, "backend", "once", ns)
    verdict(server, "gatewayparameters", "once", ns)
    before = [version(server, kind, "once", ns) for kind in ("backend", "gatewayparameters")]
    server.apply(m.gateway("gw", m.listener("http", gate.port),
                           m.listener("more", tidegate.free_port())))
    programmed(server, status="True")
    writes(gate)
    gate.stop()
    gate.start()
    eventually(lambda: gate.status()["leader"]["here"])
    assert writes(gate) == 0
    assert before == [version(server, kind, "once", ns) for kind in ("backend", "gatewayparameters")]
    gate.stop()
    server.apply(m.backend("once", 80, ns=ns, host="192.0.2"))
    gate.start()
    assert verdict(server, "backend", "once", ns)["status"] == "False"
    assert writes(gate) == 1


def test_our_kinds_of_two_controllers(gate, second, server, ns):
    """Each has an entry of its own, and leaves the other's alone."""
    other = "example.com/other"
    second.options += ["--controller-name", other, "--lease-name", "other-" + ns]
    server.apply(m.backend("both", 80, ns=ns))
    start(gate, server)
    second.start()
    for host, status in (("192.0.2", "False"), ("192.0.2.1", "True")):
        server.apply(m.backend("both", 80, ns=ns, host=host))
        for controller in (m.CONTROLLER, other):
            assert verdict(server, "backend", "both", ns, controller)["status"] == status
    assert len(stored(server, "backend", "both", ns)["status"]["controllers"]) == 2
    before = version(server, "backend", "both", ns), writes(gate), writes(second)
    time.sleep(2.5)
    assert before == (version(server, "backend", "both", ns), writes(gate), writes(second))


def test_our_kinds_of_older_definitions(proxy, gate, server, ns):
    """Without the subresource: one attempt for each change, and nobody is told."""
    asked = []

    def before(request):
        if not request.path.endswith("/backends/older/status"):
            return None
        asked.append(request)
        return (404,)
    proxy.before = before
    gate.kubeconfig = proxy.kubeconfig
    server.apply(m.backend("older", 80, ns=ns))
    start(gate, server)
    eventually(lambda: len(asked) == 1)
    server.apply(m.gateway("gw", m.listener("http", gate.port),
                           m.listener("more", tidegate.free_port())))
    programmed(server, status="True")
    server.apply(m.backend("older", 81, ns=ns))
    eventually(lambda: len(asked) == 2)
    time.sleep(2.5)
    assert len(asked) == 2 and writes(gate)
    assert not [f for f in gate.findings() if f["reason"] == "StatusNotWritten"]
    assert gate.metrics()["tidegate_status_failures_total"] == 0
