# SPDX-License-Identifier: Apache-2.0
"""GRPCRoute, with gRPC's own client and server."""
import collections
import json
import queue
import re

import grpc
import pytest

import clients
import manifests as m
import origins as o
from manifests import grpc_match
from tidegate import eventually, free_port

SERVICE = "shop.v1.Cart"
UNIMPLEMENTED, UNAVAILABLE = grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAVAILABLE


@pytest.fixture(scope="module")
def servers():
    found = {name: o.GrpcOrigin(name) for name in "xyz"}
    yield found
    for server in found.values():
        server.close()


class Channel:
    """One connection of a client; unary calls give what the origin saw, or a status code."""

    def __init__(self, port, host, credentials=None):
        options = [("grpc.default_authority", host), ("grpc.enable_retries", 0),
                   ("grpc.ssl_target_name_override", host)]
        target = "127.0.0.1:%d" % port
        self.channel = (grpc.secure_channel(target, credentials, options) if credentials else
                        grpc.insecure_channel(target, options))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def call(self, method="Get", service=SERVICE, metadata=(), body=b""):
        try:
            answer, call = self.channel.unary_unary("/%s/%s" % (service, method)).with_call(
                body, metadata=metadata, timeout=10)
        except grpc.RpcError as error:
            return error.code()
        return dict(json.loads(answer), initial=dict(call.initial_metadata()),
                    trailing=dict(call.trailing_metadata()))

    def origin(self, *args, **options):
        answer = self.call(*args, **options)
        return answer["origin"] if isinstance(answer, dict) else answer


class GrpcCase:
    """A GRPCRoute under a host of its own; its backends are the servers, as Services x, y, z,
    which do not say what they speak."""

    def __init__(self, case, servers):
        self.case, self.gate, self.host, self.servers = case, case.gate, case.host, servers
        self.channel = Channel(case.gate.port, case.host)

    def ref(self, name, **options):
        return m.service_ref("%s-%s" % (self.case.name, name), **options)

    def service(self, name, protocol=None, ready=True):
        full = "%s-%s" % (self.case.name, name)
        return [m.service(full, protocol=protocol),
                m.endpoint_slice(full, full, self.servers[name].port, ready=ready)]

    def route(self, *rules, more=(), protocol=None, **options):
        options.setdefault("hostnames", [self.host])
        services = sum((self.service(name, protocol) for name in self.servers), [])
        self.case.apply(*services, *more,
                        m.route(self.case.name, list(rules), kind="GRPCRoute", **options))

    def expect(self, want, *args, **options):
        def check():
            got = self.channel.origin(*args, **options)
            assert got == want, (args, options, "wanted %s, got %s" % (want, got))
            return True
        eventually(check, timeout=3)

    def conditions(self):
        status = json.loads(self.gate.ctl("-o", "json", "get", "GRPCRoute", self.case.name))
        return {condition["type"]: condition
                for condition in status[0]["status"]["parents"][0]["conditions"]}


@pytest.fixture
def grpc_case(case, servers):
    made = GrpcCase(case, servers)
    yield made
    made.channel.channel.close()


# ---- matches ----

def test_service_and_method(grpc_case):
    grpc_case.route(m.rule(grpc_case.ref("x"), matches=[grpc_match(SERVICE, "Get")]),
                    m.rule(grpc_case.ref("y"), matches=[grpc_match(SERVICE, "Put")]))
    grpc_case.expect("x", "Get")
    grpc_case.expect("y", "Put")
    grpc_case.expect(UNIMPLEMENTED, "get")
    grpc_case.expect(UNIMPLEMENTED, "Get", service=SERVICE + "s")
    grpc_case.expect(UNIMPLEMENTED, "Delete")


def test_no_matches_take_every_call(grpc_case):
    grpc_case.route(m.rule(grpc_case.ref("x")))
    grpc_case.expect("x", "Get")
    grpc_case.expect("x", "Any", service="a.b.C")


def test_order(grpc_case):
    """More of a service, then more of a method, then more headers; whatever the rules' order."""
    grpc_case.route(
        m.rule(grpc_case.ref("x"), matches=[grpc_match()]),
        m.rule(grpc_case.ref("y"), matches=[grpc_match(method="Get")]),
        m.rule(grpc_case.ref("z"), matches=[grpc_match(SERVICE)]),
        m.rule(grpc_case.ref("y"), matches=[grpc_match(SERVICE, "Put")]),
        m.rule(grpc_case.ref("x"), matches=[grpc_match(SERVICE, headers=[("tier", "gold")])]),
        m.rule(grpc_case.ref("z"), matches=[grpc_match("s")]))
    grpc_case.expect("x", "Any", service="a.b.C")
    grpc_case.expect("y", "Get", service="a.b.C")
    grpc_case.expect("z", "Get")
    grpc_case.expect("z", "Get", service="s")
    grpc_case.expect("y", "Put", metadata=[("tier", "gold")])
    grpc_case.expect("x", "Get", metadata=[("tier", "gold")])


