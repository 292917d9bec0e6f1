#!/usr/bin/env python3
"""Builds and runs all tests, part by part; the last line is `N passed, N failed, N skipped`.

Test programs are those that meson knows. Each says how many cases it had: Criterion's speak TAP, benches print a line of JSON
a measurement, all others end with a line `N passed, N failed[, N skipped]`; one that counts nothing has failed, and so has a part
that ran nothing. Builds are made one after the other on all cores, then the tests that compute run, one a core, whichever part they
are of; beside both and before them run those that mostly wait, end to end, some at a time. With a part its builds are made. Under
sanitizers each end-to-end program runs once, those of one compiler with io_uring, those of the other without; a part that is named
runs them all. What failed is said once more before the last lines.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
JOBS = len(os.sched_getaffinity(0))
COUNT = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")
TIMEOUT_S = 1200
SKIPS_SHOWN = 12  # of a program
LONG_S = 20  # what takes longer is told with its seconds
FAILURES_SHOWN = 40  # at the end
NO_URING = os.path.join(TOP, "build", "tests", "lib", "no_uring")

# What computes, and what mostly waits: where each test program is run. The latter go first where both could.
COMPUTING = concurrent.futures.ThreadPoolExecutor(JOBS)
WAITING = concurrent.futures.ThreadPoolExecutor(JOBS + 1)
COMPUTING_NICE = 5
BUILDS, COMPUTES, WAITS = range(3)

RUNNING = set()  # process groups
FAILURES = []  # what is said again at the end

# --again: tests to be run once more at the end, as calls. Where many fail it is no accident.
AGAIN = []
AGAIN_MAX = 0
AGAIN_MAX_ASKED = 4
NEVER_AGAIN = {"kill", "receive", "receive2", "receive_random"}  # what they find may be loss of data

# Lines that say why a program failed: of ours, Criterion, assertions, sanitizers, compilers, Python.
CAUSE = re.compile(r"FAILED|^not ok|[Aa]ssert|died of|runtime error|ERROR: |SUMMARY|error:|Error|: Sanitizer|turn took .* us,|no yield|"
                   r"without a question|^seed \d+:|not done after|counted nothing|ran nothing|did not end|was not reported")


def causes(text, lines_max=14, width=300):
    """The lines of a failure that tell its cause, and some behind each; its end, where none does."""
    lines = [line for line in text.split("\n") if line.strip()]
    found = sorted({j for i, line in enumerate(lines) if CAUSE.search(line) for j in (i, i + 1, i + 2)} & set(range(len(lines))))
    chosen = [lines[i] for i in found[:lines_max]] or lines[-lines_max:]
    return "\n".join("    " + line[:width] + ("..." if len(line) > width else "") for line in chosen)


Done = collections.namedtuple("Done", "code text seconds cpu_seconds")


class Part:
    """One line of the table at the end."""

    def __init__(self, name, work, needs=(), kind=COMPUTES):
        self.name, self.work, self.needs, self.kind = name, work, needs, kind
        self.is_whole = False  # asked for by its name
        self.passed = self.failed = self.skipped = 0
        self.seconds = self.cpu_seconds = 0.0
        self.lock, self.begun, self.done = threading.Lock(), threading.Event(), threading.Event()

    def say(self, text):
        print(f"{self.name}: {text.rstrip()}", flush=True)

    def add(self, passed, failed=0, skipped=0):
        with self.lock:
            self.passed += passed
            self.failed += failed
            self.skipped += skipped

    def fail(self, what, text="", count=1):
        """what: a line; text: all that is known; count: none, where it is tried again."""
        print(f"FAILED {self.name}: {what}\n{text}".rstrip(), flush=True)
        self.add(0, count)
        with self.lock:
            FAILURES.append(f"  {self.name}: {what}" + (f"\n{causes(text)}" if text.strip() else ""))

    def run(self, command, cwd=TOP, env=None):
        """What it took of the processors counts for the part."""
        start = time.monotonic()
        if self.kind != WAITS:
            command = ["nice", "-n", str(COMPUTING_NICE), *command]
        with tempfile.TemporaryFile() as out:
            process = subprocess.Popen(command, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                                       stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
            RUNNING.add(process.pid)
            late = threading.Timer(TIMEOUT_S, end_group, (process.pid, ))
            late.start()
            _, status, usage = os.wait4(process.pid, 0)
            RUNNING.discard(process.pid)
            timed_out = not late.is_alive()
            late.cancel()
            out.seek(0)
            text = out.read().decode(errors="replace")
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu_seconds = usage.ru_utime + usage.ru_stime
        with self.lock:
            self.cpu_seconds += cpu_seconds
        return Done(process.returncode, text + (f"\nnot done after {TIMEOUT_S} s" if timed_out else ""),
                    time.monotonic() - start, cpu_seconds)


def end_group(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def end_all(number, frame):
    for pid in list(RUNNING):
        end_group(pid)
    os._exit(128 + number)


# ---- builds

def build(part, folder, *options, env=None, suites=()):
    """Configures and builds all, or what tests of the suites need; whether it worked."""
    known = os.path.exists(os.path.join(TOP, folder, "build.ninja"))
    # Configured again where it was: packages for tests may have come since.
    done = part.run(["meson", "setup", *(["--reconfigure"] if known else []), folder, *options], env=env)
    if not done.code:
        done = part.run(["ninja", "-j", str(JOBS + 1), "-C", folder, *targets_of(folder, suites)], env=env)
    if done.code:
        part.fail(f"building {folder}", done.text[-6000:])
    else:
        part.add(1)
    return not done.code


def introspect(folder, what):
    return json.loads(subprocess.run(["meson", "introspect", f"--{what}", folder], cwd=TOP, capture_output=True).stdout)


def targets_of(folder, suites):
    """Files that tests of the suites need, as ninja calls them; none: all."""
    needed = {d for t in tests_of(folder, suites) for d in t["depends"]} if suites else set()
    top = os.path.join(TOP, folder)
    return [os.path.relpath(f, top) for t in introspect(folder, "targets") if t["id"] in needed for f in t["filename"]]


def part_build(part):
    build(part, "build")


SANITIZERS = {"asan-gcc": ("gcc", "g++", "address,undefined"), "asan-clang": ("clang", "clang++", "address,undefined"),
              "tsan": ("gcc", "g++", "thread")}


def sanitized_build(name, suites=()):
    def part_sanitized_build(part):
        cc, cxx, kinds = SANITIZERS[name]
        # Compiling is most of it: -O1 and lines without variables take half of what -O2 -g takes. gcc warns there of ranges that it
        # would see with -O2: its warnings are the release's, clang's are these.
        if not build(part, f"build-{name}", f"-Db_sanitize={kinds}", "-Doptimization=1", "-Ddebug=true", "-Dc_args=-g1", "-Dcpp_args=-g1",
                     f"-Dwerror={str(cc != 'gcc').lower()}", "-Dcheck_expensive=true", "-Db_lundef=false", env={"CC": cc, "CXX": cxx}, suites=suites):
            return
        if "address" in kinds:  # a program that leaks on purpose must be reported: otherwise its silence says nothing
            with tempfile.TemporaryDirectory() as reports:
                part.run([f"build-{name}/tests/lib/leaks_on_purpose"], env=sanitizer_env(reports))
                if os.listdir(reports):
                    part.add(1)
                else:
                    part.fail("a leak on purpose was not reported")
    return part_sanitized_build


def sanitizer_env(reports):
    """Reports go to a folder, which must stay empty; whose log_path a report of a leak goes to is the compiler's choice.
    The end-to-end tests look there after each scenario."""
    return {"LSAN_OPTIONS": f"log_path={reports}/leak", "ASAN_OPTIONS": f"log_path={reports}/asan:detect_leaks=1",
            "UBSAN_OPTIONS": f"log_path={reports}/ubsan:print_stacktrace=1",
            "TSAN_OPTIONS": f"log_path={reports}/tsan:halt_on_error=1", "SANITIZER_REPORTS": reports}


# ---- tests

def tests_of(folder, suites):
    """Those that take long first."""
    found = [t for t in introspect(folder, "tests") if any(s.split(":")[-1] in suites for s in t["suite"])]
    return sorted(found, key=lambda t: -t["priority"])


def count_tap(text):
    passed = len(re.findall(r"^ok ", text, re.M))
    skipped = len(re.findall(r"^ok .*# SKIP", text, re.M))
    return passed - skipped, len(re.findall(r"^not ok ", text, re.M)), skipped


def count_measurements(text):
    """A bench's lines of JSON; any other line that looks like one is a failure."""
    passed = failed = 0
    for line in text.split("\n"):
        if line.startswith("{"):
            try:
                passed += isinstance(json.loads(line), dict)
            except ValueError:
                failed += 1
    return passed, failed, 0


