# SPDX-License-Identifier: Apache-2.0
"""A real etcd and kube-apiserver, and a Tidegate that reads it."""
import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../e2e"), os.path.join(HERE, "../cluster")]

import api  # noqa: E402
import cluster  # noqa: E402
import manifests as m  # noqa: E402
from tidegate import Tidegate, eventually  # noqa: E402

# Who asked for what, without bodies: one line for each request, when it begins.
AUDIT_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitManagedFields: true
rules:
- level: Metadata
"""
OUR_KINDS = os.path.join(HERE, "../../helm/tidegate/files/crds")


class ApiServer:
    """On loopback, with the audit log on. Objects go in through kubectl."""

    def __init__(self, gateway_api=True):
        self.cluster = cluster.temporary()
        self.cluster.prepare()
        policy = self.cluster.path("audit-policy.yaml")
        with open(policy, "w", encoding="ascii") as out:
            out.write(AUDIT_POLICY)
        self.audit_log = self.cluster.path("audit.log")
        self.port = api.free_port()
        self.url = api.up(self.cluster, "127.0.0.1", self.port, [
            "--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount",
            "--audit-policy-file=" + policy, "--audit-log-path=" + self.audit_log])
        self.installed = False
        if gateway_api:
            self.install()

    def close(self):
        self.cluster.end_processes()
        self.cluster.remove()

    def install(self):
        """The Gateway API's definitions and ours, unless they are there."""
        if not self.installed:
            self.cluster.apply_gateway_api()
            self.cluster.apply(OUR_KINDS)
        self.installed = True

    # ---- objects ----

    def kubectl(self, *arguments, text=None, check=True):
        done = subprocess.run(
            [cluster.parts.build("kubectl"), "--kubeconfig", self.cluster.kubeconfig, *arguments],
            input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
            universal_newlines=True)
        if check:
            assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    def apply(self, *objects):
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-",
                     text=yaml.safe_dump_all(objects))

    def delete(self, kind, name, ns="default"):
        self.kubectl("delete", kind, name, "-n", ns)

    # ---- users ----

    def account(self, name, *rules):
        """A ServiceAccount with these rights in the whole cluster."""
        self.apply(m.obj("ServiceAccount", name, api="v1"))
        self.allow(name, *rules)
        self.apply(m.obj("ClusterRoleBinding", name, ns=None, api="rbac.authorization.k8s.io/v1",
                         roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                                  "name": name},
                         subjects=[{"kind": "ServiceAccount", "name": name,
                                    "namespace": "default"}]))

    def allow(self, name, *rules):
        self.apply(m.obj("ClusterRole", name, ns=None, api="rbac.authorization.k8s.io/v1",
                         rules=list(rules)))

    def token(self, name):
        return self.kubectl("create", "token", name, "-n", "default").strip()

    def user_kubeconfig(self, path, user):
        """A kubeconfig for another user than the administrator; `user` as in its `users`."""
        with open(self.cluster.kubeconfig, encoding="ascii") as source:
            config = yaml.safe_load(source)
        config["users"][0]["user"] = user
        with open(path, "w", encoding="ascii") as out:
            yaml.safe_dump(config, out)
        return str(path)

    # ---- what was asked ----

    def audit(self, user):
        """The requests of a user (the end of its name) so far, as audit events."""
        with open(self.audit_log, encoding="utf-8") as log:
            events = [json.loads(line) for line in log if line.endswith("\n")]
        return [event for event in events if event["user"].get("username", "").endswith(user)]

    # ---- trouble ----

    def pid(self):
        return self.cluster.processes.pid("kube-apiserver")

    def kill(self):
        """All of it: its last thread, which holds the port, may outlive its first."""
        self.cluster.processes.kill("kube-apiserver", signal.SIGKILL)
        eventually(lambda: socket.create_server(("127.0.0.1", self.port)).close() or True)

    def restart(self):
        self.cluster.processes.start_again("kube-apiserver")
        self.wait()

    def wait(self):
        api.wait_for_apiserver(self.cluster, self.url)

    @contextlib.contextmanager
    def frozen(self):
        """Connections stay, answers do not come."""
        pid = self.pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def etcd(self, path, body):
        record = self.cluster.processes.record("etcd")["command"]
        url = next(word.split("=", 1)[1] for word in record
                   if word.startswith("--listen-client-urls="))
        request = urllib.request.Request(url + path, data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def compact(self):
        """Forgets all history: every older resourceVersion is gone."""
        key = base64.b64encode(b"/").decode()
        revision = self.etcd("/v3/kv/range", {"key": key})["header"]["revision"]
        self.etcd("/v3/kv/compaction", {"revision": revision, "physical": True})


class KubeGate(Tidegate):
    """A Tidegate that reads an API server. Objects that settle() writes go there, too."""

    def __init__(self, base, server, *options, kubeconfig=None, **more):
        super().__init__(base, *options, **more)
        self.server = server
        self.kubeconfig = kubeconfig or server.cluster.kubeconfig

    def log_in(self, user):
        """Reads as another user than the administrator."""
        self.kubeconfig = self.server.user_kubeconfig(
            os.path.join(self.base, "user.kubeconfig"), user)

    def source(self):
        return ["--kubeconfig", self.kubeconfig]

    def write(self, name, *objects):
        self.server.apply(*objects)

    def status(self):
        return self.ctl_json("status")

    def stale(self):
        return self.status()["source"]["stale"]

    def findings(self):
        return self.ctl_json("findings")

    def expect_finding(self, kind, reason):
        return eventually(lambda: next((f for f in self.findings() if f["kind"] == kind and
                                        f["reason"] == reason), None),
                          what="finding %s of %s" % (reason, kind))

    def expect_no_finding(self, kind, reason):
        eventually(lambda: not [f for f in self.findings() if f["kind"] == kind and
                                f["reason"] == reason], timeout=40,
                   what="the end of finding %s of %s" % (reason, kind))
