# SPDX-License-Identifier: Apache-2.0
"""The real agent behind a real HAProxy, and in front of peers that misbehave.

    TIDEGATE_BUILD=/path/to/build [HAPROXY=/usr/sbin/haproxy] pytest tests/spoa/agent_e2e.py
"""
import concurrent.futures
import contextlib
import http.client
import os
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("TIDEGATE_BUILD", ROOT)
AGENT = os.path.join(BUILD, "tidegate-spoa")
HAPROXY = os.environ.get("HAPROXY", "haproxy")

LISTS = {
    "/header": 'header.x-canary="always" => canary a/b/0 ; header.x-many="1,2" => joined a/b/1 ; => web a/b/2',
    "/method": "method=POST => writer a/m/0 ; method=GET => reader a/m/1",
    "/query": 'query.color="light blue" => blue a/q/0 ; query.color~"r.d" => red a/q/1',
    "/regex": r'path~"/regex/v[0-9]+(/.*)?" => versions a/r/0 ; => rest a/r/1',
    "/slow": r'header.x~"(a+)+[bc]" => never a/s/0 ; => safe a/s/1',
    "/bad": "method=GET nonsense",
    "/long": "=> " + "x" * 2000,
}

CONFIG = """
global
    stats socket {run}/admin.sock level admin
    nbthread 2
    {extra_global}
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend web
    bind unix@{run}/web.sock
    filter spoe engine tidegate config {run}/agent.spoe
    http-request set-var(txn.list) path,map_beg({run}/lists.map)
    http-request send-spoe-group tidegate decide
    http-request return status 503 content-type text/plain lf-string "none" unless {{ var(txn.tg.route) -m found }}
    http-request return status 200 content-type text/plain lf-string "%[var(txn.tg.route)]"
backend agents
    mode {agent_mode}
    timeout connect 1s
    timeout server 5s
    option spop-check
    server a unix@{run}/agent.sock check inter 200ms rise 1 fall 1
"""

ENGINE = """
[tidegate]
spoe-agent tidegate
    groups decide
    option var-prefix tg
    option force-set-var
    timeout hello 1s
    timeout idle 30s
    timeout processing 500ms
    use-backend agents
spoe-group decide
    messages decide
spoe-message decide
    args list=var(txn.list) method=method path=path query=query headers=req.hdrs_bin
"""


def wait_for(what, seconds=5.0, explain=None):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            result = what()
            if result:
                return result
        time.sleep(0.02)
    raise AssertionError(f"did not happen in {seconds} s; {explain() if explain else ''}")


def unix_socket(path, timeout=5.0):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(timeout)
    sock.connect(path)
    return sock


def read_all(sock):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := sock.recv(65536):
            data += chunk
    return data


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("test", timeout=5)
        self.path = path

    def connect(self):
        self.sock = unix_socket(self.path)


class Agent:
    def __init__(self, run, *args):
        self.run, self.args = run, args
        self.start()

    def start(self):
        self.log = open(f"{self.run}/agent.log", "ab")
        self.process = subprocess.Popen(
            [AGENT, "--listen", f"unix@{self.run}/agent.sock", "--threads", "2",
             "--stats-socket", f"{self.run}/stats.sock", *self.args], stderr=self.log)
        wait_for(self.stats, explain=lambda: open(f"{self.run}/agent.log").read())

    def stats(self):
        with unix_socket(f"{self.run}/stats.sock") as sock:
            lines = read_all(sock).decode().splitlines()
        return {name: int(value) for name, value in (line.split() for line in lines)}

    def connect(self):
        return unix_socket(f"{self.run}/agent.sock")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(10)
        self.log.close()
        return status


@pytest.fixture
def agent(tmp_path):
    one = Agent(tmp_path)
    yield one
    assert one.stop() in (0, -signal.SIGKILL), open(f"{tmp_path}/agent.log").read()


def is_3_1():
    version = subprocess.run([HAPROXY, "-v"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, version.split()[2].split("-")[0].split(".")[:2])) >= (3, 1)


