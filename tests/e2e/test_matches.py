# SPDX-License-Identifier: Apache-2.0
"""Which rule takes a request: paths, headers, query parameters, methods, precedence."""
import os
import signal

import pytest

import manifests as m
from conftest import Case
from manifests import exact, match, prefix, regex
from tidegate import Tidegate, eventually, is_stopped


def q(target, **options):
    return target, options


def h(*fields, target="/", **options):
    return target, dict(headers=fields, **options)


# name -> rules as (matches, origin), requests as (request, origin or status)
CASES = {
    "no matches": ([([], "a")], [("/", "a"), ("/any/thing", "a"), ("/?x=y", "a")]),
    "exact path": (
        [([exact("/one")], "a")],
        [("/one", "a"), ("/one?q=1", "a"), ("/one/", 404), ("/One", 404), ("/onex", 404),
         ("/", 404), ("/one/two", 404)]),
    "exact path with a slash at the end": (
        [([exact("/one/")], "a")], [("/one/", "a"), ("/one", 404)]),
    "prefix by elements": (
        [([prefix("/abc")], "a")],
        [("/abc", "a"), ("/abc/", "a"), ("/abc/def", "a"), ("/abcd", 404), ("/ABC", 404),
         ("/", 404), ("/x/abc", 404), ("/abc?x", "a")]),
    "prefix with a slash at the end is the same": (
        [([prefix("/abc/")], "a")],
        [("/abc", "a"), ("/abc/", "a"), ("/abc/def", "a"), ("/abcd", 404)]),
    "longest prefix": (
        [([prefix("/")], "a"), ([prefix("/one/two")], "c"), ([prefix("/one")], "b")],
        [("/", "a"), ("/one", "b"), ("/one/x", "b"), ("/one/two", "c"), ("/one/two/x", "c"),
         ("/one/twox", "b"), ("/onex", "a")]),
    "exact before prefix": (
        [([prefix("/one")], "a"), ([exact("/one")], "b")],
        [("/one", "b"), ("/one/", "a"), ("/one/x", "a")]),
    "percent-encoding is compared as written": (
        [([exact("/a%20b")], "a"), ([prefix("/c%C3%A9")], "b")],
        [("/a%20b", "a"), ("/c%C3%A9/x", "b"), ("/a%2520b", 404)]),
    "several matches of a rule are alternatives": (
        [([exact("/one"), prefix("/two"), match(headers=[("x-v", "3")])], "a")],
        [("/one", "a"), ("/two/x", "a"), (h(("X-V", "3"), target="/other"), "a"),
         ("/other", 404)]),
    "regular expression path": (
        [([regex("/user/[0-9]+")], "a"), ([prefix("/user")], "b")],
        [("/user/12", "a"), ("/user/x", "b"), ("/user", "b")]),
    "regular expression with alternation": (
        [([regex("/(cat|dog)s?/.*")], "a")],
        [("/cat/x", "a"), ("/dogs/", "a"), ("/bird/x", 404)]),
    "regular expression matches the whole path": (
        [([regex("/v[12]")], "a")],
        [("/v1", "a"), ("/v2", "a"), ("/v3", 404), ("/v1/x", 404), ("/x/v1", 404)]),
    "exact before regular expression": (
        [([regex("/r/.*")], "a"), ([exact("/r/x")], "b")], [("/r/x", "b"), ("/r/y", "a")]),
    "exact header": (
        [([match(headers=[("x-v", "two")])], "b"), ([match(headers=[("X-V", "one")])], "a")],
        [(h(("X-V", "one")), "a"), (h(("x-v", "two")), "b"), (h(("X-V", "One")), 404),
         (h(("X-V", "one2")), 404), ("/", 404)]),
    "header name is not case-sensitive": (
        [([match(headers=[("X-Mixed-Case", "1")])], "a")],
        [(h(("x-mixed-case", "1")), "a"), (h(("X-MIXED-CASE", "1")), "a")]),
    "headers of a match are all needed": (
        [([match(headers=[("x-one", "1"), ("x-two", "2")])], "a")],
        [(h(("X-One", "1"), ("X-Two", "2")), "a"), (h(("X-One", "1")), 404),
         (h(("X-Two", "2")), 404)]),
    "first header of a name counts in a match": (
        [([match(headers=[("x-one", "1"), ("X-One", "2")])], "a")],
        [(h(("X-One", "1")), "a"), (h(("X-One", "2")), 404)]),
    "regular expression header": (
        [([match(headers=[("x-v", "v[0-9]+", "RegularExpression")])], "a")],
        [(h(("X-V", "v17")), "a"), (h(("X-V", "w17")), 404), ("/", 404)]),
    "header value with odd characters": (
        [([match(headers=[("x-v", 'a b;c\\d"e|f#g')])], "a")],
        [(h(("X-V", 'a b;c\\d"e|f#g')), "a"), (h(("X-V", "a b")), 404)]),
    "more headers come first": (
        [([match(headers=[("x-one", "1")])], "a"),
         ([match(headers=[("x-one", "1"), ("x-two", "2")])], "b")],
        [(h(("X-One", "1"), ("X-Two", "2")), "b"), (h(("X-One", "1")), "a")]),
    "header falls back to the plain rule": (
        [([prefix("/")], "a"), ([match(headers=[("x-canary", "yes")])], "b")],
        [("/", "a"), (h(("X-Canary", "yes")), "b"), (h(("X-Canary", "no")), "a")]),
    "path goes before headers": (
        [([prefix("/long/path")], "a"), ([prefix("/long", headers=[("x-one", "1")])], "b")],
        [(h(("X-One", "1"), target="/long/path"), "a"), (h(("X-One", "1"), target="/long"), "b"),
         ("/long", 404)]),
    "a longer conditional path falls through": (
        [([prefix("/a/b", headers=[("x-one", "1")])], "a"), ([prefix("/a")], "b")],
        [(h(("X-One", "1"), target="/a/b"), "a"), ("/a/b", "b"), ("/a", "b")]),
    "exact query parameter": (
        [([match(queries=[("animal", "whale")])], "a"),
         ([match(queries=[("animal", "dolphin")])], "b")],
        [("/?animal=whale", "a"), ("/?animal=dolphin", "b"), ("/?animal=whales", 404),
         ("/?Animal=whale", 404), ("/?x=1&animal=whale", "a"), ("/", 404), ("/?animal", 404),
         ("/?animal=whale&animal=dolphin", "a")]),
    "several query parameters": (
        [([match(queries=[("one", "1")])], "a"),
         ([match(queries=[("one", "1"), ("two", "2")])], "b")],
        [("/?one=1", "a"), ("/?two=2&one=1", "b"), ("/?two=2", 404)]),
    "regular expression query parameter": (
        [([match(queries=[("id", "[a-f0-9]{4}", "RegularExpression")])], "a")],
        [("/?id=00ff", "a"), ("/?id=00fg", 404), ("/?id=", 404)]),
    "method": (
        [([match(method="POST")], "a"), ([match(method="GET")], "b")],
        [(q("/", method="POST"), "a"), ("/", "b"), (q("/", method="PUT"), 404)]),
    "every method": (
        [([match(method=method)], "abcd"[i % 4]) for i, method in enumerate(
            ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])],
        [(q("/", method=method), "abcd"[i % 4]) for i, method in enumerate(
            ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])]),
    "method with a path": (
        [([prefix("/", method="POST")], "a"), ([prefix("/api")], "b"),
         ([prefix("/api", method="DELETE")], "c")],
        [(q("/api", method="POST"), "b"), (q("/api", method="DELETE"), "c"),
         (q("/x", method="POST"), "a"), ("/x", 404)]),
    "method before headers": (
        [([match(headers=[("x-one", "1"), ("x-two", "2")])], "a"), ([match(method="PUT")], "b")],
        [(h(("X-One", "1"), ("X-Two", "2"), method="PUT"), "b"),
         (h(("X-One", "1"), ("X-Two", "2")), "a")]),
    "headers before query parameters": (
        [([match(queries=[("one", "1"), ("two", "2")])], "a"),
         ([match(headers=[("x-one", "1")])], "b")],
        [(h(("X-One", "1"), target="/?one=1&two=2"), "b"), ("/?one=1&two=2", "a")]),
    "first of equal rules": (
        [([prefix("/x")], "a"), ([prefix("/x")], "b")], [("/x", "a")]),
    "everything at once": (
        [([exact("/t", method="GET", headers=[("x-a", "1")], queries=[("b", "2")])], "a")],
        [(h(("X-A", "1"), target="/t?b=2"), "a"), (h(("X-A", "1"), target="/t?b=3"), 404),
         (h(("X-A", "2"), target="/t?b=2"), 404), (h(("X-A", "1"), target="/t/?b=2"), 404),
         (h(("X-A", "1"), target="/t?b=2", method="POST"), 404)]),
}


