# SPDX-License-Identifier: Apache-2.0
"""A test cluster is a directory: keys, logs, state and the records of its processes."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile

import parts
import pki
from parts import Failed, say
from processes import Processes

# There is one node a machine: it has fixed addresses.
NODE_DIRECTORY = "/tmp/tidegate-cluster"


class Cluster:
    def __init__(self, directory):
        self.directory = os.path.abspath(directory)
        self.processes = Processes(self.directory)
        self.kubeconfig = self.path("kubeconfig")
        self.authority = None

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def is_up(self):
        return any(self.processes.pid(name) for name in self.processes.names())

    def is_ours(self):
        return os.path.isdir(self.processes.run)

    def prepare(self):
        """An empty directory, which is nobody else's: it holds keys."""
        if self.is_ours():
            self.remove()  # what an attempt that failed has left
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        if os.listdir(self.directory) or os.stat(self.directory).st_uid != os.getuid():
            raise Failed("%s has something else in it, or another owner: choose another "
                         "directory with --dir" % self.directory)
        self.processes.make_directories()
        self.authority = pki.Authority(self.path("pki"))

    def kubectl(self, *arguments, timeout=120, **options):
        return subprocess.run([parts.build("kubectl"), "--kubeconfig", self.kubeconfig,
                               *arguments], timeout=timeout, check=True,
                              universal_newlines=True, **options)

    def apply(self, *paths):
        """Server-side, since some of the definitions are too large for the annotation of the
        other way."""
        files = [argument for path in paths for argument in ("-f", path)]
        try:
            self.kubectl("apply", "--server-side", "--recursive", *files,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
        except subprocess.CalledProcessError as error:
            raise Failed("kubectl apply %s: %s" % (" ".join(paths), error.stderr))

    def apply_gateway_api(self, channel="standard"):
        crds = parts.build("gateway-api-crds")
        version = os.path.basename(crds).rpartition("-")[2]
        say("Gateway API %s, %s channel", version, channel)
        directory = os.path.join(crds, channel)
        self.apply(*sorted(os.path.join(directory, name) for name in os.listdir(directory)
                           if name.startswith("gateway.networking.")))
        self.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all",
                     stdout=subprocess.DEVNULL)

    def print_environment(self):
        """For `eval "$(tests/cluster/up)"`."""
        print("export TIDEGATE_CLUSTER=%s" % self.directory)
        print("export KUBECONFIG=%s" % self.kubeconfig)
        sys.stdout.flush()

    def end_processes(self):
        """Those that were started last end first. Nothing of theirs is kept, so none is asked."""
        for name in reversed(self.processes.names()):
            self.processes.kill(name, signal.SIGKILL)

    def remove(self):
        shutil.rmtree(self.directory)


def of_arguments(directory):
    """The one that is meant: --dir, the environment's, or the machine's node."""
    return Cluster(directory or os.environ.get("TIDEGATE_CLUSTER") or NODE_DIRECTORY)


def temporary():
    return Cluster(tempfile.mkdtemp(prefix="tidegate-api-"))


def run(main):
    """The frame of every command: what went wrong is one message, not a traceback, and the end
    of the command is the end of what it waits for."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit("%s: %s" % (sys.argv[0], failure))
    except subprocess.CalledProcessError as error:
        sys.exit("%s: `%s` ended with %d: %s" % (sys.argv[0], " ".join(error.cmd),
                                                 error.returncode, error.stderr or ""))
    except subprocess.TimeoutExpired as late:
        sys.exit("%s: no answer within %d s of: %s" % (sys.argv[0], late.timeout,
                                                      " ".join(late.cmd)))
    except KeyboardInterrupt:
        sys.exit(130)
