# SPDX-License-Identifier: Apache-2.0
"""The chart, through helm as a user has it."""
import json
import os
import subprocess

import yaml

import parts

HERE = os.path.dirname(os.path.abspath(__file__))
CHART = os.path.join(HERE, "../../helm/tidegate")

RELEASE, NAMESPACE = "edge", "gates"
NAME = "edge-tidegate"


class Refused(Exception):
    pass


def helm(*words, kubeconfig=os.devnull, timeout=300):
    done = subprocess.run([parts.build("helm"), *words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                          env=dict(os.environ, KUBECONFIG=kubeconfig), universal_newlines=True)
    if done.returncode:
        raise Refused(done.stdout + done.stderr)
    return done.stdout


def options(values):
    return [word for key, value in values.items()
            for word in ("--set-json", "%s=%s" % (key, json.dumps(value)))]


def render(values=None):
    """The text of all manifests."""
    return helm("template", RELEASE, CHART, "--namespace", NAMESPACE, *options(values or {}))


def objects(values=None):
    """The same as {(kind, name): object}; of the same name in several namespaces, the last."""
    return {(each["kind"], each["metadata"]["name"]): each
            for each in yaml.safe_load_all(render(values)) if each}


def pod(values=None, kind="Deployment"):
    return objects(values)[kind, NAME]["spec"]["template"]["spec"]
