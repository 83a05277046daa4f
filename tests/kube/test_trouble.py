# SPDX-License-Identifier: Apache-2.0
"""An API server that is away, forgets, hangs, refuses, or lacks what we read: traffic is as it
was, and what can be read is."""
import contextlib
import datetime
import json
import os
import signal
import time

import pytest

import manifests as m
from apiserver import ApiServer, KubeGate
from load import Load
from proxy import Proxy
from relay import Relay
from test_objects import expect, gateway
from tidegate import eventually, free_port

READ = ["get", "list", "watch"]
GATEWAY_API = {"apiGroups": ["gateway.networking.k8s.io"], "verbs": READ,
               "resources": ["gatewayclasses", "gateways", "httproutes", "grpcroutes"]}
GRANTS = {"apiGroups": ["gateway.networking.k8s.io"], "verbs": READ,
          "resources": ["referencegrants"]}
CORE = {"apiGroups": [""], "resources": ["namespaces", "services"], "verbs": READ}
SLICES = {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ}
BACKENDS = {"apiGroups": ["tidegate.io"], "resources": ["backends", "gatewayparameters"],
            "verbs": READ}
ALL = [GATEWAY_API, GRANTS, CORE, SLICES, BACKENDS]


@pytest.fixture(scope="module")
def mortal(origins):
    """An API server to kill; it knows no Gateway API at first."""
    with contextlib.closing(ApiServer(gateway_api=False)) as server:
        yield server


@pytest.fixture
def doomed(mortal, tmp_path):
    with contextlib.closing(KubeGate(tmp_path, mortal)) as gate:
        yield gate


def base(server, gate, origins):
    server.install()
    server.apply(m.gateway_class(), gateway(gate),
                 *[m.backend(origin.name, origin.port) for origin in origins.values()])


def requests(gate):
    """Of all its clients: what reads, what writes, and the Lease's."""
    metrics = gate.metrics()
    return metrics["tidegate_kube_requests_total"] + metrics["tidegate_status_requests_total"]


# ---- what is not there, at first (so before the other tests: they use the same server) ----

def test_definitions_appear_later(mortal, doomed, origins):
    doomed.start()
    missing = doomed.expect_finding("HTTPRoute", "NoSuchResource")
    assert "Gateway API CRDs" in missing["text"]
    assert doomed.expect_finding("Backend", "NoSuchResource")["severity"] == "info"
    assert not doomed.stale()
    base(mortal, doomed, origins)
    mortal.apply(m.route("later", [m.rule("a")], hostnames=["later.test"]))
    expect(doomed, "a", host="later.test")
    doomed.expect_no_finding("HTTPRoute", "NoSuchResource")
    doomed.expect_no_finding("Backend", "NoSuchResource")


def test_older_definitions(mortal, doomed, origins, tmp_path):
    """ReferenceGrants of a server that has only v1beta1, at first."""
    base(mortal, doomed, origins)
    def serve_v1(served):
        mortal.kubectl("patch", "crd", "referencegrants.gateway.networking.k8s.io",
                       "--type=json", "-p", json.dumps([
                           {"op": "test", "path": "/spec/versions/0/name", "value": "v1"},
                           {"op": "replace", "path": "/spec/versions/0/served",
                            "value": served}]))
    serve_v1(False)
    try:
        mortal.apply(m.namespace("other"), m.grant("g", "default", "other"))
        with Proxy(mortal, tmp_path) as proxy:
            doomed.kubeconfig = proxy.kubeconfig
            doomed.start()
            assert "v1beta1" in doomed.expect_finding("ReferenceGrant", "OlderVersion")["text"]
            assert doomed.metrics()['tidegate_objects{kind="ReferenceGrant"}'] == 1
            serve_v1(True)
            eventually(lambda: mortal.kubectl(
                "get", "--raw", "/apis/gateway.networking.k8s.io/v1/referencegrants", check=False))

            def over():
                """At the end of a watch, which the server would let go on for minutes."""
                proxy.drop(lambda request: "/v1beta1/referencegrants" in request.path)
                return not [f for f in doomed.findings() if f["reason"] == "OlderVersion"]
            eventually(over, interval=6)
            mortal.apply(m.grant("h", "default", "other"))
            eventually(lambda: doomed.metrics()['tidegate_objects{kind="ReferenceGrant"}'] == 2)
            doomed.stop()
    finally:
        serve_v1(True)


# ---- away ----