@pytest.fixture
def haproxy(agent, tmp_path):
    if not shutil.which(HAPROXY):
        pytest.skip(f"no {HAPROXY}")
    mode = "spop" if is_3_1() else "tcp"
    (tmp_path / "haproxy.cfg").write_text(
        CONFIG.format(run=tmp_path, agent_mode=mode, extra_global=""))
    (tmp_path / "agent.spoe").write_text(ENGINE)
    (tmp_path / "lists.map").write_text("".join(f"{k} {v}\n" for k, v in LISTS.items()))
    with open(tmp_path / "haproxy.log", "wb") as log:
        process = subprocess.Popen([HAPROXY, "-db", "-f", str(tmp_path / "haproxy.cfg")],
                                   stdout=log, stderr=log)
    try:
        wait_for(lambda: unix_socket(f"{tmp_path}/web.sock").close() is None)
        wait_for(lambda: agent.stats()["healthchecks"],
                 explain=lambda: f"{agent.stats()} {(tmp_path / 'haproxy.log').read_text()}")
        yield process
    finally:
        process.kill()
        process.wait()


def ask(run, path, method="GET", headers=()):
    http = UnixHTTP(f"{run}/web.sock")
    try:
        http.putrequest(method, path)
        for name, value in headers:
            http.putheader(name, value)
        http.endheaders()
        answer = http.getresponse()
        return answer.status, answer.read().decode()
    finally:
        http.close()


@pytest.mark.parametrize("path,method,headers,verdict", [
    ("/header", "GET", [("X-Canary", "always")], "canary a/b/0"),
    ("/header", "GET", [("X-Canary", "never")], "web a/b/2"),
    ("/header", "GET", [("X-Many", "1"), ("x-many", "2")], "joined a/b/1"),
    ("/header", "GET", [("x-many", "2"), ("x-many", "1")], "web a/b/2"),
    ("/method", "POST", [], "writer a/m/0"),
    ("/method", "GET", [], "reader a/m/1"),
    ("/method", "DELETE", [], "http-404"),
    ("/query?color=light+blue", "GET", [], "blue a/q/0"),
    ("/query?x=1&col%6fr=light%20blue", "GET", [], "blue a/q/0"),
    ("/query?color=red&color=light+blue", "GET", [], "red a/q/1"),
    ("/query", "GET", [], "http-404"),
    ("/regex/v12/x?y=z", "GET", [], "versions a/r/0"),
    ("/regex/v/x", "GET", [], "rest a/r/1"),
    ("/slow", "GET", [("x", "aab")], "never a/s/0"),
])
def test_verdicts(haproxy, tmp_path, path, method, headers, verdict):
    status, body = ask(tmp_path, path, method, headers)
    assert (status, body) == (200, verdict)


@pytest.mark.parametrize("path,reason", [
    ("/bad", "error_bad_list"),
    ("/long", "error_long_verdict"),
])
def test_fails_closed(haproxy, agent, tmp_path, path, reason):
    assert ask(tmp_path, path)[0] == 503
    assert agent.stats()[reason] == 1
    assert ask(tmp_path, "/method")[0] == 200


def test_catastrophic_pattern_is_bounded(haproxy, agent, tmp_path):
    start = time.monotonic()
    assert ask(tmp_path, "/slow", headers=[("x", "a" * 4000)]) == (200, "safe a/s/1")
    assert time.monotonic() - start < 0.4
    assert agent.stats()["regex_limits"] == 1


def test_killed_agent(haproxy, agent, tmp_path):
    assert ask(tmp_path, "/method")[0] == 200
    agent.process.kill()
    agent.process.wait()
    assert ask(tmp_path, "/method")[0] == 503
    agent.start()  # on the socket file that the dead one left
    wait_for(lambda: ask(tmp_path, "/method")[0] == 200)


