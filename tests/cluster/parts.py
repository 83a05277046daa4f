# SPDX-License-Identifier: Apache-2.0
"""What the test cluster is made of: programs and files out of Go modules, built once.

Each module has a directory below modules/ whose go.mod pins all versions; what is built lies in
${XDG_CACHE_HOME:-~/.cache}/tidegate/cluster/PART-VERSION, and is used from there from then on."""
import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from typing import NamedTuple

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
                     "tidegate", "cluster")
BUILD_PATIENCE_S = 5400  # at the lowest priority, beside others
PROGRESS_S = 30


class Failed(Exception):
    """Something that the user has to know; the text says what to do."""


def say(text, *values):
    print("cluster: " + text % values, file=sys.stderr, flush=True)


class Part(NamedTuple):
    """A program (`package`), or files (`directory` of the module)."""
    module: str             # below modules/
    package: str            # of a program, or the Go module that has the files or the tests
    directory: str = ""     # what is copied out of it
    ours: str = ""          # "build" or "test": our own module, in which the package is, is built
    tags: str = ""
    versions: tuple = ()    # variables that hold the version
    minutes: int = 1        # of one slow core, when nothing is cached


KUBERNETES = ("k8s.io/component-base/version.", "k8s.io/client-go/pkg/version.")
CONTAINERD = "github.com/containerd/containerd/v2/"
LEAN = "no_btrfs no_devmapper no_zfs no_aufs"


def kubernetes(name, minutes):
    return Part("kubernetes", "k8s.io/kubernetes/cmd/" + name, versions=KUBERNETES,
                minutes=minutes)


def containerd(name):
    return Part("containerd", CONTAINERD + "cmd/" + name, tags=LEAN,
                versions=(CONTAINERD + "version.Version",))


PARTS = {
    "etcd": Part("etcd", "go.etcd.io/etcd/server/v3", minutes=2),
    "kube-apiserver": kubernetes("kube-apiserver", 8),
    "kubectl": kubernetes("kubectl", 1),
    "kube-controller-manager": kubernetes("kube-controller-manager", 2),
    "kube-scheduler": kubernetes("kube-scheduler", 1),
    "kubelet": kubernetes("kubelet", 2),
    "kube-proxy": kubernetes("kube-proxy", 1),
    "containerd": containerd("containerd"),
    "containerd-shim-runc-v2": containerd("containerd-shim-runc-v2"),
    "ctr": containerd("ctr"),
    "helm": Part("helm", "helm.sh/helm/v4/cmd/helm", minutes=4,
                 versions=("helm.sh/helm/v4/internal/version.version",)),
    "coredns": Part("coredns", "github.com/coredns/coredns", ours="build", minutes=2),
    "echo-basic": Part("gateway-api", "sigs.k8s.io/gateway-api/conformance/echo-basic"),
    "conformance-files": Part("gateway-api", "sigs.k8s.io/gateway-api/conformance",
                              directory="."),
    "conformance": Part("conformance", "sigs.k8s.io/gateway-api/conformance", ours="test",
                        minutes=4),
    "metallb": Part("metallb", "go.universe.tf/metallb/controller"),
    "metallb-crds": Part("metallb", "go.universe.tf/metallb", directory="config/crd/bases"),
    "gateway-api-crds": Part("gateway-api", "sigs.k8s.io/gateway-api", directory="config/crd"),
}


def module_directory(part):
    return os.path.join(HERE, "modules", part.module)


def version(part):
    """Of the required module that the package belongs to: the one of the longest name."""
    with open(os.path.join(module_directory(part), "go.mod"), encoding="utf-8") as source:
        required = re.findall(r"^(?:require)?\s+(\S+) (v\S+)", source.read(), re.MULTILINE)
    found = [(name, number) for name, number in required
             if (part.package + "/").startswith(name + "/")]
    return max(found, key=lambda pair: len(pair[0]))[1]


def place(name):
    """The path of the part, whether it is there or not."""
    part = PARTS[name]
    directory = os.path.join(CACHE, "%s-%s" % (name, version(part)))
    return directory if part.directory else os.path.join(directory, name)


