# SPDX-License-Identifier: Apache-2.0
"""A real node: containerd, kubelet and kube-proxy on this machine, with its control plane.

containerd, kubelet and all containers live in mount and process namespaces of their own, in
which /run, /var/lib and /var/log are the cluster's. So they use their default paths, nothing of
the host's is seen or overwritten, and the end of the first process of those namespaces is the
end of all processes and mounts.

The network is the host's: a bridge with the node's address and the pods', and kube-proxy's
nftables. All addresses are of 198.18.0.0/15, which is reserved for benchmarks: 198.18.0.0/24
for the node and its pods, 198.18.100.0/24 for load balancers, 198.19.0.0/16 for Services."""
import glob
import json
import os
import shutil
import subprocess

import api
import images
import packages
import parts
from parts import Failed, say
from processes import wait_until

NAME = "tidegate-node"
BRIDGE = "tg0"
ADDRESS = "198.18.0.1"
BRIDGE_MAC = "02:00:c6:12:00:01"
POD_RANGE = "198.18.0.0/24"
RANGE = "198.18.0.0/15"
API_PORT = 6443
SOCKET = "/run/containerd/containerd.sock"
CGROUP = "k8s.io"  # where containerd puts containers
PAUSE = "tidegate.test/pause:1"
BALANCER = "tidegate.test/metallb:1"
CNI_PLUGINS = "/usr/lib/cni"
NEEDS = ("ip", "nft", "runc", "nsenter", "unshare", "mount", "cc")
PARTS = api.PARTS + ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy",
                     "containerd", "containerd-shim-runc-v2", "ctr", "metallb", "metallb-crds")

# What the node's programs set, with what `down` sets back.
SETTINGS = ("net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables", "vm/overcommit_memory",
            "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
            "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes")

# The first process of the namespaces. It ignores its children, so that the kernel reaps what
# containerd leaves behind.
FIRST = r"""
set -e
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns
mount --bind "$1/var-lib" /var/lib
mount --bind "$1/var-log" /var/log
trap '' CHLD
: >/run/ready
exec sleep infinity
"""


def command(*words, check=True, **options):
    """Runs a tool of the host; what it says is in the error when it fails."""
    answer = subprocess.run(words, timeout=60, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, universal_newlines=True, **options)
    if check and answer.returncode:
        raise Failed("`%s`: %s" % (" ".join(words), answer.stdout.strip()))
    return answer.stdout if answer.returncode == 0 else ""


def setting_path(name):
    return "/proc/sys/" + name


def read_setting(name):
    try:
        with open(setting_path(name), encoding="ascii") as source:
            return source.read().strip()
    except FileNotFoundError:
        return None


def write_setting(name, value):
    with open(setting_path(name), "w", encoding="ascii") as out:
        out.write(value)


def tables():
    """kube-proxy's, if there are any."""
    listed = [line.split()[1:] for line in command("nft", "list", "tables").splitlines()]
    return [words for words in listed if words[1] == "kube-proxy"]


def require(cluster):
    """All that cannot be put right half way through."""
    if os.getuid() != 0:
        raise Failed("a node needs root: namespaces, a bridge, nftables. As this user there is "
                     "`tests/cluster/up --api-only`")
    subprocess.run([packages.INSTALL, "cluster"], check=True, stdin=subprocess.DEVNULL, stdout=2,
                   timeout=900)
    missing = [name for name in NEEDS if not shutil.which(name)]
    if missing or not os.path.isdir(CNI_PLUGINS):
        raise Failed("missing: %s; run scripts/install-deps cluster" % " ".join(
            missing + [CNI_PLUGINS] * (not os.path.isdir(CNI_PLUGINS))))
    if cluster.directory.startswith(("/run/", "/var/lib/", "/var/log/")):
        raise Failed("%s is in a place that the node hides: choose another with --dir"
                     % cluster.directory)
    if os.path.exists("/sys/class/net/" + BRIDGE) or tables():
        raise Failed("there is a node on this machine already: tests/cluster/down; or, if its "
                     "directory is gone, `ip link delete %s; nft delete table ip kube-proxy`"
                     % BRIDGE)
    if command("ip", "-4", "route", "show", "root", RANGE):
        raise Failed("this machine has a route into %s, the node's own range" % RANGE)
    if read_setting("net/bridge/bridge-nf-call-iptables") is None:
        command("modprobe", "br_netfilter", check=False)
    if read_setting("net/bridge/bridge-nf-call-iptables") is None:
        raise Failed("the kernel has no br_netfilter, without which pods of one node do not "
                     "reach each other's Services: load that module")


