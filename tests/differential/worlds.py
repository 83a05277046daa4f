# SPDX-License-Identifier: Apache-2.0
"""Random Gateways, HTTPRoutes and GRPCRoutes, small, valid, and in each other's way: few names, hosts and
paths, so that they overlap, tie and collide. Ports are logical; localize() gives real ones."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../e2e"))

import manifests as m  # noqa: E402

BACKENDS = 60
NAMESPACES = {"default": {"team": "a"}, "http-404": {"team": "b"}, "a": {}}
# Logical ports of the Gateways: of the first HTTP and HTTPS, of the second HTTP.
PORTS = {8080: False, 8081: False, 8443: True, 8444: True, 8090: False}
MARKER_PORT = 8099
ORIGIN_PORT = 50000 # logical, of the first origin
MOVING = 6 # Services and Backends whose servers come and go

HOSTS = ["example.com", "www.example.com", "b.example.com", "a.b.example.com", "x.org",
         "1.example.com", "localhost", "c.b.a.example.com", "com", "xn--bcher-kva.example.com",
         "example.com.b.example.com"]
WILDCARDS = ["*.example.com", "*.b.example.com", "*.com", "*.org", "*.a.example.com",
             "*.com.b.example.com", "*.1.2.3.4.5.6.7.example.com"]
LISTENER_HOSTS = [None, "*.example.com", "*.b.example.com", "www.example.com", "*.com",
                  "a.b.example.com", "example.com", "*.a.example.com"]

PREFIXES = ["/", "/", "/foo", "/foo/", "/foo/bar", "/foo/bar/", "/f", "/foo.bar", "/foo%20bar",
            "/FOO", "/foo;x", "/foo:80/bar", "/foo=1&b", "/~a", "/%66oo", "/@x", "/foo/...",
            "/a/b/c", "/a", "/a/b", "/a/b/c/d/e/f", "/foo+bar", "/foo*", "/(foo)", "/foo/.x",
            "/foo%3Fbar", "/foo%25", "/caf%C3%A9", "/foo,bar", "/foo'", "/!$&", "/*", "/-", "/_",
            "/http-404", "/foo/bar/baz"]
EXACTS = [path for path in PREFIXES if path != "/"] + ["/", "/foo/bar/", "/index.html"]
# A pattern, and paths that it takes (or takes almost).
REGEXES = [
    ("/foo/[a-z]+", ["/foo/abc", "/foo/a1", "/foo/"]),
    ("/foo/.*", ["/foo/", "/foo/bar", "/foo/bar/baz", "/foo"]),
    ("/(foo|bar)/[0-9]+", ["/foo/1", "/bar/22", "/baz/1"]),
    (".*", ["/", "/anything", "/foo"]),
    ("/.*\\.php", ["/x.php", "/a/b/c.php", "/xphp"]),
    ("(?i)/foo", ["/foo", "/FOO", "/Foo"]),
    ("(?i:/foo)/bar", ["/FOO/bar", "/foo/bar", "/foo/BAR"]),
    ("/foo/[^/]+/bar", ["/foo/x/bar", "/foo/x/y/bar"]),
    ("/fo{2}(/.*)?", ["/foo", "/foo/", "/foo/x", "/fooo"]),
    ("/foo", ["/foo", "/foo/"]),
    ("^/foo$", ["/foo", "/foo/x"]),
    ("/a|/b", ["/a", "/b", "/a/b"]),
    ("/foo/bar|/q", ["/foo/bar", "/q"]),
    ("foo", ["/foo", "/"]),
    ("/foo\\.bar", ["/foo.bar", "/foo/bar", "/fooxbar"]),
    ("/foo/bar*", ["/foo/ba", "/foo/bar", "/foo/barrr"]),
    ("/foo/ba?r", ["/foo/br", "/foo/bar"]),
    ("/foo/(?:bar|baz)/?", ["/foo/bar", "/foo/baz/", "/foo/bar/x"]),
    ("/foo/bar{0,1}", ["/foo/ba", "/foo/bar"]),
    ("/foo?/bar", ["/fo/bar", "/foo/bar"]),
    ("/foo//bar", ["/foo//bar", "/foo/bar"]),
    ("/a/b/c|/a/b/d", ["/a/b/c", "/a/b/d"]),
    ("/a(/b)+", ["/a/b", "/a/b/b", "/a"]),
    ("/\\Qa.b\\E", ["/a.b", "/aXb"]),
    ("/\\x66oo", ["/foo", "/%66oo"]),
    ("/[[:alpha:]]+", ["/abc", "/ab1"]),
    ("/foo%20bar", ["/foo%20bar", "/foo bar"]),
    ("/\\d+/x", ["/12/x", "/x/x"]),
    ("/foo/\\pL+", ["/foo/abc", "/foo/%C3%A9"]),
    ("", ["", "/"]),
    ("/a{2}/b", ["/aa/b", "/a/b"]),
    ("/foo bar", ["/foo"]),
    ("/\"x\"\\\\", ["/\"x\"\\"]),
    ("/foo/;=>", ["/foo/;=>"]),
    ("/(?P<n>x)y", ["/xy"]),
    ("[/]foo", ["/foo"]),
    ("/foo(?i)/bar", ["/foo/BAR", "/FOO/bar"]), ("/foo(?:)/bar", ["/foo/bar"]),
    ("\\/foo\\/bar", ["/foo/bar"]), ("/foo/(bar)?", ["/foo/", "/foo/bar", "/foo"]),
    ("/foo/b{0}ar", ["/foo/ar", "/foo/bar"]), ("/foo/\\x{62}ar", ["/foo/bar"]),
    ("/foo/\\142ar", ["/foo/bar"]), ("/foo/.?bar", ["/foo/bar", "/foo/xbar", "/foo//bar"]),
    ("/foo/[b]ar", ["/foo/bar"]), ("(/foo)+", ["/foo", "/foo/foo", "/foo/"]),
    ("/foo/^bar", ["/foo/bar"]), ("/foo$|/bar", ["/foo", "/bar"]),
    ("\\A/foo\\z", ["/foo", "/foo/"]), ("/foo/\\Qb*r", ["/foo/b*r", "/foo/bar"]),
    ("/foo/b\\Q\\E*r", ["/foo/r", "/foo/bbr", "/foo/b*r"]), ("/foo/ba+?r", ["/foo/baar"]),
    ("/foo/bar|", ["/foo/bar", "/"]), ("|/foo", ["/foo", "/"]), ("(|/foo)", ["/foo", "/"]),
    ("/foo/\\bbar", ["/foo/bar"]), ("/foo/(?s).bar", ["/foo/xbar"]),
    ("/foo/x{2}", ["/foo/xx", "/foo/x{2}"]), ("/foo/[^b]ar", ["/foo/car", "/foo/bar"]),
    ("/foo/(?-i)BAR", ["/foo/BAR", "/foo/bar"]), ("/foo(?i:/bar)", ["/foo/BAR", "/FOO/bar"]),
    ("/f.o/bar", ["/foo/bar", "/f/o/bar"]), ("/foo/\\w+/\\S*", ["/foo/bar/", "/foo/a/b/c"]),
    ("/a/b/c/.*|/foo", ["/a/b/c/d", "/foo", "/a/b/c"]), ("/foo/bar/?", ["/foo/bar", "/foo/bar/"]),
    ("/foo/bar/*", ["/foo/bar", "/foo/bar//"]), ("/foo/bar/{1}x", ["/foo/bar/x"]),
]
BAD_REGEXES = ["[", "(", "a**", "(?=x)", "\\1"]

HEADERS = ["x-a", "X-A", "X-B", "x-env", "x-a-b", "accept", "user-agent", "cookie", "x_a", "x.y",
           "host"]
VALUES = ["1", "A", "a", "a,b", "a, b", "a b", "caf\u00e9", "a\"b", "a\\b", "x;y", "a ; b",
          "%41", "a|b", "a=>b", "v" * 300, "0", "-", "*", "a,", ",", "@x", "?x", "~x", "#", "'",
          "a  b"]
VALUE_REGEXES = [
    ("a.*", ["a", "abc", "ba"]), ("^a$", ["a", "A"]), ("[0-9]+", ["1", "42", "4x"]),
    ("(?i)abc", ["abc", "ABC"]), ("a,b", ["a,b"]), (".*", ["", "x"]), (".+", ["x", ""]),
    ("a|b", ["a", "b", "ab"]), ("(a|b),.*", ["a,c", "b,"]), ("", ["", "x"]),
    ("caf.", ["caf\u00e9", "cafe"]), ("[^a]*", ["xyz", "xaz"]), ("a\\.b", ["a.b", "axb"]),
    ("\\s*x", ["x", " x"]), ("\"q\"", ["\"q\""]), ("a b", ["a b"]), ("(x+x+)+y", ["xxy", "xx"]),
]
QUERY_NAMES = ["q", "Q", "q2", "a+b", "a%20b", "x", "x.y", "q-1"]
METHODS = ["GET", "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"]

FILTER_HEADERS = ["x-a", "X-New", "x-env", "X-B", "accept", "x-forwarded-for", "host", "x-one",
                  "user-agent"]
RESPONSE_HEADERS = ["x-one", "X-Two", "x-new", "X-A", "x-b"]
FILTER_VALUES = ["1", "a b", "a,b", "%", "%[src]", "\"q\"", "$1", "a\\b", "caf\u00e9", "x;y",
                 "'", "#", "%%", "a|b", "{x}", "v" * 200, "%{+Q}o", "${HOME}"]
REPLACEMENTS = ["/", "/xyz", "/xyz/", "/x/y/z", "/x%20y", "/%2F", "/a/b/", "/;x", "/x=&y",
                "/foo"]
# Of GRPCRoutes, in the way of the paths above. A pattern, and names that it takes (or almost).
SERVICES = ["foo", "foo.bar", "a", "f", "A.b.C", "x", "_", ".foo"]
GRPC_METHODS = ["bar", "b", "Bar", "x", "b_1"]
NAME_REGEXES = [("fo+", ["foo", "f", "fooo"]), (".*", ["foo", "x"]), ("a|b", ["a", "b", "ab"]),
                ("foo\\..*", ["foo.bar", "foo"]), ("(?i)BAR", ["bar", "Bar", "bat"]), ("", ["x"])]
NAMES = ["r", "r-1", "r.1", "r-1.2", "a", "http-404", "1", "rule", "z"]


def narrower(one, other):
    """The hosts that two hostnames (None: all) have in common, as a hostname; False: none."""
    if one is None or one == other:
        return other
    if other is None or (other[0] == "*" and one.endswith(other[1:])):
        return one
    return other if one[0] == "*" and other.endswith(one[1:]) else False


class World:
    """One set of objects; some routes stay from the world before. `aims` has what requests can
    be aimed at."""

    def __init__(self, rng, gateways, before=None):
        self.rng = rng
        self.gateways = gateways
        # Of each route by namespace and name: the object and its aims.
        self.made = {key: item for key, item in before.made.items() if self.chance(0.6)} \
            if before else {}
        self.backends = self.backend_numbers()
        self.make_routes()
        self.aims = [aim for _, aims in self.made.values() for aim in aims]
        self.objects = gateways.objects + self.grants() + self.moving() + \
            [item for item, _ in self.made.values()]

    def backend_numbers(self):
        """Those that nothing refers to come last, to be taken first: so a backend tells the
        rule."""
        numbers = list(range(BACKENDS))
        self.rng.shuffle(numbers)
        used = {ref["name"][1:] for item, _ in self.made.values()
                for rule in item["spec"]["rules"] for ref in rule.get("backendRefs", [])}
        return sorted(numbers, key=lambda number: str(number) not in used)

    def pick(self, items, most, least=0):
        return self.rng.sample(items, min(len(items), self.rng.randint(least, most)))

    def chance(self, share):
        return self.rng.random() < share

    # ---- routes ----

    def make_routes(self):
        keys = [("HTTPRoute", ns, name) for ns in NAMESPACES for name in NAMES]
        for key in self.pick(keys, self.rng.choice([4, 9, 9, 27]), 2):
            self.made[key] = self.route(*key)
        keys = [("GRPCRoute", ns, name) for ns in NAMESPACES for name in NAMES[:3]]
        for key in self.pick(keys, self.rng.choice([0, 0, 2, 9])):
            self.made[key] = self.route(*key)

    def tenants(self, ns):
        """One path, many values of one header: what maps decide, or lists of many frames."""
        path = m.prefix(self.rng.choice(PREFIXES))["path"]
        header = self.rng.choice(HEADERS[:-1])
        values = VALUES + ["%s%d" % ("w" * self.rng.choice([1, 1, 200, 900]), number)
                           for number in range(self.rng.choice([0, 5, 20]))]
        rules = []
        for values in self.split(self.pick(values, 40, 2), 15):
            matches = [{"path": path, "headers": [{"name": header, "type": "Exact",
                                                  "value": value}]} for value in values]
            for match in matches:
                if self.chance(0.03):
                    match.setdefault("queryParams", self.values(QUERY_NAMES))
            rules.append(m.rule(self.ref(ns, False), matches=matches))
        if self.chance(0.5):
            rules.append(m.rule(self.ref(ns, False), matches=[{"path": path}]))
        return rules

    def split(self, items, most):
        """The items in random groups, at most so many."""
        groups = [[] for _ in range(self.rng.randint(1, most))]
        for item in items:
            self.rng.choice(groups).append(item)
        return [group for group in groups if group]

    def route(self, kind, ns, name):
        hostnames = [] if self.chance(0.25) else self.pick(HOSTS[:6] * 2 + HOSTS + WILDCARDS[:4]
                                                           + WILDCARDS, 3, 1)
        hostnames = list(dict.fromkeys(hostnames))
        parents = self.parents()
        rules = []
        while not rules or (self.chance(0.6) and len(rules) < 6):
            rules.append(self.rule(ns) if kind == "HTTPRoute" else self.grpc_rule(ns))
        if self.chance(0.1) and kind == "HTTPRoute":
            rules = self.tenants(ns)
        route = m.route(name, rules, hostnames=hostnames, parents=parents, ns=ns, kind=kind)
        if self.chance(0.7):
            route["metadata"]["creationTimestamp"] = "2024-01-0%dT00:00:00Z" % (
                self.rng.randint(1, 3))
        places = self.places(hostnames, parents)
        return route, [(places, match if kind == "HTTPRoute" else self.as_http(match))
                       for rule in rules for match in rule.get("matches", [{}])
                       if places or self.chance(0.1)]

    def places(self, hostnames, parents):
        """Where the route may be served: ports and hostnames."""
        result = []
        for parent in parents:
            for section, port, host in self.gateways.sections[parent["name"]]:
                if parent.get("sectionName", section) != section or \
                        parent.get("port", port) != port:
                    continue
                common = [narrower(host, hostname) for hostname in hostnames or [None]]
                result += [(port, hostname) for hostname in common if hostname is not False]
        return result

    def parents(self):
        """Different sections of a Gateway, or the Gateway as a whole."""
        result = []
        for name, ns in self.pick([("gw", "default"), ("gw2", "a")], 2, 1):
            sections = self.gateways.sections[name]
            kind = self.rng.random()
            if kind < 0.6:
                result.append({"name": name, "namespace": ns})
            elif kind < 0.7:
                result.append({"name": name, "namespace": ns,
                               "port": self.rng.choice(list(PORTS))})
            else:
                for section, port, _ in self.pick(sections, 2, 1):
                    result.append({"name": name, "namespace": ns, "sectionName": section})
                    if self.chance(0.2):
                        result[-1]["port"] = self.rng.choice([port, 8081])
        return result

    def rule(self, ns):
        rng = self.rng
        matches = [self.match() for _ in range(rng.choice([0, 1, 1, 1, 1, 2, 3]))]
        prefix_only = len(matches) < 2 and \
            (matches or [{}])[0].get("path", {"type": "PathPrefix"})["type"] == "PathPrefix"
        if self.chance(0.12):
            return m.rule(matches=matches, filters=[self.redirect(prefix_only)] + self.headers())
        refs = [self.ref(ns, prefix_only) for _ in range(rng.choice([0, 1, 1, 1, 1, 1, 2, 3]))]
        if refs and self.chance(0.05): # the same with other filters
            refs.append({key: value for key, value in refs[0].items() if key != "filters"})
        filters = self.filters(prefix_only) if self.chance(0.3) else []
        timeouts = {"request": "30s"} if self.chance(0.1) else None
        return m.rule(*refs, matches=matches, filters=filters, timeouts=timeouts)

    def match(self):
        rng, path, kind = self.rng, None, self.rng.random()
        if kind < 0.45:
            path = ("PathPrefix", rng.choice(PREFIXES))
        elif kind < 0.65:
            path = ("Exact", rng.choice(EXACTS))
        elif kind < 0.9:
            path = ("RegularExpression", rng.choice(REGEXES)[0])
        elif kind < 0.905:
            path = ("RegularExpression", rng.choice(BAD_REGEXES))
        match = m.match(*(path[1], path[0]) if path else ())
        if self.chance(0.2):
            match["method"] = rng.choice(METHODS)
        if self.chance(0.3):
            match["headers"] = self.values(HEADERS)
        if self.chance(0.2):
            match["queryParams"] = self.values(QUERY_NAMES)
        return match

    def grpc_rule(self, ns):
        rng = self.rng
        refs = [self.ref(ns, False) for _ in range(rng.choice([0, 1, 1, 1, 2]))]
        for ref in refs:
            if "filters" in ref:
                ref["filters"] = self.headers()
        return m.rule(*refs, matches=[self.grpc_match() for _ in range(rng.choice([0, 1, 1, 2]))],
                      filters=self.headers() if self.chance(0.2) else [])

    def grpc_match(self):
        rng, kind = self.rng, self.rng.random()
        names = [rng.choice(SERVICES) if self.chance(0.8) else None, None]
        if names[0] is None or self.chance(0.6):
            names[1] = rng.choice(GRPC_METHODS)
        match = m.grpc_match(*names)
        if kind < 0.2:
            match = m.grpc_match(rng.choice(NAME_REGEXES)[0] if names[0] else None,
                                 rng.choice(NAME_REGEXES)[0] if names[1] else None,
                                 "RegularExpression")
        elif kind < 0.3:
            match = m.grpc_match()
        if self.chance(0.3):
            match["headers"] = self.values(HEADERS)
        return match

    def as_http(self, match):
        """For who aims at it: a request that it takes, or takes almost."""
        wanted = match.get("method", {})
        names = []
        for key, others in (("service", SERVICES), ("method", GRPC_METHODS)):
            name = wanted.get(key)
            if "type" in wanted:
                others = dict(NAME_REGEXES).get(name, others)
                name = None
            names.append(name or self.rng.choice(others))
        return {"path": {"type": "Exact", "value": "/" + "/".join(names)},
                "headers": match.get("headers", []), "method": "POST"}

    def values(self, names):
        result = []
        for name in self.pick(names, 3, 1):
            if self.chance(0.3):
                result.append({"name": name, "type": "RegularExpression",
                               "value": self.rng.choice([pattern for pattern, _ in VALUE_REGEXES
                                                         if pattern])})
            else:
                result.append({"name": name, "type": "Exact",
                               "value": self.rng.choice(VALUES)})
        return result

    # ---- backends ----

    def ref(self, ns, prefix_only):
        rng, kind = self.rng, self.rng.random()
        number = self.backends[-1]
        self.backends.insert(0, self.backends.pop())
        if kind < 0.5:
            ref = m.ref("b%d" % number, ns="default")
        elif kind < 0.7:
            ref = m.service_ref("s%d" % number, port=80, ns="default")
        elif kind < 0.82:
            name = rng.choice("ev") + str(rng.randrange(MOVING))
            ref = m.service_ref(name, port=80, ns="default") if name[0] == "e" else \
                m.ref(name, ns="default")
        elif kind < 0.83:
            ref = m.service_ref("empty", port=80, ns="default")
        elif kind < 0.85:
            ref = m.ref("many", ns="default")
        elif kind < 0.9:
            ref = m.ref("missing", ns="default")
        elif kind < 0.93:
            ref = m.service_ref("s%d" % number, port=81, ns="default")
        else:
            ref = m.ref(rng.choice(["b", "http-404"]), ns=rng.choice(["a", "http-404"]))
        if ref["namespace"] == ns and self.chance(0.5):
            del ref["namespace"]
        if self.chance(0.5):
            ref["weight"] = rng.choice([0, 1, 1, 2, 3, 10, 99, 1000000])
        if self.chance(0.15):
            ref["filters"] = [self.redirect(prefix_only)] + self.headers() \
                if self.chance(0.2) else self.filters(prefix_only)
        return ref

    def moving(self):
        """Endpoints and addresses that other worlds have not, or have elsewhere."""
        def port():
            return ORIGIN_PORT + self.rng.randrange(BACKENDS)

        objects = []
        for number in range(MOVING):
            if self.chance(0.8):
                objects.append(m.endpoint_slice("e%d-x" % number, "e%d" % number, port(),
                                                ready=self.chance(0.8)))
            if self.chance(0.2):
                objects.append(m.endpoint_slice("e%d-y" % number, "e%d" % number, port()))
            if self.chance(0.8):
                addresses = [{"host": "127.0.0.1", "port": number,
                              "weight": self.rng.choice([0, 1, 100, 256])}
                             for number in {port() for _ in range(self.rng.randint(1, 3))}]
                objects.append(m.backend("v%d" % number, *addresses,
                                         protocol="kubernetes.io/h2c" if self.chance(0.2)
                                         else None))
        return objects

    def grants(self):
        """Of the routes' namespaces to the Backends in "default"; often one is missing."""
        grants = []
        for ns in ("a", "http-404"):
            for kind, group in (("Backend", "tidegate.io"), ("Service", "")):
                if self.chance(0.8):
                    grants.append(m.grant("from-%s-%s" % (ns, kind.lower()), "default", ns,
                                          to_kind=kind, to_group=group))
        if self.chance(0.5):
            grants.append(m.grant("from-default", "a", "default", to_name="b"))
        return grants

    # ---- filters ----

    def header_filter(self, direction, names):
        fields = {}
        names = {name.lower(): name for name in self.pick(names, 4, 1)}
        for name in names.values():
            fields.setdefault(self.rng.choice(["set", "add", "remove"]), []).append(name)
        pairs = {key: [(name, self.rng.choice(FILTER_VALUES)) for name in value]
                 for key, value in fields.items() if key != "remove"}
        return m.header_filter(direction, remove=[name for name in fields.get("remove", [])
                                                  if name != "host"], **{
            key: [(name, "new.example.com" if name == "host" else value)
                  for name, value in items if not (name == "host" and key == "add")]
            for key, items in pairs.items()})

    def headers(self):
        result = []
        if self.chance(0.5):
            result.append(self.header_filter("Request", FILTER_HEADERS))
        if self.chance(0.4):
            result.append(self.header_filter("Response", RESPONSE_HEADERS))
        return result

    def filters(self, prefix_only):
        result = self.headers()
        if self.chance(0.5):
            fields = {}
            if self.chance(0.5):
                fields["hostname"] = self.rng.choice(["new.example.com", "x"])
            if self.chance(0.7) or not fields:
                fields["path"] = self.path(prefix_only)
            result.append(m.rewrite(**fields))
        self.rng.shuffle(result)
        return result

    def path(self, prefix_only):
        if prefix_only and self.chance(0.7):
            return m.path_modifier(prefix=self.rng.choice(REPLACEMENTS + [""]))
        return m.path_modifier(full=self.rng.choice(REPLACEMENTS))

    def redirect(self, prefix_only):
        fields = {}
        if self.chance(0.4):
            fields["scheme"] = self.rng.choice(["http", "https"])
        if self.chance(0.5):
            fields["hostname"] = self.rng.choice(["www.example.com", "x"])
        if self.chance(0.4):
            fields["port"] = self.rng.choice([80, 443, 8080, 1])
        if self.chance(0.6):
            fields["statusCode"] = self.rng.choice([301, 302, 303, 307, 308])
        if self.chance(0.5):
            fields["path"] = self.path(prefix_only)
        return m.redirect(**fields)


