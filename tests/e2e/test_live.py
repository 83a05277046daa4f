# SPDX-License-Identifier: Apache-2.0
"""Edits of the manifests are live at once, and nobody notices."""
import os
import random
import shutil

import pytest
import yaml

import clients
import manifests as m
from load import Load
from tidegate import eventually, free_port


def origin_of(gate, host, target="/", **options):
    answer = gate.get(target, host=host, **options)
    return answer.origin or answer.status


def text_of(*objects):
    return yaml.safe_dump_all(objects)


def simple(name, origin, host=None):
    return m.route(name, [m.rule(origin)], hostnames=[host or name + ".test"])


# ---- how files change ----

def test_rename_over(gate):
    for origin in "abab":
        gate.apply("r", simple("r", origin))
        assert origin_of(gate, "r.test") == origin


def test_write_in_place(gate):
    path = gate.path("r")
    for origin in "ab":
        with open(path, "w", encoding="utf-8") as out:
            out.write(text_of(simple("r", origin)))
        eventually(lambda: origin_of(gate, "r.test") == origin)


def test_delete(gate):
    gate.apply("r", simple("r", "a"))
    os.unlink(gate.path("r"))
    eventually(lambda: origin_of(gate, "r.test") == 404)


def test_one_object_of_a_file_goes(gate):
    gate.apply("r", simple("one", "a"), simple("two", "b"))
    gate.apply("r", simple("two", "b"))
    eventually(lambda: origin_of(gate, "one.test") == 404)
    assert origin_of(gate, "two.test") == "b"


def test_symlink_swap_of_a_mounted_configmap(gate):
    """..data -> ..v1; r.yaml -> ..data/r.yaml; an update renames a new ..data over the old."""
    mount = os.path.join(gate.dir, "mount")

    def version(name, origin):
        os.makedirs(os.path.join(mount, name))
        with open(os.path.join(mount, name, "r.yaml"), "w", encoding="utf-8") as out:
            out.write(text_of(simple("r", origin)))
        os.symlink(name, os.path.join(mount, "..data_tmp"))
        os.rename(os.path.join(mount, "..data_tmp"), os.path.join(mount, "..data"))

    version("..v1", "a")
    os.symlink("..data/r.yaml", os.path.join(mount, "r.yaml"))
    eventually(lambda: origin_of(gate, "r.test") == "a")
    version("..v2", "b")
    shutil.rmtree(os.path.join(mount, "..v1"))
    eventually(lambda: origin_of(gate, "r.test") == "b")


def test_sub_directories_come_and_go(gate):
    gate.apply("sub/deep/r", simple("r", "a"))
    eventually(lambda: origin_of(gate, "r.test") == "a")
    os.rename(os.path.join(gate.dir, "sub"), os.path.join(gate.base, "away"))
    eventually(lambda: origin_of(gate, "r.test") == 404)
    os.rename(os.path.join(gate.base, "away"), os.path.join(gate.dir, "back"))
    eventually(lambda: origin_of(gate, "r.test") == "a")
    shutil.rmtree(os.path.join(gate.dir, "back"))
    eventually(lambda: origin_of(gate, "r.test") == 404)


@pytest.mark.parametrize("form", ["list", "json", "v1beta1", "comments"])
def test_forms_of_a_manifest(gate, form):
    route = simple("r", "a")
    if form == "list":
        gate.apply("r", {"apiVersion": "v1", "kind": "List", "items": [route]})
    elif form == "json":
        import json
        gate.write_text("r.json", json.dumps(route))
    elif form == "v1beta1":
        gate.apply("r", dict(route, apiVersion="gateway.networking.k8s.io/v1beta1"))
    else:
        gate.write_text("r", "# first\n---\n---\n" + text_of(route) + "\n...\n# last\n")
    eventually(lambda: origin_of(gate, "r.test") == "a")


def test_unknown_kinds_are_named_and_harmless(gate):
    gate.apply("r", *[m.obj("Deployment", "x%d" % i, {}, api="apps/v1") for i in range(5)],
               simple("r", "a"))
    assert origin_of(gate, "r.test") == "a"
    assert gate.metrics()["tidegate_unknown_objects"] == 5
    said = [found for found in gate.ctl_json("findings") if found["reason"] == "UnknownKind"]
    assert len(said) == 1 and "5 objects of kind apps/Deployment" in said[0]["text"], said


# ---- what changes, without a reload ----

