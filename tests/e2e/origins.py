# SPDX-License-Identifier: Apache-2.0
"""Origin servers: real servers in threads that say who they are and what they were asked.

The answer is JSON: origin, method, path, headers (pairs, in order), body, connection (a number
per TCP connection). The query decides about special answers: ?sleep=MS, ?status=N,
?header=NAME:VALUE."""
import base64
import hashlib
import itertools
import json
import socket
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import grpc
import h2.config
import h2.connection
import h2.events

WEBSOCKET_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    connections = itertools.count(1)
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.number = next(self.connections)
        self.server.tidegate_sockets.add(self.request)

    def finish(self):
        self.server.tidegate_sockets.discard(self.request)
        try:
            super().finish()
        except OSError:
            pass

    def log_message(self, *args):
        pass

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.websocket()
            return
        query = parse_qsl(urlsplit(self.path).query)
        options = dict(query)
        self.server.origin.record(self.command, self.path, self.headers.items(), body)
        if "sleep" in options:
            time.sleep(int(options["sleep"]) / 1000.0)
        text = json.dumps({
            "origin": self.server.origin.name, "method": self.command, "path": self.path,
            "headers": self.headers.items(), "body": body.decode("latin-1"),
            "connection": self.number}).encode()
        self.send_response(int(options.get("status", 200)))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, value in query:
            if name == "header":
                self.send_header(*value.split(":", 1))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def websocket(self):
        digest = hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + WEBSOCKET_MAGIC)
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest.digest()).decode())
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        while True:
            data = self.connection.recv(4096)
            if not data:
                return
            self.connection.sendall(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = answer
    do_TRACE = answer


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        """A client that goes away is no news."""


class Origin:
    """An HTTP/1.1 origin on a port of its own."""

    def __init__(self, name, port=0, address="127.0.0.1"):
        self.name = name
        self.requests = []
        self.server = Server((address, port), Handler)
        self.server.origin = self
        self.server.tidegate_sockets = set()
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def record(self, method, path, headers, body):
        self.requests.append((method, path, list(headers), body))
        del self.requests[:-1000]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.server.tidegate_sockets):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class H2Origin:
    """An origin that speaks HTTP/2 with prior knowledge, and nothing else."""

    def __init__(self, name):
        self.name = name
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        state.initiate_connection()
        try:
            connection.sendall(state.data_to_send())
            while True:
                data = connection.recv(65536)
                if not data:
                    return
                for event in state.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        self.answer(state, event)
                connection.sendall(state.data_to_send())
        except Exception:
            connection.close()

    def answer(self, state, event):
        fields = [(name.decode(), value.decode()) if isinstance(name, bytes) else (name, value)
                  for name, value in event.headers]
        pseudo = dict(fields)
        text = json.dumps({
            "origin": self.name, "method": pseudo[":method"], "path": pseudo[":path"],
            "headers": [field for field in fields if not field[0].startswith(":")],
            "authority": pseudo.get(":authority"), "body": "", "connection": 0}).encode()
        state.send_headers(event.stream_id, [(":status", "200"),
                                             ("content-type", "application/json"),
                                             ("content-length", str(len(text)))])
        state.send_data(event.stream_id, text, end_stream=True)

    def close(self):
        self.listening.close()


class GrpcOrigin(grpc.GenericRpcHandler):
    """A gRPC server without protobuf: messages are bytes, and it has every method. Watch sends
    three messages, Talk answers each as it comes, all others answer once. The metadata decides
    about special answers: "fail" is a status code, "pause" milliseconds before each message."""

    def __init__(self, name):
        self.name = name
        self.server = grpc.server(futures.ThreadPoolExecutor(32), handlers=[self],
                                  options=[("grpc.so_reuseport", 0)])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def service(self, details):
        metadata = details.invocation_metadata
        options = dict(metadata)

        def message(body):
            time.sleep(int(options.get("pause", 0)) / 1000.0)
            return json.dumps({"origin": self.name, "method": details.method,
                               "headers": [list(pair) for pair in metadata
                                           if isinstance(pair[1], str)],
                               "body": body.decode("latin-1")}).encode()

        def begin(context):
            context.send_initial_metadata([("x-origin", self.name)])
            context.set_trailing_metadata([("x-trailer", self.name)])
            if "fail" in options:
                context.abort(grpc.StatusCode[options["fail"]], "as it was asked to")

        def once(request, context):
            begin(context)
            return message(request)

        def watch(request, context):
            begin(context)
            for _ in range(3):
                yield message(request)

        def talk(requests, context):
            begin(context)
            for request in requests:
                yield message(request)

        if details.method.endswith("/Watch"):
            return grpc.unary_stream_rpc_method_handler(watch)
        if details.method.endswith("/Talk"):
            return grpc.stream_stream_rpc_method_handler(talk)
        return grpc.unary_unary_rpc_method_handler(once)

    def close(self):
        self.server.stop(None)