def test_away_and_back(mortal, doomed, origins):
    base(mortal, doomed, origins)
    mortal.apply(m.route("away", [m.rule("a")], hostnames=["away.test"]),
                 m.route("gone", [m.rule("a")], hostnames=["gone.test"]))
    doomed.start()
    expect(doomed, "a", host="gone.test")
    with Load(doomed.port, "away.test") as load:
        mortal.kill()
        eventually(doomed.stale)
        begin, before = time.monotonic(), requests(doomed)
        assert "Stale:" in doomed.ctl("status")
        assert doomed.control("/readyz").status == 200
        time.sleep(20)
        rate = (requests(doomed) - before) / (time.monotonic() - begin)
        assert rate < 3 * 0.45, "requests/s of three clients to a server that is away"
        assert doomed.metrics()["tidegate_source_stale"] == 1
        assert doomed.metrics()["tidegate_source_stale_seconds"] >= 20
        mortal.restart()
        mortal.apply(m.route("away", [m.rule("b")], hostnames=["away.test"]))
        mortal.delete("httproute", "gone")
        eventually(lambda: load.seen.get("b"), timeout=60)
        expect(doomed, 404, host="gone.test")
        eventually(lambda: not doomed.stale())
    assert not load.failures and load.count > 100
    print("requests/s while away: %.2f" % rate)


def watch_times(server, prefix):
    """When Secrets with such names began to be watched, in s and in order."""
    return sorted(
        datetime.datetime.strptime(event["requestReceivedTimestamp"],
                                   "%Y-%m-%dT%H:%M:%S.%fZ").timestamp()
        for event in server.audit("") if event["stage"] == "RequestReceived" and
        event["verb"] == "watch" and event["objectRef"].get("name", "").startswith(prefix))


def test_many_come_back(mortal, doomed, origins):
    """Whatever the number of watches: 100 at once, and 50 a second behind those."""
    count, listeners = 300, 5
    base(mortal, doomed, origins)
    absent = ["absent-%d" % i for i in range(count)]
    mortal.apply(gateway(doomed, *[
        m.listener("https-%d" % i, doomed.port, hostname="h%d.test" % i, certs=absent[i::listeners])
        for i in range(listeners)]))
    doomed.start()
    eventually(lambda: len(watch_times(mortal, "absent-")) == count)
    mortal.kill()
    eventually(doomed.stale)
    mortal.restart()
    eventually(lambda: len(watch_times(mortal, "absent-")) >= 2 * count, timeout=40)
    back = watch_times(mortal, "absent-")[count:]
    for first in range(len(back)):
        for last in range(first, len(back)):
            # The 20 that may wait for an answer reach a server together that was slow.
            assert last - first < 100 + 20 + 50 * (back[last] - back[first] + 0.1)
    print("%d watches came back in %.1f s" % (count, back[-1] - back[0]))


def test_last_good_while_away(mortal, doomed, origins):
    """A restart of ours while the server is away serves what was served before."""
    base(mortal, doomed, origins)
    mortal.apply(m.route("kept", [m.rule("a")], hostnames=["kept.test"]))
    doomed.start()
    expect(doomed, "a", host="kept.test")
    doomed.stop()
    mortal.kill()
    try:
        doomed.start()
        expect(doomed, "a", host="kept.test")
        eventually(doomed.stale)
        assert not doomed.status()["source"]["complete"]
    finally:
        mortal.restart()
    mortal.apply(m.route("kept", [m.rule("b")], hostnames=["kept.test"]))
    expect(doomed, "b", host="kept.test")


def test_history_is_gone(mortal, doomed, origins):
    """Versions that were compacted (410): lists again, and loses nothing on the way."""
    base(mortal, doomed, origins)
    mortal.apply(m.route("stays", [m.rule("a")], hostnames=["stays.test"]),
                 m.route("goes", [m.rule("a")], hostnames=["goes.test"]),
                 m.route("turns", [m.rule("a")], hostnames=["turns.test"]))
    doomed.start()
    expect(doomed, "a", host="turns.test")
    lists = doomed.metrics()["tidegate_kube_lists_total"]
    with Load(doomed.port, "stays.test") as load:
        os.kill(doomed.process.pid, signal.SIGSTOP)
        try:
            mortal.kill()  # or these events would wait in its socket
            mortal.restart()
            mortal.delete("httproute", "goes")
            mortal.apply(m.route("turns", [m.rule("b")], hostnames=["turns.test"]))
            mortal.kill()
            mortal.compact()
            mortal.restart()
        finally:
            os.kill(doomed.process.pid, signal.SIGCONT)
        eventually(lambda: doomed.get("/", host="turns.test").origin == "b", timeout=60)
        expect(doomed, 404, host="goes.test")
        assert doomed.metrics()["tidegate_kube_lists_total"] > lists
    assert not load.failures and load.count > 100