def count_last_line(text):
    found = COUNT.match(text.rstrip("\n").rpartition("\n")[2])
    return tuple(int(n or 0) for n in found.groups()) if found else (0, 0, 0)


def count_of(test, text):
    if test["protocol"] == "tap":
        return count_tap(text)
    return (count_measurements if any(s.endswith(":bench") for s in test["suite"]) else count_last_line)(text)


def may_run_again(part, test, reports):
    return part.kind == WAITS and test["name"] not in NEVER_AGAIN and not os.listdir(reports) and len(AGAIN) < AGAIN_MAX


def run_test(part, folder, test, env, wrap, is_again=False):
    reports = tempfile.mkdtemp(prefix="sanitizer-")
    done = part.run([*wrap, *test["cmd"]], test.get("workdir") or os.path.join(TOP, folder),
                    {**test["env"], **env, **(sanitizer_env(reports) if folder != "build" else {})})
    passed, failed, skipped = count_of(test, done.text)
    if (failed or done.code) and not is_again and may_run_again(part, test, reports):
        part.fail(f"unsteady: {test['name']} (exit {done.code}), to be run again at the end", done.text[-8000:], 0)
        AGAIN.append(lambda: run_test(part, folder, test, env, wrap, is_again=True))
        passed = skipped = 0
    elif failed or done.code:
        part.fail(f"{test['name']} (exit {done.code})", done.text[-8000:], failed or 1)
    elif not passed + skipped:
        part.fail(f"{test['name']} counted nothing", done.text[-2000:])
    part.add(passed, 0, skipped)
    for name in sorted(os.listdir(reports)):
        with open(os.path.join(reports, name), errors="replace") as report:
            part.fail(f"{test['name']}: {name}", report.read()[:4000])
    shutil.rmtree(reports)
    words = re.findall(r"^skipped.*|^ok .*# SKIP.*", done.text, re.M)
    for line in words[:SKIPS_SHOWN]:
        part.say(line)
    if len(words) > SKIPS_SHOWN:
        part.say(f"skipped {len(words) - SKIPS_SHOWN} more of {test['name']}")
    if done.seconds > LONG_S:
        part.say(f"{test['name']} took {done.seconds:.0f} s, {done.cpu_seconds:.0f} s of CPU")
    if any(s.endswith((":sim", ":sim-short")) for s in test["suite"]):  # what faults there were is part of the answer
        part.say(f"{test['name']}\n{done.text}")


