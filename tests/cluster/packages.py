# SPDX-License-Identifier: Apache-2.0
"""Imported before what is not Python's own: installs that where it is missing."""
import importlib.util
import os
import subprocess
import sys

INSTALL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/install-deps")

if not all(map(importlib.util.find_spec, ("cryptography", "yaml"))):
    if subprocess.run([INSTALL, "cluster"], check=False, stdin=subprocess.DEVNULL,
                      stdout=2).returncode:
        sys.exit("%s: the packages of `scripts/install-deps cluster` are missing" % sys.argv[0])
    importlib.invalidate_caches()
