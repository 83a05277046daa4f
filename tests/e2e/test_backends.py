# SPDX-License-Identifier: Apache-2.0
"""Where a rule's requests go: weights, Services, Backends, grants, broken references."""
from collections import Counter

import pytest

import clients
import manifests as m
from tidegate import eventually


def shares(case, count=400, target="/"):
    """How often each origin (or status) answered."""
    with clients.connect(case.gate.port) as connection:
        answers = [clients.exchange(connection, target=target, host=case.host)
                   for _ in range(count)]
    return Counter(answer.origin or answer.status for answer in answers)


@pytest.mark.parametrize("weights", [
    {"a": 9, "b": 1}, {"a": 1, "b": 1}, {"a": 70, "b": 20, "c": 10}, {"a": 999999, "b": 1000000},
    {"a": 1, "b": 2, "c": 3, "d": 4},
])
def test_weights(case, weights):
    case.route(m.rule(*[m.ref(name, weight) for name, weight in weights.items()]))
    case.expect(200)
    count, total = 600, sum(weights.values())
    got = shares(case, count)
    assert set(got) <= set(weights)
    for name, weight in weights.items():
        want = count * weight / total
        # Five standard deviations: one false alarm in a million runs.
        spread = 5 * (want * (1 - weight / total)) ** 0.5
        assert abs(got[name] - want) <= spread + 1, (name, got, want)


def test_weight_zero_gets_nothing(case):
    case.route(m.rule(m.ref("a", 1), m.ref("b", 0)))
    assert shares(case, 100) == {"a": 100}


def test_only_weight_zero(case):
    case.route(m.rule(m.ref("a", 0), m.ref("b", 0)))
    case.expect(500)


def test_default_weight_is_one(case):
    case.route(m.rule("a", "b"))
    got = shares(case, 300)
    assert set(got) == {"a", "b"} and 90 < got["a"] < 210


def test_share_of_a_missing_backend_is_500(case):
    case.route(m.rule(m.ref("a", 1), m.ref("missing", 1)))
    case.expect("a")
    got = shares(case, 300)
    assert set(got) == {"a", 500} and 90 < got[500] < 210


@pytest.mark.parametrize("reference", [
    m.ref("missing"), m.service_ref("missing"), m.ref("a", ns="elsewhere"),
    {"group": "example.com", "kind": "Thing", "name": "a"},
], ids=["backend", "service", "no grant", "unknown kind"])
def test_a_reference_that_does_not_resolve_is_500(case, reference):
    case.route(m.rule(reference, matches=[m.prefix("/bad")]), m.rule("a"))
    case.expect("a", "/good")
    case.expect(500, "/bad")


def test_no_backend_refs_is_500(case):
    case.route(m.rule(matches=[m.prefix("/none")]), m.rule("a"))
    case.expect("a", "/good")
    case.expect(500, "/none")


def test_service_without_endpoints_is_503(case):
    case.apply(m.service(case.name), m.route(
        case.name, [m.rule(m.service_ref(case.name))], hostnames=[case.host]))
    case.expect(503)


def test_share_of_a_service_without_endpoints_is_503(case):
    case.apply(m.service(case.name), m.route(
        case.name, [m.rule(m.service_ref(case.name, weight=1), m.ref("a", 1))],
        hostnames=[case.host]))
    case.expect("a")
    got = shares(case, 300)
    assert set(got) == {"a", 503} and 90 < got[503] < 210


def test_endpoint_that_is_not_ready_gets_nothing(case, origins):
    case.apply(
        m.service(case.name),
        m.endpoint_slice(case.name + "-1", case.name, origins["a"].port),
        m.endpoint_slice(case.name + "-2", case.name, origins["b"].port, ready=False),
        m.route(case.name, [m.rule(m.service_ref(case.name))], hostnames=[case.host]))
    case.expect("a")
    assert shares(case, 30) == {"a": 30}


def test_service_with_several_slices(case, origins):
    case.apply(
        m.service(case.name),
        m.endpoint_slice(case.name + "-1", case.name, origins["a"].port),
        m.endpoint_slice(case.name + "-2", case.name, origins["b"].port),
        m.route(case.name, [m.rule(m.service_ref(case.name))], hostnames=[case.host]))
    case.expect(200)
    assert set(shares(case, 40)) == {"a", "b"}


def test_port_that_the_service_does_not_have_is_500(case, origins):
    case.apply(m.service(case.name, port=80),
               m.endpoint_slice(case.name, case.name, origins["a"].port),
               m.route(case.name, [m.rule(m.service_ref(case.name, port=81))],
                       hostnames=[case.host]))
    case.expect(500)


def test_backend_with_several_addresses_and_weights(case, origins):
    addresses = [{"host": "127.0.0.1", "port": origins["a"].port, "weight": 100},
                 {"host": "127.0.0.1", "port": origins["b"].port, "weight": 0},
                 {"host": "127.0.0.1", "port": origins["c"].port, "weight": 100}]
    case.apply(m.backend(case.name, *addresses),
               m.route(case.name, [m.rule(case.name)], hostnames=[case.host]))
    case.expect(200)
    assert set(shares(case, 40)) == {"a", "c"}


