# SPDX-License-Identifier: Apache-2.0
"""The chart, through helm as a user has it."""
import json
import os
import re
import subprocess

import yaml

import parts

HERE = os.path.dirname(os.path.abspath(__file__))
CHART = os.path.join(HERE, "../../helm/tidegate")

RELEASE, NAMESPACE = "edge", "gates"
NAME = "edge-tidegate"
WIDE_NAME = NAME + "." + NAMESPACE  # of what is in no namespace, or in another one


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


def printed(page):
    """The commands of a page with their input, by section, but for those that fetch something."""
    with open(os.path.join(HERE, "../../docs", page), encoding="utf-8") as source:
        sections = re.split(r"^## (.*)$", source.read().replace("\\\n", " "), flags=re.MULTILINE)
    found = {}
    for title, text in zip(["", *sections[1::2]], sections[::2]):
        commands = re.findall(
            r"^    \$ ((?:helm|kubectl|curl) (?:.*<<END\n(?:.*\n)*?    END|.*))$", text,
            re.MULTILINE)
        commands = [re.sub("^    ", "", command, flags=re.MULTILINE) for command in commands]
        found[title] = [command for command in commands if "https://" not in command]
    return found


def run_printed(command, directory, kubeconfig, image="tidegate.test/tidegate"):
    """As a user does in the source tree, with another registry and a cluster of ours: what is
    said, or Refused."""
    tree = os.path.join(directory, "helm")
    if not os.path.exists(tree):
        os.symlink(os.path.join(HERE, "../../helm"), tree)
    path = [os.path.dirname(parts.build(name)) for name in ("helm", "kubectl")]
    command = command.replace("image.repository=registry.example.com/tidegate",
                              "image.repository=" + image)
    done = subprocess.run(
        ["timeout", "120", "bash", "-c", command], cwd=directory, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, timeout=130,
        env=dict(os.environ, KUBECONFIG=kubeconfig, PATH=":".join(path + [os.environ["PATH"]])))
    if done.returncode:
        raise Refused("%s\n%s" % (command, done.stdout))
    return done.stdout
