#!/usr/bin/env python3
"""Builds and runs all tests, part by part; the last line is `N passed, N failed, N skipped`.

A part that ran nothing is a failure. Test programs are those that meson knows: Criterion's speak
TAP, all others end with a line `N passed, N failed[, N skipped]`.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
JOBS = len(os.sched_getaffinity(0))
COUNT = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")
TIMEOUT_S = 900


class Result:
    def __init__(self, name):
        self.name, self.passed, self.failed, self.skipped, self.seconds = name, 0, 0, 0, 0.0

    def add(self, passed, failed, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def fail(self, text):
        print(f"FAILED {self.name}: {text}", flush=True)
        self.failed += 1


def run(command, cwd=TOP, **options):
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", **options)


def build(folder, *options, env=None):
    """Configures once and builds; None, or what was printed when it failed."""
    environment = {**os.environ, **(env or {})}
    known = os.path.exists(os.path.join(TOP, folder, "build.ninja"))
    # Configured again where it was: packages for tests may have come since.
    done = run(["meson", "setup", *(["--reconfigure"] if known else []), folder, *options], env=environment)
    if done.returncode:
        return done.stdout[-4000:]
    done = run(["ninja", "-C", folder], env=environment)
    return done.stdout[-6000:] if done.returncode else None


def tests_of(folder, suites):
    done = run(["meson", "introspect", "--tests", folder])
    found = json.loads(done.stdout)
    return [t for t in found if any(s.split(":")[-1] in suites for s in t["suite"])]


def count_tap(text):
    passed = len(re.findall(r"^ok ", text, re.M))
    skipped = len(re.findall(r"^ok .*# SKIP", text, re.M))
    return passed - skipped, len(re.findall(r"^not ok ", text, re.M)), skipped


def run_test(folder, test, env):
    try:
        done = run(test["cmd"], cwd=test.get("workdir") or os.path.join(TOP, folder),
                   env={**os.environ, **test["env"], **env}, timeout=TIMEOUT_S)
        text, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as late:
        text, code = (late.stdout or b"").decode(errors="replace") if isinstance(late.stdout, bytes) else "", -1
        text += f"\nnot done after {TIMEOUT_S} s"
    if test["protocol"] == "tap":
        counts = count_tap(text)
    else:
        lines = [m for line in text.strip().split("\n") if (m := COUNT.match(line))]
        # A program that counts nothing is one case, if it said anything: benches print their figures.
        counts = tuple(int(n or 0) for n in lines[-1].groups()) if lines else (int(bool(text.strip())), 0, 0)
    problem = None
    if counts[1] or code:
        problem = f"{test['name']} (exit {code})\n" + "\n".join(text.split("\n")[-40:])
        if not counts[1]:
            counts = (counts[0], 1, counts[2])
    elif sum(counts) == 0:
        problem, counts = f"{test['name']} ran nothing", (0, 1, 0)
    return counts, problem, text


def run_tests(result, folder, suites, env=None, jobs=JOBS):
    for name in suites:
        if not tests_of(folder, (name,)):
            result.fail(f"there is no test in suite {name} of {folder}")
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for counts, problem, text in pool.map(lambda t: run_test(folder, t, env or {}), tests_of(folder, suites)):
            result.add(*counts)
            if problem:
                print(f"FAILED {result.name}: {problem}", flush=True)
            elif "sim" in suites:  # what faults there were is part of the answer
                print(text, end="", flush=True)


def part_build(result):
    problem = build("build")
    if problem:
        result.fail(problem)
    else:
        result.add(1, 0)


def part_tidy(result):
    done = run([sys.executable, "tools/dev/tidy.py", "."])
    if done.returncode:
        result.fail(done.stdout)
    else:
        result.add(1, 0)


def suite(*names, jobs=JOBS):
    return lambda result: run_tests(result, "build", names, jobs=jobs)


def part_end_to_end(result):
    """Against real programs, unpacked first; what cannot be had is skipped by the tests that need it.

    Then once more where io_uring is forbidden by seccomp as Docker and containerd forbid it: the same scenarios on the
    poll backend, some of them fewer times."""
    print(run(["tools/dev/peers"]).stdout, end="", flush=True)
    run_tests(result, "build", ("e2e",), jobs=1)
    before = result.passed
    no_uring = os.path.join(TOP, "build", "tests", "lib", "no_uring")
    run_tests(result, "build", ("no-uring",), env={"FERULA_WRAP": no_uring, "KILLS": "8"})
    print(f"   of these {result.passed - before} without io_uring", flush=True)


def sanitized(compiler, kinds, suites):
    """A build of its own with sanitizers; leaks are reports in a folder that must stay empty."""
    def part(result):
        folder = f"build-{compiler}-{kinds.split(',')[0]}"
        cxx = {"gcc": "g++", "clang": "clang++"}[compiler]
        problem = build(folder, f"-Db_sanitize={kinds}", "-Dbuildtype=debugoptimized", "-Dcheck_expensive=true",
                        "-Db_lundef=false", env={"CC": compiler, "CXX": cxx})
        if problem:
            result.fail(problem)
            return
        reports = tempfile.mkdtemp(prefix="sanitizer-")
        env = {"LSAN_OPTIONS": f"log_path={reports}/leak", "ASAN_OPTIONS": f"log_path={reports}/asan:detect_leaks=1",
               "UBSAN_OPTIONS": f"log_path={reports}/ubsan:print_stacktrace=1",
               "TSAN_OPTIONS": f"log_path={reports}/tsan:halt_on_error=1"}
        run_tests(result, folder, suites, env)
        for name in sorted(os.listdir(reports)):
            with open(os.path.join(reports, name), errors="replace") as report:
                result.fail(report.read()[:3000])
        if "address" in kinds:
            check_leaks_are_seen(result, folder, reports, env)
        shutil.rmtree(reports)
    return part


def check_leaks_are_seen(result, folder, reports, env):
    """A program that leaks on purpose must be reported: otherwise the check above says nothing."""
    before = set(os.listdir(reports))
    run([os.path.join(folder, "tests/lib/leaks_on_purpose")], env={**os.environ, **env})
    # Whose log_path a report goes to is the compiler's choice.
    if set(os.listdir(reports)) - before:
        result.add(1, 0)
    else:
        result.fail("a leak on purpose was not reported")


PARTS = {
    "build": part_build,
    "tidy": part_tidy,
    "unit": suite("unit"),
    "simd": suite("simd"),
    "corpora": suite("fuzz"),
    "promql": suite("promql"),
    "simulation": suite("sim"),
    "end-to-end": part_end_to_end,
    "bench": suite("bench"),
    "asan-gcc": sanitized("gcc", "address,undefined", ("unit", "fuzz", "simd", "promql", "sim-short")),
    "asan-clang": sanitized("clang", "address,undefined", ("unit", "fuzz", "simd", "promql", "sim-short")),
    "tsan": sanitized("gcc", "thread", ("threads",)),
}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("parts", nargs="*", help=f"which parts to run, of: {', '.join(PARTS)} (all)")
    wanted = options.parse_args().parts or list(PARTS)
    unknown = [p for p in wanted if p not in PARTS]
    if unknown:
        options.error(f"unknown part {unknown[0]}; there are: {', '.join(PARTS)}")
    results = []
    for name in wanted:
        print(f"== {name}", flush=True)
        result, start = Result(name), time.monotonic()
        PARTS[name](result)
        if not result.passed + result.failed:
            result.fail("ran nothing")
        result.seconds = time.monotonic() - start
        print(f"   {result.passed} passed, {result.failed} failed, {result.skipped} skipped, "
              f"{result.seconds:.0f} s", flush=True)
        results.append(result)
        if name == "build" and result.failed:
            break
    print("\nseconds by part: " + ", ".join(f"{r.name} {r.seconds:.0f}" for r in results))
    total = [sum(getattr(r, k) for r in results) for k in ("passed", "failed", "skipped")]
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] else 0


sys.exit(main())
