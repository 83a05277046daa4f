# SPDX-License-Identifier: Apache-2.0
"""Bad manifests and bad surroundings: a clear error each, and nothing else lost."""
import base64
import json
import os
import re
import socket
import subprocess

import pytest
import yaml

import manifests as m
from tidegate import BUILD, Tidegate, eventually, free_port


@pytest.fixture(scope="module")
def sturdy(tmp_path_factory, origins):
    """One Tidegate that has to survive all of this file."""
    gate = Tidegate(tmp_path_factory.mktemp("sturdy"))
    gate.base_manifests(origins.values())
    gate.write("good", m.route("good", [m.rule("b")], hostnames=["good.test"]))
    gate.start()
    gate.settle()
    worker = gate.worker_pid()
    yield gate
    assert gate.worker_pid() == worker, "bad input made HAProxy reload or restart"
    gate.close()


def text(*objects):
    return yaml.safe_dump_all(objects)


def bomb():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for above, name in zip("abcdefghi", "bcdefghij"):
        lines.append("%s: &%s [%s]" % (name, name, ", ".join(["*" + above] * 10)))
    return "\n".join(lines) + "\n"


def with_rules(count):
    return m.route("bad", [m.rule("a", matches=[m.prefix("/r%d" % i)]) for i in range(count)],
                   hostnames=["bad.test"])


def with_filter(name, value):
    return m.route("bad", [m.rule("a", filters=[m.header_filter("Request", set=[(name, value)])])],
                   hostnames=["bad.test"])


def with_match(match):
    return m.route("bad", [m.rule("a", matches=[match])], hostnames=["bad.test"])


def with_field(**fields):
    route = m.route("bad", [m.rule("a")], hostnames=["bad.test"])
    route["spec"].update(fields)
    return route


# name -> (file content, what a finding or the log says of it)
FILES = {
    "malformed": ("a: [b\nc: }\n", "bad.yaml"),
    "tabs": ("kind: HTTPRoute\n\tspec: {}\n", "bad.yaml"),
    "not UTF-8": ("kind: \udcff\udcfe\n", "bad.yaml"),
    "NUL": ("kind: \0\n", "bad.yaml"),
    "anchor bomb": (bomb(), "bad.yaml"),
    "deep nesting": ("[" * 100000 + "]" * 100000, "bad.yaml"),
    "deep block nesting": ("\n".join(" " * i + "a:" for i in range(3000)), "bad.yaml"),
    "self reference": ("a: &a\n  b: *a\n", "bad.yaml"),
    "duplicate key": ("apiVersion: v1\nkind: Service\nkind: Secret\nmetadata: {name: x}\n",
                      "bad.yaml"),
    "not an object": ("- 1\n- two\n", "bad.yaml"),
    "a number": ("17\n", "bad.yaml"),
    "no kind": ("apiVersion: v1\nmetadata: {name: bad}\n", "kind"),
    "no name": ("apiVersion: v1\nkind: Service\nmetadata: {}\n", "name"),
    "wrong types": (text(with_field(rules="none")), "rules"),
    "wrong types, deeper": (text(with_field(rules=[{"matches": [{"path": 7}]}])), "path"),
    "17 rules": (text(with_rules(17)), "16"),
    "10,000 rules": (text(with_rules(10000)), "16"),
    "129 matches": (text(m.route("bad", [
        m.rule("a", matches=[m.prefix("/%d/%d" % (i, j)) for j in range(43)]) for i in range(3)],
        hostnames=["bad.test"])), "128"),
    "path without a slash": (text(with_match(m.prefix("x"))), "path"),
    "path with a space": (text(with_match(m.prefix("/a b"))), "path"),
    "path with a newline": (text(with_match(m.exact("/a\nshow info"))), "path"),
    "path with a semicolon and quotes": (text(with_match(m.exact('/a"b'))), "path"),
    "path with two slashes": (text(with_match(m.prefix("/a//b"))), "path"),
    "path too long": (text(with_match(m.prefix("/" + "a" * 1024))), "1024"),
    "header name with a space": (text(with_match(m.match(headers=[("x y", "1")]))), "header"),
    "header value with a newline": (text(with_filter("X-A", "1\r\nX-Evil: 2")), "value"),
    "header name with a colon": (text(with_filter("X-A:", "1")), "name"),
    "header value too long": (text(with_filter("X-A", "v" * 4097)), "4096"),
    "host name with a space": (text(with_field(hostnames=["a b.test"])), "hostname"),
    "host name with a map's comment": (text(with_field(hostnames=["#.test"])), "hostname"),
    "host name that is an address": (text(with_field(hostnames=["10.0.0.1"])), "hostname"),
    "host name too long": (text(with_field(hostnames=["a" * 254])), "hostname"),
    "unknown match type": (text(with_match({"path": {"type": "Glob", "value": "/"}})), "Glob"),
    "weight below zero": (text(m.route("bad", [m.rule(m.ref("a", -1))])), "weight"),
    "weight too large": (text(m.route("bad", [m.rule(m.ref("a", 1000001))])), "weight"),
    "port out of range": (text(m.backend("bad", 70000)), "port"),
    "broken regular expression": (text(with_match(m.regex("/a(b"))), "regular expression"),
    "duration": (text(m.route("bad", [m.rule("a", timeouts={"request": "5 s"})])), "timeouts"),
    "redirect with backends": (text(m.route("bad", [m.rule("a", filters=[
        m.redirect(scheme="https")])])), "RequestRedirect"),
    "name with capitals": (text(m.route("Bad", [m.rule("a")])), "name"),
    "name of 254 characters": (text(m.route("n" * 254, [m.rule("a")])), "name"),
    "gateway without listeners": (text(m.gateway("bad")), "listeners"),
    "reference to no gateway": (text(m.route("bad", [m.rule("a")],
                                             parents=[m.parent("nobody")])), "nobody"),
    "certificate that is garbage": (text(
        m.tls_secret("bad", pem=("garbage", "garbage"))), "bad"),
    "certificate that is not base64": (text(m.obj(
        "Secret", "bad", api="v1", type="kubernetes.io/tls",
        data={"tls.crt": "%%%", "tls.key": "%%%"})), "bad"),
}