def test_hanging(mortal, doomed, origins):
    """Connections stay open, but nobody answers."""
    base(mortal, doomed, origins)
    mortal.apply(m.route("hang", [m.rule("a")], hostnames=["hang.test"]))
    doomed.start()
    expect(doomed, "a", host="hang.test")
    with mortal.frozen():
        eventually(doomed.stale, timeout=45)
        assert doomed.get("/", host="hang.test").origin == "a"
    mortal.wait()
    mortal.apply(m.route("hang", [m.rule("b")], hostnames=["hang.test"]))
    eventually(lambda: doomed.get("/", host="hang.test").origin == "b", timeout=40)
    eventually(lambda: not doomed.stale())


def test_override_without_an_api_server(mortal, doomed, origins):
    """Weights by hand are for moments such as that: at once, and back again."""
    base(mortal, doomed, origins)
    mortal.apply(m.route("hand", [m.rule(m.ref("a", 1), m.ref("b", 0))], hostnames=["hand.test"]))
    doomed.start()
    expect(doomed, "a", host="hand.test")
    with mortal.frozen():
        told = doomed.ctl("weights", "hand", "a=0", "b=1", "--override")
        assert told.count("overridden") == 2
        assert doomed.get("/", host="hand.test").origin == "b"
        assert "overridden" not in doomed.ctl("weights", "hand", "--clear")
        assert doomed.get("/", host="hand.test").origin == "a"
    mortal.wait()


@pytest.fixture
def relay(server):
    with contextlib.closing(Relay(server)) as relay:
        yield relay


def test_connections_hang(server, gate, relay):
    """Nobody ends them, and new ones would do: whoever leads goes on, before another would lead."""
    gate.kubeconfig = relay.kubeconfig(os.path.join(gate.base, "relay.kubeconfig"))
    server.apply(gateway(gate), m.route("lost", [m.rule("a")], hostnames=["lost.test"]))
    gate.start()
    expect(gate, "a", host="lost.test")
    eventually(lambda: gate.metrics()["tidegate_leader"] == 1)
    relay.hang()
    server.apply(m.route("lost", [m.rule("b")], hostnames=["lost.test"]))
    eventually(lambda: gate.get("/", host="lost.test").origin == "b", timeout=40)
    assert gate.metrics()["tidegate_leader"] == 1
    route = ("httproute", "lost", "-o", "jsonpath={.metadata.generation} "
             "{.status.parents[0].conditions[0].observedGeneration}")
    eventually(lambda: len(set(server.kubectl("get", *route).split())) == 1)


def test_one_of_two_connections_hangs(server, gate, relay):
    """More than 100 watches need two. The first goes on, with events all the time."""
    def listeners(*names):
        return [m.listener("https-%d" % i, gate.port, hostname="h%d.test" % i, certs=names[i::2])
                for i in range(2)]
    absent = ["absent-%d" % i for i in range(120)]
    gate.kubeconfig = relay.kubeconfig(os.path.join(gate.base, "relay.kubeconfig"))
    server.apply(gateway(gate, *listeners(*absent)), m.tls_secret("late", "late.test"),
                 m.route("busy", [m.rule("a")]))
    gate.start()
    eventually(lambda: gate.metrics()["tidegate_kube_connections_total"] == 2)
    relay.hang(first=1)
    server.apply(gateway(gate, *listeners(*absent, "late")))
    def read():
        server.kubectl("label", "httproute", "busy", "--overwrite", "at=%d" % time.monotonic())
        return gate.metrics()['tidegate_objects{kind="Secret"}'] == 1
    eventually(read, timeout=60, interval=1)
    server.delete("secret", "late")


# ---- Secrets ----

def secrets_fail(request):
    return (500,) if "name%3Dkms" in request.query else None


def https(gate, name, *certs):
    return gateway(gate, m.listener("https", gate.port, certs=list(certs))), m.route(
        name, [m.rule("a")])


def serves_https(gate, host):
    return gate.get("/", host=host, sni=host).origin == "a"


