# SPDX-License-Identifier: Apache-2.0
"""A proxy in front of an API server that can delay answers, or give its own.

Every request goes through two hooks of the test, each called with a Request and in a thread of the
request's own, so that it may wait:

    proxy.before = lambda request: None, or (status, {header: value}) to answer in the server's place
    proxy.after = lambda request: None      the server has answered, the client does not know yet

Either can be a Hold."""
import contextlib
import http.client
import http.server
import json
import os
import socket
import ssl
import threading

import yaml


class Request:
    def __init__(self, method, path, text):
        self.method, self.text = method, text
        self.path, _, self.query = path.partition("?")
        self.body = json.loads(text or "{}")


class Hold:
    """Requests that are wanted(request) stand still, from the first until go_on()."""

    def __init__(self, wanted):
        self.wanted = wanted
        self.came, self.over = threading.Event(), threading.Event()

    def __call__(self, request):
        if self.wanted(request):
            self.came.set()
            self.over.wait(60)

    def expect(self):
        assert self.came.wait(40), "no such request"

    def go_on(self):
        self.over.set()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def proxy(self):
        proxy = self.server.proxy
        request = Request(self.command, self.path,
                          self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        with proxy.lock:
            proxy.running[self] = request
        try:
            answer = proxy.before(request)
            if answer:
                self.answer(*answer)
            else:
                self.forward(request)
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # one of the two has gone
        finally:
            with proxy.lock:
                del proxy.running[self]

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = proxy

    def answer(self, status, headers=()):
        text = json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure",
                           "message": "the proxy says %d" % status, "code": status}).encode()
        self.begin(status, dict(headers, **{"Content-Type": "application/json",
                                            "Content-Length": str(len(text))}))
        self.wfile.write(text)

    def begin(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def forward(self, request):
        server = self.server.proxy.connect()
        try:
            server.request(self.command, self.path, request.text or None, {
                name: self.headers[name] for name in ("Accept", "Content-Type")
                if name in self.headers})
            answer = server.getresponse()
            self.server.proxy.after(request)
            self.begin(answer.status, {"Content-Type": answer.getheader("Content-Type", ""),
                                       "Transfer-Encoding": "chunked"})
            for part in iter(lambda: answer.read1(65536), b""):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")
        finally:
            server.close()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # all watches at once


class Proxy:
    """The server takes everything for the administrator's."""

    def __init__(self, server, directory):
        with open(server.cluster.kubeconfig, encoding="ascii") as source:
            config = yaml.safe_load(source)
        self.port = server.port
        authority = server.cluster.authority
        self.context = ssl.create_default_context(cafile=authority.path)
        self.context.load_cert_chain(*(os.path.join(authority.directory, "admin" + end)
                                       for end in (".crt", ".key")))
        self.before = self.after = lambda request: None
        self.running, self.lock = {}, threading.Lock()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.proxy = self
        config["clusters"][0]["cluster"] = {
            "server": "http://127.0.0.1:%d" % self.server.server_address[1]}
        config["users"][0]["user"] = {}
        self.kubeconfig = os.path.join(str(directory), "proxy.kubeconfig")
        with open(self.kubeconfig, "w", encoding="ascii") as out:
            yaml.safe_dump(config, out)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def connect(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context,
                                           timeout=900)

    def send(self, method, path, body):
        """A change of somebody else's, faster than kubectl's."""
        server = self.connect()
        server.request(method, path, json.dumps(body),
                       {"Content-Type": "application/merge-patch+json"})
        answer = server.getresponse()
        assert answer.status == 200, answer.read()
        server.close()

    def drop(self, wanted):
        """Ends the connections of the requests that run and are wanted(request). A handler learns
        of that only with the server's next words."""
        with self.lock:
            for handler, request in self.running.items():
                if wanted(request):
                    with contextlib.suppress(OSError):
                        handler.connection.shutdown(socket.SHUT_RDWR)
