# SPDX-License-Identifier: Apache-2.0
"""What the conformance suite prints with -test.v=test2json, read line by line."""
import re
from typing import NamedTuple

MARK = "\x16"  # before what is Go's own word, not a test's
SPEAKER = re.compile(r"=== \w+\s+(\S+)")  # the test that the next lines are of
END = re.compile(r"--- (PASS|FAIL|SKIP): (\S+) \(([\d.]+)s\)")
STAMP = re.compile(r"\s*[\w-]+\.go:\d+: (?:\d{4}-\d\d-\d\dT\S+:? ?)?")
# testify's block: "Error:  text", and further lines of it without a word in front.
FIELD = re.compile(r"\s+(Error Trace|Error|Test|Messages):\s+(.*)")
TOP = "TestConformance"


class Result(NamedTuple):
    name: str
    verdict: str   # PASS, FAIL or SKIP
    seconds: float
    reason: str    # of a failure


class SuiteLog:
    def __init__(self):
        self.speaker = TOP
        self.lines = {}  # of each test and part of one
        self.failed = []

    def feed(self, line):
        """Returns the Result when the line is the end of a test, also of the whole suite's."""
        line = line.rstrip("\n")
        word = line[1:] if line.startswith(MARK) else ""
        end, speaker = END.match(word), SPEAKER.match(word)
        if end:
            return self.end(*end.groups())
        if speaker:
            self.speaker = speaker.group(1)
        else:
            self.lines.setdefault(self.speaker, []).append(line)
        return None

    def end(self, verdict, path, seconds):
        if verdict == "FAIL":
            self.failed.append(path)
        if path.count("/") > 1:
            return None
        return Result(path.partition("/")[2] or TOP, verdict, float(seconds),
                      self.reason(path) if verdict == "FAIL" else "")

    def reason(self, path):
        """The complaint of the part of the test that failed last, else its own."""
        for part in self.failed[::-1] + [path]:
            if part.startswith(path + "/") and path != TOP or part == path:
                text = complaint(self.lines.get(part, []))
                if text:
                    return text
        return "it says nothing"


def complaint(lines):
    """The last block of testify's, with the line of the log before it; or the last line."""
    logged, field, fields = "", None, {}
    for line in lines:
        match = FIELD.match(line)
        if match:
            field = match.group(1)
            if field == "Error Trace":
                fields = {"before": logged}
            fields[field] = match.group(2)
        elif STAMP.match(line):
            field = None
            logged = STAMP.sub("", line).strip() or logged
        elif line.strip() == "Diff:":
            field = "Diff"
        elif field:
            fields[field] = " ".join((fields.get(field, "") + " " + line).split())
        else:
            logged = line.strip() or logged
    told = [fields.get(name, "") for name in ("Error", "Messages", "before")]
    return "; ".join(text for text in told if text)[:500] if fields else logged[:500]