def test_everything_that_is_state_changes_without_a_reload(gate, origins, version):
    worker = gate.worker_pid()
    steps = [
        (simple("r", "a"), "a"),
        (m.route("r", [m.rule(m.ref("a", 0), m.ref("b", 5))], hostnames=["r.test"]), "b"),
        (m.route("r", [m.rule("c", timeouts={"request": "5s"})], hostnames=["r.test"]), "c"),
        (m.route("r", [m.rule("d", matches=[m.match(headers=[("x-v", "1")])]), m.rule("a")],
                 hostnames=["r.test"]), "a"),
        (m.route("r", [m.rule("a", matches=[m.regex("/[a-z]*")])], hostnames=["r.test"]), "a"),
        (m.route("r", [m.rule(filters=[m.redirect(scheme="https")])], hostnames=["r.test"]), 302),
        (m.route("r", [m.rule("b", filters=[m.rewrite(hostname="x.test")])],
                 hostnames=["r.test"]), "b"),
    ]
    if version >= (3, 4):
        steps.append((m.route("r", [m.rule("b", filters=[m.header_filter(
            "Request", set=[("X-Never-Seen", "1")])])], hostnames=["r.test"]), "b"))
    for route, want in steps:
        gate.apply("r", route)
        assert eventually(lambda: origin_of(gate, "r.test") == want, timeout=3)
    # new Backends and Services
    gate.apply("s", m.service("s"), m.endpoint_slice("s", "s", origins["a"].port),
               m.backend("extra", origins["b"].port),
               m.route("s1", [m.rule(m.service_ref("s"))], hostnames=["s1.test"]),
               m.route("s2", [m.rule("extra")], hostnames=["s2.test"]))
    eventually(lambda: origin_of(gate, "s1.test") == "a")
    eventually(lambda: origin_of(gate, "s2.test") == "b")
    # their addresses
    gate.apply("s", m.service("s"), m.endpoint_slice("s", "s", origins["c"].port),
               m.backend("extra", origins["d"].port),
               m.route("s1", [m.rule(m.service_ref("s"))], hostnames=["s1.test"]),
               m.route("s2", [m.rule("extra")], hostnames=["s2.test"]))
    eventually(lambda: origin_of(gate, "s1.test") == "c")
    eventually(lambda: origin_of(gate, "s2.test") == "d")
    assert gate.worker_pid() == worker


def test_new_header_name_before_3_4_reloads_once_and_says_why(gate, version):
    if version >= (3, 4):
        worker = gate.worker_pid()
    gate.apply("r", m.route("r", [m.rule("a", filters=[m.header_filter(
        "Request", set=[("X-Brand-New", "1")])])], hostnames=["r.test"]))
    eventually(lambda: gate.get(host="r.test").seen("x-brand-new") == "1")
    if version >= (3, 4):
        assert gate.worker_pid() == worker
        return
    assert "header" in gate.ctl("reload-reasons").lower()
    worker = gate.worker_pid()
    gate.apply("r", m.route("r", [m.rule("a", filters=[m.header_filter(
        "Request", set=[("X-Brand-New", "2")])])], hostnames=["r.test"]))
    eventually(lambda: gate.get(host="r.test").seen("x-brand-new") == "2")
    # A name that was there once comes back without another reload.
    gate.apply("r", simple("r", "a"))
    eventually(lambda: gate.get(host="r.test").seen("x-brand-new") is None)
    gate.apply("r", m.route("r", [m.rule("a", filters=[m.header_filter(
        "Request", set=[("X-Brand-New", "3")])])], hostnames=["r.test"]))
    eventually(lambda: gate.get(host="r.test").seen("x-brand-new") == "3")
    assert gate.worker_pid() == worker


def test_new_listener_reloads_hitless_and_says_why(gate):
    gate.apply("r", simple("r", "a"))
    port = free_port()
    with Load(gate.port, "r.test", reconnect=True) as load:
        gate.write("second", m.gateway("second", m.listener("http", port)),
                   m.route("second", [m.rule("b")], parents=[m.parent("second")]))
        eventually(lambda: origin_of(gate, "x.test", port=port) == "b")
        gate.remove("second")
        eventually(lambda: refused(port))
    load.verify()
    assert str(port) in gate.ctl("reload-reasons") or "listener" in gate.ctl("reload-reasons")


def refused(port):
    try:
        clients.connect(port).close()
        return False
    except ConnectionRefusedError:
        return True


