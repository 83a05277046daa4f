# SPDX-License-Identifier: Apache-2.0
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, name) for name in (".", "../kube", "../e2e", "../cluster")]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts what the pods say beside a failure on the node."""
    report = (yield).get_result()
    if report.failed:
        for release in item.funcargs.values():
            if hasattr(release, "told"):
                report.sections.append(("the pods", release.told()))
                break
