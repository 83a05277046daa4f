# SPDX-License-Identifier: Apache-2.0
"""tidectl against a running Tidegate: every verb, for people and for programs."""
import contextlib
import json
import os
import re
import shutil

import pytest
import yaml

import manifests as m
from tidegate import TOP, Tidegate, eventually


@pytest.fixture(scope="module")
def told(tmp_path_factory, origins):
    """A Tidegate with one route of everything to talk about."""
    gate = Tidegate(tmp_path_factory.mktemp("told"))
    gate.base_manifests(origins.values())
    gate.write("shop", m.route("shop", [
        m.rule("c", matches=[m.prefix("/api")], name="api"),
        m.rule("d", matches=[m.match(headers=[("x-user", "a.*", "RegularExpression")])]),
        m.rule(m.ref("a", 90), m.ref("b", 10), name="all")], hostnames=["shop.test"]))
    gate.write("broken", m.route("broken", [m.rule(m.ref("nobody"))], hostnames=["broken.test"]))
    gate.start()
    gate.settle()
    yield gate
    gate.close()


VERBS = [["status"], ["get", "HTTPRoute"], ["get", "Gateway", "gw"], ["backends"],
         ["weights", "shop"], ["maps"], ["timeline"], ["reload-reasons"], ["findings"],
         ["explain", "GET", "http://shop.test/"]]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_output_for_programs(told, verb):
    as_json = json.loads(told.ctl("-o", "json", *verb))
    as_yaml = yaml.safe_load(told.ctl("-o", "yaml", *verb))
    assert type(as_json) is type(as_yaml)
    assert as_json or verb == ["reload-reasons"]
    assert "\x1b" not in told.ctl(*verb), "colours without a terminal"


def test_status_names_what_is_wrong(told):
    text = told.ctl("status")
    assert "default/gw" in text and "default/shop" in text and "Accepted" in text
    assert "BackendNotFound" in told.ctl("-o", "json", "status")


def without_repetition(pairs):
    assert len(pairs) == len(dict(pairs)), pairs
    return dict(pairs)


def test_get_says_where_an_object_comes_from(told):
    found = json.loads(told.ctl("-o", "json", "get", "HTTPRoute", "shop"),
                       object_pairs_hook=without_repetition)
    assert [item["name"] for item in found] == ["shop"]
    assert found[0]["origin"].endswith("shop.yaml:1")


def test_plan_is_the_text_form(told):
    lines = told.ctl("plan").splitlines()
    assert any(line.startswith("route\t") and "shop.test/" in line for line in lines)
    with open(told.run_dir + "/plan.last", encoding="utf-8") as last:
        assert "shop.test/" in last.read()
    assert not re.search("PRIVATE KEY", told.ctl("plan"))


def test_backends_are_found_under_their_names_at_once(gate, origins):
    """Before 3.4 a new one lives in a spare until the next reload."""
    gate.apply("fresh", m.backend("fresh", origins["a"].port),
               m.route("fresh", [m.rule("fresh")], hostnames=["fresh.test"]))
    text = gate.ctl("backends")
    assert "default:fresh.0" in text and "missing" not in text


def value_of(gate, host, value=None):
    """Sets a route's entry as an operator would by hand; returns what it was."""
    for line in gate.runtime("show map").splitlines():
        number, _, rest = line.partition(" ")
        if number.isdigit() and ".routes.map)" in rest:
            for entry in gate.runtime("show map #" + number).splitlines():
                fields = entry.split(" ", 2)
                if fields[1:2] == [host + "/"]:
                    if value:
                        gate.runtime("set map #%s %s/ %s" % (number, host, value))
                    return fields[2]
    raise AssertionError("no entry of " + host)