def start_network(cluster):
    before = {name: read_setting(name) for name in SETTINGS}
    with open(cluster.path("settings.json"), "w", encoding="ascii") as out:
        json.dump(before, out)
    write_setting("net/ipv4/ip_forward", "1")
    write_setting("net/bridge/bridge-nf-call-iptables", "1")
    # Otherwise a bridge has the lowest of its ports' addresses: another one when that pod comes or
    # goes, and what others send to the old one is lost until they have asked again.
    command("ip", "link", "add", BRIDGE, "address", BRIDGE_MAC, "type", "bridge")
    command("ip", "address", "add", ADDRESS + "/24", "dev", BRIDGE)
    command("ip", "link", "set", BRIDGE, "up")
    # Otherwise the host would send from its outer address, and look for unassigned addresses
    # out there.
    command("ip", "route", "replace", RANGE, "dev", BRIDGE, "src", ADDRESS)


def end_network(cluster):
    for words in tables():
        command("nft", "delete", "table", *words)
    if os.path.exists("/sys/class/net/" + BRIDGE):
        command("ip", "link", "delete", BRIDGE)
    with open(cluster.path("settings.json"), encoding="ascii") as source:
        before = json.load(source)
    for name, value in before.items():
        if value is not None and read_setting(name) != value:
            write_setting(name, value)


def first_process(cluster):
    """Of the namespaces."""
    return cluster.processes.pid("node")


def start_namespaces(cluster):
    for name in ("var-lib", "var-log"):
        os.makedirs(cluster.path(name), exist_ok=True)
    cluster.processes.start("node", [
        "unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private",
        "--mount-proc", "sh", "-c", FIRST, "sh", cluster.directory], forks=True)

    def ready():
        cluster.processes.require("node")
        return os.path.exists("/proc/%d/root/run/ready" % first_process(cluster))

    wait_until(ready, 20, "the node's namespaces", "See %s" % cluster.processes.log("node"))


def inside(cluster, *words):
    """The command in the node's namespaces."""
    return ["nsenter", "--target=%d" % first_process(cluster), "--mount", "--pid", *words]