def test_metadata(grpc_case):
    grpc_case.route(
        m.rule(grpc_case.ref("x"), matches=[grpc_match(headers=[("version", "one")])]),
        m.rule(grpc_case.ref("y"), matches=[
            grpc_match(headers=[("version", "two"), ("Colour", "^o.*e$", "RegularExpression")]),
            grpc_match(headers=[("colour", "blue")])]))
    grpc_case.expect("x", metadata=[("version", "one")])
    grpc_case.expect("y", metadata=[("version", "two"), ("colour", "orange")])
    grpc_case.expect("y", metadata=[("colour", "blue")])
    grpc_case.expect(UNIMPLEMENTED, metadata=[("version", "two")])


def test_regular_expressions(grpc_case):
    regex = "RegularExpression"
    grpc_case.route(
        m.rule(grpc_case.ref("x"), matches=[grpc_match(r"shop\.v[12]\.\w+", "Get|List", regex)]),
        m.rule(grpc_case.ref("y"), matches=[grpc_match(r"shop\..*", None, regex)]),
        m.rule(grpc_case.ref("z"), matches=[grpc_match(None, "[PQ]ut", regex)]))
    grpc_case.expect("x", "List", service="shop.v2.Cart")
    grpc_case.expect("y", "Lists", service="shop.v2.Cart")
    grpc_case.expect("y", "Put", service="shop.v3.Cart")
    grpc_case.expect("z", "Put", service="a.b.C")
    grpc_case.expect(UNIMPLEMENTED, "Get", service="a.b.C")


def test_bad_regular_expression(grpc_case):
    grpc_case.route(m.rule(grpc_case.ref("x"), matches=[grpc_match("(", None, "RegularExpression")]),
                    m.rule(grpc_case.ref("y"), matches=[grpc_match(SERVICE)]))
    grpc_case.expect("y")
    condition = grpc_case.conditions()["PartiallyInvalid"]
    assert "spec.rules[0].matches[0].method" in condition["message"]
    assert "answered 503" in condition["message"]


# ---- backends ----

@pytest.mark.parametrize("protocol, backend", [
    (None, "-grpc"), ("grpc", "-grpc"), ("kubernetes.io/h2c", "")])
def test_protocol_of_the_backend(grpc_case, protocol, backend):
    """Whatever the port says; and where it says nothing, HTTPRoutes go on with HTTP/1.1."""
    grpc_case.route(m.rule(grpc_case.ref("x")), protocol=protocol)
    grpc_case.expect("x")
    plan = grpc_case.gate.ctl("plan")
    assert "backend\tdefault.%s-x.80%s\th2c\n" % (grpc_case.case.name, backend) in plan


def test_http_and_grpc_of_one_service(grpc_case, origins):
    """HTTP/1.1 for the one, HTTP/2 for the other: of the same Service, and on the same host."""
    name = grpc_case.case.name
    web = [m.service(name + "-web"), m.endpoint_slice(name + "-web", name + "-web",
                                                      origins["a"].port)]
    grpc_case.route(
        m.rule(grpc_case.ref("x"), matches=[grpc_match(SERVICE)]), more=web + [
            m.route(name, [m.rule(m.service_ref(name + "-web")),
                           m.rule(m.service_ref(name + "-x"), matches=[m.prefix("/x")])],
                    hostnames=[grpc_case.host])])
    grpc_case.expect("x")
    grpc_case.case.expect("a")
    plan = grpc_case.gate.ctl("plan")
    assert "backend\tdefault.%s-x.80\th1\n" % name in plan
    assert "backend\tdefault.%s-x.80-grpc\th2c\n" % name in plan
    # As many rules as there are, and none of the other route's.
    assert "GRPCRoute/default/%s/0" % name in plan and " default/%s/1\n" % name in plan


