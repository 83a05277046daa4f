# SPDX-License-Identifier: Apache-2.0
"""Filters on rules and on backendRefs: headers, rewrites, redirects; time-outs."""
import time

import pytest

import clients
import manifests as m
from manifests import header_filter, path_modifier, prefix, redirect, rewrite

# C.7 of the specification notes: request path, matched prefix, replacement, result.
PREFIX_TABLE = [
    ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
    ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
    ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
    ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
    ("/foo", "/foo", "/xyz", "/xyz"),
    ("/foo/", "/foo", "/xyz", "/xyz/"),
    ("/foo/bar", "/foo", "", "/bar"),
    ("/foo/", "/foo", "", "/"),
    ("/foo", "/foo", "", "/"),
    ("/foo/", "/foo", "/", "/"),
    ("/foo", "/foo", "/", "/"),
    ("/a/b/c/d", "/a/b", "/x/y/z", "/x/y/z/c/d"),
    ("/foo/bar?q=/foo", "/foo", "/xyz", "/xyz/bar?q=/foo"),
    ("/anything", "/", "/base", "/base/anything"),
]


@pytest.mark.parametrize("level", ["rule", "backendRef"])
def test_request_headers(case, level):
    filters = [header_filter("Request", set=[("X-Set", "new value")],
                             add=[("X-Add", "bar,baz"), ("X-Fresh", "1")], remove=["X-Gone"])]
    if level == "rule":
        case.route(m.rule("a", filters=filters))
    else:
        case.route(m.rule(m.ref("a", filters=filters)))
    answer = case.expect("a", headers=[("X-Set", "old"), ("X-Set", "older"), ("x-add", "foo"),
                                       ("x-gone", "1"), ("X-Stay", "yes")])
    assert answer.seen("x-set") == "new value"
    assert answer.seen("x-add").replace(" ", "") == "foo,bar,baz"
    assert answer.seen("x-fresh") == "1"
    assert answer.seen("x-gone") is None
    assert answer.seen("x-stay") == "yes"


@pytest.mark.parametrize("level", ["rule", "backendRef"])
def test_response_headers(case, level):
    filters = [header_filter("Response", set=[("X-Set", "new")], add=[("X-Add", "2")],
                             remove=["X-Gone"])]
    if level == "rule":
        case.route(m.rule("a", filters=filters))
    else:
        case.route(m.rule(m.ref("a", filters=filters)))
    answer = case.expect("a", "/?header=X-Set:old&header=X-Add:1&header=X-Gone:1&header=X-Stay:1")
    assert answer.header("x-set") == "new"
    assert answer.header("x-add").replace(" ", "") == "1,2"
    assert answer.header("x-gone") is None
    assert answer.header("x-stay") == "1"


def test_filters_of_rule_and_backend_add_up(case):
    case.route(m.rule(m.ref("a", filters=[header_filter("Request", set=[("X-Ref", "ref")])]),
                      filters=[header_filter("Request", set=[("X-Rule", "rule")])]))
    answer = case.expect("a")
    assert (answer.seen("x-rule"), answer.seen("x-ref")) == ("rule", "ref")


def test_filters_of_a_backend_apply_to_it_alone(case):
    case.route(m.rule(m.ref("a", 1, filters=[header_filter("Request", set=[("X-Who", "a")])]),
                      m.ref("b", 1)))
    case.expect(200)
    got = {(answer.origin, answer.seen("x-who")) for answer in (case.get() for _ in range(60))}
    assert got == {("a", "a"), ("b", None)}


def test_filters_do_not_leak_into_other_rules(case):
    case.route(m.rule("a", matches=[prefix("/x")],
                      filters=[header_filter("Request", set=[("X-Who", "x")]),
                               header_filter("Response", set=[("X-Out", "x")])]), m.rule("b"))
    case.expect("a", "/x")
    with clients.connect(case.gate.port) as connection:
        clients.exchange(connection, target="/x", host=case.host)
        answer = clients.exchange(connection, target="/y", host=case.host)
    assert answer.seen("x-who") is None and answer.header("x-out") is None


@pytest.mark.parametrize("value", [
    "two words", 'a "quoted" one', "semi;colon", "back\\slash", "100%", "%[src]", "#hash",
    "pi|pe", "<<", "comma,comma", "$HOME", "{brace}", "caf\u00e9"])
def test_header_values_are_literal(case, value):
    case.route(m.rule("a", filters=[header_filter("Request", set=[("X-Value", value)]),
                                    header_filter("Response", set=[("X-Value", value)])]))
    answer = case.expect("a")
    wire = value.encode().decode("latin-1")
    assert answer.seen("x-value") == wire
    assert answer.header("x-value") == wire


@pytest.mark.parametrize("path, matched, replacement, want", PREFIX_TABLE)
def test_rewrite_replaces_the_prefix(case, path, matched, replacement, want):
    case.route(m.rule("a", matches=[prefix(matched)],
                      filters=[rewrite(path=path_modifier(prefix=replacement))]))
    assert case.expect("a", path).path == want