def write_file(cluster, name, text):
    path = cluster.path(name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return path


def client(cluster, name, user, group=""):
    """The kubeconfig of one of the cluster's own programs."""
    cluster.authority.sign(name, user, group)
    return cluster.authority.kubeconfig(cluster.path("pki", name + ".kubeconfig"),
                                        "https://%s:%d" % (ADDRESS, API_PORT), name)


CONTAINERD = """\
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.blockfile",
	"io.containerd.snapshotter.v1.erofs", "io.containerd.differ.v1.erofs"]

[grpc]
	address = "{socket}"

[plugins."io.containerd.cri.v1.images".pinned_images]
	sandbox = "{pause}"

[plugins."io.containerd.cri.v1.runtime"]
	# A machine may lack CAP_SYS_RESOURCE: runc then cannot lower the score, and dies of it.
	restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
	runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
	SystemdCgroup = false

[plugins."io.containerd.cri.v1.runtime".cni]
	bin_dirs = ["{plugins}"]
	conf_dir = "{cni}"
"""

NETWORK = {
    "cniVersion": "1.0.0", "name": "tidegate",
    "plugins": [{"type": "bridge", "bridge": BRIDGE, "hairpinMode": True, "promiscMode": False,
                 "isGateway": False, "ipMasq": False,
                 "ipam": {"type": "host-local", "dataDir": "/run/cni/addresses",
                          "ranges": [[{"subnet": POD_RANGE, "gateway": ADDRESS,
                                       "rangeStart": "198.18.0.2"}]],
                          "routes": [{"dst": "0.0.0.0/0"}]}}]}


def start_containerd(cluster):
    write_file(cluster, "cni/10-bridge.conflist", json.dumps(NETWORK))
    config = write_file(cluster, "containerd.toml", CONTAINERD.format(
        socket=SOCKET, pause=PAUSE, plugins=CNI_PLUGINS, cni=cluster.path("cni")))
    shim = os.path.dirname(parts.build("containerd-shim-runc-v2"))
    cluster.processes.start(
        "containerd", inside(cluster, parts.build("containerd"), "--config", config),
        {"PATH": "%s:/usr/sbin:/usr/bin:/sbin:/bin" % shim}, forks=True)

    def answers():
        cluster.processes.require("containerd")
        return ctr(cluster, "version", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    wait_until(answers, 60, "containerd", "See %s" % cluster.processes.log("containerd"))


def ctr(cluster, *arguments, **options):
    return subprocess.run(
        inside(cluster, parts.build("ctr"), "--namespace", "k8s.io", *arguments), check=True,
        timeout=300, universal_newlines=True, **options)


def load_image(cluster, tar, names=()):
    """Makes the images of a tar known to the node, by its own names and by `names`."""
    own = images.names_in(tar)
    with open(tar, "rb") as source:
        answer = subprocess.run(
            inside(cluster, parts.build("ctr"), "--namespace", "k8s.io", "images", "import",
                   "--index-name", images.full_name(names[0]) if names and not own else "",
                   "-"), timeout=600,
            stdin=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            universal_newlines=True)
    if answer.returncode:
        raise Failed("containerd does not take %s: %s" % (tar, answer.stdout))
    for name in names:
        full = images.full_name(name)
        if own and full not in own:
            ctr(cluster, "images", "tag", "--force", own[0], full, stdout=subprocess.DEVNULL)
    return own + [images.full_name(name) for name in names]


def load_program(cluster, binary, names):
    """The same for an image of one static program."""
    tar = cluster.path("image.tar")
    try:
        images.make(binary, names[0], tar)
        return load_image(cluster, tar, names[1:])
    finally:
        if os.path.exists(tar):
            os.unlink(tar)


def load_pause(cluster):
    binary = cluster.path("pause")
    command("cc", "-Os", "-static", "-s", "-o", binary, os.path.join(parts.HERE, "pause.c"))
    load_program(cluster, binary, [PAUSE])


def start_control_plane(cluster):
    """Besides etcd and the API server, which answer by now."""
    key = cluster.path("pki", "service-accounts.key")
    config = client(cluster, "kube-controller-manager", "system:kube-controller-manager")
    cluster.processes.start("kube-controller-manager", [
        parts.build("kube-controller-manager"), "--kubeconfig=" + config,
        "--bind-address=127.0.0.1", "--leader-elect=false", "--use-service-account-credentials",
        "--cert-dir=" + cluster.path("run"), "--service-account-private-key-file=" + key,
        "--root-ca-file=" + cluster.authority.path,
        "--cluster-signing-cert-file=" + cluster.authority.path,
        "--cluster-signing-key-file=" + cluster.path("pki", "ca.key")])
    config = client(cluster, "kube-scheduler", "system:kube-scheduler")
    cluster.processes.start("kube-scheduler", [
        parts.build("kube-scheduler"), "--kubeconfig=" + config, "--bind-address=127.0.0.1",
        "--cert-dir=" + cluster.path("run"), "--leader-elect=false"])


def start_kubelet(cluster):
    user = "system:node:" + NAME
    certificate, key = cluster.authority.sign("kubelet", user, "system:nodes",
                                              (ADDRESS, NAME))
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "address": ADDRESS, "healthzBindAddress": "127.0.0.1",
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                           "x509": {"clientCAFile": cluster.authority.path}},
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": certificate, "tlsPrivateKeyFile": key,
        "containerRuntimeEndpoint": "unix://" + SOCKET,
        "cgroupDriver": "cgroupfs", "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [], "failCgroupV1": False, "failSwapOn": False,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%",
                         "imagefs.available": "1%", "nodefs.inodesFree": "1%"},
        "imageGCHighThresholdPercent": 100, "makeIPTablesUtilChains": False,
        "maxPods": 200, "resolvConf": "", "clusterDomain": "cluster.local",
    }
    path = write_file(cluster, "kubelet.json", json.dumps(config, indent=1))
    credentials = client(cluster, "kubelet-api", user, "system:nodes")
    cluster.processes.start("kubelet", inside(
        cluster, parts.build("kubelet"), "--config=" + path, "--kubeconfig=" + credentials,
        "--hostname-override=" + NAME, "--node-ip=" + ADDRESS), forks=True)


