# SPDX-License-Identifier: Apache-2.0
"""HTTP/2, h2c and WebSocket, on both sides; and TLS: certificates, SNI, 421."""
import hashlib
import os
import re
import socket
import ssl

import pytest

import clients
import manifests as m
import origins as o
from manifests import prefix
from tidegate import Tidegate, eventually, free_port


def test_h2c_client(case):
    case.route(m.rule("a", matches=[prefix("/a")]),
               m.rule("b", matches=[m.match("/b", headers=[("x-v", "1")])]))
    case.expect("a", "/a")
    with clients.H2Client(case.gate.port) as client:
        assert client.request("/a", case.host).origin == "a"
        assert client.request("/b", case.host, headers=[("x-v", "1")]).origin == "b"
        assert client.request("/b", case.host).status == 404


def test_h2c_client_with_requests_side_by_side(case):
    case.route(m.rule("a", matches=[prefix("/a")]), m.rule("b", matches=[prefix("/b")]))
    case.expect("a", "/a")
    case.expect("b", "/b")
    with clients.H2Client(case.gate.port) as client:
        streams = {client.send("/%s?sleep=30" % "ab"[i % 2], case.host): "ab"[i % 2]
                   for i in range(20)}
        answers = client.receive(list(streams))
    assert {stream: answer.origin for stream, answer in answers.items()} == streams


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_ipv6_client(case):
    """Both kinds at one port, and each address is told as what it is."""
    case.route(m.rule("a"))
    assert case.expect("a", address="::1").origin == "a"
    with open(case.gate.run_dir + "/haproxy.cfg", encoding="utf-8") as config:
        assert "bind *:%d,:::%d v6only\n" % (case.gate.port, case.gate.port) in config.read()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_port_that_is_taken_for_ipv6(gate):
    """What has it there only keeps that listener from being served."""
    port = free_port()
    with socket.create_server(("::", port), family=socket.AF_INET6):
        gate.write("more", m.gateway("more", m.listener("http", port)))
        eventually(lambda: "cannot bind *:%d" % port in gate.log())
        assert gate.edit_works()


@pytest.fixture(scope="module")
def h2_origin():
    origin = o.H2Origin("h2")
    yield origin
    origin.close()


@pytest.mark.parametrize("kind", ["Service", "Backend"])
def test_h2c_backend(case, h2_origin, kind):
    if kind == "Service":
        objects = [m.service(case.name, protocol="kubernetes.io/h2c"),
                   m.endpoint_slice(case.name, case.name, h2_origin.port)]
        reference = m.service_ref(case.name)
    else:
        objects = [m.backend(case.name, h2_origin.port, protocol="kubernetes.io/h2c")]
        reference = m.ref(case.name)
    case.apply(*objects, m.route(case.name, [m.rule(reference)], hostnames=[case.host]))
    answer = case.expect("h2", "/x?y=1", headers=[("X-A", "b")])
    assert (answer.path, answer.seen("x-a")) == ("/x?y=1", "b")
    with clients.H2Client(case.gate.port) as client:
        assert client.request("/z", case.host).origin == "h2"


