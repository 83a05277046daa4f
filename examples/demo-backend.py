#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A demo backend: says who it is and what it was asked. Usage: demo-backend.py NAME PORT"""
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that goes away is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        lines = ["I am %s. You asked: %s %s" % (sys.argv[1], self.command, self.path)]
        lines += ["    %s: %s" % header for header in self.headers.items()]
        body = ("\n".join(lines) + "\n").encode("utf-8", "replace")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = answer

    def log_message(self, *args):
        """The access log is HAProxy's business."""


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        Server(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
    except KeyboardInterrupt:
        pass


main()
