# SPDX-License-Identifier: Apache-2.0
"""The same Gateway, whose objects are in a real API server: etcd and kube-apiserver of
tests/cluster, without nodes."""
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import yaml

from bench import BenchError
from gateway import READY_S, Gateway

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "../cluster"))

import api  # noqa: E402 (after the search path)
import cluster  # noqa: E402 (after the search path)

OUR_KINDS = os.path.join(HERE, "../../helm/tidegate/files/crds")
WRITERS = 4
PATIENCE_S = 60
IDLE_S = 20  # the server closes connections that nobody uses
PLURALS = {"GatewayClass": "gatewayclasses", "Gateway": "gateways", "HTTPRoute": "httproutes",
           "Service": "services", "EndpointSlice": "endpointslices", "Namespace": "namespaces"}


def own_address():
    """An EndpointSlice may have no loopback address."""
    address = api.own_address()
    if not address:
        raise BenchError("this machine has no address but loopback")
    return address


def parse(text):
    return list(yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def collection(item):
    group = item["apiVersion"]
    ns = item["metadata"].get("namespace")
    return "%s/%s/%s%s" % ("/apis" if "/" in group else "/api", group,
                           "namespaces/%s/" % ns if ns else "", PLURALS[item["kind"]])


class Api:
    """The administrator's requests, on a connection of each thread."""

    def __init__(self, server, authority):
        self.address = server.split("//")[1]
        self.context = ssl.create_default_context(cafile=authority.path)
        self.context.load_cert_chain(os.path.join(authority.directory, "admin.crt"),
                                     os.path.join(authority.directory, "admin.key"))
        self.local = threading.local()

    def ask(self, method, path, body=None, kind="application/json"):
        connection = getattr(self.local, "connection", None)
        idle = time.monotonic() - getattr(self.local, "used", 0)
        self.local.used = time.monotonic()
        if not connection or idle > IDLE_S:
            connection = self.local.connection = http.client.HTTPSConnection(
                self.address, context=self.context, timeout=PATIENCE_S)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.request(method, path, body and json.dumps(body), {"Content-Type": kind})
        answer = connection.getresponse()
        data = json.loads(answer.read())
        if answer.status >= 300:
            raise BenchError("%s %s: %d %s" % (method, path, answer.status, data.get("message")))
        return data

    def create(self, item):
        return self.ask("POST", collection(item), item)

    def change(self, item):
        return self.ask("PATCH", "%s/%s" % (collection(item), item["metadata"]["name"]), item,
                        "application/merge-patch+json")

    def delete(self, item):
        return self.ask("DELETE", "%s/%s" % (collection(item), item["metadata"]["name"]))


class KubeGateway(Gateway):
    """Everything that Gateway does with a manifest is done to the object of that name. Routes
    and Services are spread over the namespaces by the numbers in their names."""

    server_count = 1  # this machine's own address; nobody answers at the others

    def __init__(self, stack, args, routes, services, namespaces=1):
        self.namespaces = namespaces
        self.address = own_address()
        self.addresses = [self.address, "192.0.2.1", "192.0.2.2", "192.0.2.3"]
        super().__init__(stack, args, routes, services)

    def make_source(self, stack):
        self.make_cluster(stack)
        self.objects = {}  # manifests' names -> objects
        for i in range(self.namespaces):
            self.api.create({"apiVersion": "v1", "kind": "Namespace",
                             "metadata": {"name": "ns%d" % i}})

    def make_cluster(self, stack):
        self.cluster = cluster.temporary()
        self.cluster.prepare()
        stack.callback(self.cluster.remove)
        stack.callback(self.cluster.end_processes)
        self.api = Api(api.up_alone(self.cluster), self.cluster.authority)
        self.cluster.apply_gateway_api()
        self.cluster.apply(OUR_KINDS)

    def source(self):
        return ["--kubeconfig", self.cluster.kubeconfig]

    def place(self, item):
        """Puts it where it belongs."""
        if item["kind"] in ("HTTPRoute", "Service", "EndpointSlice"):
            number = re.match(r"[a-z]+(\d+)", item["metadata"]["name"])
            item["metadata"]["namespace"] = "ns%d" % (
                int(number[1]) % self.namespaces if number else 0)
        if item["kind"] == "HTTPRoute":
            item["spec"]["parentRefs"][0]["namespace"] = "default"
        if item["kind"] == "Gateway":
            item["spec"]["listeners"][0]["allowedRoutes"] = {"namespaces": {"from": "All"}}
        return item

    def write_many(self, prefix, texts, per_file):
        def write(number_and_text):
            for item in map(self.place, parse(number_and_text[1])):
                self.api.create(item)
                self.objects["%s%d.yaml" % (prefix, number_and_text[0])] = item

        begin = time.monotonic()
        with ThreadPoolExecutor(WRITERS) as pool:
            for _ in pool.map(write, enumerate(texts)):
                pass
        self.seconds_to_create = time.monotonic() - begin  # in the end of the routes

    def prepare(self, name, text):
        (item,) = parse(text)
        self.objects[".new-" + name] = self.place(item)

    def rename(self, name):
        item = self.objects.pop(".new-" + name)
        if name in self.objects:
            self.api.change(item)
        else:
            self.api.create(item)
        self.objects[name] = item

    def remove(self, name):
        self.api.delete(self.objects.pop(name))

    def place_text(self, text):
        return "".join(yaml.safe_dump(self.place(item)) for item in parse(text))

    def kubectl_apply(self, path):
        self.cluster.kubectl("apply", "--server-side", "-f", path, timeout=900,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    # ---- what it says ----

    def requests(self):
        """All that tidegate has sent to the API server."""
        return sum(map(self.metric, ("tidegate_kube_requests_total",
                                     "tidegate_status_requests_total")))

    def wait_published(self, writes=1):
        """Returns when so many objects have got a status, and none waits for one."""
        end = time.monotonic() + READY_S
        while self.metric("tidegate_status_writes_total") < writes or \
                self.metric("tidegate_status_pending"):
            if time.monotonic() > end:
                raise BenchError("status is not written within %d s" % READY_S)
            time.sleep(0.2)  # each look costs what is measured