@pytest.mark.parametrize("protocol", [None, "kubernetes.io/ws"])
def test_websocket(case, origins, protocol):
    case.apply(m.service(case.name, protocol=protocol),
               m.endpoint_slice(case.name, case.name, origins["a"].port),
               m.route(case.name, [m.rule(m.service_ref(case.name))], hostnames=[case.host]))
    case.expect("a")
    with clients.connect(case.gate.port) as connection:
        connection.sendall((
            "GET /chat HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            % case.host).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        assert head.startswith(b"HTTP/1.1 101")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        for _ in range(3):
            message = os.urandom(100)
            connection.sendall(message)
            assert connection.recv(4096) == message


def test_large_request_and_answer(case):
    case.route(m.rule("a"))
    case.expect("a")
    body = os.urandom(1 << 20)
    answer = case.get("/", method="POST", body=body)
    assert hashlib.sha1(answer.json["body"].encode("latin-1")).digest() == \
        hashlib.sha1(body).digest()


# ---- TLS ----

CERTIFICATES = {"one": ["one.tls.test"], "wild": ["*.wild.test"],
                "two": ["two.tls.test", "three.tls.test"], "new": ["one.tls.test"],
                "far": ["far.tls.test"]}


@pytest.fixture(scope="module")
def pems():
    return {name: m.make_certificate(*hosts) for name, hosts in CERTIFICATES.items()}


def der(pem):
    return ssl.PEM_cert_to_DER_cert(pem[0])


@pytest.fixture(scope="module")
def secure(tmp_path_factory, origins, pems):
    """HTTPS listeners of one port (and an HTTP one, for settle())."""
    gate = Tidegate(tmp_path_factory.mktemp("secure"))
    gate.tls_port = free_port()
    for name in ("one", "wild", "two"):
        gate.write("cert-" + name, m.tls_secret(name, pem=pems[name]))
    gate.base_manifests(
        origins.values(), m.listener("http", gate.port),
        m.listener("one", gate.tls_port, "one.tls.test", certs=["one"]),
        m.listener("wild", gate.tls_port, "*.wild.test", certs=["wild"]),
        m.listener("rest", gate.tls_port, certs=["two", "one"]))
    gate.write("routes", *[
        m.route(name, [m.rule(origin)], parents=[m.parent(sectionName=name)])
        for name, origin in (("one", "a"), ("wild", "b"), ("rest", "c"))])
    gate.start()
    gate.settle()
    yield gate
    gate.close()


@pytest.mark.parametrize("host, certificate, origin", [
    ("one.tls.test", "one", "a"), ("x.wild.test", "wild", "b"), ("two.tls.test", "two", "c"),
    ("three.tls.test", "two", "c")])
def test_certificate_and_listener_by_sni(secure, pems, host, certificate, origin):
    assert clients.peer_certificate(secure.tls_port, host) == der(pems[certificate])
    assert clients.request(secure.tls_port, host=host, sni=host).origin == origin


def test_wildcard_listener_takes_several_labels(secure):
    host = "a.b.wild.test"
    assert clients.request(secure.tls_port, host=host, sni=host).origin == "b"


def test_http2_over_tls(secure):
    with clients.H2Client(secure.tls_port, sni="one.tls.test") as client:
        assert client.request("/", "one.tls.test").origin == "a"


@pytest.mark.parametrize("sni, host, want", [
    ("one.tls.test", "x.wild.test", 421),   # another listener has the Host
    ("one.tls.test", "two.tls.test", 421),  # the open listener has it
    ("x.wild.test", "one.tls.test", 421),
    ("two.tls.test", "one.tls.test", 421),  # a more specific listener has it
    ("x.wild.test", "y.wild.test", 200),    # the same listener
    ("two.tls.test", "three.tls.test", 200)])
def test_misdirected_request_is_421(secure, sni, host, want):
    assert clients.request(secure.tls_port, host=host, sni=sni).status == want
    with clients.H2Client(secure.tls_port, sni=sni) as client:
        assert client.request("/", host).status == want


def test_certificate_is_renewed_without_a_reload(secure, pems):
    worker = secure.worker_pid()
    with clients.connect(secure.tls_port, sni="one.tls.test") as connection:
        secure.apply("cert-one", m.tls_secret("one", pem=pems["new"]))
        eventually(lambda: clients.peer_certificate(secure.tls_port, "one.tls.test") ==
                   der(pems["new"]))
        # The connection that was open stays so.
        assert clients.exchange(connection, host="one.tls.test").origin == "a"
    assert secure.worker_pid() == worker


def test_certificates_of_a_listener_come_and_go_without_a_reload(gate):
    port = free_port()
    pem = {name: m.make_certificate(name + ".test") for name in ("one", "two", "three")}

    def listen(*certs):
        gate.apply("tls", *[m.tls_secret(name, pem=pem[name]) for name in certs],
                   m.gateway("tls", m.listener("tls", port, certs=list(certs))))

    def served(name):
        return clients.peer_certificate(port, name + ".test") == der(pem[name])

    def lines():
        path = re.search(r"\S+tls\S+crt-list", gate.runtime("show ssl crt-list")).group(0)
        return [line for line in gate.runtime("show ssl crt-list -n " + path).splitlines()
                if line.strip() and line[0] != "#"]

    listen("one")
    eventually(lambda: served("one"))
    worker = gate.worker_pid()
    listen("one", "two")
    eventually(lambda: served("two") and served("one"))
    eventually(lambda: len(lines()) == 3, what="the default and a line for each")
    listen("one", "two", "three")
    eventually(lambda: all(served(name) for name in pem))
    listen("one", "three")
    eventually(lambda: served("three") and not served("two") and len(lines()) == 3)
    listen("one")
    eventually(lambda: len(lines()) == 2 and not served("three") and served("one"))
    assert gate.worker_pid() == worker
    assert gate.metric_sum("tidegate_drift_found_total") == 0


def test_certificate_that_does_not_fit_its_key_keeps_the_old_one(secure, pems):
    before = clients.peer_certificate(secure.tls_port, "x.wild.test")
    secure.apply("cert-wild", m.tls_secret("wild", pem=(pems["wild"][0], pems["two"][1])))
    assert clients.peer_certificate(secure.tls_port, "x.wild.test") == before
    assert "wild" in secure.ctl("findings")
    secure.apply("cert-wild", m.tls_secret("wild", pem=pems["wild"]))


@pytest.mark.parametrize("granted", [True, False])
def test_certificate_of_another_namespace_needs_a_grant(secure, pems, granted):
    port = free_port()
    objects = [m.namespace("far"), m.tls_secret("far", ns="far", pem=pems["far"]),
               m.gateway("far", m.listener("tls", port, certs=[
                   {"name": "far", "namespace": "far"}])),
               m.route("far", [m.rule("d")], parents=[m.parent("far")])]
    if granted:
        objects.append(m.grant("let", "far", "default", to_kind="Secret", to_group="",
                               from_kind="Gateway"))
    secure.apply("far", *objects)
    if granted:
        eventually(lambda: clients.request(port, host="far.tls.test",
                                           sni="far.tls.test").origin == "d")
    else:
        with pytest.raises(OSError):
            clients.request(port, host="far.tls.test", sni="far.tls.test")
        assert "RefNotPermitted" in secure.ctl("-o", "json", "status")
    secure.remove("far")
    secure.settle()


def test_https_redirect_keeps_the_listeners_port(secure):
    secure.apply("redirect", m.route(
        "redirect", [m.rule(matches=[prefix("/away")],
                            filters=[m.redirect(path=m.path_modifier(full="/here"))])],
        parents=[m.parent(sectionName="one")]))
    answer = eventually(lambda: (lambda got: got.status == 302 and got)(
        clients.request(secure.tls_port, "/away", host="one.tls.test", sni="one.tls.test")))
    assert answer.header("location") == "https://one.tls.test:%d/here" % secure.tls_port
