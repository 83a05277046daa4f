# SPDX-License-Identifier: Apache-2.0
"""The chart installed on the machine's node (tests/cluster/up --crds), as a user installs it, with
an image of the tree as it is."""
import contextlib
import json
import os
import subprocess

import cluster
from chart import CHART, HERE, NAME, NAMESPACE, RELEASE, Refused, helm, options
import parts
from processes import wait_until

PATIENCE_S = 120
OUR_KINDS = ["customresourcedefinition.apiextensions.k8s.io/%s.tidegate.io" % plural
             for plural in ("backends", "gatewayparameters")]


class Release:
    """It need not be there: install() makes it."""

    def __init__(self, haproxy):
        self.cluster = cluster.of_arguments(None)
        if not self.cluster.is_ours() or not self.cluster.processes.pid("kubelet"):
            raise parts.Failed("no node is up: tests/cluster/up --crds")
        self.haproxy = haproxy

    def build(self):
        """The image, with the HAProxy of that version."""
        self.load(self.haproxy)

    def load(self, *words):
        """What tests/image/build makes."""
        self.tool("load-image", subprocess.run(
            [os.path.join(HERE, "../image/build"), *words], check=True, timeout=1800,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            universal_newlines=True).stdout.strip())

    def tool(self, name, *words):
        """One of tests/cluster."""
        subprocess.run([os.path.join(HERE, "../cluster", name), *words], check=True, timeout=300,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def kubectl(self, *words):
        return subprocess.run(
            [parts.build("kubectl"), "--kubeconfig", self.cluster.kubeconfig, *words],
            check=True, timeout=2 * PATIENCE_S, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            universal_newlines=True).stdout.strip()

    def helm(self, *words):
        return helm(*words, "--namespace", NAMESPACE, kubeconfig=self.cluster.kubeconfig)

    def install(self, **values):
        """Or upgrades: what the release is from now on."""
        image = {"image.repository": "tidegate.test/tidegate", "image.tag": self.haproxy}
        return self.helm("upgrade", "--install", RELEASE, CHART, "--create-namespace", "--wait",
                         "--timeout", "%ds" % PATIENCE_S, *options(dict(image, **values)))

    def uninstall(self):
        """With what helm leaves to the user: the definitions of our kinds."""
        with contextlib.suppress(Refused):
            self.helm("uninstall", RELEASE, "--wait", "--ignore-not-found")
        self.kubectl("delete", "--ignore-not-found", "namespace/" + NAMESPACE, *OUR_KINDS)

    def rolled_out(self, what="deployment/" + NAME):
        self.kubectl("-n", NAMESPACE, "rollout", "status", what, "--timeout=%ds" % PATIENCE_S)

    def pods(self):
        listed = json.loads(self.kubectl(
            "-n", NAMESPACE, "get", "pods", "-l", "app.kubernetes.io/instance=" + RELEASE,
            "-o", "json"))
        return {pod["metadata"]["name"]: pod for pod in listed["items"]}

    def told(self, namespace=NAMESPACE):
        """What the pods and tidegate in them have to say, for a failure's report."""
        pods = ["-n", namespace, "-l", "app.kubernetes.io/name=tidegate"]
        return "\n".join(subprocess.run(
            [parts.build("kubectl"), "--kubeconfig", self.cluster.kubeconfig, *words, *pods],
            check=False, timeout=60, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, universal_newlines=True).stdout
            for words in (["describe", "pods"], ["logs", "--prefix", "--tail=100"]))

    def address(self):
        """Of the Gateway's Service, as its load balancer has it."""
        return wait_until(lambda: self.kubectl(
            "-n", NAMESPACE, "get", "services", "-l",
            "gateway.networking.k8s.io/gateway-name=web", "-o",
            "jsonpath={.items[*].status.loadBalancer.ingress[0].ip}"),
            60, "a load balancer's address", "")

    def tidectl(self, *words, pod="deployment/" + NAME):
        return self.kubectl("-n", NAMESPACE, "exec", pod, "--", "tidectl", *words)