def tests(*suites, folder="build", env=None, wrap=(), share=(0, 1)):
    """share: the at-th of so many, where other parts have the others."""
    def part_tests(part):
        for name in suites:
            if not tests_of(folder, (name, )):
                part.fail(f"there is no test in suite {name} of {folder}")
        pool = WAITING if part.kind == WAITS else COMPUTING
        at, of = (0, 1) if part.is_whole else share
        results = pool.map(lambda t: run_test(part, folder, t, env or {}, wrap), tests_of(folder, suites)[at::of])
        part.begun.set()
        list(results)
    return part_tests


def part_tidy(part):
    done = part.run([sys.executable, "tools/dev/tidy.py", "."])
    part.fail("tidy", done.text) if done.code else part.add(1)


def part_peers(part):
    """What cannot be had is skipped by the tests that need it."""
    done = part.run(["tools/dev/peers"])
    part.say("\n" + done.text)
    part.fail("tools/dev/peers", done.text) if done.code else part.add(1)


# Sanitizers slow the server, not what is asked: fewer repetitions, the same scenarios.
FEWER = {"KILLS": "8", "COMPARE_COUNT": "500"}
UNDER_ASAN = ("unit", "fuzz", "simd", "promql", "sim-short")
PARTS = [
    Part("build", part_build, kind=BUILDS),
    Part("peers", part_peers, kind=WAITS),
    Part("end-to-end", tests("e2e"), ("build", "peers"), WAITS),
    # Once more where io_uring is forbidden by seccomp as Docker and containerd forbid it.
    Part("no-uring", tests("e2e", env=FEWER, wrap=[NO_URING]), ("build", "peers"), WAITS),
    Part("build-asan-gcc", sanitized_build("asan-gcc"), kind=BUILDS),
    Part("build-asan-clang", sanitized_build("asan-clang"), kind=BUILDS),
    Part("end-to-end-asan-gcc", tests("e2e", folder="build-asan-gcc", env=FEWER, share=(0, 2)), ("build-asan-gcc", "peers"), WAITS),
    Part("end-to-end-asan-clang", tests("e2e", folder="build-asan-clang", env=FEWER, wrap=[NO_URING], share=(1, 2)),
         ("build", "build-asan-clang", "peers"), WAITS),
    Part("build-tsan", sanitized_build("tsan", ("threads", )), kind=BUILDS),
    Part("simulation", tests("sim"), ("build", )),
    Part("asan-gcc", tests(*UNDER_ASAN, folder="build-asan-gcc"), ("build-asan-gcc", )),
    Part("asan-clang", tests(*UNDER_ASAN, folder="build-asan-clang"), ("build-asan-clang", )),
    Part("tsan", tests("threads", folder="build-tsan"), ("build-tsan", )),
    Part("simd", tests("simd"), ("build", )),
    Part("unit", tests("unit"), ("build", )),
    Part("promql", tests("promql"), ("build", )),
    Part("corpora", tests("fuzz"), ("build", )),
    Part("bench", tests("bench"), ("build", )),
    Part("tidy", part_tidy),
]
NAMED = {p.name: p for p in PARTS}


