# SPDX-License-Identifier: Apache-2.0
"""Sends requests as they are, many on a connection, and says what came back in the words of
tests/differential/evaluate.c."""
import concurrent.futures
import ssl

import clients

CONNECTIONS = 4 # at once
PIPELINED = 24 # requests on each,
PIPELINED_BYTES = 8000 # since HAProxy 3.4 may answer 414 where its buffer of 16 KB ends
TIMEOUT_S = 15


class Silence(Exception):
    """The connection ended, or nothing came, before the answer was complete."""


TLS = clients.tls_context(["http/1.1"])


class Connection:
    def __init__(self, port, sni):
        self.sock = clients.connect(port, timeout=TIMEOUT_S)
        if sni is not None:
            self.sock = TLS.wrap_socket(self.sock, server_hostname=sni or None)
        self.buffer = b""
        self.closing = False

    def fill(self):
        try:
            data = self.sock.recv(262144)
        except OSError as error:
            raise Silence(str(error)) from error
        if not data:
            raise Silence("closed")
        self.buffer += data

    def read_answer(self, method):
        """(status, [(name, value)], body), names in lower case."""
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end >= 0:
                break
            self.fill()
        lines = self.buffer[:end].decode("latin-1").split("\r\n")
        fields = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            fields.append((name.lower(), value.strip(" ")))
        status = int(lines[0][9:12])
        known = dict(fields)
        self.closing = known.get("connection") == "close" or lines[0].startswith("HTTP/1.0")
        length = known.get("content-length")
        self.buffer = self.buffer[end + 4:]
        if method == "HEAD" or status in (204, 304):
            return status, fields, b""
        if length is None:
            return status, fields, self.read_rest()
        while len(self.buffer) < int(length):
            self.fill()
        body, self.buffer = self.buffer[:int(length)], self.buffer[int(length):]
        return status, fields, body

    def read_rest(self):
        self.closing = True
        try:
            while True:
                self.fill()
        except Silence:
            return self.buffer

    def close(self):
        self.sock.close()


def joined(fields, prefix=""):
    """Lines "name: value", one for each name, sorted."""
    values = {}
    for name, value in fields:
        if name.startswith(prefix):
            values.setdefault(name, []).append(value)
    return ["%s: %s" % (name, ("; " if name == "cookie" else ",").join(values[name]))
            for name in sorted(values)]


def relative(target):
    """Without scheme and authority: the origin may get an absolute form, without a path too."""
    scheme, mark, rest = target.partition("://")
    if not mark or "/" in scheme or "?" in scheme:
        return target
    ends = [at for at in (rest.find("/"), rest.find("?")) if at >= 0]
    target = rest[min(ends):] if ends else ""
    return target if target.startswith("/") else "/" + target


def describe(status, fields, body):
    known = dict(fields)
    echo = known.get("echo") or (body.decode("latin-1") if status == 200 else "")
    if echo.count(" ") == 4:
        port, version, method, target, headers = echo.split(" ")
        headers = bytes.fromhex(headers).decode("latin-1").split("\r\n")
        got = []
        for line in headers:
            name, _, value = line.partition(": ")
            if name and name != "connection":
                got.append((name.lower(), value))
        target = relative(bytes.fromhex(target).decode("latin-1"))
        spoken = "h2" if version == "2.0" else "h1"
        lines = ["origin %s %s %s %s" % (port, spoken, method, target)] + joined(got) + [""]
        return "\n".join(lines + joined(fields, "x-"))
    if "location" in known:
        return "redirect %d %s" % (status, known["location"])
    return "status %d" % status


def batch_end(probes, at):
    """Up to where the requests from `at` on go together."""
    end, size = at + 1, len(probes[at][1].raw)
    while end < min(len(probes), at + PIPELINED) and not probes[at][1].alone:
        size += len(probes[end][1].raw)
        if probes[end][1].alone or size > PIPELINED_BYTES:
            break
        end += 1
    return end


def converse(port, sni, probes, answers):
    """Sends (index, probe) pairs in order and puts the answers into answers[index]."""
    connection, at = None, 0
    try:
        while at < len(probes):
            if connection is None:
                connection = Connection(port, sni)
            begun, end = at, batch_end(probes, at)
            try:
                connection.sock.sendall(b"".join(probe.raw for _, probe in probes[at:end]))
                while at < end:
                    index, probe = probes[at]
                    answers[index] = describe(*connection.read_answer(probe.method))
                    at += 1
                    if connection.closing or probe.last:
                        raise Silence("closing")
            except (Silence, OSError) as error:
                connection.close()
                connection = None
                # An answer that says "close" is an answer; else the connection had its chance.
                if at == begun:
                    answers[probes[at][0]] = "silence: %s" % error
                    at += 1
    finally:
        if connection:
            connection.close()


def converse_h2(port, sni, probes, answers):
    """The same over HTTP/2, some at a time."""
    with clients.H2Client(port, sni=sni) as client:
        for start in range(0, len(probes), PIPELINED):
            streams = {}
            for index, probe in probes[start:start + PIPELINED]:
                stream = client.state.get_next_available_stream_id()
                client.state.send_headers(stream, probe.h2, end_stream=True)
                streams[stream] = index
            client.flush()
            for stream, answer in client.receive(streams).items():
                fields = [(name, value.encode().decode("latin-1"))
                          for name, value in answer.headers]
                answers[streams[stream]] = describe(answer.status, fields, answer.body)


def ask(probes, ports):
    """The answers to all probes, in their order. ports: logical to real."""
    answers = [None] * len(probes)
    groups = {}
    for index, probe in enumerate(probes):
        groups.setdefault((probe.port, probe.sni, bool(probe.h2)), []).append((index, probe))

    def talk(item):
        (port, sni, over_h2), group = item
        try:
            (converse_h2 if over_h2 else converse)(ports[port], sni, group, answers)
        except OSError as error:
            refused = isinstance(error, ssl.SSLError) and "UNRECOGNIZED_NAME" in str(error)
            for index, _ in group:
                answers[index] = answers[index] or (
                    "no handshake" if refused else "no connection: %s" % error)

    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(talk, groups.items()))
    return answers
