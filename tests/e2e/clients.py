# SPDX-License-Identifier: Apache-2.0
"""Clients: HTTP/1.1 on raw sockets (any byte, keep-alive) and HTTP/2 (cleartext and TLS)."""
import http.client
import json
import socket
import ssl

import h2.config
import h2.connection
import h2.events

TIMEOUT_S = 10


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name):
        """All values of a header, joined as a proxy would; None when absent."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ",".join(values) if values else None

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def origin(self):
        """The name of the origin that answered, or None when none did."""
        try:
            return self.json["origin"]
        except (ValueError, KeyError, TypeError):
            return None

    def seen(self, name):
        """The values that the origin saw of a request header, joined."""
        values = [value for key, value in self.json["headers"] if key.lower() == name.lower()]
        return ",".join(values) if values else None

    @property
    def path(self):
        return self.json["path"]

    def __repr__(self):
        return "Response(%s, %r, %r)" % (self.status, self.headers, self.body[:200])


def tls_context(alpn):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(alpn)
    return context


def connect(port, sni=None, tls=False, alpn=("http/1.1",), timeout=TIMEOUT_S,
            address="127.0.0.1"):
    plain = socket.create_connection((address, port), timeout)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sni or tls:
        return tls_context(list(alpn)).wrap_socket(plain, server_hostname=sni or None)
    return plain


def exchange(connection, method="GET", target="/", host="localhost", headers=(), body=b""):
    """One request on an open connection."""
    lines = ["%s %s HTTP/1.1" % (method, target)]
    if host is not None:
        lines.append("Host: " + host)
    lines += ["%s: %s" % field for field in headers]
    if body:
        lines.append("Content-Length: %d" % len(body))
    connection.sendall("\r\n".join(lines + ["", ""]).encode("latin-1") + body)
    answer = http.client.HTTPResponse(connection, method=method)
    answer.begin()
    return Response(answer.status, answer.getheaders(), answer.read())


def request(port, target="/", host="localhost", method="GET", headers=(), body=b"", sni=None,
            tls=False, timeout=TIMEOUT_S, address="127.0.0.1"):
    """One request on a connection of its own."""
    with connect(port, sni=sni, tls=tls, timeout=timeout, address=address) as connection:
        return exchange(connection, method, target, host, headers, body)


def peer_certificate(port, sni):
    """The certificate that is served for a name, as DER."""
    with connect(port, sni=sni, tls=True) as connection:
        return connection.getpeercert(binary_form=True)


class H2Client:
    """One HTTP/2 connection; requests one after the other, or several at once."""

    def __init__(self, port, sni=None):
        self.scheme = "https" if sni else "http"
        self.connection = connect(port, sni=sni, alpn=("h2",))
        if sni:
            assert self.connection.selected_alpn_protocol() == "h2"
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.state.initiate_connection()
        self.flush()

    def flush(self):
        self.connection.sendall(self.state.data_to_send())

    def send(self, target="/", host="localhost", method="GET", headers=()):
        stream = self.state.get_next_available_stream_id()
        self.state.send_headers(stream, [(":method", method), (":path", target),
                                         (":scheme", self.scheme), (":authority", host),
                                         *headers], end_stream=True)
        self.flush()
        return stream

    def receive(self, streams):
        """Reads until all these streams have ended: {stream: Response}."""
        open_streams = {stream: [0, [], b""] for stream in streams}
        done = {}
        while len(done) < len(open_streams):
            data = self.connection.recv(65536)
            if not data:
                raise ConnectionError("the HTTP/2 connection was closed")
            for event in self.state.receive_data(data):
                entry = open_streams.get(getattr(event, "stream_id", None))
                if entry is None:
                    continue
                if isinstance(event, h2.events.ResponseReceived):
                    fields = [tuple(part.decode() if isinstance(part, bytes) else part
                                    for part in field) for field in event.headers]
                    entry[0] = int(dict(fields)[":status"])
                    entry[1] = [field for field in fields if not field[0].startswith(":")]
                elif isinstance(event, h2.events.DataReceived):
                    entry[2] += event.data
                    self.state.acknowledge_received_data(event.flow_controlled_length,
                                                         event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    done[event.stream_id] = Response(*entry)
                elif isinstance(event, h2.events.StreamReset):
                    raise ConnectionError("stream reset, error %s" % event.error_code)
            self.flush()
        return done

    def request(self, *args, **kwargs):
        stream = self.send(*args, **kwargs)
        return self.receive([stream])[stream]

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
