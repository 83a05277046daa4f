# SPDX-License-Identifier: Apache-2.0
"""Host names: routes, wildcards, listeners and their isolation."""
import pytest

import manifests as m
from manifests import prefix


@pytest.mark.parametrize("hostnames, requests", [
    (["one.{}"], {"one.{}": "a", "ONE.{}": "a", "one.{}:8080": "a", "two.{}": 404,
                  "x.one.{}": 404}),
    (["*.{}"], {"one.{}": "a", "x.y.{}": "a", "{}": 404}),
    (["one.{}", "two.{}"], {"one.{}": "a", "two.{}": "a", "three.{}": 404}),
    (["*.deep.er.{}"], {"x.deep.er.{}": "a", "x.er.{}": 404}),
])
def test_hostnames(case, hostnames, requests):
    case.route(m.rule("a"), hostnames=[name.format(case.host) for name in hostnames])
    for host, want in requests.items():
        case.expect(want, host=host.format(case.host))


def test_host_header_reaches_the_backend_as_it_was(case):
    case.route(m.rule("a"))
    host = case.host.upper() + ":8080"
    assert case.expect("a", host=host).seen("host") == host


def test_specific_host_goes_before_wildcards(case):
    def at(name, hostname, origin):
        return m.route(case.name + name, [m.rule(origin)], hostnames=[hostname])
    case.apply(at("-1", "*." + case.host, "a"), at("-2", "x." + case.host, "b"),
               at("-3", "*.x." + case.host, "c"))
    case.expect("a", host="other." + case.host)
    case.expect("b", host="x." + case.host)
    case.expect("c", host="deep.x." + case.host)


def test_specific_host_falls_through_to_the_wildcard(case):
    case.apply(
        m.route(case.name + "-1", [m.rule("a", matches=[prefix("/")])],
                hostnames=["*." + case.host]),
        m.route(case.name + "-2", [m.rule("b", matches=[prefix("/only")])],
                hostnames=["x." + case.host]))
    case.expect("b", "/only", host="x." + case.host)
    case.expect("a", "/other", host="x." + case.host)


def test_wildcard_of_many_labels(case):
    case.route(m.rule("a"), hostnames=["*." + case.host])
    case.expect("a", host="a.b.c.d.e.f.g.h.i.j." + case.host)


def test_long_host_name(case):
    host = ".".join(["l" * 60] * 3) + "." + case.host
    case.route(m.rule("a"), hostnames=[host])
    case.expect("a", host=host)


def test_request_without_host(case):
    case.route(m.rule("a"))
    assert case.get(host=None).status in (400, 404)


@pytest.mark.parametrize("suffix", ["/api", ",x.test", ":80/api"])
def test_host_that_is_none_is_a_bad_request(case, suffix):
    case.route(m.rule("a", matches=[m.prefix("/api")]))
    case.expect("a", "/api/x")
    assert case.get("/x", host=case.host + suffix).status == 400


# ---- listeners: a Gateway of its own on the same port ----

@pytest.fixture(scope="module")
def isolation(tmp_path_factory, origins):
    """Four listeners of one port, from any host to an exact one."""
    from tidegate import Tidegate
    gate = Tidegate(tmp_path_factory.mktemp("isolation"))
    names = {"any": None, "wild": "*.example.com", "deep": "*.foo.example.com",
             "exact": "abc.foo.example.com"}
    gate.base_manifests(origins.values(), *[
        m.listener(name, gate.port, hostname) for name, hostname in names.items()])
    gate.write("routes", *[
        m.route(name, [m.rule("abcd"[i], matches=[prefix("/" + name)])],
                parents=[m.parent(sectionName=name)]) for i, name in enumerate(names)])
    gate.start()
    yield gate
    gate.close()


@pytest.mark.parametrize("host, listener", [
    ("bar.com", "any"), ("bar.example.com", "wild"), ("x.y.example.com", "wild"),
    ("bar.foo.example.com", "deep"), ("abc.foo.example.com", "exact"), ("example.com", "any")])
def test_a_request_sees_only_its_listener(isolation, host, listener):
    for index, name in enumerate(["any", "wild", "deep", "exact"]):
        answer = isolation.get("/" + name, host=host)
        want = "abcd"[index] if name == listener else None
        assert answer.origin == want, (host, name, answer)
        assert answer.status == (200 if want else 404)


def test_route_is_narrowed_to_the_listener(isolation):
    isolation.write("narrow", m.route(
        "narrow", [m.rule("d", matches=[prefix("/narrow")])], hostnames=["*.example.com"],
        parents=[m.parent(sectionName="exact")]))
    from tidegate import eventually
    eventually(lambda: isolation.get("/narrow", host="abc.foo.example.com").origin == "d")
    assert isolation.get("/narrow", host="bar.foo.example.com").status == 404
    assert isolation.get("/narrow", host="bar.example.com").status == 404


def test_route_without_common_hostname_is_not_accepted(isolation):
    from tidegate import eventually
    isolation.write("alien", m.route("alien", [m.rule("d")], hostnames=["alien.test"],
                                     parents=[m.parent(sectionName="exact")]))
    eventually(lambda: "NoMatchingListenerHostname" in isolation.ctl("-o", "json", "status"))
    assert isolation.get("/", host="alien.test").status == 404
