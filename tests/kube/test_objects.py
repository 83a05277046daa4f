# SPDX-License-Identifier: Apache-2.0
"""Objects in an API server show in traffic, and so do their changes and ends."""
import contextlib
import os
import ssl
import subprocess
import threading

import pytest
import yaml

import clients
import manifests as m
import origins as o
import tidegate
from apiserver import KubeGate
from load import Load
from tidegate import eventually


def gateway(gate, *listeners, ns="default"):
    return m.gateway("gw", *(listeners or [m.listener("http", gate.port)]), ns=ns)


def expect(gate, want, target="/", **options):
    """want: an origin's name or a status."""
    def check():
        answer = gate.get(target, **options)
        got = answer.status if isinstance(want, int) else answer.origin
        assert got == want, (target, options, answer)
        return True
    eventually(check)


def test_life_of_a_route(gate, server):
    server.apply(gateway(gate))
    gate.start()
    expect(gate, 404)
    server.apply(m.route("life", [m.rule("a")]))
    expect(gate, "a")
    server.apply(m.route("life", [m.rule("b")]))
    expect(gate, "b")
    server.kubectl("patch", "httproute", "life", "--type=json", "-p",
                   '[{"op": "add", "path": "/spec/hostnames", "value": ["life.test"]}]')
    expect(gate, 404)
    expect(gate, "b", host="life.test")
    server.delete("httproute", "life")
    expect(gate, 404, host="life.test")
    assert gate.status()["source"] == {"apiServer": gate.status()["source"]["apiServer"],
                                       "complete": True, "stale": False}
    assert server.url in gate.status()["source"]["apiServer"]


def test_objects_that_were_there(gate, server):
    server.apply(gateway(gate), *[
        m.route("there-%d" % i, [m.rule("a")], hostnames=["h%d.test" % i]) for i in range(20)])
    gate.start()
    for i in range(20):
        assert gate.get("/", host="h%d.test" % i).origin == "a", "ready means all of it"


def test_services(gate, server, ns, own_address):
    with contextlib.closing(o.Origin("one", address=own_address)) as one, \
            contextlib.closing(o.Origin("two", address=own_address)) as two:
        server.apply(gateway(gate), m.service("web", ns=ns),
                     m.route("web", [m.rule(m.service_ref("web"))], ns=ns,
                             parents=[m.parent(namespace="default")]),
                     m.endpoint_slice("web-1", "web", one.port, [own_address], ns=ns))
        gate.start()
        expect(gate, "one")
        with Load(gate.port, "localhost") as load:
            server.apply(m.endpoint_slice("web-2", "web", two.port, [own_address], ns=ns))
            eventually(lambda: load.seen.get("two"))
            server.delete("endpointslice", "web-1", ns)
            eventually(lambda: {gate.get("/").origin for _ in range(8)} == {"two"})
        assert not load.failures and load.count > 50
        server.delete("endpointslice", "web-2", ns)
        expect(gate, 503)
        server.delete("service", "web", ns)
        expect(gate, 500)


def test_no_pass_for_nothing(gate, server):
    """Writes to what is not read, like another controller's status, cost nothing here."""
    server.apply(gateway(gate), m.route("quiet", [m.rule("a")]))
    gate.start()
    expect(gate, "a")
    before = gate.metrics()
    for i in range(5):
        server.kubectl("annotate", "--overwrite", "httproute", "quiet", "x=%d" % i)
    server.kubectl("patch", "gateway", "gw", "--subresource=status", "--type=merge", "-p",
                   '{"status": {"addresses": [{"type": "IPAddress", "value": "192.0.2.9"}]}}')
    eventually(lambda: gate.metrics()["tidegate_kube_events_total"] >=
               before["tidegate_kube_events_total"] + 6)
    for name in ("tidegate_passes_total", "tidegate_commands_total"):
        assert gate.metrics()[name] == before[name]


def test_weights_by_hand(gate, server):
    server.apply(gateway(gate), m.route("hand", [m.rule(m.ref("a", 1), m.ref("b", 0))]))
    gate.start()
    expect(gate, "a")
    gate.ctl("weights", "default/hand", "a=0", "b=1", "--override")
    assert {gate.get("/").origin for _ in range(10)} == {"b"}
    server.kubectl("annotate", "httproute", "hand", "x=y")
    server.kubectl("label", "httproute", "hand", "x=y")  # delivered again: it stays
    assert {gate.get("/").origin for _ in range(10)} == {"b"}
    gate.ctl("weights", "default/hand", "--clear")
    assert {gate.get("/").origin for _ in range(10)} == {"a"}


def test_one_connection(gate, server):
    """Everything is watched on one HTTP/2 connection, and nothing is asked twice."""
    server.apply(gateway(gate))
    gate.start()
    expect(gate, 404)
    metrics = gate.metrics()
    assert metrics["tidegate_kube_connections_total"] == 1
    assert metrics["tidegate_kube_watches"] == 10
    assert metrics["tidegate_kube_requests_total"] == 20  # a list and a watch of each