def wanted_parts(names):
    """Those named and what they need, in the order of the table; all, where none is named."""
    wanted = set()

    def want(name):
        wanted.add(name)
        for n in NAMED[name].needs:
            want(n)
    for name in names or NAMED:
        want(name)
        NAMED[name].is_whole = bool(names)
    return [p for p in PARTS if p.name in wanted]


def run_part(part, before):
    """before: events it waits for."""
    for event in before:
        event.wait()
    start = time.monotonic()
    failed = [n for n in part.needs if NAMED[n].failed]
    try:
        if failed:
            part.fail(f"not run: {failed[0]} failed")
        else:
            part.work(part)
        if not part.passed + part.failed:
            part.fail("ran nothing")
    except Exception as problem:  # the others go on
        part.fail(f"{type(problem).__name__}: {problem}", traceback.format_exc())
    part.seconds = time.monotonic() - start
    part.say(f"{part.passed} passed, {part.failed} failed, {part.skipped} skipped, {part.seconds:.0f} s, "
             f"{part.cpu_seconds:.0f} s of CPU")
    part.begun.set()
    part.done.set()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--again", action="store_true", help="run an end-to-end program that failed a second time")
    options.add_argument("parts", nargs="*", help=f"which parts to run, of: {', '.join(NAMED)}")
    asked = options.parse_args()
    names = asked.parts
    unknown = [n for n in names if n not in NAMED]
    if unknown:
        options.error(f"unknown part {unknown[0]}; there are: {', '.join(NAMED)}")
    global AGAIN_MAX
    AGAIN_MAX = AGAIN_MAX_ASKED if asked.again else 0
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end_all)
    start, parts, threads = time.monotonic(), wanted_parts(names), []
    builds, computing = [p for p in parts if p.kind == BUILDS], [p for p in parts if p.kind == COMPUTES]
    for part in parts:
        before = [NAMED[n].done for n in part.needs]
        if part.kind == BUILDS:
            before += [p.done for p in builds[:builds.index(part)]]
        elif part.kind == COMPUTES:  # in the order of the table
            before += [p.done for p in builds] + [p.begun for p in computing[:computing.index(part)]]
        threads.append(threading.Thread(target=run_part, args=(part, before)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    for run_again in AGAIN:
        run_again()
    if FAILURES:
        more = [f"  and {len(FAILURES) - FAILURES_SHOWN} more"] if len(FAILURES) > FAILURES_SHOWN else []
        print("\nwhat failed:\n" + "\n".join(FAILURES[:FAILURES_SHOWN] + more))
    print(f"\nseconds by part (of CPU), {time.monotonic() - start:.0f} ({sum(p.cpu_seconds for p in parts):.0f}) in all: " +
          ", ".join(f"{p.name} {p.seconds:.0f} ({p.cpu_seconds:.0f})" for p in parts))
    total = [sum(getattr(p, k) for p in parts) for k in ("passed", "failed", "skipped")]
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] else 0


sys.exit(main())