def link_flags(part):
    number = version(part)
    major, minor = re.match(r"v(\d+)\.(\d+)", number).groups()
    flags = ["-s", "-w"]
    for variable in part.versions:
        if variable.endswith("."):  # Kubernetes' own: clients parse all three
            flags += ["-X %sgit%s=%s" % (variable, key, value) for key, value in
                      (("Version", number), ("Major", major), ("Minor", minor))]
        else:
            flags.append("-X %s=%s" % (variable, number))
    return " ".join(flags)


def go_environment():
    """Programs that need no C library, so that each is an image by itself, too."""
    return dict(os.environ, CGO_ENABLED="0", GOFLAGS="-mod=readonly -trimpath -buildvcs=false")


def require_go(part):
    """The go.mod says which version is needed; the go command itself knows whether it is that."""
    try:
        answer = subprocess.run(["go", "list", "-m"], cwd=module_directory(part), timeout=300,
                                env=go_environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                universal_newlines=True)
    except FileNotFoundError:
        raise Failed("there is no `go` in PATH; the cluster's programs need Go 1.26 or later: "
                     "https://go.dev/dl/")
    if answer.returncode:
        raise Failed("%sInstall Go 1.26 or later (https://go.dev/dl/), or allow it to fetch "
                     "itself: GOTOOLCHAIN=auto" % answer.stderr)


def run_go(arguments, part, log):
    """Runs it as the last in the queue for the CPU, and says now and then that it still does."""
    command = ["nice", "-n", "19", "go"] + arguments
    with open(log, "a", encoding="utf-8") as output:
        process = subprocess.Popen(command, cwd=module_directory(part), env=go_environment(),
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    start = time.monotonic()
    while True:
        try:
            status = process.wait(PROGRESS_S)
            break
        except subprocess.TimeoutExpired:
            seconds = time.monotonic() - start
            say("... still at %s, %d s", part.package, seconds)
            if seconds > BUILD_PATIENCE_S:
                process.kill()
        except BaseException:
            process.kill()
            raise
    if status:
        with open(log, encoding="utf-8", errors="replace") as output:
            tail = output.readlines()[-15:]
        raise Failed("`%s` in %s ended with %d:\n%sAll of it: %s\nThe modules come from GOPROXY "
                     "(go env GOPROXY): is it reachable?" % (
                         " ".join(command), module_directory(part), status, "".join(tail), log))


def make_program(name, part, target, log):
    os.makedirs(target)
    verb = ["test", "-c"] if part.ours == "test" else ["build"]
    run_go(verb + ["-p", "2", "-tags", part.tags, "-ldflags", link_flags(part),
                   "-o", os.path.join(target, name), "." if part.ours else part.package], part, log)


def make_directory(part, target, log):
    run_go(["mod", "download", part.package], part, log)
    found = subprocess.run(["go", "list", "-m", "-f", "{{.Dir}}", part.package], check=True,
                           cwd=module_directory(part), env=go_environment(), timeout=300,
                           stdout=subprocess.PIPE, universal_newlines=True).stdout.strip()
    shutil.copytree(os.path.join(found, part.directory), target, copy_function=shutil.copyfile)
    for root, directories, _ in os.walk(target):
        for directory in directories + ["."]:  # the module cache is read-only, copies are not
            os.chmod(os.path.join(root, directory), 0o755)


def build(name):
    """Returns the part's path; makes it when it is not there. Two builds wait for each other."""
    if name not in PARTS:
        raise Failed("there is no part `%s`; parts: %s" % (name, " ".join(PARTS)))
    part, path = PARTS[name], place(name)
    if os.path.exists(path):
        return path
    os.makedirs(os.path.join(CACHE, "log"), exist_ok=True)
    with open(os.path.join(CACHE, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(path):
            return path
        require_go(part)
        finished = path if part.directory else os.path.dirname(path)
        unfinished = finished + ".new"
        log = os.path.join(CACHE, "log", name + ".log")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(finished, ignore_errors=True)
        start = time.monotonic()
        say("%s %s is not in the cache: building, up to %d minutes", name, version(part),
            part.minutes)
        if part.directory:
            make_directory(part, unfinished, log)
        else:
            make_program(name, part, unfinished, log)
        os.rename(unfinished, finished)
        say("%s is built: %d s", name, time.monotonic() - start)
    return path