def test_pages(gate, server, ns):
    """More objects than a page has."""
    server.apply(gateway(gate), *[
        m.endpoint_slice("s%04d" % i, "s", 80, ["192.0.2.1"], ns=ns) for i in range(520)])
    gate.start()
    assert gate.metrics()['tidegate_objects{kind="EndpointSlice"}'] >= 520
    assert gate.metrics()["tidegate_kube_lists_total"] >= 8 + 1


def test_watch_namespace(server, tmp_path, ns, elsewhere):
    with contextlib.closing(KubeGate(tmp_path, server, "--watch-namespace", ns,
                                     "--watch-namespace", "default")) as gate:
        ours = m.listener("http", gate.port)
        server.apply(m.gateway("gw", ours), *[
            m.route("where", [m.rule("a")], ns=where, hostnames=[where + ".test"],
                    parents=[m.parent(namespace="default")])
            for where in (ns, elsewhere)])
        server.apply(m.grant("all", "default", ns))
        server.kubectl("patch", "httproute", "where", "-n", ns, "--type=json", "-p",
                       '[{"op": "add", "path": "/spec/rules/0/backendRefs/0/namespace",'
                       ' "value": "default"}]')
        gate.start()
        expect(gate, "a", host=ns + ".test")
        assert gate.get("/", host=elsewhere + ".test").status == 404
        assert gate.metrics()['tidegate_objects{kind="Namespace"}'] == 2
    server.kubectl("delete", "gateway,referencegrant", "--all")


def names_served(port, sni):
    with clients.connect(port, sni=sni, tls=True) as connection:
        pem = ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))
    return pem


def test_only_referenced_secrets(gate, server, ns):
    pems = {name: m.make_certificate("tls.test") for name in ("used", "later", "never")}
    for name, pem in pems.items():
        server.apply(m.tls_secret(name, ns=ns, pem=pem))
    server.account("secrets", {"apiGroups": ["*"], "resources": ["*"],
                               "verbs": ["get", "list", "watch"]})
    gate.log_in({"token": server.token("secrets")})
    parents = [m.parent(namespace=ns)]
    server.apply(gateway(gate, m.listener("https", gate.port, certs=["used"]), ns=ns),
                 m.route("tls", [m.rule("a")], parents=parents))
    gate.start()
    assert names_served(gate.port, "tls.test") == pems["used"][0]
    # Another version of the same Secret
    pems["renewed"] = m.make_certificate("tls.test")
    server.apply(m.tls_secret("used", ns=ns, pem=pems["renewed"]))
    eventually(lambda: names_served(gate.port, "tls.test") == pems["renewed"][0])
    # Another Secret: no handshake fails between the two
    failures, over = [], threading.Event()

    def shake():
        while not over.is_set():
            try:
                names_served(gate.port, "tls.test")
            except OSError as error:
                failures.append(error)

    thread = threading.Thread(target=shake)
    thread.start()
    server.apply(gateway(gate, m.listener("https", gate.port, certs=["later"]), ns=ns))
    try:
        eventually(lambda: names_served(gate.port, "tls.test") == pems["later"][0])
    finally:
        over.set()
        thread.join()
    assert not failures
    assert gate.metrics()['tidegate_objects{kind="Secret"}'] == 1
    asked = {(event["objectRef"].get("namespace"), event["objectRef"].get("name"))
             for event in server.audit(":secrets")
             if event.get("objectRef", {}).get("resource") == "secrets"}
    assert asked == {(ns, "used"), (ns, "later")}
    # Not referred to any more: forgotten
    server.delete("gateway", "gw", ns)
    eventually(lambda: gate.metrics()['tidegate_objects{kind="Secret"}'] == 0)


def test_context(gate, server):
    """Not the current one, which leads nowhere; status goes to the same server."""
    with open(server.cluster.kubeconfig, encoding="ascii") as source:
        config = yaml.safe_load(source)
    gate.options += ["--context", config["current-context"]]
    config["clusters"].append({"name": "nowhere", "cluster": {"server": "https://127.0.0.1:9"}})
    config["contexts"].append({"name": "nowhere", "context": {
        "cluster": "nowhere", "user": config["users"][0]["name"]}})
    config["current-context"] = "nowhere"
    gate.kubeconfig = os.path.join(gate.base, "contexts")
    with open(gate.kubeconfig, "w", encoding="ascii") as out:
        yaml.safe_dump(config, out)
    server.apply(gateway(gate), m.route("context", [m.rule("a")]))
    gate.start()
    expect(gate, "a")
    assert server.url in gate.status()["source"]["apiServer"]
    eventually(lambda: gate.status()["leader"]["here"])


@pytest.mark.parametrize("words", [["--kubernetes", "dir"], ["--watch-namespace", "x", "dir"],
                                   ["--context", "x", "dir"], []])
def test_wrong_usage(words):
    done = subprocess.run([os.path.join(tidegate.BUILD, "tidegate"), "run", *words],
                          stderr=subprocess.PIPE, timeout=30, universal_newlines=True)
    assert done.returncode == 2, done.stderr
