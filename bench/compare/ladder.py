#!/usr/bin/env python3
"""The ladder: Ferula, Prometheus and VictoriaMetrics under the same loads, one after the other.

    bench/compare/ladder.py                    all of it: 18 rungs, three systems, three runs of 30 seconds each; some hours
    bench/compare/ladder.py --quick            all of it in 25 minutes: short runs, repeated while there is time
    bench/compare/ladder.py --quick --only=remote_write --series=100000 --labels=14

A rung is a kind of load, a number of series and their labels (2: job and instance; 14: prometheus-operator's), all of
them node_exporter's as ferula-loadgen shapes them:
  remote_write  version 1.0 over 4 connections, requests of 2,000 series, samples 15 s apart, as fast as they are taken:
                the same samples for each system, the first of all series included (10,000 and 100,000 series: 20 million
                samples, a million: 12 million; --quick: 2 and 3 million)
  scrape        virtual targets at a fixed interval: what each system spends on the same work; at the end it is killed, and
                started again: how long until it is ready (VictoriaMetrics has no log: what that lost is not on its disk either)
  mixed         remote_write at the same intervals, and the common dashboard's queries beside it
Each run starts a fresh server; the systems take turns, and the order turns with every run. All rungs have a run before any
has its second, small ones first; what there is no time for is left out, and named. The table for the README goes to standard output, also after Ctrl-C, with medians of the runs there were; raw
results of every run to --json; progress to standard error. CPU is user and system of the whole process until it is idle again
after the load; memory is the most it had; disk is what its folder takes after it was told to end, with its logs. What each is
started with, and why that is fair: systems.py.
"""
import argparse
import json
import os
import statistics
import sys
import time

from systems import (LOADGEN, Ferula, Process, fetch, load_of, present, run_loadgen, run_to_end, say, temp_folder, wait_for,
                     write_file, write_results)

SIZES = (10_000, 100_000, 1_000_000)
LABELS = (2, 14)
STEP_S = 15
START_DAYS_AGO = 40  # of the first sample sent flat out: time for many rounds
# Of scraped targets, and of samples beside queries.
SCRAPE_INTERVAL_S = {10_000: 1, 100_000: 2, 1_000_000: 15}
QUERIES_PER_S = 4  # beside it
NODE_SERIES = 904  # of a virtual node_exporter
QUICK_MINUTES = 25


class Form:
    """How long the parts of a run take."""

    def __init__(self, quick, seconds):
        self.seconds = seconds or (5 if quick else 30)
        # Samples of each series, flat out, and a limit for who is slow.
        self.rounds = {10_000: 200, 100_000: 20, 1_000_000: 3} if quick else {10_000: 2000, 100_000: 200, 1_000_000: 12}
        self.limit_s = 120 if quick else 1800
        self.scrape_rounds = 1 if quick else 2    # of all targets, at least
        self.settling_s = 5 if quick else 15      # after the first, at most
        # Of the samples that queries find: a quarter of an hour, of a million series less.
        self.history_rounds = {10_000: 60, 100_000: 20, 1_000_000: 2} if quick else {10_000: 60, 100_000: 60, 1_000_000: 6}


def write_flags(size, labels):
    return [f"--series={size}", f"--labels={labels}", "--connections=4", "--batch=2000"]


def at_rest(system, got, samples_before=0):
    """What it had and left, beside what it cost. Ends it."""
    rss = system.rss_max()
    disk = system.disk_at_rest()
    return {**got, "rss_max_bytes": rss, "disk_bytes_per_sample": disk / max(got["samples"] + samples_before, 1)}


def remote_write(start, size, labels, form):
    system = start()
    try:
        begin = int(time.time()) - START_DAYS_AGO * 86400
        return at_rest(system, load_of(system, *write_flags(size, labels), f"--rounds={form.rounds[size]}",
                                       f"--duration={form.limit_s}s", f"--step={STEP_S}s", f"--start={begin}"))
    finally:
        system.end()