def test_both_kinds_take_everything(grpc_case):
    """Of one age and name, the HTTPRoute has it, whichever was read last."""
    name, host = grpc_case.case.name, grpc_case.host
    for more in ([], ["more.test"], []):
        grpc_case.route(m.rule(grpc_case.ref("x")),
                        more=[m.route(name, [m.rule("a")], hostnames=[host] + more)])
        assert grpc_case.case.get().origin == "a"


def test_websocket_is_no_grpc(grpc_case):
    grpc_case.route(m.rule(grpc_case.ref("x")), protocol="kubernetes.io/ws")
    grpc_case.expect(UNAVAILABLE)
    assert grpc_case.conditions()["ResolvedRefs"]["reason"] == "UnsupportedProtocol"


def test_backend_that_is_missing(grpc_case):
    grpc_case.route(m.rule(m.service_ref("nobody")),
                    m.rule(grpc_case.ref("x", weight=0), matches=[grpc_match(SERVICE, "Put")]),
                    m.rule(matches=[grpc_match(SERVICE, "List")]))
    for method in ("Get", "Put", "List"):
        grpc_case.expect(UNAVAILABLE, method)
    assert grpc_case.conditions()["ResolvedRefs"]["reason"] == "BackendNotFound"


def test_share_of_a_backend_that_is_missing(grpc_case):
    grpc_case.route(m.rule(grpc_case.ref("x"), m.service_ref("nobody")))
    grpc_case.expect("x")
    found = collections.Counter(grpc_case.channel.origin() for _ in range(60))
    assert set(found) == {"x", UNAVAILABLE} and min(found.values()) > 10


def test_backend_without_endpoints(grpc_case):
    grpc_case.route(m.rule(grpc_case.ref("x")))
    grpc_case.expect("x")
    name = grpc_case.case.name
    grpc_case.case.apply(*grpc_case.service("x", ready=False),
                         m.route(name, [m.rule(grpc_case.ref("x"))], kind="GRPCRoute",
                                 hostnames=[grpc_case.host]))
    grpc_case.expect(UNAVAILABLE)


def test_weights(grpc_case):
    grpc_case.route(m.rule(grpc_case.ref("x", weight=3), grpc_case.ref("y", weight=1),
                           grpc_case.ref("z", weight=0)))
    grpc_case.expect("x")
    found = collections.Counter(grpc_case.channel.origin() for _ in range(400))
    assert set(found) == {"x", "y"} and 50 < found["y"] < 150


def test_weights_by_hand(grpc_case, origins):
    """tidectl finds the GRPCRoute; beside an HTTPRoute of that name it is to be called by kind."""
    name = grpc_case.case.name
    rules = [m.rule(grpc_case.ref("x", weight=1), grpc_case.ref("y", weight=0))]
    grpc_case.route(*rules)
    grpc_case.expect("x")
    grpc_case.gate.ctl("weights", name, name + "-x=0", name + "-y=1")
    assert grpc_case.channel.origin() == "y"
    assert "overridden" in grpc_case.gate.ctl("weights", name)
    grpc_case.route(*rules, more=[m.route(name, [m.rule("a"), m.rule("b")])])
    assert "a  " in grpc_case.gate.ctl("weights", name)
    assert grpc_case.channel.origin() == "y"
    kind = "grpcroute/default/" + name
    grpc_case.gate.ctl("weights", kind, "--clear")
    assert grpc_case.channel.origin() == "x"
    assert "GRPCRoute/default/%s" % name in grpc_case.gate.ctl("status")
    with pytest.raises(AssertionError, match="KIND/NAMESPACE/NAME"):
        grpc_case.gate.ctl("weights", "tlsroute/default/" + name)


# ---- filters ----

def test_header_filters(grpc_case):
    grpc_case.route(m.rule(
        grpc_case.ref("x", filters=[m.header_filter("Request", add=[("x-ref", "2")])]),
        filters=[m.header_filter("Request", set=[("x-rule", "1")], remove=["x-gone"]),
                 m.header_filter("Response", set=[("x-answer", "3")])]))
    grpc_case.expect("x")
    answer = grpc_case.channel.call(metadata=[("x-gone", "0"), ("x-kept", "4")])
    seen = dict(answer["headers"])
    assert (seen["x-rule"], seen["x-ref"], seen["x-kept"]) == ("1", "2", "4")
    assert "x-gone" not in seen
    assert answer["initial"]["x-answer"] == "3"


def test_filter_that_is_not_served(grpc_case):
    grpc_case.route(m.rule(grpc_case.ref("x"), filters=[{
        "type": "RequestMirror", "requestMirror": {"backendRef": grpc_case.ref("y")}}]))
    eventually(lambda: grpc_case.conditions()["Accepted"]["reason"] == "UnsupportedValue")
    grpc_case.expect(UNIMPLEMENTED)


