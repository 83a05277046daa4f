# SPDX-License-Identifier: Apache-2.0
"""Backends by DNS name: their servers follow the answers as TTLs run out, and stay when there are
none."""
import contextlib
import socket
import struct
import threading
import time

import pytest

import manifests as m
import origins as o
from load import Load
from tidegate import Tidegate, eventually, free_port

A, SERVFAIL = 1, 2
TTL_S = 1
NAME = "web.corp.test"


class Dns:
    """A DNS server that knows A records of one name. No addresses: it fails."""

    def __init__(self):
        self.addresses, self.asked = [], 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def close(self):
        self.socket.close()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                query, peer = self.socket.recvfrom(4096)
                self.socket.sendto(self.answer(query), peer)

    def answer(self, query):
        end = query.index(b"\0", 12) + 5
        question, kind = query[12:end], struct.unpack(">H", query[end - 4:end - 2])[0]
        wanted = b"".join(bytes([len(label)]) + label for label in NAME.encode().split(b"."))
        ours = question.lower().startswith(wanted + b"\0")
        addresses = list(self.addresses)
        self.asked += ours and kind == A
        records = [b"\xc0\x0c" + struct.pack(">HHIH", A, 1, TTL_S, 4) + socket.inet_aton(address)
                   for address in addresses if ours and kind == A]
        flags = 0x8180 | (0 if addresses else SERVFAIL)
        return query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + question + \
            b"".join(records)


@pytest.fixture
def dns():
    with contextlib.closing(Dns()) as server:
        yield server


@pytest.fixture
def moved():
    """Two origins on one port of two addresses."""
    port = free_port()
    with contextlib.closing(o.Origin("old", port, "127.0.0.1")), \
            contextlib.closing(o.Origin("new", port, "127.0.0.2")):
        yield port


def test_servers_follow_the_answers(tmp_path, origins, dns, moved):
    dns.addresses = ["127.0.0.1"]
    with contextlib.closing(Tidegate(tmp_path, "--dns", "127.0.0.1:%d" % dns.port)) as gate:
        gate.base_manifests(origins.values())
        gate.write("r", m.backend("named", moved, host=NAME),
                   m.route("r", [m.rule("named")], hostnames=["r.test"]))
        gate.start()
        eventually(lambda: gate.get(host="r.test").origin == "old")
        worker = gate.worker_pid()
        with Load(gate.port, "r.test") as load:
            dns.addresses = ["127.0.0.2"]
            eventually(lambda: gate.get(host="r.test").origin == "new", timeout=TTL_S + 9)
            # Nobody answers any more: what was known stays.
            dns.addresses, asked = [], dns.asked
            eventually(lambda: dns.asked > asked + 1)
            time.sleep(TTL_S)
            assert gate.get(host="r.test").origin == "new"
            dns.addresses = ["127.0.0.1", "127.0.0.2"]
            seen = set()
            eventually(lambda: seen.add(gate.get(host="r.test").origin) or
                       seen == {"old", "new"}, timeout=30)
        load.verify()
        assert gate.worker_pid() == worker