def start_proxy(cluster):
    credentials = client(cluster, "kube-proxy", "system:kube-proxy")
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
        "mode": "nftables", "clusterCIDR": POD_RANGE, "hostnameOverride": NAME,
        "clientConnection": {"kubeconfig": credentials},
        "conntrack": {"maxPerCore": 0, "min": 0},  # the host's limits stay
        "metricsBindAddress": "127.0.0.1:10249", "healthzBindAddress": "127.0.0.1:10256",
    }
    path = write_file(cluster, "kube-proxy.json", json.dumps(config, indent=1))
    cluster.processes.start("kube-proxy", [parts.build("kube-proxy"), "--config=" + path])


def start_balancer(cluster):
    load_program(cluster, parts.build("metallb"), [BALANCER])
    cluster.apply(parts.build("metallb-crds"))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd",
                    "ipaddresspools.metallb.io", stdout=subprocess.DEVNULL)
    cluster.apply(os.path.join(parts.HERE, "metallb.yaml"))


def wait_for_node(cluster):
    def ready():
        for name in ("kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy"):
            cluster.processes.require(name)
        status = cluster.kubectl(
            "get", "node", NAME, "--ignore-not-found", "-o",
            'jsonpath={.status.conditions[?(@.type=="Ready")].status}',
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        return status == "True"

    wait_until(ready, 180, "the node to be Ready", "See %s" % cluster.processes.log("kubelet"))
    # Admission refuses Pods of a namespace whose account is not there yet.
    wait_until(lambda: cluster.kubectl("get", "serviceaccount", "default",
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL),
               60, "the default service account",
               "See %s" % cluster.processes.log("kube-controller-manager"))
    wait_until(tables, 60, "kube-proxy's rules", "See %s" % cluster.processes.log("kube-proxy"))
    cluster.kubectl("rollout", "status", "--namespace=metallb-system", "--timeout=100s",
                    "deployment/controller", stdout=subprocess.DEVNULL)


def up(cluster):
    start_network(cluster)
    start_namespaces(cluster)
    start_containerd(cluster)
    load_pause(cluster)
    server = api.up(cluster, ADDRESS, API_PORT)
    say("the API answers")
    start_control_plane(cluster)
    start_kubelet(cluster)
    start_proxy(cluster)
    start_balancer(cluster)
    wait_for_node(cluster)
    return server


def end_cgroups():
    """Those of the containers, which have ended: the kernel may need a moment to see that."""
    def gone():
        for top in glob.glob("/sys/fs/cgroup/" + CGROUP) + glob.glob("/sys/fs/cgroup/*/" + CGROUP):
            for directory, _, _ in os.walk(top, topdown=False):
                os.rmdir(directory)
        return True

    wait_until(gone, 20, "empty cgroups", "Whose processes are in /sys/fs/cgroup/*/%s?" % CGROUP)


def pods_links():
    return glob.glob("/sys/class/net/%s/brif/*" % BRIDGE)


def down(cluster):
    """Ends any cluster; of one without a node there is no more than its processes."""
    cluster.end_processes()
    if os.path.exists(cluster.path("settings.json")):
        wait_until(lambda: not pods_links(), 30, "the end of the pods' networks",
                   "See `ip link show master %s`" % BRIDGE)
        end_network(cluster)
        end_cgroups()