def scrape(start, size, labels, form):
    interval, targets = SCRAPE_INTERVAL_S[size], max(1, round(size / NODE_SERIES))
    farm = Process("farm", [LOADGEN, "scrape-farm", "--port=0", f"--targets={targets}", f"--labels={labels}",
                            f"--interval={interval}s"])
    try:
        address = farm.wait_log(r"at (http://\S+);").group(1)
        system = start(write_file(os.path.join(farm.folder, "farm.yml"), fetch(f"{address}/config")))
        try:
            # The round that makes the series is not counted.
            wait_for("all targets are scraped", lambda: json.loads(fetch(f"{address}/report"))["targets_seen"] == targets, 300)
            system.settle(min(interval, form.settling_s))
            before, first = system.cpu_s(), json.loads(fetch(f"{address}/report"))
            time.sleep(max(form.seconds, form.scrape_rounds * interval))
            last, cpu = json.loads(fetch(f"{address}/report")), system.cpu_s() - before
            rss = system.rss_max()
            restart_s = system.restart()
            restart_cpu_s = system.cpu_s()
            disk = system.disk_at_rest()
            return {"samples": last["samples"] - first["samples"], "cpu_s": round(cpu, 4), "rss_max_bytes": rss,
                    "samples_per_cpu_s": (last["samples"] - first["samples"]) / cpu,
                    "disk_bytes_per_sample": disk / last["samples"], "slots_missed": last["missed"] - first["missed"],
                    "late_p99_s": last["late_p99_seconds"], "restart_s": restart_s, "restart_cpu_s": round(restart_cpu_s, 3)}
        finally:
            system.end()
    finally:
        farm.kill()


def mixed(start, size, labels, form):
    """Some history, then the load, and the queries over both."""
    system = start()
    try:
        rounds, end_s, path = form.history_rounds[size], int(time.time()), os.path.join(temp_folder(), "queries.json")
        history = load_of(system, *write_flags(size, labels), f"--rounds={rounds}", f"--duration={form.limit_s}s", f"--step={STEP_S}s",
                          f"--start={end_s - rounds * STEP_S}", settles=False)
        asking = Process("queries", [LOADGEN, "query", f"--json={path}", f"--rate={QUERIES_PER_S}", f"--duration={form.seconds}s",
                                     "--range=15m", "--step=15s", system.base])
        got = load_of(system, *write_flags(size, labels), f"--duration={form.seconds}s", f"--rate={size / SCRAPE_INTERVAL_S[size]}")
        asking.wait(300)
        with open(path) as f:
            queries = json.load(f)["queries"]
        asked = [q for q in queries if q["asked"] > q["failed"]]
        got["errors"] += sum(q["failed"] for q in queries)
        got["last_error"] = got["last_error"] or next((q["last_error"] for q in queries if q["failed"]), "")
        return {**at_rest(system, got, history["samples"]), "queries": sum(q["asked"] for q in queries),
                "query_p50_s": statistics.median(q["p50_seconds"] for q in asked) if asked else None,
                "query_max_s": max((q["max_seconds"] for q in asked), default=None)}
    finally:
        system.end()


KINDS = {"remote_write": remote_write, "scrape": scrape, "mixed": mixed}


def median_of(runs):
    """By key, over the runs that have it."""
    keys = {k for r in runs for k, v in r.items() if isinstance(v, (int, float))}
    return {k: statistics.median(r[k] for r in runs if r.get(k) is not None) for k in keys}


class Rung:
    def __init__(self, kind, size, labels, systems):
        self.kind, self.size, self.labels, self.systems = kind, size, labels, systems
        self.runs = {s.name: [] for s in systems}
        self.took_s = 0  # the last time

    def run(self, turn, form, progress):
        since = time.monotonic()
        for i in range(len(self.systems)):
            s = self.systems[(i + turn) % len(self.systems)]
            say(f"{progress}: {self.kind}, {self.size:,} series, {self.labels} labels: {s.name}, run {turn + 1}")
            self.runs[s.name].append(KINDS[self.kind](s, self.size, self.labels, form))
        self.took_s = time.monotonic() - since

    def median(self, name):
        return median_of(self.runs[name])

    def result(self):
        return {"kind": self.kind, "series": self.size, "labels": self.labels, "runs": self.runs,
                "median": {n: median_of(r) for n, r in self.runs.items()}}


def cell(kind, m):
    if not m.get("samples") or not m.get("samples_per_cpu_s"):
        return "nothing taken"
    text = f"{m['samples_per_cpu_s'] / 1e6:.2f} M, {m['rss_max_bytes'] / 2**20:.0f} MiB, {m['disk_bytes_per_sample']:.2f} B"
    if kind == "mixed" and m.get("query_p50_s") is not None:
        text += f", queries {m['query_p50_s'] * 1000:.0f} ms"
    if kind == "scrape":
        text += f", restart {m['restart_s']:.1f} s"
        if m.get("restart_cpu_s") is not None:
            text += f" ({m['restart_cpu_s']:.2f} CPU s)"
    if m.get("errors"):
        text += f" ({m['errors']:.0f} errors)"
    return text


