# SPDX-License-Identifier: Apache-2.0
"""etcd and kube-apiserver: an API without nodes by itself, and the heart of the full cluster."""
import os
import random
import socket
import ssl
import urllib.error
import urllib.request

import parts
from processes import wait_until

PARTS = ("etcd", "kube-apiserver", "kubectl")
SERVICE_RANGE = "198.19.0.0/16"
SERVICE_ADDRESS = "198.19.0.1"  # the API's own, the first of the range
PATIENCE_S = 180


def free_port():
    """Below the ephemeral range, so that no outgoing connection takes it before its owner does,
    and away from those of the end-to-end tests."""
    for _ in range(1000):
        port = random.randrange(12000, 19000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
            return port
        except OSError:
            pass
    raise parts.Failed("no port of 12000 to 18999 is free on 127.0.0.1")


def own_address():
    """One of this machine that is not loopback, since an EndpointSlice may have no other; None."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # sends nothing
            return probe.getsockname()[0]
        except OSError:
            return None


def start_etcd(cluster):
    url, peer = ("http://127.0.0.1:%d" % free_port() for _ in range(2))
    cluster.processes.start("etcd", [
        parts.build("etcd"), "--name=tidegate", "--data-dir=" + cluster.path("etcd"),
        "--listen-client-urls=" + url, "--advertise-client-urls=" + url,
        "--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
        "--initial-cluster=tidegate=" + peer, "--log-level=warn",
        "--unsafe-no-fsync"])  # what a crash of the machine would lose is of no value
    return url


def wait_for_etcd(cluster, url):
    def healthy():
        cluster.processes.require("etcd")
        with urllib.request.urlopen(url + "/health", timeout=5) as answer:
            return answer.status == 200

    wait_until(healthy, PATIENCE_S, "etcd", "See %s" % cluster.processes.log("etcd"))


def sign_for_api(cluster, address):
    """Its own certificate, the one it shows to kubelets, the administrator's, and the keys of
    service accounts' tokens."""
    authority = cluster.authority
    authority.sign("kube-apiserver", "kube-apiserver", names=(
        "127.0.0.1", "localhost", address, SERVICE_ADDRESS, "kubernetes", "kubernetes.default",
        "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"))
    authority.sign("kubelet-client", "kube-apiserver", "system:masters")
    authority.sign("admin", "kubernetes-admin", "system:masters")
    authority.sign_key_pair("service-accounts")


def start_apiserver(cluster, etcd, address, port, options):
    def key(name):
        return os.path.join(cluster.authority.directory, name)

    cluster.processes.start("kube-apiserver", [
        parts.build("kube-apiserver"), "--etcd-servers=" + etcd,
        "--bind-address=" + address, "--advertise-address=" + address,
        "--secure-port=%d" % port, "--cert-dir=" + cluster.path("run"),
        "--tls-cert-file=" + key("kube-apiserver.crt"),
        "--tls-private-key-file=" + key("kube-apiserver.key"),
        "--client-ca-file=" + key("ca.crt"),
        "--kubelet-certificate-authority=" + key("ca.crt"),
        "--kubelet-client-certificate=" + key("kubelet-client.crt"),
        "--kubelet-client-key=" + key("kubelet-client.key"),
        "--kubelet-preferred-address-types=InternalIP",  # the node's name is in nobody's DNS
        "--service-account-key-file=" + key("service-accounts.pub"),
        "--service-account-signing-key-file=" + key("service-accounts.key"),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--service-cluster-ip-range=" + SERVICE_RANGE,
        "--authorization-mode=Node,RBAC", "--allow-privileged"] + options,
        # Memory for time: it shares its cores with all that it serves.
        environment={"GOGC": "300"})


def wait_for_apiserver(cluster, server):
    """Ready is more than answering: the roles that it comes with are there by then."""
    context = ssl.create_default_context(cafile=cluster.authority.path)

    def ready():
        cluster.processes.require("kube-apiserver")
        try:
            with urllib.request.urlopen(server + "/readyz", timeout=5, context=context) as answer:
                return answer.status == 200
        except urllib.error.HTTPError:
            return False

    wait_until(ready, PATIENCE_S, "kube-apiserver",
               "See %s" % cluster.processes.log("kube-apiserver"))


def up(cluster, address, port, options=()):
    """Starts both, and writes the administrator's kubeconfig."""
    sign_for_api(cluster, address)
    etcd = start_etcd(cluster)
    wait_for_etcd(cluster, etcd)
    start_apiserver(cluster, etcd, address, port, list(options))
    server = "https://%s:%d" % (address, port)
    cluster.authority.kubeconfig(cluster.kubeconfig, server, "admin")
    wait_for_apiserver(cluster, server)
    return server


def up_alone(cluster):
    """On loopback, as any user. Nobody gives Pods a service account's token, and nobody runs
    them: what is written stays as it is."""
    return up(cluster, "127.0.0.1", free_port(),
              ("--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount"))