def test_no_secret_can_be_read(server, gate, proxy):
    """A replica without any certificate does not get Ready, and one that restarts keeps its own."""
    server.apply(m.tls_secret("kms", "kms.test"), *https(gate, "kms", "kms", "absent"))
    gate.kubeconfig = proxy.kubeconfig
    proxy.before = secrets_fail
    gate.start(ready=False)
    eventually(lambda: "the proxy says 500" in gate.control("/readyz").body.decode())
    time.sleep(4)
    assert gate.control("/readyz").status == 503
    proxy.before = lambda request: None
    gate.wait_ready()
    assert serves_https(gate, "kms.test")
    gate.process.kill()
    gate.process.wait()
    proxy.before = secrets_fail
    gate.start(ready=False)
    eventually(lambda: "the last-good plan is served: the proxy" in gate.ctl("status"))
    assert serves_https(gate, "kms.test")
    assert gate.metrics()["tidegate_holding_last_good"] == 1
    os.kill(gate.process.pid, signal.SIGHUP)  # what there is
    eventually(lambda: gate.metrics()["tidegate_holding_last_good"] == 0)
    proxy.before = lambda request: None
    eventually(lambda: serves_https(gate, "kms.test"), timeout=40)
    server.delete("secret", "kms")


def test_one_secret_cannot_be_read(server, gate, proxy):
    """That is no reason to wait for longer than a moment."""
    server.apply(m.tls_secret("good", "good.test"), m.tls_secret("bad", "bad.test"),
                 *https(gate, "good", "good", "bad"))
    gate.kubeconfig = proxy.kubeconfig
    proxy.before = lambda request: (500,) if "name%3Dbad" in request.query else None
    gate.start()
    assert serves_https(gate, "good.test")
    gate.expect_finding("Secret", "NotReadable")
    for name in ("good", "bad"):
        server.delete("secret", name)


@pytest.mark.parametrize("kind", ["httproutes", "grpcroutes"])
def test_routes_cannot_be_read(server, gate, proxy, kind):
    """Without them a replica would answer 404: it is not Ready before."""
    server.apply(gateway(gate, m.listener("http", gate.port)), m.route("r", [m.rule("a")]))
    gate.kubeconfig = proxy.kubeconfig
    proxy.before = lambda request: (500,) if request.path.endswith("/" + kind) else None
    gate.start(ready=False)
    eventually(lambda: "the proxy says 500" in gate.control("/readyz").body.decode())
    proxy.before = lambda request: None
    eventually(lambda: gate.control("/readyz").status == 200, timeout=40)
    expect(gate, "a", port=gate.port)


def test_many_secrets(server, gate, ns):
    """Requests are limited to 50 a second: a replica is Ready when the last one is there."""
    names = ["many-%d" % i for i in range(480)]
    pem = m.make_certificate("many.test")
    server.apply(*[m.tls_secret(name, ns=ns, pem=pem) for name in names])
    server.apply(gateway(gate, *[
        m.listener("https-%d" % i, gate.port, hostname="h%d.many.test" % i, certs=names[i::8])
        for i in range(8)], ns=ns))
    gate.start()
    assert gate.metrics()['tidegate_objects{kind="Secret"}'] == len(names)
    # Changes of others wait for a moment only.
    def requests():
        return gate.metrics()["tidegate_kube_requests_total"]
    eventually(lambda: requests() > 2 * len(names), timeout=40)  # all are watched
    before, more, others = requests(), free_port(), free_port()
    server.apply(m.gateway("more", *[
        m.listener("https-%d" % i, more, hostname="m%d.many.test" % i,
                   certs=["absent-%d" % k for k in range(i, 480, 8)]) for i in range(8)], ns=ns),
        gateway(gate, m.listener("http", others)), m.route("others", [m.rule("a")]))
    expect(gate, "a", port=others)
    assert requests() < before + 400


# ---- rights ----

def test_forbidden_kind(server, gate):
    server.account("limited", GATEWAY_API, CORE, SLICES, BACKENDS)
    gate.log_in({"token": server.token("limited")})
    server.apply(gateway(gate), m.route("limited", [m.rule("a")]))
    gate.start()
    expect(gate, "a")
    text = gate.expect_finding("ReferenceGrant", "Forbidden")["text"]
    assert "list and watch" in text and "referencegrants" in text
    assert "system:serviceaccount:default:limited" in text
    server.allow("limited", *ALL)
    gate.expect_no_finding("ReferenceGrant", "Forbidden")


