# SPDX-License-Identifier: Apache-2.0
"""Verdicts and reasons, out of what Go's testing and testify print."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from suite_log import Result, SuiteLog  # noqa: E402

LOG = """\
^=== RUN   TestConformance
    conformance.go:107: Running conformance tests with:
^=== RUN   TestConformance/Good
    http.go:1: 2026-11-25T22:40:34.39118148Z: fine
^--- PASS: TestConformance/Good (1.50s)
^=== RUN   TestConformance/Other
    suite.go:19: Skipping Other: suite does not support X
^--- SKIP: TestConformance/Other (0.00s)
^=== RUN   TestConformance/Late
^=== PAUSE TestConformance/Late
^=== RUN   TestConformance/Plain
^=== RUN   TestConformance/Plain/part
    http.go:29: 2026-11-25T22:40:34.391377466Z: seen
    http.go:29: unexpected 3
^--- FAIL: TestConformance/Plain/part (0.00s)
^=== NAME  TestConformance/Plain
^--- FAIL: TestConformance/Plain (0.10s)
^=== RUN   TestConformance/Equal
    http.go:32:\x20
        \tError Trace:\t/tmp/http.go:32
        \tError:      \tNot equal:\x20
        \t            \texpected: []string{"a"}
        \t            \tactual  : []string{"b"}
        \t            \t
        \t            \tDiff:
        \t            \t--- Expected
        \t            \t+++ Actual
        \tTest:       \tTestConformance/Equal
^--- FAIL: TestConformance/Equal (0.00s)
^=== CONT  TestConformance/Late
^=== RUN   TestConformance/Late/0_request_to_a.com/_should_go_to_b
    http.go:23: 2026-11-25T22:40:34.391575565Z: expected status code 200, got 503
    http.go:24:\x20
        \tError Trace:\t/tmp/http.go:24
        \tError:      \tReceived unexpected error:
        \t            \tcontext deadline exceeded
        \tTest:       \tTestConformance/Late/0_request_to_a.com/_should_go_to_b
        \tMessages:   \terror waiting for a
        \t            \tb
^--- FAIL: TestConformance/Late/0_request_to_a.com/_should_go_to_b (30.00s)
^=== RUN   TestConformance/Late/1_other
    http.go:26: 2026-11-25T22:40:34.391709886Z: ok
^--- PASS: TestConformance/Late/1_other (0.00s)
^=== NAME  TestConformance/Late
^--- FAIL: TestConformance/Late (30.01s)
^--- FAIL: TestConformance (32.00s)
FAIL
""".replace("^", "\x16")


def test_results():
    log = SuiteLog()
    found = [log.feed(line) for line in LOG.splitlines(keepends=True)]
    assert [result for result in found if result] == [
        Result("Good", "PASS", 1.5, ""),
        Result("Other", "SKIP", 0.0, ""),
        Result("Plain", "FAIL", 0.1, "unexpected 3"),
        Result("Equal", "FAIL", 0.0, 'Not equal: expected: []string{"a"} actual : []string{"b"}'),
        Result("Late", "FAIL", 30.01,
               "Received unexpected error: context deadline exceeded; error waiting for a b; "
               "expected status code 200, got 503"),
        Result("TestConformance", "FAIL", 32.0, "Running conformance tests with:"),
    ]