def complaints(gate):
    return gate.ctl("findings", check=False) + gate.ctl("status", check=False) + gate.log()


@pytest.mark.parametrize("name", FILES)
def test_bad_file(sturdy, name):
    content, said = FILES[name]
    number = list(FILES).index(name)
    sturdy.write_text("bad", content)
    # In the same folder, after it: the rest goes on.
    sturdy.apply("next", m.route("next", [m.rule("c")], hostnames=["n%d.test" % number]))
    assert sturdy.get(host="n%d.test" % number).origin == "c"
    assert sturdy.get(host="good.test").origin == "b"
    eventually(lambda: said.lower() in sturdy.ctl("findings", check=False).lower(), timeout=3,
               what="a finding with %r" % said)
    sturdy.remove("bad")
    sturdy.settle()
    sturdy.remove("next")


def test_a_broken_file_keeps_what_it_served(sturdy):
    sturdy.apply("keep", m.route("keep", [m.rule("a")], hostnames=["keep.test"]))
    assert sturdy.get(host="keep.test").origin == "a"
    sturdy.write_text("keep", "{ broken")
    sturdy.settle()
    assert sturdy.get(host="keep.test").origin == "a"
    broken = m.route("keep", [m.rule("b", matches=[m.prefix("no slash")])],
                     hostnames=["keep.test"])
    sturdy.apply("keep", broken)
    assert sturdy.get(host="keep.test").origin == "a"
    sturdy.apply("keep", m.route("keep", [m.rule("b")], hostnames=["keep.test"]))
    assert sturdy.get(host="keep.test").origin == "b"
    sturdy.remove("keep")


def test_the_same_object_in_two_files(sturdy):
    sturdy.write("dup-1", m.route("dup", [m.rule("a")], hostnames=["dup.test"]))
    sturdy.apply("dup-2", m.route("dup", [m.rule("b")], hostnames=["dup.test"]))
    assert sturdy.get(host="dup.test").origin == "a"
    found = sturdy.ctl("findings", check=False)
    assert "dup" in found and "dup-2.yaml" in found
    sturdy.remove("dup-1")
    eventually(lambda: sturdy.get(host="dup.test").origin == "b")
    sturdy.remove("dup-2")


def test_longest_names(sturdy, origins):
    ns, name = "n" * 63, ".".join(["l" * 62] * 4) + "x"
    assert len(name) == 252
    name += "y"
    sturdy.apply("long", m.namespace(ns), m.backend(name, origins["d"].port, ns=ns),
                 m.route(name, [m.rule(name)], hostnames=["long.test"], ns=ns,
                         parents=[m.parent(namespace="default")]))
    assert sturdy.get(host="long.test").origin == "d"
    sturdy.remove("long")


