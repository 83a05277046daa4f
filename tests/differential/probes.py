# SPDX-License-Identifier: Apache-2.0
"""Random requests, as bytes. Most are aimed at a route of the world: they have what one of its
matches asks for, and then a few things are changed."""
import urllib.parse

import worlds as w

REGEX_PATHS = dict(w.REGEXES)
REGEX_VALUES = dict(w.VALUE_REGEXES)

SUFFIXES = ["", "", "", "/", "/x", "/bar", "x", "/bar/baz/qux", "//", "//x", "/.", "/..", "/../x",
            "/./x", "%2F", "%2Fbar", "%2e%2e", "/%00", "/?", ".", "/a;b", "/*", "/:80/", "~",
            "/%C3%A9", "/|", "/\"", "/{x}", "/\\", "/^`", "/<>", "/[x]", "%", "%zz", "/@r/0"]
QUERIES = ["q=1", "q=", "q", "=1", "&", "&&q=1", "q=1&q=2", "Q=1", "q=a+b", "q=a%20b", "q=%41",
           "%71=1", "q=1;x=2", "q=a%26b", "q=a=b", "q=%", "q=%zz", "q=%C3%A9", "x=1&q=a",
           "a%2Bb=1", "a+b=1", "a%2520b=1", "q=a/b?c", "?", "q=%00", "q=\"a\"", "q=a|b", "",
           "a%20b=a", "q2=1&x.y=a", "q=" + "v" * 3000]
HOST_FORMS = ["%s"] * 14 + ["%s:80", "%s:8080", "%s:", "%s.", "x.%s",
              "a.%s", ".%s", "%s:x", "y.z.%s"]
ODD_HOSTS = ["", "localhost", "127.0.0.1", "[::1]", "[::1]:80", "a..b.example.com", "-", "*",
             "*.example.com", "h" * 250, "a." * 20 + "example.com", "1.2.3.4.5.6.7.example.com",
             "x.1.2.3.4.5.6.7.example.com", "a/b", "example.com/foo", "x@example.com", "?", "a b",
             "www.example.com, x.org", "%77ww.example.com", "caf\u00e9.example.com", "~", "@x",
             "www.example.com/", "_x.example.com", "www.example.com\tx"]
ODD_FIELDS = ["X-A:1", "x-A:  1  ", "X-a:\t1\t", "x-a: 1,", "x-a:", "x-a: \u00e9", "x-a: \x01",
              "x-a: a\tb", "x-a: a\x7fb", "x-env: " + "v" * 3000, "X-Forwarded-For: 10.0.0.1",
              "x_a: 1", "Cookie: a=1; b=2",
              "x-a: \"", "x-a: a\\b", "x-a: %41", "X-Original-Host: y",
              "X-Forwarded-Host: www.example.com", "x-a : 1", " x-a: 1", ": 1", "x-a",
              "x-\u00e9: 1", "x(a): 1", "Host: www.example.com", "x-a: \xff\xfe"]
ODD_TARGETS = ["*", "foo", "//", "///foo", "/foo//bar", "/foo#x", "/foo?#x", "/\u00e9", "/foo\tbar",
               "http://www.example.com", "http://www.example.com/foo", "HTTP://X.org/foo?q=1",
               "https://www.example.com:80/foo", "/http://x.org/foo",
               "/foo/../bar", "/%2e%2e/foo", "?q=1", "/?", "/foo\x7f", "/" + "p" * 4000, "/.",
               "/..", "/foo%", "/foo/%2F/bar", "/foo;/bar", "/foo?a?b", "http://example.com/foo"]
METHODS = w.METHODS + ["get", "FOO", "GET~", "M-SEARCH", "A" * 40]


class Probe:
    """One request for one port. alone: what follows on its connection may not be sent before
    it is answered. last: nothing may follow. h2: what goes over HTTP/2, raw is then only what
    it would be in HTTP/1.1."""

    def __init__(self, port, sni, method, raw):
        self.port, self.sni, self.method, self.raw = port, sni, method, raw
        self.alone = self.last = self.h2 = False