def test_backend_with_a_dns_name(case, origins):
    case.apply(m.backend(case.name, origins["a"].port, host="localhost"),
               m.route(case.name, [m.rule(case.name)], hostnames=[case.host]))
    eventually(lambda: case.get().origin == "a")


def test_service_app_protocol_http_is_http1(case, origins):
    case.apply(m.service(case.name, protocol="http"),
               m.endpoint_slice(case.name, case.name, origins["a"].port),
               m.route(case.name, [m.rule(m.service_ref(case.name))], hostnames=[case.host]))
    case.expect("a")


# ---- namespaces ----

def test_grant_opens_another_namespace_and_its_removal_closes_it(case, origins):
    other = case.name + "-ns"
    objects = [m.namespace(other), m.backend("far", origins["b"].port, ns=other),
               m.route(case.name, [m.rule(m.ref("far", ns=other))], hostnames=[case.host])]
    case.apply(*objects)
    case.expect(500)
    case.apply(*objects, m.grant("let", other, "default"))
    case.expect("b")
    case.apply(*objects)
    case.expect(500)


@pytest.mark.parametrize("options, want", [
    (dict(to_name="far"), "b"), (dict(to_name="near"), 500), (dict(to_kind="Secret"), 500),
    (dict(from_kind="GRPCRoute"), 500), (dict(from_ns="elsewhere"), 500)])
def test_grant_covers_only_what_it_says(case, origins, options, want):
    other = case.name + "-ns"
    options.setdefault("from_ns", "default")
    case.apply(m.namespace(other), m.backend("far", origins["b"].port, ns=other),
               m.grant("let", other, **options),
               m.route(case.name, [m.rule(m.ref("far", ns=other))], hostnames=[case.host]))
    case.expect(want)


def test_route_of_another_namespace(case, origins):
    other = case.name + "-ns"
    case.apply(m.namespace(other), m.backend("own", origins["c"].port, ns=other),
               m.route(case.name, [m.rule("own")], hostnames=[case.host], ns=other,
                       parents=[m.parent(namespace="default")]))
    case.expect("c")


@pytest.fixture(scope="module")
def doors(tmp_path_factory, origins):
    """A Gateway with one port for each kind of allowedRoutes."""
    from tidegate import Tidegate, free_port
    gate = Tidegate(tmp_path_factory.mktemp("doors"))
    gate.doors = {name: free_port() for name in ("same", "selector", "kinds")}
    gate.base_manifests(
        origins.values(), m.listener("http", gate.port),
        m.listener("same", gate.doors["same"], routes="Same"),
        m.listener("selector", gate.doors["selector"], routes={
            "from": "Selector", "selector": {"matchLabels": {"team": "blue"}}}),
        m.listener("kinds", gate.doors["kinds"], kinds=[{"kind": "GRPCRoute"}]))
    gate.write("routes", m.namespace("blue", {"team": "blue"}), m.namespace("red"), *[
        item for ns, origin in (("blue", "b"), ("red", "c"), ("default", "a")) for item in (
            m.backend("own", origins[origin].port, ns=ns),
            m.route("r", [m.rule("own")], hostnames=[ns + ".test"], ns=ns,
                    parents=[m.parent(namespace="default")]))])
    gate.start()
    gate.settle()
    yield gate
    gate.close()


@pytest.mark.parametrize("door, ns, want", [
    ("same", "default", "a"), ("same", "blue", 404), ("same", "red", 404),
    ("selector", "blue", "b"), ("selector", "red", 404), ("selector", "default", 404),
    ("kinds", "default", 404), ("kinds", "blue", 404)])
def test_allowed_routes(doors, door, ns, want):
    answer = doors.get(host=ns + ".test", port=doors.doors[door])
    assert (answer.origin or answer.status) == want


@pytest.mark.parametrize("reference, open_doors", [
    (dict(sectionName="same"), {"same"}), (dict(port="selector"), {"selector"}),
    (dict(), {"same", "selector"}), (dict(sectionName="nothing"), set()),
    (dict(sectionName="same", port="selector"), set())])
def test_section_and_port_of_a_parent(doors, reference, open_doors):
    host = "section.test"
    if "port" in reference:
        reference = dict(reference, port=doors.doors[reference["port"]])
    doors.write("ns", m.namespace("default", {"team": "blue"}))
    doors.apply("section", m.route("section", [m.rule("a")], hostnames=[host],
                                   parents=[m.parent(**reference)]))
    for door in ("same", "selector"):
        want = 200 if door in open_doors else 404
        eventually(lambda: doors.get(host=host, port=doors.doors[door]).status == want, timeout=3,
                   what="%s on %s" % (want, door))
    doors.remove("ns")
    doors.remove("section")


def test_route_with_several_parents(doors):
    doors.apply("several", m.route("several", [m.rule("a")], hostnames=["several.test"], parents=[
        m.parent(sectionName="same"), m.parent(sectionName="http"), m.parent("nobody")]))
    assert doors.get(host="several.test").origin == "a"
    assert doors.get(host="several.test", port=doors.doors["same"]).origin == "a"
    assert doors.get(host="several.test", port=doors.doors["selector"]).status == 404