def test_as_many_rules_as_allowed(sturdy):
    sturdy.apply("many", m.route("many", [m.rule("abcd"[i % 4], matches=[
        m.prefix("/r%d/%d" % (i, j)) for j in range(8)]) for i in range(16)],
        hostnames=["many.test"]))
    assert sturdy.get("/r15/7", host="many.test").origin == "d"
    sturdy.remove("many")


@pytest.mark.parametrize("value", [
    "a;b", "a\\b", "a b", "a\"b'c", "<<", "#x", "$x", "%[src]", "a|b", "caf\u00e9", "\u4e2d"])
def test_odd_bytes_in_header_matches(sturdy, value):
    """Bytes that would break a map line or a Runtime API command."""
    sturdy.apply("odd", m.route("odd", [
        m.rule("a", matches=[m.match(headers=[("x-odd", value)])]),
        m.rule("b", matches=[m.match(queries=[("q", "z")])]), m.rule("c")],
        hostnames=["odd.test"]))
    wire = value.encode().decode("latin-1")
    assert sturdy.get(host="odd.test", headers=[("X-Odd", wire)]).origin == "a"
    assert sturdy.get("/?q=z", host="odd.test").origin == "b"
    assert sturdy.get(host="odd.test", headers=[("X-Odd", wire + "x")]).origin == "c"
    sturdy.remove("odd")


@pytest.mark.parametrize("request_line", [
    b"GET /%00 HTTP/1.1\r\nHost: good.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: good.test\r\nX-A: \xff\xfe;\\ <<\r\n\r\n",
    b"GET /" + b"a" * 8000 + b" HTTP/1.1\r\nHost: good.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: " + b"h" * 6000 + b"\r\n\r\n",
    b"GET /\x80\xff HTTP/1.1\r\nHost: good.test\r\n\r\n",
    b"GARBAGE\r\n\r\n"], ids=["nul", "header", "long path", "long host", "path bytes", "garbage"])
def test_odd_bytes_in_requests(sturdy, request_line):
    with socket.create_connection(("127.0.0.1", sturdy.port), 10) as connection:
        connection.sendall(request_line)
        answer = connection.recv(4096)
    assert re.match(rb"HTTP/1.[01] (200|400|404|414|431|503)", answer), answer
    assert sturdy.get(host="good.test").origin == "b"


def test_expired_certificate_is_served_with_a_warning(gate, tmp_path):
    cert, key = expired(tmp_path, "old.test")
    port = free_port()
    gate.apply("tls", m.tls_secret("old", pem=(cert, key)),
               m.gateway("tls", m.listener("https", port, certs=["old"])),
               m.route("tls", [m.rule("a")], parents=[m.parent("tls")]))
    import clients
    eventually(lambda: clients.request(port, host="old.test", sni="old.test").origin == "a")
    assert "expired" in gate.ctl("findings", check=False).lower()


CA_CONFIG = """
[ca]
default_ca = own
[own]
database = {dir}/index
serial = {dir}/serial
new_certs_dir = {dir}
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = DNS:{name}
"""


def expired(directory, name):
    """(certificate, key) whose time has been: only `openssl ca` takes dates."""
    directory = str(directory)
    for file, content in (("config", CA_CONFIG.format(dir=directory, name=name)), ("index", ""),
                          ("serial", "01")):
        with open(os.path.join(directory, file), "w", encoding="ascii") as out:
            out.write(content)

    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, cwd=directory, stdin=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", "/CN=" + name, "-keyout", "key.pem", "-out", "request.pem")
    openssl("ca", "-batch", "-selfsign", "-notext", "-config", "config", "-keyfile", "key.pem",
            "-in", "request.pem", "-out", "cert.pem", "-startdate", "20200101000000Z",
            "-enddate", "20200201000000Z")
    return tuple(open(os.path.join(directory, file), encoding="ascii").read()
                 for file in ("cert.pem", "key.pem"))


