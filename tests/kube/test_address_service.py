# SPDX-License-Identifier: Apache-2.0
"""Gateways that are all reached where one Service is: what it has is their status's addresses."""
import pytest

import manifests as m
from test_addresses import CONTROLLER_LABEL, addresses, assign, expect_programmed, leads
from tidegate import eventually

NAME = "edge"


@pytest.fixture
def options(lease):
    return ["--address-service", NAME, *lease]


@pytest.fixture(params=["default", "watched"])
def place(request, gate):
    """Where Gateways are; the Service's namespace is read only as far as needed, or whole."""
    if request.param == "default":
        return "default"
    ns = request.getfixturevalue("ns")
    gate.options += ["--watch-namespace", ns]
    return ns


@pytest.fixture
def service(server):
    def make(**spec):
        made = m.obj("Service", NAME, dict({"ports": [{"port": 80}]}, **spec), api="v1",
                     labels={CONTROLLER_LABEL: "any"})
        server.apply(made)
    yield make
    server.kubectl("delete", "service", NAME, "-n", "default", "--ignore-not-found")
    server.kubectl("delete", "endpointslices", "-n", "default", "-l",
                   "kubernetes.io/service-name=" + NAME)


def start(gate, server, place):
    server.apply(m.gateway("gw", m.listener("http", gate.port), ns=place))
    gate.start()
    leads(gate)


def expect(server, place, *wanted):
    def check():
        assert addresses(server, "gw", place) == list(wanted)
        return True
    eventually(check)
    expect_programmed(server, "gw", "True", "Programmed", place)


def test_load_balancer(gate, server, service, place):
    service(type="LoadBalancer")
    start(gate, server, place)
    found = expect_programmed(server, "gw", "False", "AddressNotAssigned", place)
    assert "Service default/edge" in found["message"]
    assign(server, NAME, {"ip": "192.0.2.7"}, {"hostname": "lb.example.com"})
    expect(server, place, "192.0.2.7", "lb.example.com")
    assert gate.get("/").status == 404
    server.delete("service", NAME)
    expect_programmed(server, "gw", "False", "AddressNotAssigned", place)


def test_cluster_ip(gate, server, service):
    service(clusterIP="198.19.7.7")
    start(gate, server, "default")
    expect(server, "default", "198.19.7.7")


def test_hosts(gate, server, service, place):
    """Of a headless Service: those of its endpoints, in an order of their own."""
    service(clusterIP="None")
    server.apply(m.endpoint_slice("edge-1", NAME, 80, ("192.0.2.9", "192.0.2.8")),
                 m.endpoint_slice("edge-2", NAME, 80, ("192.0.2.5",), ready=False),
                 m.endpoint_slice("other", "other", 80, ("192.0.2.4",)))
    start(gate, server, place)
    expect(server, place, "192.0.2.8", "192.0.2.9")
    server.apply(m.endpoint_slice("edge-2", NAME, 80, ("192.0.2.5",)))
    expect(server, place, "192.0.2.5", "192.0.2.8", "192.0.2.9")
    server.delete("endpointslice", "edge-1")
    expect(server, place, "192.0.2.5")
    server.apply(m.endpoint_slice("edge-2", NAME, 80, ("192.0.2.5",), ready=False))
    expect(server, place, "192.0.2.5")
    server.delete("endpointslice", "other")


def test_addresses_of_the_spec(gate, server, service):
    """They are what HAProxy binds, whatever the Service has."""
    service(clusterIP="198.19.7.8")
    server.apply(m.gateway("gw", m.listener("http", gate.port), addresses=[{"value": "127.0.0.1"}]))
    gate.start()
    leads(gate)
    expect(server, "default", "127.0.0.1")