def check_case(case, name):
    rules, requests = CASES[name]
    case.route(*[m.rule(origin, matches=matches) for matches, origin in rules])
    for request, want in requests:
        target, options = request if isinstance(request, tuple) else (request, {})
        case.expect(want, target, **options)


@pytest.mark.parametrize("name", CASES)
def test_rule_is_chosen(case, name):
    check_case(case, name)


# ---- headers that HAProxy compares by itself ----

def names_route(*names):
    """Brings the names of headers into the configuration when HAProxy starts."""
    return m.route("names", [m.rule("d", matches=[match(headers=[(name, "1")])])
                             for name in names], hostnames=["names.test"])


@pytest.fixture(scope="module")
def taught_gate(tmp_path_factory, origins):
    gate = Tidegate(tmp_path_factory.mktemp("taught"))
    gate.base_manifests(origins.values())
    gate.write("names", names_route("x-v", "x-one", "x-two", "x-a", "x-canary"))
    gate.start()
    gate.settle()
    yield gate
    gate.close()


@pytest.fixture
def taught(taught_gate):
    case = Case(taught_gate)
    yield case
    case.close()


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "X-" in str(case)])
def test_rule_is_chosen_by_known_headers(taught, name):
    check_case(taught, name)


def test_a_known_header_needs_no_agent(taught):
    taught.route(m.rule("a", matches=[match(headers=[("X-V", "one")])]),
                 m.rule("b", matches=[match(headers=[("X-V", "two")])]),
                 m.rule("c", matches=[match(headers=[("X-V", "t.*", "RegularExpression")])]),
                 m.rule("d", matches=[match(headers=[("X-Unknown", "1")])]))
    for value, want in (("one", "a"), ("two", "b"), ("three", "c")):
        taught.expect(want, headers=[("X-V", value)])
    # The controller first: it replaces an agent that hangs.
    hanging = [taught.gate.process.pid, taught.gate.agent_pid()]
    for pid in hanging:
        os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: all(map(is_stopped, hanging)))
        taught.expect("a", headers=[("X-V", "one")])
        taught.expect("b", headers=[("X-V", "two")])
        assert taught.get(headers=[("X-V", "three")]).status == 503
        # Twice the same header is one value with a comma, which the agent knows how to make.
        assert taught.get(headers=[("X-V", "one"), ("X-V", "two")]).status == 503
    finally:
        for pid in hanging:
            os.kill(pid, signal.SIGCONT)
    eventually(lambda: taught.get(headers=[("X-V", "one"), ("X-V", "two")]).status == 404)
    taught.expect("d", headers=[("X-Unknown", "1")])