def test_watch_is_forbidden(server, gate, ns):
    """The lists of a kind may be had: they are asked for again and again, which is said."""
    server.account("blind", GATEWAY_API, CORE, SLICES, BACKENDS,
                   dict(GRANTS, verbs=["get", "list"]))
    gate.log_in({"token": server.token("blind")})
    server.apply(gateway(gate), m.route("blind", [m.rule("a")]), m.grant("g", ns, "default"))
    gate.start()
    expect(gate, "a")
    text = gate.expect_finding("ReferenceGrant", "WatchFails")["text"]
    assert "cannot watch resource \"referencegrants\"" in text
    assert "referencegrants" in gate.status()["source"]["why"]
    server.allow("blind", *ALL)
    os.kill(gate.process.pid, signal.SIGHUP)
    def over():
        """With the first event; bookmarks come once a minute."""
        server.kubectl("label", "referencegrant", "g", "-n", ns, "--overwrite",
                       "at=%d" % time.monotonic())
        return not gate.stale()
    eventually(over, timeout=40)
    gate.expect_no_finding("ReferenceGrant", "WatchFails")


def test_token_rotates(server, gate):
    """The kubelet replaces the token's file; the old token is worth nothing any more."""
    for name in ("first", "second"):
        server.account(name, *ALL)
    token = os.path.join(gate.base, "token")
    gate.log_in({"tokenFile": token})
    with open(token, "w", encoding="ascii") as out:
        out.write(server.token("first"))
    server.apply(gateway(gate), m.route("token", [m.rule("a")]))
    gate.start()
    expect(gate, "a")
    server.delete("serviceaccount", "first")
    with open(token + ".new", "w", encoding="ascii") as out:
        out.write(server.token("second") + "\n")
    os.rename(token + ".new", token)
    assert not server.audit(":second")
    # The watches that run go on; the next request of any kind needs the new token.
    gate.ctl("weights", "default/token", "a=1", "--override")
    gate.ctl("weights", "default/token", "--clear")
    eventually(lambda: server.audit(":second"))
    server.apply(m.route("token", [m.rule("b")]))
    expect(gate, "b")


def test_certificate_rotates(server, gate):
    """The files are replaced: what is asked for from then on comes from the new one's bearer."""
    def sign(name):
        return server.cluster.authority.sign(name, name, "system:masters")

    def asked(name):
        return len([each for each in server.audit(name) if each["stage"] == "RequestReceived"])
    certificate, key = sign("bearer-1")
    gate.log_in({"client-certificate": certificate, "client-key": key})
    server.apply(gateway(gate), m.route("bearer", [m.rule("a")]))
    gate.start()
    expect(gate, "a")
    eventually(lambda: gate.metrics()["tidegate_leader"] == 1)
    newer_certificate, newer_key = sign("bearer-2")
    os.rename(newer_key, key)
    os.rename(newer_certificate, certificate)
    eventually(lambda: asked("bearer-2"))
    before = asked("bearer-1")
    server.apply(m.route("bearer", [m.rule("b")]))
    expect(gate, "b")
    time.sleep(3)  # the Lease is renewed
    assert gate.metrics()["tidegate_leader"] == 1
    assert asked("bearer-1") == before


def test_exec_plugin(server, gate):
    server.account("plugged", *ALL)
    plugin = os.path.join(gate.base, "plugin")
    with open(plugin, "w", encoding="ascii") as out:
        out.write("#!/bin/sh\necho '{\"apiVersion\": \"client.authentication.k8s.io/v1\","
                  " \"kind\": \"ExecCredential\", \"status\": {\"token\": \"%s\"}}'\n"
                  % server.token("plugged"))
    os.chmod(plugin, 0o755)
    gate.log_in({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": plugin,
        "interactiveMode": "Never"}})
    server.apply(gateway(gate), m.route("plugged", [m.rule("a")]))
    gate.start()
    expect(gate, "a")
    assert server.audit(":plugged")


def test_wrong_token(server, gate):
    """Nobody is let in: said, and not asked again and again."""
    gate.log_in({"token": "wrong"})
    gate.start(ready=False)
    eventually(lambda: gate.control("/readyz").status == 503)
    eventually(gate.stale)
    assert "Unauthorized" in gate.status()["source"]["why"]
    before = requests(gate)
    time.sleep(10)
    assert requests(gate) - before <= 10