def test_stopped_agent_is_found_again(haproxy, agent, tmp_path):
    for _ in range(3):
        statuses = [ask(tmp_path, "/method")[0] for _ in range(20)]
        assert statuses == [200] * 20
        assert agent.stop() == 0
        agent.start()
        wait_for(lambda: ask(tmp_path, "/method")[0] == 200)


# --- without HAProxy: peers that misbehave ---

def varint(n):
    if n < 240:
        return bytes([n])
    out, n = [(n | 240) & 255], (n - 240) >> 4
    while n >= 128:
        out.append((n | 128) & 255)
        n = (n - 128) >> 7
    return bytes(out + [n])


def text(s):
    s = s.encode() if isinstance(s, str) else s
    return varint(len(s)) + s


def string(s):
    return b"\x08" + text(s)


def frame(kind, payload, stream=0, number=0, flags=1):
    body = bytes([kind]) + struct.pack(">I", flags) + varint(stream) + varint(number) + payload
    return struct.pack(">I", len(body)) + body


def hello(size=16380, **items):
    payload = (text("supported-versions") + string(items.get("versions", "2.0")) +
               text("max-frame-size") + b"\x03" + varint(size) +
               text("capabilities") + string("pipelining"))
    return frame(1, payload)


def notify(n, decision_list="=> web a/b/0", path="/"):
    args = {"list": string(decision_list), "method": string("GET"), "path": string(path),
            "query": b"\x00", "headers": b"\x09" + text(b"\x00\x00")}
    payload = text("decide") + bytes([len(args)])
    return frame(3, payload + b"".join(text(k) + v for k, v in args.items()), n, 1)


