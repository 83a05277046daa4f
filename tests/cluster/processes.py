# SPDX-License-Identifier: Apache-2.0
"""The cluster's processes: they outlive the command that starts them, so that each has a file
RUN/NAME.json with which a later command finds it, and starts it again as it was."""
import json
import os
import signal
import subprocess
import time

from parts import Failed, say


def started_at(pid):
    """Tells a process from a later one of the same number; None when there is none."""
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def only_child(pid):
    """Waits for it; None when the process ends without one."""
    while started_at(pid):
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as children:
            found = children.read().split()
        if found:
            return int(found[0])
        time.sleep(0.01)
    return None


def wait_until(check, seconds, what, remedy):
    """Calls check() until it returns something true, which it returns. A file or a connection
    that is not there yet is no answer; check() raises Failed when there is no use in waiting."""
    start = said = time.monotonic()
    last = "no answer"
    while True:
        try:
            value = check()
            if value:
                return value
        except (OSError, subprocess.SubprocessError) as error:
            last = error
        now = time.monotonic()
        if now - start > seconds:
            raise Failed("%s: not within %d s (%s). %s" % (what, seconds, last, remedy))
        if now - said > 10:
            said = now
            say("... waiting for %s, %d s", what, now - start)
        time.sleep(0.1)


class Processes:
    """Those of one cluster, below its directory."""

    def __init__(self, directory):
        self.run = os.path.join(directory, "run")
        self.logs = os.path.join(directory, "log")

    def make_directories(self):
        os.makedirs(self.run, exist_ok=True)
        os.makedirs(self.logs, exist_ok=True)

    def log(self, name):
        return os.path.join(self.logs, name + ".log")

    def names(self):
        """In the order in which they were started first."""
        try:
            found = [os.path.join(self.run, entry) for entry in os.listdir(self.run)
                     if entry.endswith(".json")]
        except FileNotFoundError:
            return []
        records = [(self.record(os.path.basename(path)[:-5])["order"], path) for path in found]
        return [os.path.basename(path)[:-5] for _, path in sorted(records)]

    def record(self, name):
        try:
            with open(os.path.join(self.run, name + ".json"), encoding="utf-8") as source:
                return json.load(source)
        except FileNotFoundError:
            raise Failed("no process `%s` was started here; there are: %s" % (
                name, " ".join(self.names()) or "none (tests/cluster/up)"))

    def write(self, name, record):
        path = os.path.join(self.run, name + ".json")
        with open(path + ".new", "w", encoding="utf-8") as out:
            json.dump(record, out)
        os.rename(path + ".new", path)

    def pid(self, name):
        """Of the running process, else None."""
        record = self.record(name)
        return record["pid"] if started_at(record["pid"]) == record["started"] else None

    def start(self, name, command, environment=None, forks=False):
        """Starts it detached, its output at the end of its log. Of a command that forks, like
        nsenter, the child is what is meant by the name."""
        self.launch(name, {"command": command, "environment": environment or {},
                           "forks": forks, "order": time.time()})

    def start_again(self, name):
        if self.pid(name):
            raise Failed("%s runs already, as process %d" % (name, self.pid(name)))
        self.launch(name, self.record(name))

    def launch(self, name, record):
        with open(self.log(name), "ab") as log:
            process = subprocess.Popen(record["command"], start_new_session=True, cwd="/",
                                       env=dict(os.environ, **record["environment"]),
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        pid = only_child(process.pid) if record["forks"] else process.pid
        self.write(name, dict(record, pid=pid or process.pid,
                              started=started_at(pid or process.pid)))

    def require(self, name):
        """Raises Failed, with the end of its log, when the process has ended."""
        if self.pid(name):
            return
        with open(self.log(name), encoding="utf-8", errors="replace") as log:
            tail = "".join(log.readlines()[-12:])
        raise Failed("%s has ended:\n%sAll of it: %s" % (name, tail, self.log(name)))

    def kill(self, name, number=signal.SIGTERM, patience_s=15):
        """Ends the process: asks, then insists."""
        pid = self.pid(name)
        if not pid:
            return
        os.kill(pid, number)
        try:
            wait_until(lambda: not self.pid(name), patience_s, "the end of " + name, "")
        except Failed:
            say("%s does not end by itself: killed", name)
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not self.pid(name), 15, "the end of " + name,
                       "Process %d cannot be killed: look at /proc/%d/stack" % (pid, pid))