class Message:
    """A request in parts, and what may be odd about it."""

    def __init__(self, method, target, host, fields):
        self.method, self.target, self.host, self.fields = method, target, host, fields
        self.version, self.body = "1.1", b""
        self.odd = False

    def raw(self):
        lines = ["%s %s HTTP/%s" % (self.method, self.target, self.version)]
        if self.host is not None:
            lines.append("Host: " + self.host)
        if self.body:
            lines.append("Content-Length: %d" % len(self.body))
        return "\r\n".join(lines + self.fields + ["", ""]).encode("utf-8") + self.body

    def h2_headers(self, scheme):
        """None when HTTP/2 has no such request."""
        pairs = [field.partition(":")[::2] for field in self.fields]
        names = [name.lower() for name, _ in pairs]
        # There several cookie fields are one value, and HAProxy drops a port that says nothing.
        if self.odd or self.body or self.version != "1.1" or names.count("cookie") > 1 or \
                self.host.endswith((":", ":80", ":443")):
            return None
        return [(":method", self.method), (":scheme", scheme), (":path", self.target),
                (":authority", self.host)] + [(name.lower(), value.strip(" \t"))
                                              for name, value in pairs]


class Prober:
    def __init__(self, rng, world):
        self.rng, self.world = rng, world
        self.ports = list(w.PORTS)
        # Hosts that the world knows something about, and neighbours.
        self.hosts = w.HOSTS + [host.replace("*", label) for host in w.WILDCARDS
                                for label in ("z", "a.b")]

    def chance(self, share):
        return self.rng.random() < share

    def make(self):
        rng = self.rng
        if self.world.aims and self.chance(0.9):
            places, match = rng.choice(self.world.aims)
        else:
            places, match = [], {}
        path, queries = self.path(match), self.queries(match)
        target = path + ("?" + queries if queries is not None else "")
        method = match.get("method") or ("GET" if self.chance(0.7) else rng.choice(w.METHODS))
        port, hostname = self.place(places)
        plain = hostname.replace("*", rng.choice(["a", "www", "x.y", "b"]), 1)
        message = Message(method, target, self.host(plain), self.fields(match))
        for header in match.get("headers", []):
            if header["name"] == "host":
                message.host, message.odd = self.value(header), True
        for _ in range(rng.choice([0, 0, 0, 0, 0, 0, 0, 1, 1, 2])):
            self.spoil(message)
        self.fit(message, plain)
        sni = None
        if w.PORTS[port]: # few names: each is a connection
            sni = rng.choice([hostname.replace("*", "a", 1)] * 8 + [rng.choice(self.hosts), ""])
        probe = Probe(port, sni, message.method, message.raw())
        probe.alone = message.odd
        probe.last = message.version != "1.1"
        if sni != "" and self.chance(0.08):
            probe.h2 = message.h2_headers("http" if sni is None else "https")
        return probe

    @staticmethod
    def fit(message, host):
        """What could not be told apart from a difference is left out."""
        message.odd |= not (message.target.isascii() and message.target.isprintable())
        if message.host is None and not message.target.startswith("/"):
            message.host = host # who has only the target's word for it may differ
        # More than 101 fields, or 12 KB, and HAProxy refuses it.
        while len(message.fields) > 90 or len(message.raw()) - len(message.body) > 10000:
            message.fields.pop()
        if message.method == "HEAD" and len(message.raw()) > 4000:
            message.method = "GET" # the origin's echo would be too long for a header
        if message.odd: # who refuses it may not wait for a body
            message.body = b""

    def spoil(self, message):
        rng, kind = self.rng, self.rng.randrange(8)
        if kind == 0:
            message.target, message.odd = rng.choice(ODD_TARGETS), True
        elif kind == 1:
            message.host, message.odd = rng.choice(ODD_HOSTS), True
        elif kind == 2:
            message.fields.insert(rng.randint(0, len(message.fields)), rng.choice(ODD_FIELDS))
            message.odd = True
        elif kind == 3:
            message.method = rng.choice(METHODS)
        elif kind == 4:
            message.body = rng.choice([b"x", b"GET / HTTP/1.1\r\n\r\n", b"v" * 5000])
        elif kind == 5:
            message.version, message.odd = rng.choice(["1.0", "1.1"]), True
            message.host = rng.choice([message.host, None])
        elif kind == 6:
            message.fields += rng.choice([["x-many: %d" % i for i in range(60)],
                                          ["cookie: " + "c" * 7000]])
        elif message.fields:
            message.fields.insert(0, rng.choice(message.fields))

    # ---- where to ----

    def place(self, places):
        """A port and a hostname."""
        port, hostname = self.rng.choice(places) if places else (None, None)
        if port is None or self.chance(0.05):
            port = self.rng.choice(self.ports)
        if hostname is None or self.chance(0.05):
            hostname = self.rng.choice(self.hosts)
        return port, hostname

    def host(self, plain):
        host = self.rng.choice(HOST_FORMS) % plain
        kind = self.rng.random()
        if kind < 0.05:
            return host.upper()
        return host.title() if kind < 0.1 else host

    # ---- what ----

    def path(self, match):
        rng = self.rng
        path = match.get("path", {"type": "PathPrefix", "value": "/"})
        value = path["value"]
        if path["type"] == "RegularExpression":
            value = rng.choice(REGEX_PATHS.get(value, ["/foo"])) or "/"
        elif path["type"] == "PathPrefix":
            value = value.rstrip("/") + rng.choice(SUFFIXES)
        if not value.startswith("/"):
            value = "/" + value
        if self.chance(0.15):
            value = self.twist(value)
        return value.replace(" ", "%20")

    def twist(self, path):
        rng, at = self.rng, self.rng.randrange(len(path))
        kind = rng.randrange(7)
        if kind == 0:
            return path + rng.choice(SUFFIXES)
        if kind == 1:
            return path.swapcase()
        if kind == 2:
            return path[:at] + "%%%02x" % (ord(path[at]) % 256) + path[at + 1:] if at else path
        if kind == 3:
            return urllib.parse.unquote(path, "latin-1").replace(" ", "") or "/"
        if kind == 4:
            return path[:max(at, 1)]
        if kind == 5:
            return path.replace("/", "//", 1)
        return rng.choice(w.PREFIXES)

    def value(self, match):
        rng = self.rng
        value = match["value"]
        if match["type"] == "RegularExpression":
            value = rng.choice(REGEX_VALUES.get(value, ["x"]))
        if self.chance(0.15):
            value = rng.choice([value + "x", value.swapcase(), "", rng.choice(w.VALUES),
                                value + ",x"])
        return value

    def fields(self, match):
        rng, result = self.rng, []
        for header in match.get("headers", []):
            if self.chance(0.1):
                continue
            name, value = header["name"], self.value(header)
            if name == "host":
                continue
            if self.chance(0.3):
                name = rng.choice([name.upper(), name.title(), name.lower()])
            if "," in value and self.chance(0.5):
                result += ["%s: %s" % (name, part) for part in value.split(",")]
            else:
                result.append("%s: %s" % (name, value))
            if self.chance(0.1):
                result.append("%s: %s" % (name, rng.choice(w.VALUES)))
        if self.chance(0.2):
            result.append("%s: %s" % (rng.choice(w.HEADERS[:-1]), rng.choice(w.VALUES)))
        rng.shuffle(result)
        return result

    def queries(self, match):
        rng, pairs = self.rng, []
        for query in match.get("queryParams", []):
            if not self.chance(0.1):
                pairs.append(self.quote(query["name"]) + "=" + self.quote(self.value(query)))
            if self.chance(0.1):
                pairs.insert(rng.randint(0, len(pairs)), self.quote(query["name"]) + "=other")
        if self.chance(0.15):
            pairs.insert(rng.randint(0, len(pairs)), rng.choice(QUERIES))
        if not pairs and self.chance(0.9):
            return None
        return "&".join(pairs)

    def quote(self, text):
        kind = self.rng.random()
        if kind < 0.2:
            return "".join("%%%02X" % byte for byte in text.encode())
        return urllib.parse.quote_plus(text) if kind < 0.6 else urllib.parse.quote(text, "/;?:@")
