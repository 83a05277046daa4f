# SPDX-License-Identifier: Apache-2.0
"""A minute of the soak."""
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def test_soak():
    done = subprocess.run([os.path.join(HERE, "soak"), "1"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, universal_newlines=True,
                          check=False)
    print(done.stdout)
    assert done.stdout.splitlines()[-1].endswith(" passed, 0 failed")
    assert done.returncode == 0
