# SPDX-License-Identifier: Apache-2.0
"""A relay in front of the API server, whose connections can hang: they stay open, and nothing comes
through any more. New ones are as they should be."""
import socket
import threading

import yaml


class Relay:
    def __init__(self, server):
        self.server = server
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.count = 0  # of connections, so far
        self.lost = set()  # the numbers of those that hang
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listening.close()

    def kubeconfig(self, path):
        """The administrator's, but through the relay."""
        with open(self.server.cluster.kubeconfig, encoding="ascii") as source:
            config = yaml.safe_load(source)
        config["clusters"][0]["cluster"]["server"] = \
            "https://127.0.0.1:%d" % self.listening.getsockname()[1]
        with open(path, "w", encoding="ascii") as out:
            yaml.safe_dump(config, out)
        return str(path)

    def hang(self, first=0):
        """The connections there are, from this one on."""
        self.lost.update(range(first, self.count))

    def accept(self):
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.server.port))
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self.pass_on, args=(*ends, self.count),
                                 daemon=True).start()
            self.count += 1

    def pass_on(self, source, target, number):
        """What comes after hang(), the end of the connection too, is lost."""
        try:
            while True:
                data = source.recv(65536)
                if number in self.lost:
                    if not data:
                        return
                elif data:
                    target.sendall(data)
                else:
                    target.shutdown(socket.SHUT_WR)
                    return
        except OSError:
            return
