# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests against a real API server (etcd and kube-apiserver of tests/cluster,
without nodes). Real HAProxy serves what objects in it say. Environment as in tests/e2e."""
import contextlib
import os
import re
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from proxy import Proxy  # noqa: E402
from apiserver import ApiServer, KubeGate  # noqa: E402
import api  # noqa: E402
import manifests as m  # noqa: E402
import origins as o  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts the end of each involved controller's log beside a failure."""
    report = (yield).get_result()
    if report.failed:
        for gate in item.funcargs.values():
            if isinstance(gate, KubeGate):
                report.sections.append(("tidegate's log", gate.log()[-4000:]))


@pytest.fixture(scope="session")
def origins():
    servers = {name: o.Origin(name) for name in "ab"}
    yield servers
    for server in servers.values():
        server.close()


@pytest.fixture(scope="session")
def server(origins):
    """An API server with the Gateway API, our class, and a Backend for each origin."""
    with contextlib.closing(ApiServer()) as server:
        server.apply(m.gateway_class(),
                     *[m.backend(origin.name, origin.port) for origin in origins.values()])
        yield server


GROUPS = {
    "/api/v1": ("services", "secrets"),
    "/apis/discovery.k8s.io/v1": ("endpointslices",),
    "/apis/gateway.networking.k8s.io/v1": ("gateways", "httproutes", "grpcroutes",
                                           "referencegrants"),
    "/apis/tidegate.io/v1alpha1": ("backends", "gatewayparameters"),
}


@contextlib.contextmanager
def namespace(server, name):
    """Gone afterwards with its objects, which nobody else removes here."""
    server.apply(m.namespace(name))
    yield name
    for group, kinds in GROUPS.items():
        for kind in kinds:
            server.kubectl("delete", "--raw", "%s/namespaces/%s/%s" % (group, name, kind))
    server.kubectl("delete", "namespace", name, "--wait=false")


def name_of(request, end=""):
    """No other test's: a namespace that is deleted stays for a while."""
    return re.sub("[^a-z0-9]+", "-", request.node.name.lower())[:50].strip("-") + end


@pytest.fixture
def ns(server, request):
    """A namespace of the test's own."""
    with namespace(server, name_of(request)) as name:
        yield name


@pytest.fixture
def elsewhere(server, request):
    """Another one."""
    with namespace(server, name_of(request, "-elsewhere")) as name:
        yield name


@pytest.fixture
def lease(request):
    """The options for a Lease of the test's own."""
    return ["--lease-name", "t%d" % abs(hash(request.node.name))]


@pytest.fixture
def options(lease):
    """Of every replica of one test."""
    return lease


@pytest.fixture
def gate(server, tmp_path, options):
    """A Tidegate for one test, not started yet."""
    with contextlib.closing(KubeGate(tmp_path, server, *options)) as gate:
        yield gate
    server.kubectl("delete", "gateways,httproutes,grpcroutes", "--all", "-n", "default")


@pytest.fixture
def proxy(server, tmp_path):
    """Between the API server and those that are given its kubeconfig."""
    with Proxy(server, tmp_path) as proxy:
        yield proxy


@pytest.fixture
def second(server, tmp_path, options):
    """Another replica, not started yet."""
    base = tmp_path / "second"
    base.mkdir()
    with contextlib.closing(KubeGate(base, server, *options)) as gate:
        yield gate


@pytest.fixture(scope="session")
def own_address():
    """An address of this machine that is not loopback."""
    return api.own_address() or pytest.skip("this machine has no address but loopback")