class Gateways:
    """Two Gateways; kept for a few worlds, since other listeners make HAProxy reload."""

    def __init__(self, rng):
        self.rng = rng
        self.sections = {"gw": [], "gw2": []}
        self.objects = [self.gateway("gw", "default", (8080, 8081, 8443, 8444)),
                        self.gateway("gw2", "a", (8090,))]

    def gateway(self, name, ns, ports):
        listeners = []
        for port in ports:
            hosts = self.rng.sample(LISTENER_HOSTS, self.rng.choice([1, 1, 2, 3, 4]))
            if port in (8080, 8090) and self.rng.random() < 0.5:
                hosts = [None]
            elif None not in hosts and self.rng.random() < 0.5:
                hosts.append(None)
            for host in hosts:
                listeners.append(self.listener("l%d" % len(listeners), port, host))
                self.sections[name].append((listeners[-1]["name"], port, host))
        return m.gateway(name, *listeners, ns=ns)

    def listener(self, name, port, host):
        routes = self.rng.choice(["All"] * 8 + ["Same",
                                  {"from": "Selector",
                                   "selector": {"matchLabels": {"team": "a"}}}])
        certs = [{"name": "cert", "namespace": "default"}] if PORTS[port] else None
        return m.listener(name, port, hostname=host, certs=certs, routes=routes)