def test_many_new_backends_at_once(gate, origins):
    """More than the pool of spare backends has on HAProxy before 3.4."""
    count = 150
    gate.apply("many", *[item for i in range(count) for item in (
        m.backend("many-%d" % i, origins["abcd"[i % 4]].port),
        simple("many-%d" % i, "many-%d" % i))])
    for i in range(count):
        eventually(lambda: origin_of(gate, "many-%d.test" % i) == "abcd"[i % 4])


def edits(gate, origins, version, count):
    """Random edits, each valid; load.test answers 200 through all of them."""
    dice = random.Random(7)
    certificates = [m.make_certificate("load.test") for _ in range(2)]
    for number in range(count):
        kind = dice.choice(["weights", "filters", "matches", "timeouts", "routes", "servers",
                            "backends", "certificate"])
        base = dict(hostnames=["load.test"])
        if kind == "weights":
            gate.write("load", m.route("load", [m.rule(
                m.ref("l1", dice.randint(1, 100)), m.ref("l2", dice.randint(0, 100)))], **base))
        elif kind == "filters":
            names = ["X-Load"] if version < (3, 4) else ["X-Load", "X-Load-%d" % number]
            gate.write("load", m.route("load", [m.rule("l1", filters=[m.header_filter(
                "Request", set=[(name, str(number)) for name in names])])], **base))
        elif kind == "matches":
            gate.write("load", m.route("load", [
                m.rule("l1", matches=[m.prefix("/x%d" % number)]),
                m.rule("l2", matches=[m.match(headers=[("x-v", str(number))])]),
                m.rule("l2")], **base))
        elif kind == "timeouts":
            gate.write("load", m.route("load", [m.rule("l2", timeouts={
                "request": "%ds" % dice.randint(5, 60)})], **base))
        elif kind == "routes":
            gate.write("other", *[simple("other-%d" % i, dice.choice("abcd"))
                                  for i in range(dice.randint(1, 20))])
        elif kind == "servers":
            gate.write("backends", *[
                m.backend(name, *[origins[o].port for o in dice.sample("abcd", dice.randint(1, 3))])
                for name in ("l1", "l2")])
        elif kind == "backends":
            gate.write("more", *[m.backend("more-%d" % i, origins["a"].port)
                                 for i in range(dice.randint(1, 5))],
                       simple("more", "more-0"))
        else:
            gate.write("cert", m.tls_secret("load", pem=certificates[number % 2]))
        yield kind


def test_no_request_fails_during_hundreds_of_edits(gate, origins, version):
    import time
    tls_port = free_port()
    gate.write("cert", m.tls_secret("load", "load.test"))
    gate.write("tls", m.gateway("tls", m.listener("https", tls_port, certs=["load"])))
    gate.write("backends", m.backend("l1", origins["a"].port), m.backend("l2", origins["b"].port))
    # Names of headers are schema before 3.4: this one is known beforehand.
    gate.write("header", m.route("header", [m.rule("a", filters=[m.header_filter(
        "Request", set=[("X-Load", "0")])])], hostnames=["header.test"]))
    gate.apply("load", m.route("load", [m.rule("l1")], hostnames=["load.test"]))
    eventually(lambda: origin_of(gate, "load.test") == "a")
    worker = gate.worker_pid()
    with Load(gate.port, "load.test") as load:
        for _ in edits(gate, origins, version, int(os.environ.get("TIDEGATE_E2E_EDITS", 300))):
            time.sleep(0.03)
        gate.settle(60)
    load.verify(at_least=300)
    assert gate.worker_pid() == worker, gate.ctl("reload-reasons")
    # What is there in the end is what the files say.
    gate.apply("load", m.route("load", [m.rule("d")], hostnames=["load.test"]))
    eventually(lambda: origin_of(gate, "load.test") == "d")
    eventually(lambda: gate.ctl("diff", check=False).strip() == "" or
               "no difference" in gate.ctl("diff", check=False).lower())


def test_canary_step_by_step_under_load(gate):
    def at(weight):
        return m.route("canary", [m.rule(m.ref("a", 100 - weight), m.ref("b", weight))],
                       hostnames=["canary.test"])
    gate.apply("canary", at(0))
    with Load(gate.port, "canary.test") as load:
        for weight in range(0, 101, 10):
            gate.apply("canary", at(weight))
    load.verify()
    assert origin_of(gate, "canary.test") == "b"
    assert set(load.seen) == {"a", "b"}