@pytest.mark.parametrize("path, matched, replacement, want", PREFIX_TABLE)
def test_redirect_replaces_the_prefix(case, path, matched, replacement, want):
    case.route(m.rule(matches=[prefix(matched)],
                      filters=[redirect(path=path_modifier(prefix=replacement))]))
    answer = case.expect(302, path)
    assert answer.header("location") == "http://%s:%d%s" % (case.host, case.gate.port, want)


@pytest.mark.parametrize("path, full, want", [
    ("/one/two", "/three", "/three"), ("/one?q=1", "/three", "/three?q=1"), ("/", "/x/", "/x/")])
def test_rewrite_replaces_the_path(case, path, full, want):
    case.route(m.rule("a", filters=[rewrite(path=path_modifier(full=full))]))
    assert case.expect("a", path).path == want


def test_rewrite_of_the_host(case):
    case.route(m.rule("a", filters=[rewrite(hostname="other.example")]))
    assert case.expect("a").seen("host") == "other.example"


def test_rewrite_of_host_and_path_with_headers(case):
    case.route(m.rule("a", matches=[prefix("/v1")], filters=[
        rewrite(hostname="o.example", path=path_modifier(prefix="/v2")),
        header_filter("Request", set=[("X-Was", "v1")])]))
    answer = case.expect("a", "/v1/x?y")
    assert (answer.seen("host"), answer.path, answer.seen("x-was")) == ("o.example", "/v2/x?y",
                                                                        "v1")


def test_rewrite_on_a_backend_ref(case):
    case.route(m.rule(m.ref("a", filters=[rewrite(hostname="ref.example")])))
    assert case.expect("a").seen("host") == "ref.example"


# ---- redirects ----

@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_status(case, status):
    case.route(m.rule(filters=[redirect(statusCode=status, hostname="to.example", port=80)]))
    assert case.expect(status, "/x?y=1").header("location") == "http://to.example/x?y=1"


@pytest.mark.parametrize("fields, want", [
    # Port: as given; of the scheme when that is given; else the listener's.
    (dict(hostname="to.example"), "http://to.example:LISTENER/p"),
    (dict(scheme="https"), "https://HOST/p"),
    (dict(scheme="http"), "http://HOST/p"),
    (dict(scheme="https", port=443), "https://HOST/p"),
    (dict(scheme="https", port=8443), "https://HOST:8443/p"),
    (dict(scheme="https", port=80), "https://HOST:80/p"),
    (dict(scheme="http", port=443), "http://HOST:443/p"),
    (dict(port=80), "http://HOST/p"),
    (dict(port=443), "http://HOST:443/p"),
    (dict(port=8080), "http://HOST:8080/p"),
    (dict(hostname="to.example", path=path_modifier(full="/n"), scheme="https", port=444),
     "https://to.example:444/n"),
    (dict(path=path_modifier(full="/n")), "http://HOST:LISTENER/n"),
])
def test_redirect_location(case, fields, want):
    case.route(m.rule(filters=[redirect(**fields)]))
    want = want.replace("HOST", case.host).replace("LISTENER", str(case.gate.port))
    assert case.expect(302, "/p").header("location") == want


def test_redirect_with_response_headers_of_the_request_port(case):
    case.route(m.rule(filters=[redirect(scheme="https")]))
    answer = case.expect(302, "/p", host=case.host + ":12345")
    assert answer.header("location") == "https://%s/p" % case.host


@pytest.mark.parametrize("filter", [
    {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "a", "port": 80}}},
    {"type": "ExtensionRef", "extensionRef": {"group": "x.io", "kind": "Y", "name": "z"}},
    {"type": "CORS", "cors": {"allowOrigins": ["*"]}},
], ids=lambda item: item["type"])
def test_a_filter_that_is_not_supported_is_an_error_not_a_pass(case, filter):
    case.route(m.rule("a", matches=[prefix("/filtered")], filters=[filter]), m.rule("b"))
    case.expect("b", "/x")
    case.expect(500, "/filtered")


# ---- time-outs ----

@pytest.mark.parametrize("timeouts", [
    {"request": "300ms"}, {"backendRequest": "300ms"}, {"request": "2s", "backendRequest": "300ms"},
], ids=["request", "backendRequest", "both"])
def test_timeout_is_504(case, timeouts):
    case.route(m.rule("a", timeouts=timeouts))
    case.expect("a", "/?sleep=0")
    began = time.monotonic()
    assert case.get("/?sleep=1500").status == 504
    assert 0.25 < time.monotonic() - began < 1.4
    case.expect("a", "/?sleep=50")


def test_timeout_zero_is_none(case):
    case.route(m.rule("a", timeouts={"request": "0s"}))
    case.expect("a", "/?sleep=700")


def test_timeout_of_one_rule_only(case):
    case.route(m.rule("a", matches=[prefix("/fast")], timeouts={"request": "200ms"}),
               m.rule("b"))
    case.expect("b", "/?sleep=600")
    case.expect(504, "/fast?sleep=600")
