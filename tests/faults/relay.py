# SPDX-License-Identifier: Apache-2.0
"""A relay in the place of HAProxy's Runtime API socket.

HAProxy's own socket is renamed, and the relay listens under its name, also after HAProxy has
made a new one. Every batch that the controller sends goes through `behaviour(text, forward)`,
which returns the answer (bytes), or None to hang up."""
import os
import socket
import threading


def split(text):
    """The commands of a batch. A command with a payload is a batch of its own."""
    if b" <<\n" in text:
        return [text]
    commands, start, at = [], 0, 0
    line = text.rstrip(b"\n")
    while at < len(line):
        if line[at:at + 1] == b"\\":
            at += 1
        elif line[at:at + 1] == b";":
            commands.append(line[start:at])
            start = at + 1
        at += 1
    return commands + [line[start:]]


def join(commands):
    """The inverse of split()."""
    if commands and b" <<\n" in commands[0]:
        return commands[0]
    return b";".join(commands) + b"\n"


def changes(text):
    """Whether a batch changes HAProxy."""
    return not all(command.strip().startswith((b"show ", b"wait ")) for command in split(text))


class Relay:
    def __init__(self, gate, behaviour=None):
        self.path = os.path.join(gate.run_dir, "haproxy.sock")
        self.real = os.path.join(gate.run_dir, "haproxy.real")
        self.behaviour = behaviour
        self.over = threading.Event()
        self.listening = None
        self.inode = None

    def __enter__(self):
        self.interpose()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.listening.close()
        # A socket that HAProxy has made meanwhile stays.
        if self.is_ours() and os.path.exists(self.real):
            os.rename(self.real, self.path)

    def is_ours(self):
        try:
            return os.stat(self.path).st_ino == self.inode
        except FileNotFoundError:
            return False

    def interpose(self):
        os.rename(self.path, self.real)
        if self.listening:
            self.listening.close()
        self.listening = socket.socket(socket.AF_UNIX)
        # Under another name first: the controller never finds a socket that nobody serves.
        self.listening.bind(self.path + ".relay")
        self.listening.listen(64)
        self.listening.settimeout(0.005)
        self.inode = os.stat(self.path + ".relay").st_ino
        os.rename(self.path + ".relay", self.path)

    def run(self):
        while not self.over.is_set():
            try:
                client, _ = self.listening.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()
            except socket.timeout:
                if not self.is_ours() and os.path.exists(self.path):
                    self.interpose()

    @staticmethod
    def receive(client):
        text = b""
        while not text.endswith(b"\n\n" if b" <<\n" in text else b"\n"):
            data = client.recv(65536)
            if not data:
                break
            text += data
        return text

    def forward(self, text):
        """HAProxy's answer."""
        with socket.socket(socket.AF_UNIX) as haproxy:
            haproxy.settimeout(20)
            haproxy.connect(self.real)
            haproxy.sendall(text)
            return b"".join(iter(lambda: haproxy.recv(65536), b""))

    @staticmethod
    def pass_on(text, forward):
        return forward(text)

    def serve(self, client):
        with client:
            try:
                text = self.receive(client)
                behaviour = self.behaviour or self.pass_on
                answer = behaviour(text, self.forward) if text else None
                if answer is not None:
                    client.sendall(answer)
            except OSError:
                pass  # one of the two has gone