def ratios(rung):
    """Samples a CPU second of ours beside each of the others."""
    per_cpu = {n: rung.median(n).get("samples_per_cpu_s") for n in rung.runs}
    return ["" if n == Ferula.name else f"{per_cpu[Ferula.name] / v:.1f}" if v and per_cpu.get(Ferula.name) else "-"
            for n, v in per_cpu.items() if n != Ferula.name]


def print_table(rungs, names, form, minutes):
    done = sorted((r for r in rungs if any(r.runs.values())), key=lambda r: (list(KINDS).index(r.kind), r.size, r.labels))
    print(f"Samples per CPU second of the server, memory at most, bytes on disk a sample, and how many times the others' samples a CPU "
          f"second Ferula takes; medians of so many runs of {form.seconds} s, {time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, load "
          f"average {os.getloadavg()[2]:.1f}, generator on the same machine, {minutes:.0f} minutes in all:\n")
    others = [n.split()[0] for n in names.values() if not n.startswith(Ferula.name)]
    print("| load | series | labels | " + " | ".join([*names.values(), *(f"x {o}" for o in others), "runs"]) + " |")
    print("|---|---|---|" + "---|" * (len(names) + len(others) + 1))
    for r in done:
        print(f"| {r.kind} | {r.size:,} | {r.labels} | " + " | ".join(
            [*(cell(r.kind, r.median(n)) for n in names), *ratios(r), str(min(len(x) for x in r.runs.values()))]) + " |")


def climb(rungs, wanted, form, save):
    """Each rung once, then again, while there is time."""
    begin = time.monotonic()
    for turn in range(wanted.runs):
        for i, rung in enumerate(rungs):
            gone = time.monotonic() - begin
            if gone + rung.took_s > wanted.minutes * 60:  # it took nothing before its first run
                if not turn:
                    say(f"no time for {rung.kind}, {rung.size:,} series, {rung.labels} labels: --minutes gives more")
                continue
            rung.run(turn, form, f"[{gone / 60:.1f} of {wanted.minutes} min, rung {i + 1} of {len(rungs)}]")
            save()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"short runs, {QUICK_MINUTES} minutes in all")
    parser.add_argument("--only", choices=KINDS, action="append", help="this kind of load; may be repeated")
    parser.add_argument("--series", type=int, choices=SIZES, action="append", help="this size; may be repeated")
    parser.add_argument("--labels", type=int, choices=LABELS, action="append", help="these labels; may be repeated")
    parser.add_argument("--system", help="this one alone")
    parser.add_argument("--seconds", type=int, help="of each run (30; 5 with --quick)")
    parser.add_argument("--runs", type=int, default=3, help="of each system on each rung, at most (%(default)s)")
    parser.add_argument("--minutes", type=float, help="no rung begins behind them, nor again that would not end within (600; --quick: "
                        f"{QUICK_MINUTES})")
    parser.add_argument("--json", default="ladder.json", help="where the raw results go (%(default)s)")
    wanted = parser.parse_args()
    wanted.minutes = wanted.minutes or (QUICK_MINUTES if wanted.quick else 600)
    systems = [s for s in present() if wanted.system in (None, s.name)]
    if not os.path.exists(LOADGEN) or not systems:
        parser.error("nothing to run: build first (meson setup build && ninja -C build)")
    form, names, begin = Form(wanted.quick, wanted.seconds), {s.name: f"{s.name} {s.version()}" for s in systems}, time.monotonic()
    rungs = [Rung(kind, size, labels, systems) for size in wanted.series or SIZES for kind in wanted.only or KINDS
             for labels in wanted.labels or LABELS]

    def save():  # after each rung: hours of work are not lost
        write_results(wanted.json, command=" ".join(["bench/compare/ladder.py", *sys.argv[1:]]), systems=names, form=vars(form),
                      rungs=[r.result() for r in rungs])
    try:
        climb(rungs, wanted, form, save)
    except KeyboardInterrupt:
        say("\ninterrupted: what was done")
    print_table(rungs, names, form, (time.monotonic() - begin) / 60)
    return 0


if __name__ == "__main__":
    run_to_end(main)
