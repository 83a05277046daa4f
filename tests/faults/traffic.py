# SPDX-License-Identifier: Apache-2.0
"""Traffic over many routes at once, whose every answer is judged and timed.

A probe is one request and the answers it may get: names of origins, or statuses. What else
comes back is a problem with a time, so that a test can say which of them a fault explains."""
import itertools
import threading
import time

import clients


class Probe:
    def __init__(self, host, allowed, target="/", headers=(), **connection):
        self.host, self.allowed, self.target, self.headers = host, set(allowed), target, headers
        self.connection = connection

    def __repr__(self):
        return "%s%s %s" % (self.host, self.target, dict(self.headers) or "")


class Problem:
    def __init__(self, at, probe, got, allowed):
        self.at, self.probe, self.got, self.allowed = at, probe, got, allowed

    def __repr__(self):
        return "%.3f %r: %r, not of %r" % (self.at, self.probe, self.got, self.allowed)


def ask(connection, probe):
    """The answer as a probe counts it, and whether the connection goes on."""
    answer = clients.exchange(connection, target=probe.target, host=probe.host,
                              headers=probe.headers)
    return answer.origin or answer.status, answer.header("connection") != "close"


class Traffic:
    """Every second client keeps its connections; the others make one for each request.

    reconnect: a kept connection may end between two requests, as it does when HAProxy goes."""

    def __init__(self, port, probes, clients_count=2, pause_s=0.001, reconnect=False):
        self.port, self.probes, self.pause_s = port, probes, pause_s
        self.reconnect = reconnect
        self.count, self.problems, self.last = 0, [], []
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True)
                        for number in range(clients_count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def run(self, number):
        connection = None
        probes = itertools.cycle(self.probes[number % len(self.probes):] +
                                 self.probes[:number % len(self.probes)])
        for probe in probes:
            if self.over.is_set():
                return
            allowed = probe.allowed  # as they were before the answer, or are after it
            kept, began = connection is not None, time.monotonic()
            try:
                connection = connection or clients.connect(self.port)
                got, goes_on = ask(connection, probe)
            except Exception as error:  # whatever it is: the request failed
                got, goes_on = error, False
                if kept and self.reconnect:
                    connection = None
                    continue
            with self.lock:
                self.count += 1
                self.last.append(began)
                del self.last[:-1000]
                if got not in allowed | probe.allowed:
                    self.problems.append(Problem(time.monotonic(), probe, got, probe.allowed))
            if connection and (number % 2 or not goes_on):
                connection.close()
                connection = None
            time.sleep(self.pause_s)

    def since(self, start, end=float("inf")):
        with self.lock:
            return [problem for problem in self.problems if start <= problem.at <= end]

    def count_since(self, start):
        """Requests that began after that, of the last ones."""
        with self.lock:
            return sum(at > start for at in self.last)

    def last_problem(self, start):
        """When there was one for the last time; at least `start`."""
        with self.lock:
            return max([start] + [problem.at for problem in self.problems[-1:]])

    def wrong(self):
        """Answers of the wrong origin, or 404: worse than none."""
        with self.lock:
            return [problem for problem in self.problems
                    if isinstance(problem.got, str) or problem.got == 404]

    def verify(self, at_least=50):
        assert not self.problems, (len(self.problems), self.count, self.problems[:5])
        assert self.count >= at_least, "only %d requests" % self.count