# ---- calls ----

def test_trailers_and_statuses_are_the_servers(grpc_case):
    grpc_case.route(m.rule(grpc_case.ref("x")))
    grpc_case.expect("x")
    answer = grpc_case.channel.call()
    assert answer["initial"]["x-origin"] == "x" and answer["trailing"]["x-trailer"] == "x"
    for code in ("NOT_FOUND", "ABORTED"):
        assert grpc_case.channel.origin(metadata=[("fail", code)]) == grpc.StatusCode[code]


def test_streams(grpc_case):
    grpc_case.route(m.rule(grpc_case.ref("x")))
    grpc_case.expect("x")
    channel = grpc_case.channel.channel
    watched = channel.unary_stream("/%s/Watch" % SERVICE)(b"w", metadata=[("pause", "20")])
    assert [json.loads(item)["body"] for item in watched] == ["w"] * 3
    said = []

    def say():
        for word in (b"one", b"two", b"three"):
            said.append(word)
            yield word

    for number, answer in enumerate(channel.stream_stream("/%s/Talk" % SERVICE)(say())):
        assert json.loads(answer)["body"].encode() == said[number]
    assert len(said) == 3


def test_streams_may_be_silent(grpc_case):
    """For an hour, on both sides: nobody can wait for that here, but HAProxy tells its time-outs."""
    grpc_case.route(m.rule(grpc_case.ref("x")))
    grpc_case.expect("x")
    words = queue.Queue()
    words.put(b"one")
    answers = grpc_case.channel.channel.stream_stream("/%s/Talk" % SERVICE)(iter(words.get, None))
    next(answers)
    sessions = grpc_case.gate.runtime("show sess all").split("\n0x")
    ours = [text for text in sessions if "frontend=default.gw" in text and "st=MSG_DATA" in text]
    words.put(None)
    assert not list(answers)
    ends = [end for text in ours for end in re.findall(r" rex=(\S+)", text) if end != "<NEVER>"]
    assert ends and all("m" in end or "h" in end for end in ends), ours


def test_https(grpc_case, tmp_path, servers):
    """The same over TLS: HTTP/2 is negotiated."""
    pem = m.make_certificate("grpc.test")
    port = free_port()
    objects = [m.tls_secret("grpc-cert", pem=pem),
               m.gateway("grpc-tls", m.listener("tls", port, certs=["grpc-cert"]))]
    grpc_case.host = "grpc.test"
    grpc_case.route(m.rule(grpc_case.ref("x")), more=objects, parents=[m.parent("grpc-tls")])
    credentials = grpc.ssl_channel_credentials(pem[0].encode() if isinstance(pem[0], str) else
                                               pem[0])
    with Channel(port, "grpc.test", credentials) as channel:
        eventually(lambda: channel.origin() == "x", timeout=5)


def test_listener_for_grpc_alone(grpc_case, gate):
    """allowedRoutes.kinds."""
    port = free_port()
    gate.apply("grpc", m.gateway("only", m.listener("http", port, kinds=[{"kind": "GRPCRoute"}])),
               *grpc_case.service("x"),
               m.route("web", [m.rule("a")], parents=[m.parent("only")]),
               m.route("rpc", [m.rule(grpc_case.ref("x"))], parents=[m.parent("only")],
                       kind="GRPCRoute"))
    with Channel(port, "any.test") as channel:
        eventually(lambda: channel.origin() == "x", timeout=5)
        assert clients.request(port, "/a").origin is None
    status = json.loads(gate.ctl("-o", "json", "get", "HTTPRoute", "web"))
    assert status[0]["status"]["parents"][0]["conditions"][0]["reason"] == "NotAllowedByListeners"


def test_changes_lose_no_call(grpc_case):
    """One connection, and the route's backend changes under it."""
    grpc_case.route(m.rule(grpc_case.ref("x")))
    grpc_case.expect("x")
    pid = grpc_case.gate.worker_pid()
    for name in ("y", "z", "x", "y"):
        grpc_case.route(m.rule(grpc_case.ref(name)))
        for _ in range(50):
            assert grpc_case.channel.origin() in servers_of(grpc_case)
        grpc_case.expect(name)
    assert grpc_case.gate.worker_pid() == pid


def servers_of(grpc_case):
    return set(grpc_case.servers)