def recv_frame(sock):
    def exactly(n):
        data = b""
        while len(data) < n:
            chunk = sock.recv(n - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data
    body = exactly(struct.unpack(">I", exactly(4))[0])
    return body[0], body[5:]


def open_session(agent):
    sock = agent.connect()
    sock.sendall(hello())
    assert recv_frame(sock)[0] == 101
    return sock


def test_pipelined_requests_are_all_answered(agent):
    with open_session(agent) as sock:
        sock.sendall(b"".join(notify(n) for n in range(1, 101)))
        for _ in range(100):
            kind, rest = recv_frame(sock)
            assert kind == 103 and rest.endswith(string("web a/b/0"))
    assert agent.stats()["verdicts"] == 100


def test_threads_share_nothing_that_changes(tmp_path):
    """Peers on both threads, lists that push each other out of the caches, readers of the
    counters, and the end in the middle of it: for the build with the thread sanitizer."""
    agent = Agent(tmp_path, "--cache-lists", "8")
    peers, rounds, batch = 6, 20, 20

    def ask_many(peer):
        with open_session(agent) as sock:
            for turn in range(rounds):
                verdicts = [f"peer-{peer} a/b/{turn * batch + n}" for n in range(batch)]
                sock.sendall(b"".join(notify(n + 1, f"=> {verdict}")
                                      for n, verdict in enumerate(verdicts)))
                for verdict in verdicts:
                    kind, rest = recv_frame(sock)
                    assert kind == 103 and rest.endswith(string(verdict))

    try:
        with concurrent.futures.ThreadPoolExecutor(peers) as pool:
            asking = [pool.submit(ask_many, peer) for peer in range(peers)]
            while not all(one.done() for one in asking):
                agent.stats()
            for one in asking:
                one.result()
        assert agent.stats()["verdicts"] == peers * rounds * batch
        with contextlib.ExitStack() as stack:
            for _ in range(peers):
                stack.enter_context(open_session(agent)).sendall(notify(1) * 100)
            assert agent.stop() == 0
    finally:
        agent.stop()


def test_bytes_one_by_one(agent):
    with agent.connect() as sock:
        for byte in hello() + notify(1):
            sock.sendall(bytes([byte]))
        assert recv_frame(sock)[0] == 101
        assert recv_frame(sock)[0] == 103


@pytest.mark.parametrize("data,reason,status", [
    (frame(3, b""), "error_bad_hello", 4),
    (hello(versions="1.0"), "error_bad_hello", 8),
    (hello(size=100), "error_bad_hello", 9),
    (frame(1, text("max-frame-size") + b"\x03\x00"), "error_bad_hello", 5),
    (hello() + frame(3, b"", flags=0), "error_fragmented_frame", 10),
    (hello() + struct.pack(">I", 20000), "error_big_frame", 3),
    (b"GET / HTTP/1.1\r\n\r\n", "error_big_frame", 3),
    (hello() + frame(3, text("decide") + b"\x05" + varint(10**9)), "error_bad_frame", 4),
    (hello() + struct.pack(">I", 3) + b"abc", "error_bad_frame", 4),
])
def test_liars_are_disconnected(agent, data, reason, status):
    with agent.connect() as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        received = read_all(sock)
    assert text("status-code") + b"\x03" + varint(status) in received
    assert agent.stats()[reason] == 1
    wait_for(lambda: agent.stats()["connections"] == 0)


def test_peer_that_does_not_read(agent):
    """Back-pressure: the agent stops reading; another connection does not notice."""
    with open_session(agent) as slow, open_session(agent) as other:
        slow.settimeout(0.3)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 64 * 1024 * 1024:
                sent += slow.send(b"".join(notify(n) for n in range(1, 100)))
        other.sendall(notify(7))
        assert recv_frame(other)[0] == 103
        slow.settimeout(5)
        slow.setblocking(True)
        for _ in range(1000):  # and goes on when the peer does
            assert recv_frame(slow)[0] == 103


def test_stalled_peers_are_closed(tmp_path):
    agent = Agent(tmp_path, "--hello-timeout", "1", "--idle-timeout", "2")
    try:
        silent, partial, idle = agent.connect(), open_session(agent), open_session(agent)
        partial.sendall(notify(1)[:20])
        start = time.monotonic()
        assert text("status-code") + b"\x03\x02" in read_all(silent)
        assert text("status-code") + b"\x03\x02" in read_all(partial)
        assert 0.5 < time.monotonic() - start < 2
        assert read_all(idle)
        assert agent.stats()["error_timeout"] == 2
        for sock in (silent, partial, idle):
            sock.close()
    finally:
        assert agent.stop() == 0


def test_limit_of_connections(tmp_path):
    agent = Agent(tmp_path, "--max-connections", "2")
    try:
        with open_session(agent) as one, open_session(agent):
            third = agent.connect()
            third.settimeout(2)
            assert read_all(third) == b""
            assert agent.stats()["connections_refused"] == 1
            one.sendall(notify(1))
            assert recv_frame(one)[0] == 103
    finally:
        assert agent.stop() == 0


def test_stop_says_goodbye_and_removes_the_socket(agent, tmp_path):
    with open_session(agent) as sock:
        agent.process.send_signal(signal.SIGTERM)
        kind, rest = recv_frame(sock)
        assert kind == 102 and text("status-code") + b"\x03\x00" in rest
        assert read_all(sock) == b""
    assert agent.process.wait(5) == 0
    assert not os.path.exists(tmp_path / "agent.sock")


def test_socket_mode_and_second_start(agent, tmp_path):
    assert os.stat(tmp_path / "agent.sock").st_mode & 0o777 == 0o660
    second = subprocess.run([AGENT, "--listen", f"unix@{tmp_path}/agent.sock"],
                            capture_output=True, text=True, check=False)
    assert second.returncode == 1 and "another process listens" in second.stderr
    with open_session(agent):
        pass


@pytest.mark.parametrize("args,status", [
    ([], 2), (["--listen"], 2), (["--nonsense"], 2), (["--listen", "x", "--threads", "0"], 2),
    (["--listen", "nowhere"], 1), (["--listen", "unix@/nonexistent/a.sock"], 1),
    (["--help"], 0), (["--version"], 0),
])
def test_exit_status(args, status):
    result = subprocess.run([AGENT, *args], capture_output=True, text=True, check=False)
    assert result.returncode == status, result.stderr
    assert "\n" in (result.stdout if status == 0 else result.stderr)
