# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests. They run the real programs against the HAProxy that the
environment variable HAPROXY names (default: the one of the distribution), built in
TIDEGATE_BUILD (default: build/)."""
import contextlib
import itertools
import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import manifests as m  # noqa: E402
import origins as o  # noqa: E402
from tidegate import Tidegate, eventually, haproxy_version  # noqa: E402


# A shell's background job ignores it, and so would all that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header(config):
    return "haproxy %d.%d" % haproxy_version()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts the end of each involved controller's log beside a failure."""
    report = (yield).get_result()
    if report.failed:
        for gate in item.funcargs.values():
            gate = getattr(gate, "gate", gate)
            if isinstance(gate, Tidegate):
                report.sections.append(("tidegate's log", gate.log()[-4000:]))


@pytest.fixture(scope="session")
def version():
    return haproxy_version()


@pytest.fixture(scope="session")
def origins():
    """Four HTTP/1.1 origins: a, b, c, d."""
    servers = {name: o.Origin(name) for name in "abcd"}
    yield servers
    for server in servers.values():
        server.close()


@pytest.fixture(scope="session")
def shared(tmp_path_factory, origins):
    """One Tidegate for all tests that only add routes of their own."""
    with contextlib.closing(Tidegate(tmp_path_factory.mktemp("shared"))) as gate:
        gate.base_manifests(origins.values())
        gate.start()
        gate.settle()
        yield gate


@pytest.fixture
def cold_gate(tmp_path, origins):
    """A Tidegate for one test, with the base manifests, not started yet."""
    with contextlib.closing(Tidegate(tmp_path)) as gate:
        gate.base_manifests(origins.values())
        yield gate


@pytest.fixture
def gate(cold_gate):
    """The same, running."""
    cold_gate.start()
    cold_gate.settle()
    return cold_gate


class Case:
    """Routes under a host name that no other test uses."""

    numbers = itertools.count(1)

    def __init__(self, gate):
        self.gate = gate
        self.name = "case-%d" % next(self.numbers)
        self.host = self.name + ".test"
        self.written = False

    def route(self, *rules, **options):
        options.setdefault("hostnames", [self.host])
        self.apply(m.route(self.name, list(rules), **options))

    def apply(self, *objects):
        self.written = True
        self.gate.apply(self.name, *objects)

    def get(self, target="/", **options):
        options.setdefault("host", self.host)
        return self.gate.get(target, **options)

    def expect(self, want, target="/", **options):
        """want: an origin's name or a status. Returns the answer. What settle() saw live may
        be a moment ahead of the rest, never more."""
        def check():
            answer = self.get(target, **options)
            got = answer.status if isinstance(want, int) else answer.origin
            assert got == want, (target, options, "wanted %s" % want, answer)
            return answer
        return eventually(check, timeout=2)

    def close(self):
        if self.written:
            self.gate.remove(self.name)


@pytest.fixture
def case(shared):
    case = Case(shared)
    yield case
    case.close()