def test_what_was_typed_by_hand(told):
    """A changed value is found by the full read-back, within a minute; diff and explain say it
    at once."""
    eventually(lambda: "No differences" in told.ctl("diff", check=False))
    url = "http://by-hand.test:%d/" % told.port
    told.apply("by-hand", m.route("by-hand", [m.rule("a")], hostnames=["by-hand.test"]))
    assert "the same" in told.ctl("explain", "GET", url, "--live")
    right = value_of(told, "by-hand.test", "default:b.0")
    try:
        found = json.loads(told.ctl("-o", "json", "diff", check=False))
        assert [row for row in found if "by-hand.test/" in str(row)], found
        assert "by-hand.test/" in told.ctl("diff", check=False)
        said = told.ctl("explain", "GET", url, "--live", check=False)
        assert "DISAGREES" in said and "default:b.0" in said
        assert json.loads(told.ctl("-o", "json", "explain", "GET", url, "--live",
                                   check=False))["agrees"] is False
    finally:
        value_of(told, "by-hand.test", right)
    told.remove("by-hand")


@pytest.mark.parametrize("args, want", [
    (["GET", "http://shop.test/api/x"], "default/shop/0"),
    (["GET", "http://shop.test/", "-H", "X-User: alice"], "default/shop/1"),
    (["GET", "http://shop.test/", "-H", "X-User: bob"], "default/shop/2"),
    (["POST", "http://shop.test/"], "default/shop/2"),
    (["GET", "http://unknown.test/"], "404"),
])
@pytest.mark.parametrize("live", [False, True])
def test_explain(told, args, want, live):
    url = args[1].replace(".test", ".test:%d" % told.port)
    text = told.ctl("explain", args[0], url, *args[2:], *(["--live"] if live else []),
                    check=False)
    assert want in text
    assert "DISAGREES" not in text


def test_explain_says_why_not(told):
    """Each earlier candidate, in the order of precedence, with its reason."""
    found = told.ctl_json("explain", "GET", "http://shop.test:%d/" % told.port, "-H", "X-User: bob")
    assert (found["frontend"], found["listener"]) == ("default.gw.%d" % told.port, "http")
    rules = [(row["rule"], row["matches"]) for row in found["candidates"]]
    assert rules == [(0, False), (1, False), (2, True)]
    assert "/api" in found["candidates"][0]["whyNot"]
    assert "x-user" in found["candidates"][1]["whyNot"].lower()
    assert sorted((row["name"], row["weight"]) for row in found["outcome"]["backends"]) == [
        ("default:a.0", 90), ("default:b.0", 10)]


def test_weights_are_overridden_until_cleared(told):
    before = told.ctl("weights", "shop")
    assert "90" in before
    told.ctl("weights", "shop:all", "a=0", "b=1")
    assert {told.get(host="shop.test").origin for _ in range(30)} == {"b"}
    assert "overridden" in told.ctl("weights", "shop")
    assert "overrid" in told.ctl("status").lower()
    # An edit of the file does not end it, nor a restart.
    told.write("shop2", m.route("other", [m.rule("a")], hostnames=["other.test"]))
    told.settle()
    assert told.stop() == 0
    told.start()
    assert {told.get(host="shop.test").origin for _ in range(30)} == {"b"}
    told.ctl("weights", "shop", "--clear")
    eventually(lambda: "a" in {told.get(host="shop.test").origin for _ in range(30)})
    assert "overridden" not in told.ctl("weights", "shop")


def test_overrides_outlive_a_reboot(tmp_path, origins):
    """The run directory is in memory, the state directory is not."""
    state = tmp_path / "state"
    with contextlib.closing(Tidegate(tmp_path, "--state-dir", str(state))) as gate:
        gate.base_manifests(origins.values())
        gate.write("r", m.route("r", [m.rule(m.ref("a"), m.ref("b"))], hostnames=["r.test"]),
                   m.route("s", [m.rule("c")], hostnames=["s.test"]))
        gate.start()
        gate.settle()
        gate.ctl("weights", "r", "a=0", "b=1")
        gate.ctl("drain", "default:c.0")
        eventually(lambda: gate.get(host="s.test").status == 503)
        assert gate.stop() == 0
        shutil.rmtree(gate.run_dir)
        gate.start()
        assert {gate.get(host="r.test").origin for _ in range(30)} == {"b"}
        assert gate.get(host="s.test").status == 503
        assert "overrid" in gate.ctl("status").lower()