def base_objects(origin_ports, certificate):
    """What every world has: class, namespaces, the backends, one for each origin port."""
    objects = [m.gateway_class(), certificate,
               m.gateway("zz-marker", m.listener("marker", MARKER_PORT))]
    objects += [m.namespace(name, labels) for name, labels in NAMESPACES.items()]
    objects += [m.service("e%d" % number) for number in range(MOVING)]
    for number, port in enumerate(origin_ports[:BACKENDS]):
        # HAProxy's origin speaks HTTP/2 as well.
        objects.append(m.backend("b%d" % number, port, protocol="kubernetes.io/h2c"
                                 if number % 8 == 7 else None))
        objects.append(m.service("s%d" % number))
        objects.append(m.endpoint_slice("s%d-x" % number, "s%d" % number, port))
    for number, (ns, name) in enumerate([("a", "b"), ("a", "http-404"), ("http-404", "b"),
                                         ("http-404", "http-404")]):
        objects.append(m.backend(name, origin_ports[BACKENDS + number], ns=ns))
    objects.append(m.backend("many", *origin_ports[:3]))
    objects += [m.service("empty"), m.endpoint_slice("empty-x", "empty", 80, addresses=())]
    return objects


def localize(objects, ports):
    """Real ports for logical ones where they are meant; the objects are copied."""
    owners = ("listeners", "parentRefs", "addresses", "ports")

    def walk(value, key):
        if isinstance(value, dict):
            return {name: ports.get(item, item) if name == "port" and key in owners
                    else walk(item, key if name == "port" else name)
                    for name, item in value.items()}
        if isinstance(value, list):
            return [walk(item, key) for item in value]
        return value
    return walk(objects, None)