def test_secret_with_windows_line_ends_and_empty_lines(gate):
    cert, key = m.make_certificate("crlf.test")
    port = free_port()
    gate.apply("tls", m.obj("Secret", "crlf", api="v1", type="kubernetes.io/tls", data={
        "tls.crt": base64.b64encode(("\n" + cert).replace("\n", "\r\n").encode()).decode(),
        "tls.key": base64.b64encode(key.replace("\n", "\r\n").encode()).decode()}),
        m.gateway("tls", m.listener("https", port, certs=["crlf"])),
        m.route("tls", [m.rule("a")], parents=[m.parent("tls")]))
    import clients
    eventually(lambda: clients.request(port, host="crlf.test", sni="crlf.test").origin == "a")


# ---- surroundings ----

def test_port_that_is_taken(gate):
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        gate.write("taken", m.gateway("taken", m.listener("http", port)),
                   m.route("taken", [m.rule("a")], parents=[m.parent("taken")]))
        gate.write("after", m.route("after", [m.rule("c")], hostnames=["after.test"]))
        eventually(lambda: gate.get(host="after.test").origin == "c")
        eventually(lambda: str(port) in complaints(gate))
        assert "PortUnavailable" in gate.ctl("findings")
        assert "not Programmed (Pending: " in gate.ctl("status")
    eventually(lambda: gate.get(port=port).origin == "a", timeout=60,
               what="the listener once its port is free")
    assert "PortUnavailable" not in gate.ctl("findings")
    assert "not Programmed" not in gate.ctl("status")


def test_port_that_is_taken_at_the_start(cold_gate):
    with socket.create_server(("", cold_gate.port)):
        cold_gate.start(ready=False)
        eventually(lambda: str(cold_gate.port) in cold_gate.log())
    eventually(lambda: cold_gate.get().status == 404, timeout=60,
               what="the listener once its port is free")


def run(*args):
    return subprocess.run([os.path.join(BUILD, "tidegate"), *args], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, universal_newlines=True)


def test_haproxy_is_missing(cold_gate):
    done = run("run", "--run-dir", cold_gate.run_dir, "--haproxy", "/nowhere/haproxy",
               cold_gate.dir)
    assert done.returncode == 1
    assert "/nowhere/haproxy" in done.stdout


def test_haproxy_is_too_old(cold_gate, tmp_path):
    old = tmp_path / "haproxy"
    old.write_text("#!/bin/sh\necho 'HAProxy version 2.4.22-0+deb11u1 2023/01/01'\n")
    old.chmod(0o755)
    done = run("run", "--run-dir", cold_gate.run_dir, "--haproxy", str(old), cold_gate.dir)
    assert done.returncode == 1
    assert "2.4" in done.stdout and "2.6" in done.stdout


def test_agent_is_missing(cold_gate):
    done = run("run", "--run-dir", cold_gate.run_dir, "--haproxy", cold_gate.haproxy, "--agent",
               "/nowhere/agent", cold_gate.dir)
    assert done.returncode == 1
    assert "/nowhere/agent" in done.stdout


@pytest.mark.parametrize("args", [[], ["run"], ["fly"], ["run", "--no-such-option", "x"],
                                  ["validate"]], ids=lambda args: " ".join(args) or "nothing")
def test_wrong_command_line(args):
    done = run(*args)
    assert done.returncode == 2
    assert done.stdout.strip()


# ---- validate ----

def validate(directory, *options):
    done = run("validate", *options, str(directory))
    return done.returncode, done.stdout


def test_validate_good(cold_gate):
    status, output = validate(cold_gate.dir)
    assert status == 0, output


def test_validate_bad_says_where(cold_gate):
    cold_gate.write("bad", with_match(m.prefix("no-slash")))
    status, output = validate(cold_gate.dir)
    assert status == 1
    assert "bad.yaml" in output and "spec.rules[0].matches[0].path.value" in output
    status, output = validate(cold_gate.dir, "-o", "json")
    assert status == 1
    found = json.loads(output)
    assert "spec.rules[0].matches[0].path.value" in json.dumps(found)


def test_validate_strict_makes_warnings_errors(cold_gate, tmp_path):
    cold_gate.write("tls", m.tls_secret("old", pem=expired(tmp_path, "old.test")),
                    m.gateway("tls", m.listener("https", 8443, certs=["old"])))
    assert validate(cold_gate.dir)[0] == 0
    assert validate(cold_gate.dir, "--strict")[0] == 1


def test_validate_what_is_not_there(tmp_path):
    status, output = validate(tmp_path / "nothing")
    assert status in (1, 2) and "nothing" in output
