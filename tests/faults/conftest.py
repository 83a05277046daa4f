# SPDX-License-Identifier: Apache-2.0
"""Faults: what the end-to-end tests do not do to a running Tidegate. The harness is theirs
(tests/e2e), with the same environment variables."""
import importlib.util
import os
import sys

import pytest

E2E = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e")
sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), E2E]

# Its conftest has our module's name.
spec = importlib.util.spec_from_file_location("e2e_conftest", os.path.join(E2E, "conftest.py"))
e2e_conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(e2e_conftest)

cold_gate = e2e_conftest.cold_gate
gate = e2e_conftest.gate
origins = e2e_conftest.origins
pytest_report_header = e2e_conftest.pytest_report_header
pytest_runtest_makereport = e2e_conftest.pytest_runtest_makereport
version = e2e_conftest.version

import world  # noqa: E402
from helpers import differences, ready  # noqa: E402
from tidegate import eventually, free_port  # noqa: E402


@pytest.fixture
def worlds(gate, origins):
    """A Tidegate that is world A; the reload for its listeners is over."""
    gate.write("tls", world.schema(free_port()))
    world.write(gate, origins, "A")
    gate.settle()
    eventually(lambda: gate.metric_sum("tidegate_reloads_total") and ready(gate) and
               not differences(gate))
    return gate
