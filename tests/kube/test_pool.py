# SPDX-License-Identifier: Apache-2.0
"""Gateways with addresses of a pool: chosen and recorded by the leader, bound by every replica.
The pool is of loopback, of which every address can be bound; 198.51.100.0/24 is nobody's."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import time

import pytest

import manifests as m
import tidegate
from apiserver import KubeGate
from test_addresses import expect_programmed, gateway_condition, leads
from test_events import events
from test_status import expect_told, stored
from tidegate import eventually

POOL = ["127.53.0.%d" % i for i in (1, 2, 3)]


@pytest.fixture
def options(lease):
    return ["--address-pool", "%s-%s" % (POOL[0], POOL[-1]), *lease]


def gateway(gate, name, *asked):
    """All have the same port."""
    return m.gateway(name, m.listener("http", gate.port), **(
        {"addresses": [{"type": "IPAddress", "value": ip} for ip in asked]} if asked else {}))


def route(name, origin):
    return m.route(name, [m.rule(origin)], parents=[m.parent(name)])


def start(gate, server, *objects):
    server.apply(*objects)
    gate.start()
    leads(gate)


def recorded(server, name, ns="default"):
    return [each["value"] for each in
            stored(server, "gateway", name, ns).get("status", {}).get("addresses", [])]


def expect_addresses(server, name, *wanted):
    eventually(lambda: recorded(server, name) == list(wanted),
               what="%s at %s" % (name, wanted))


def origin_at(gate, address):
    """Who answers there; None: nobody listens."""
    try:
        return tidegate.clients.request(gate.port, address=address).origin
    except ConnectionRefusedError:
        return None


def expect_origin(gate, address, origin):
    eventually(lambda: origin_at(gate, address) == origin, what="%s at %s" % (origin, address))


def settle(gate, server, name):
    """The leader has nothing to write any more, which would go over what others write."""
    expect_programmed(server, name, "True", "Programmed")
    eventually(lambda: gate.metrics()["tidegate_status_pending"] == 0)


def rewrite(server, name, *addresses, ns="default"):
    """What somebody else, or a leader that has not seen everything, would record."""
    server.kubectl("patch", "gateway", name, "-n", ns, "--subresource=status", "--type=merge", "-p",
                   json.dumps({"status": {"addresses": [
                       {"type": "IPAddress", "value": ip} for ip in addresses]}}))


def test_one_port_two_gateways(gate, server, origins):
    start(gate, server, gateway(gate, "one"), route("one", "a"))
    expect_programmed(server, "one", "True", "Programmed")
    server.apply(gateway(gate, "two"), route("two", "b"))
    expect_programmed(server, "two", "True", "Programmed")
    expect_addresses(server, "one", POOL[0])
    expect_addresses(server, "two", POOL[1])
    expect_origin(gate, POOL[0], "a")
    expect_origin(gate, POOL[1], "b")
    assert origin_at(gate, POOL[2]) is None and origin_at(gate, "127.0.0.1") is None
    assert "%s:%d transparent" % (POOL[0], gate.port) in gate.ctl("plan")
    assert POOL[1] in gate.ctl("status")
    names = [each["name"] for each in json.loads(server.kubectl(
        "get", "gatewayclass", "tidegate", "-o", "json"))["status"]["supportedFeatures"]]
    assert "GatewayStaticAddresses" in names
    expect_told(gate, server, "gatewayclass", "tidegate")
    expect_told(gate, server, "gateway", "one")


def test_they_stay(gate, second, server):
    """Over a restart, a Gateway that is gone before, another replica and another leader."""
    start(gate, server, gateway(gate, "one"), route("one", "a"))
    expect_addresses(server, "one", POOL[0])
    server.apply(gateway(gate, "two"), route("two", "b"))
    expect_origin(gate, POOL[1], "b")
    server.delete("gateway", "one")
    eventually(lambda: origin_at(gate, POOL[0]) is None)
    gate.stop()
    gate.start()
    leads(gate)
    expect_origin(gate, POOL[1], "b")
    expect_addresses(server, "two", POOL[1])
    second.start()
    assert "%s:%d transparent" % (POOL[1], gate.port) in second.ctl("plan")
    assert not second.status()["leader"]["here"]
    gate.stop()
    assert origin_at(gate, POOL[1]) == "b", "of the one that is left"
    leads(second)
    server.apply(gateway(gate, "later"), route("later", "a"))
    expect_addresses(server, "later", POOL[0])
    expect_origin(gate, POOL[0], "a")
    expect_addresses(server, "two", POOL[1])


def test_last_good(gate, server):
    """Bound before the API server answers."""
    start(gate, server, gateway(gate, "one"), route("one", "a"))
    expect_origin(gate, POOL[0], "a")
    with server.frozen():
        os.kill(gate.process.pid, signal.SIGKILL)
        os.kill(gate.master_pid(), signal.SIGKILL)
        eventually(lambda: origin_at(gate, POOL[0]) is None)
        gate.start(ready=False)
        expect_origin(gate, POOL[0], "a")
    leads(gate)
    expect_origin(gate, POOL[0], "a")


def test_nothing_before_it_is_recorded(gate, second, server):
    """A replica that does not lead binds nothing that the leader has not written down."""
    start(gate, server, gateway(gate, "first"))
    expect_addresses(server, "first", POOL[0])
    second.start()
    os.kill(gate.process.pid, signal.SIGSTOP)
    try:
        server.apply(gateway(gate, "next"), route("next", "a"))
        eventually(lambda: "default/next" in second.ctl("status"))
        time.sleep(1)
        assert recorded(server, "next") == []
        assert origin_at(gate, POOL[1]) is None
        assert "default.next." not in second.ctl("plan")
    finally:
        os.kill(gate.process.pid, signal.SIGCONT)
    expect_addresses(server, "next", POOL[1])
    expect_origin(gate, POOL[1], "a")
    eventually(lambda: "default.next.%d" % gate.port in second.ctl("plan"))


def test_exhausted(gate, server):
    names = ["g%d" % i for i in range(3)]
    start(gate, server, *[gateway(gate, name) for name in names])
    for name in names:
        expect_programmed(server, name, "True", "Programmed")
    assert sorted(recorded(server, name)[0] for name in names) == POOL
    server.apply(gateway(gate, "more"), route("more", "a"))
    found = expect_programmed(server, "more", "False", "AddressNotAssigned")
    assert "No address of the pool is free" in found["message"]
    assert gateway_condition(server, "Accepted", "more")["status"] == "True"
    assert recorded(server, "more") == []
    assert gate.expect_finding("Gateway", "AddressNotAssigned")["object"] == "default/more"
    eventually(lambda: [each for each in events(server, "default")
                        if each["regarding"]["name"] == "more" and
                        each["reason"] == "AddressNotAssigned"])
    free = recorded(server, "g1")[0]
    server.delete("gateway", "g1")
    expect_addresses(server, "more", free)
    expect_programmed(server, "more", "True", "Programmed")
    expect_origin(gate, free, "a")
    gate.expect_no_finding("Gateway", "AddressNotAssigned")


def test_asked_for(gate, server):
    start(gate, server, gateway(gate, "asks", POOL[2]), route("asks", "a"))
    expect_programmed(server, "asks", "True", "Programmed")
    expect_addresses(server, "asks", POOL[2])
    expect_origin(gate, POOL[2], "a")
    # Another's, and one that is not of the pool
    server.apply(gateway(gate, "late", POOL[2]), gateway(gate, "outside", "127.53.0.9"),
                 route("late", "b"))
    found = expect_programmed(server, "late", "False", "AddressNotUsable")
    assert "default/asks" in found["message"]
    expect_programmed(server, "outside", "False", "AddressNotUsable")
    assert gateway_condition(server, "Accepted", "outside")["status"] == "True"
    assert recorded(server, "outside") == [] and origin_at(gate, "127.53.0.9") is None
    eventually(lambda: {each["regarding"]["name"] for each in events(server, "default")
                        if each["reason"] == "AddressNotUsable"} >= {"late", "outside"})
    # A type that there is not
    server.apply(m.gateway("outside", m.listener("http", gate.port), addresses=[
        {"type": "test/fake", "value": "x"}]))
    eventually(lambda: gateway_condition(server, "Accepted", "outside")["reason"] ==
               "UnsupportedAddress")
    # It asks for another one: the first is free
    server.apply(gateway(gate, "asks", POOL[0]))
    expect_addresses(server, "asks", POOL[0])
    expect_addresses(server, "late", POOL[2])
    expect_origin(gate, POOL[0], "a")
    expect_origin(gate, POOL[2], "b")


def test_recorded_twice(gate, server):
    """The older one keeps it. (By name: both were made within a second.)"""
    start(gate, server, gateway(gate, "a"), route("a", "a"))
    expect_origin(gate, POOL[0], "a")
    server.apply(gateway(gate, "b"), route("b", "b"))
    settle(gate, server, "b")
    rewrite(server, "b", POOL[0])
    expect_addresses(server, "b", POOL[1])
    expect_origin(gate, POOL[1], "b")
    assert origin_at(gate, POOL[0]) == "a" and recorded(server, "a") == [POOL[0]]
    # What is recorded counts, as long as it is of the pool.
    settle(gate, server, "b")
    rewrite(server, "b", POOL[2])
    expect_origin(gate, POOL[2], "b")
    settle(gate, server, "b")
    rewrite(server, "b", "127.53.0.9")
    expect_addresses(server, "b", POOL[1])
    expect_origin(gate, POOL[1], "b")
    assert origin_at(gate, "127.53.0.9") is None


def test_an_address_that_is_elsewhere(gate, server):
    """This host does not have it, as long as another one has: it is bound all the same, also after
    a reload. A port that somebody else has is told."""
    gate.options[1] = "198.51.100.1"
    gate.options += ["--address-pool", "2001:db8::1/128", "--address-pool", POOL[0]]
    start(gate, server, gateway(gate, "v4"), gateway(gate, "v6"))
    expect_programmed(server, "v4", "True", "Programmed")
    expect_programmed(server, "v6", "True", "Programmed")
    assert {recorded(server, "v4")[0], recorded(server, "v6")[0]} == {
        "198.51.100.1", "2001:db8::1"}
    plan = gate.ctl("plan")
    assert "[2001:db8::1]:%d transparent" % gate.port in plan
    assert "bind" not in gate.log()
    with socket.create_server((POOL[0], gate.port)):
        server.apply(gateway(gate, "busy"), route("busy", "a"))
        eventually(lambda: "cannot bind %s:%d" % (POOL[0], gate.port) in gate.log())
    expect_origin(gate, POOL[0], "a")


def test_options(tmp_path, server):
    """What does not go together, or is no pool, is said at once."""
    for number, (wrong, says) in enumerate((
            (["--address-pool", "127.53.0.1", "--gateway-services", "a=b"], "leave one out"),
            (["--address-pool", "127.53.0.1", "--address", "127.53.0.1"], "leave one out"),
            (["--address-pool", "127.53.0.1", "--no-status"], "needs a leader"),
            (["--address-pool", "127.53.0.1/24"], "--address-pool: '127.53.0.1/24' has bits"))):
        base = tmp_path / str(number)
        base.mkdir()
        with contextlib.closing(KubeGate(base, server, *wrong)) as gate:
            gate.start(ready=False)
            assert gate.process.wait(10) != 0
            assert says in gate.log()
    done = subprocess.run([os.path.join(tidegate.BUILD, "tidegate"), "run", "--address-pool",
                           "127.53.0.1", str(tmp_path)], stderr=subprocess.PIPE, timeout=10,
                          universal_newlines=True)
    assert done.returncode == 2 and "--address-pool" in done.stderr
    assert "go with --kubernetes" in done.stderr


def test_not_all_can_be_read(gate, server, ns, elsewhere):
    """What is free is known only when all Gateways are: nothing is recorded before."""
    read = {"apiGroups": ["*"], "verbs": ["get", "list", "watch"], "resources": [
        "httproutes", "grpcroutes", "gatewayclasses", "referencegrants", "namespaces", "services", "secrets",
        "endpointslices", "backends", "gatewayparameters"]}
    write = {"apiGroups": ["gateway.networking.k8s.io", "coordination.k8s.io", "events.k8s.io"],
             "resources": ["gateways/status", "gatewayclasses/status", "leases", "events"],
             "verbs": ["*"]}
    gateways = {"apiGroups": ["gateway.networking.k8s.io"], "resources": ["gateways"],
                "verbs": ["get", "list", "watch"]}
    rbac = "rbac.authorization.k8s.io/v1"
    server.account("narrow", read, write)
    server.apply(
        m.obj("Role", "narrow", ns=ns, api=rbac, rules=[gateways]),
        m.obj("RoleBinding", "narrow", ns=ns, api=rbac, subjects=[
            {"kind": "ServiceAccount", "name": "narrow", "namespace": "default"}],
              roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "narrow"}),
        m.gateway("unseen", m.listener("http", gate.port), ns=elsewhere),
        m.gateway("seen", m.listener("http", gate.port), ns=ns))
    rewrite(server, "unseen", POOL[0], ns=elsewhere)
    gate.log_in({"token": server.token("narrow")})
    gate.options += ["--watch-namespace", ns, "--watch-namespace", elsewhere]
    gate.start()
    leads(gate)
    gate.expect_finding("Gateway", "Forbidden")
    eventually(lambda: ns + "/seen" in gate.ctl("status"))
    time.sleep(1)
    assert recorded(server, "seen", ns) == []
    server.allow("narrow", read, write, gateways)
    expect_programmed(server, "seen", "True", "Programmed", ns)
    assert recorded(server, "seen", ns) == [POOL[1]]
    assert recorded(server, "unseen", elsewhere) == [POOL[0]]
