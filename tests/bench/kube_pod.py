# SPDX-License-Identifier: Apache-2.0
"""A pod of the chart on the machine's node: from its creation until it is Ready."""
import contextlib
import os
import subprocess
import sys
import time
import types

import footprint
from bench import BenchError, Limit
from kube_gateway import Api, KubeGateway

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "../chart"))

import parts  # noqa: E402 (after the search path)
from chart import NAMESPACE, RELEASE  # noqa: E402 (after the search path)
from release import Release  # noqa: E402 (after the search path)

HAPROXY = os.environ.get("HAPROXY_VERSION", "2.6")
NAMESPACES, SERVICES = 50, 50
READY_S, SETTLE_S, LOOK_S = 60, 10, 0.05
POD_S = 4.0
# One pod that binds listeners' own ports; the Gateway's class is the benchmark's.
VALUES = {"replicas": 1, "drainSeconds": 1, "service.mode": "None", "gatewayClass.create": False}


@contextlib.contextmanager
def node():
    tool = os.path.join(HERE, "../cluster/%s")
    if subprocess.run([tool % "up", "--crds"], stdin=subprocess.DEVNULL,
                      stdout=subprocess.DEVNULL).returncode:
        raise BenchError("no node comes up (tests/cluster/up --crds)")
    try:
        yield
    finally:
        subprocess.run([tool % "down"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


class PodGateway(KubeGateway):
    """The objects are those of KubeGateway; the controller is a pod of the chart."""

    def make_cluster(self, stack):
        stack.enter_context(node())
        try:
            self.release = Release(HAPROXY)
            self.release.build()
            self.release.install(**VALUES)
        except (parts.Failed, subprocess.SubprocessError) as error:
            raise BenchError("the chart could not be installed: %s" % error)
        there = self.release.cluster
        server = there.kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}",
                               stdout=subprocess.PIPE).stdout
        self.api = Api(server, types.SimpleNamespace(path=there.path("pki", "ca.crt"),
                                                     directory=there.path("pki")))
        self.seconds_without = self.seconds_to_ready()

    def pods(self):
        listed = self.api.ask("GET", "/api/v1/namespaces/%s/pods?labelSelector=app.kubernetes.io"
                                     "/instance%%3D%s" % (NAMESPACE, RELEASE))
        return {pod["metadata"]["name"]: pod for pod in listed["items"]}

    def seconds_to_ready(self):
        """Of the pod that takes the place of the one that is there."""
        old = self.pods()
        for name in old:
            self.api.ask("DELETE", "/api/v1/namespaces/%s/pods/%s" % (NAMESPACE, name))
        begin, end = None, time.monotonic() + READY_S
        while time.monotonic() < end:
            new = [pod for name, pod in self.pods().items() if name not in old]
            if new and not begin:
                begin = time.monotonic()
            if any(is_ready(pod) for pod in new):
                return time.monotonic() - begin
            time.sleep(LOOK_S)
        raise BenchError("no pod is Ready after %d s:\n%s" % (READY_S, self.release.told()))


def is_ready(pod):
    return any(condition["type"] == "Ready" and condition["status"] == "True"
               for condition in pod["status"].get("conditions", []))


def pod(args):
    routes = args.routes or footprint.ROUTES
    with contextlib.ExitStack() as stack:
        gateway = PodGateway(stack, args, routes, min(routes, SERVICES), NAMESPACES)
        time.sleep(SETTLE_S)
        seconds = gateway.seconds_to_ready()
        known = gateway.release.tidectl("get", "HTTPRoute").count("\n")
        if known < routes:
            raise BenchError("the pod is Ready, but knows only %d routes" % known)
    yield Limit("kube-pod", "s", seconds, gateway.seconds_without, POD_S)
