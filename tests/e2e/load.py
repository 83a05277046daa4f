# SPDX-License-Identifier: Apache-2.0
"""Constant load from a few clients that count every request that does not succeed."""
import threading
import time

import clients


ENOUGH, PATIENCE_S = 50, 10


class Load:
    """Requests GET `target` all the time: some clients keep their connection, others take a new
    one for each request. check(answer) decides; anything else is a failure.

    reconnect: a connection that the server closes between two requests is opened again, as
    every HTTP client does. It is for reloads only: nothing else may close one."""

    def __init__(self, port, host, target="/", clients_kept=2, clients_new=1, reconnect=False,
                 address="127.0.0.1", headers=(),
                 check=lambda answer: answer.status == 200 and answer.origin):
        self.port, self.host, self.target, self.check = port, host, target, check
        self.address, self.headers = address, headers
        self.reconnect = reconnect
        self.count, self.failures, self.seen = 0, [], {}
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(keep,), daemon=True)
                        for keep in [True] * clients_kept + [False] * clients_new]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, failure, *_):
        """However short what it was for, and slow the machine: a few requests say little."""
        end = time.monotonic() + PATIENCE_S
        while not failure and self.count < ENOUGH and time.monotonic() < end:
            time.sleep(0.01)
        self.over.set()
        for thread in self.threads:
            thread.join()

    def note(self, answer):
        with self.lock:
            self.count += 1
            if self.check(answer):
                self.seen[answer.origin] = self.seen.get(answer.origin, 0) + 1
            else:
                self.failures.append(answer)

    def run(self, keep):
        connection = None
        while not self.over.is_set():
            fresh, begin = connection is None, time.monotonic()
            try:
                if fresh:
                    connection = clients.connect(self.port, address=self.address)
                answer = clients.exchange(connection, target=self.target, host=self.host,
                                          headers=self.headers)
                self.note(answer)
                closed = (answer.header("connection") or "").lower() == "close"
            except Exception as error:  # whatever it is: the request failed
                connection = None
                if fresh or not self.reconnect:
                    with self.lock:
                        self.failures.append((error, "new connection" if fresh else "kept one",
                                              "after %.3f s" % (time.monotonic() - begin)))
                continue
            if closed or not keep:
                connection.close()
                connection = None
            time.sleep(0.002)

    def verify(self, at_least=ENOUGH):
        assert not self.failures, (len(self.failures), self.count, self.failures[:5])
        assert self.count >= at_least, "only %d requests" % self.count
