#!/usr/bin/env python3
"""Runs PromQL scripts case by case: those beside this file, and Prometheus's own where they are.

    tests/promql/run_scripts.py PROGRAM [--again]

PROGRAM is run as `PROGRAM test promql FILE`. Prometheus's scripts lie in ../shared/promqltest, seen
from the checkout or from the folder that holds it. A case counts as passed, failed, or skipped: the
file waiting.txt lists as `file:line: feature` those that wait for a feature. A listed case that no
longer fails, or fails for another reason, is a failure: the list must say what is true. One run
counts what waits; with --again it is checked but not counted.
"""
import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
FAILURE = re.compile(r"^(?P<path>[^:]+):(?P<line>\d+): (?P<why>.*)")
COUNT = re.compile(r"^(\d+) passed, (\d+) failed$")
TIMEOUT_S = 300
SHARED_CASES = 1443  # of Prometheus's scripts, for where they are not


def shared_scripts():
    for up in ("..", "../.."):
        found = sorted(glob.glob(os.path.join(TOP, up, "shared", "promqltest", "*.test")))
        if found:
            return found
    return []


def read_waiting():
    waiting = {}
    with open(os.path.join(HERE, "waiting.txt")) as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                file, at, feature = line.strip().split(":", 2)
                waiting[file, int(at)] = feature.strip()
    return waiting


class Run:
    def __init__(self, program, again):
        self.program, self.again = program, again
        self.passed = self.failed = self.skipped = 0

    def fail(self, text):
        print(f"FAILED {text}", flush=True)
        self.failed += 1

    def script(self, path, waiting):
        """waiting: {line: feature} of this script."""
        done = subprocess.run([self.program, "test", "promql", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=TIMEOUT_S)
        lines = done.stdout.strip().split("\n")
        count = COUNT.match(lines[-1])
        if not count or done.returncode not in (0, 1):
            self.fail(f"{path}: exit {done.returncode}\n" + "\n".join(lines[-20:]))
            return
        self.passed += int(count[1])
        failures = {int(m["line"]): m["why"] for m in map(FAILURE.match, lines[:-1]) if m and m["path"] == path}
        if len(failures) != int(count[2]):
            self.fail(f"{path}: {count[2]} failures are counted, of {len(failures)} lines")
        for at, why in failures.items():
            if at not in waiting:
                self.fail(f"{path}:{at}: {why}")
            elif f"unsupported: {waiting[at]} (" in why + " (":
                self.skipped += not self.again
            else:
                self.fail(f"{path}:{at}: waits for {waiting[at]}, but: {why}")
        for at in sorted(waiting.keys() - failures.keys()):
            self.fail(f"{path}:{at}: waits for {waiting[at]}, but does not fail: take it off waiting.txt")


def main(program, again=None):
    run, waiting, shared = Run(program, again == "--again"), read_waiting(), shared_scripts()
    own = sorted(glob.glob(os.path.join(HERE, "*.test")))
    if not shared:
        print(f"skipped {SHARED_CASES} cases: Prometheus's scripts are not there (../shared/promqltest)")
        run.skipped += 0 if run.again else SHARED_CASES
    for path in own + shared:
        name = os.path.basename(path)
        run.script(path, {at: feature for (file, at), feature in waiting.items() if file == name})
    known = {os.path.basename(path) for path in own + shared}
    for file in sorted({file for file, _ in waiting} - known) if shared else []:
        run.fail(f"waiting.txt names {file}, which is not there")
    print(f"{run.passed} passed, {run.failed} failed, {run.skipped} skipped")
    return 1 if run.failed else 0


sys.exit(main(*sys.argv[1:]))
