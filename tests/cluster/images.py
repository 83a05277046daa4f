# SPDX-License-Identifier: Apache-2.0
"""Images without a registry: one static program is a layer, and an image is a tar of a layer and
two small JSON files that say so."""
import hashlib
import io
import json
import os
import tarfile

PROGRAM_USER = 65532


def add(tar, name, data, mode=0o644):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))


def layer_of(binary):
    """With the program at /NAME, and the directories that runtimes expect."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for directory, mode in (("tmp", 0o1777), ("etc", 0o755)):
            entry = tarfile.TarInfo(directory)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        with open(binary, "rb") as source:
            add(tar, os.path.basename(binary), source.read(), 0o755)
    return out.getvalue()


def make(binary, name, target):
    """Writes the image `name` of one static program to the file `target`."""
    layer = layer_of(binary)
    config = json.dumps({
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine,
                                                                  os.uname().machine),
        "os": "linux",
        "config": {"Entrypoint": ["/" + os.path.basename(binary)],
                   "User": "%d:%d" % (PROGRAM_USER, PROGRAM_USER)},
        "rootfs": {"type": "layers",
                   "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    with tarfile.open(target, "w") as tar:
        add(tar, "layer.tar", layer)
        add(tar, config_name, config)
        add(tar, "manifest.json", json.dumps(
            [{"Config": config_name, "RepoTags": [full_name(name)],
              "Layers": ["layer.tar"]}]).encode())


def full_name(name):
    """As the node knows it: a Pod's `image: a:1` means docker.io/library/a:1."""
    first, slash, _ = name.partition("/")
    if not slash:
        name = "docker.io/library/" + name
    elif "." not in first and ":" not in first and first != "localhost":
        name = "docker.io/" + name
    return name if ":" in name.rpartition("/")[2] or "@" in name else name + ":latest"


def names_in(tar_path):
    """Those of an archive of docker's kind, or of OCI's."""
    with tarfile.open(tar_path) as tar:
        members = tar.getnames()
        if "manifest.json" in members:
            images = json.load(tar.extractfile("manifest.json"))
            names = [name for image in images for name in image.get("RepoTags") or []]
        elif "index.json" in members:
            images = json.load(tar.extractfile("index.json"))["manifests"]
            annotations = [image.get("annotations") or {} for image in images]
            names = [each.get("io.containerd.image.name") or
                     each.get("org.opencontainers.image.ref.name", "") for each in annotations]
        else:
            return []
    return [full_name(name) for name in names if name]