@pytest.mark.parametrize("args", [
    ["weights", "nobody"], ["weights", "shop", "a=x"], ["weights", "shop", "z=1"],
    ["weights", "shop", "a=1000001"], ["weights", "shop:9"], ["weights", "shop:9", "a=1"],
    ["get", "Nonsense"], ["get", "HTTPRoute", "nobody"], ["drain", "nobody"],
    ["explain", "GET", "::"], ["log-level", "loud"], ["nonsense"]],
    ids=" ".join)
def test_wrong_question(told, args):
    import subprocess
    import tidegate
    done = subprocess.run([os.path.join(tidegate.BUILD, "tidectl"), "--run-dir", told.run_dir,
                           *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, timeout=30)
    assert done.returncode in (1, 2), (done.stdout, done.stderr)
    assert done.stderr.startswith("tidectl: "), done.stderr


def test_tidectl_without_a_tidegate(tmp_path):
    import subprocess
    import tidegate
    done = subprocess.run([os.path.join(tidegate.BUILD, "tidectl"), "--run-dir", str(tmp_path),
                           "status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True, timeout=30)
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr


def test_socket_asks_haproxy(told):
    assert "Version: " in told.ctl("socket", "show info")


def test_log_level(told):
    told.ctl("log-level", "debug")
    told.ctl("log-level", "info")


def test_timeline_and_reload_reasons(told):
    text = told.ctl("timeline")
    assert "apply" in text and "start" in text
    told.ctl("reload-reasons")
    before = told.ctl_json("timeline")
    told.apply("timed", m.route("timed", [m.rule("a")], hostnames=["timed.test"]))
    told.remove("timed")

    def rows():
        new = [row for row in told.ctl_json("timeline") if row not in before]
        return [row for row in new if row["what"] == "apply" and row["ok"]]
    for row in eventually(rows):  # what, when, how many commands, how long
        assert row["commands"] > 0 and row["changes"] > 0 and 0 <= row["durationMs"] < 20000, row
        assert re.match(r"20\d\d-\d\d-\d\dT", row["time"]), row


def test_maps_names_and_contents(told):
    text = told.ctl("maps")
    name = next(word for word in text.split() if word.endswith(".routes.map"))
    assert "shop.test/" in told.ctl("maps", name)


def test_control_socket_is_for_its_owner_alone(told):
    import stat
    mode = os.stat(told.run_dir + "/control.sock").st_mode
    assert stat.S_ISSOCK(mode) and not mode & 0o007


# ---- health and metrics ----

def test_health(told):
    assert told.control("/healthz").status == 200
    assert told.control("/readyz").status == 200
    assert told.control("/nonsense").status == 404


def test_metrics_are_prometheus_text(told):
    body = told.control("/metrics").body.decode()
    for line in body.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .*|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? '
                            r'[-+0-9.e]+(Inf|NaN)?', line), line
    values = told.metrics()
    assert any(name.startswith("tidegate_objects") for name in values)
    assert any(name.startswith("tidegate_build_info") for name in values)
    with open(os.path.join(TOP, "docs/operations.md"), encoding="utf-8") as page:
        documented = set(re.findall(r"`(tidegate_[a-z_]+)", page.read()))
    assert len(documented) > 8
    assert documented <= set(re.findall(r"^# TYPE (\S+)", body, re.M))


def test_metrics_on_tcp_when_asked(tmp_path, origins):
    from tidegate import free_port
    port = free_port()
    gate = Tidegate(tmp_path, "--metrics", "127.0.0.1:%d" % port, "--access-log")
    gate.base_manifests(origins.values())
    gate.start()
    gate.settle()
    assert gate.get("/metrics", port=port).status == 200
    assert gate.get("/v1/status", port=port).status == 404
    # The access log names gateway, route, rule and backend.
    eventually(lambda: re.search(r"default.gw.*default:a.*default/zz-marker/0|"
                                 r"default.gw.*default/zz-marker/0.*default:a", gate.log()),
               timeout=5)
    gate.close()