def test_older_route_wins_a_tie(case):
    def at(name, created, origin):
        return m.route(name, [m.rule(origin, matches=[prefix("/")])], hostnames=[case.host],
                       created=created)
    case.apply(at(case.name + "-a", "2024-05-05T00:00:00Z", "a"),
               at(case.name + "-b", "2023-05-05T00:00:00Z", "b"))
    case.expect("b")


def test_name_breaks_a_tie_of_age(case):
    def at(name, origin):
        return m.route(name, [m.rule(origin)], hostnames=[case.host],
                       created="2023-05-05T00:00:00Z")
    case.apply(at(case.name + "-z", "a"), at(case.name + "-y", "b"))
    case.expect("b")


def test_rules_of_several_routes_are_one_order(case):
    case.apply(
        m.route(case.name + "-1", [m.rule("a", matches=[prefix("/")])], hostnames=[case.host]),
        m.route(case.name + "-2", [m.rule("b", matches=[prefix("/two")])], hostnames=[case.host]))
    case.expect("a", "/one")
    case.expect("b", "/two")


def test_matching_is_done_on_each_request_of_a_connection(case):
    import clients
    case.route(m.rule("a", matches=[prefix("/a")]),
               m.rule("b", matches=[match("/b", headers=[("x", "1")])]))
    case.expect("a", "/a")
    with clients.connect(case.gate.port) as connection:
        for _ in range(3):
            got = [clients.exchange(connection, target=target, host=case.host, headers=headers)
                   for target, headers in (("/a", ()), ("/b", [("X", "1")]), ("/b", ()),
                                           ("/", ()))]
            assert [answer.origin or answer.status for answer in got] == ["a", "b", 404, 404]
