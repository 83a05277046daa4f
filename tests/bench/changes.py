# SPDX-License-Identifier: Apache-2.0
"""All kinds of changes under constant load: what fails?

Both clients ask for all paths in turn. Whatever a change does, each path has a route that
answers 200 before, during and after it."""
import contextlib
import random
import time

from bench import BenchError, Limit
from gateway import ADDRESSES, ORIGINS, Gateway, h2load, ref, route, wrk

ROUTES, SERVICES, PATHS, CHANGES = 200, 8, 20, 2000
PACE_S = 0.02
MARGIN_S = 5
RATE, CONNECTIONS = 500, 4

WRK_LUA = """\
local at = 0
request = function()
  at = (at + 1) %% %d
  return wrk.format("GET", "/p" .. at .. "/x", { Host = "localhost" })
end
"""

FILTERS = (
    "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-bench, value: v%d}]}}",
    "{type: ResponseHeaderModifier, responseHeaderModifier: "
    "{add: [{name: x-bench, value: v%d}]}}",
    "{type: URLRewrite, urlRewrite: {path: "
    "{type: ReplacePrefixMatch, replacePrefixMatch: /v%d}}}")


class Change:
    """One change after another, each a file that is replaced or removed."""

    def __init__(self, gateway):
        self.gateway, self.dice, self.extra = gateway, random.Random(1), set()
        self.kinds = [self.weights, self.filters, self.backend, self.extra_route, self.servers]

    def make(self):
        self.dice.choice(self.kinds)(self.dice.randrange(PATHS))

    def service(self):
        return "s%d" % self.dice.randrange(SERVICES)

    def replace(self, i, refs, filters=""):
        self.gateway.replace("p%d.yaml" % i, route(i, refs, "p{i}", "/p%d" % i, "localhost",
                                                   filters))

    def weights(self, i):
        self.replace(i, [ref(self.service(), 80, self.dice.randint(1, 100)),
                         ref(self.service(), 80, self.dice.randint(0, 100))])

    def filters(self, i):
        self.replace(i, [ref(self.service(), 80)],
                     self.dice.choice(FILTERS) % self.dice.randrange(1000))

    def backend(self, i):
        self.replace(i, [ref(self.service(), 80)])

    def extra_route(self, i):
        """A more specific route that comes or goes."""
        name = "q%d.yaml" % i
        if i in self.extra:
            self.gateway.remove(name)
        else:
            self.gateway.replace(name, route(i, [ref(self.service(), 80)], "q{i}",
                                             "/p%d/x" % i, "localhost"))
        self.extra ^= {i}

    def servers(self, _):
        """Endpoints of a Service come and go; one always stays."""
        i = self.dice.randrange(SERVICES)
        some = self.dice.sample(ADDRESSES, self.dice.randint(1, len(ADDRESSES)))
        self.gateway.replace("e%d.yaml" % i, self.gateway.slice(
            i, sorted({ADDRESSES[0], *some})))


def under_load(gateway, seconds, work):
    """Requests that failed in so many seconds; work() has to be done by then."""
    with wrk(gateway, seconds, CONNECTIONS, "wrk.lua") as one, \
            h2load(gateway, gateway.port, seconds, RATE, "uris.txt") as two:
        work()
        one.check_running()
        two.check_running()
        return one.failed() + two.failed()


def make_changes(gateway, change, count):
    begin = time.monotonic()
    for i in range(count):
        time.sleep(max(0, begin + i * PACE_S - time.monotonic()))
        change.make()
    gateway.wait_applied()


def run(args):
    count = args.changes or CHANGES
    with contextlib.ExitStack() as stack:
        gateway = Gateway(stack, args, ROUTES, SERVICES)
        gateway.write("wrk.lua", WRK_LUA % PATHS)
        gateway.write("uris.txt", "".join("/p%d/x\n" % i for i in range(PATHS)))
        change = Change(gateway)
        for i in range(PATHS):
            change.backend(i)
        # Before 3.4 the first filter of a header's name reloads, and h2load does not come back
        # after the GOAWAY of a reload: routes that nobody asks for have them from the start.
        for i, some in enumerate(FILTERS):
            gateway.replace("f%d.yaml" % i, route(i, [ref("s0", 80)], "f{i}", "/f",
                                                  filters=some % 0))
        gateway.start_origins(stack)
        gateway.start(stack)
        gateway.wait_applied()
        still = under_load(gateway, MARGIN_S, lambda: None)
        updates = gateway.metric("tidegate_updates_total")
        reloads, worker = gateway.metric("tidegate_reloads_total"), gateway.worker_pid()
        failed = under_load(gateway, int(count * PACE_S) + MARGIN_S,
                            lambda: make_changes(gateway, change, count))
        reloads = gateway.metric("tidegate_reloads_total") - reloads
        other_worker = gateway.worker_pid() != worker
        updates = gateway.metric("tidegate_updates_total") - updates
    if updates < count / 10:  # what comes together is applied together
        raise BenchError("%d changes made only %d updates of HAProxy" % (count, updates))
    yield Limit("changes-failed", "requests", failed, still, 0)
    yield Limit("changes-reloads", "reloads", reloads, count, 0)
    yield Limit("changes-workers", "new", int(other_worker), count, 0)
