#!/usr/bin/env python3
"""The ladder: Ferula, Prometheus and VictoriaMetrics under the same loads, one after the other.

    bench/compare/ladder.py                    everything: 18 rungs, three systems, medians of three runs; some hours
    bench/compare/ladder.py --only=remote_write --series=100000
    bench/compare/ladder.py --quick            10,000 series, two seconds each, one run: that everything works

A rung is a kind of load, a number of series and their labels (2: job and instance; 14: prometheus-operator's), all of
them node_exporter's as ferula-loadgen shapes them:
  remote_write  version 1.0 over 4 connections, requests of 2,000 series, samples 15 s apart, as fast as they are taken;
                a million series are new ones, with 12 samples each
  scrape        virtual targets at a fixed interval: what each system spends on the same work; at the end it is killed, and
                started again: how long until it is ready
  mixed         remote_write at the same intervals, and the common dashboard's queries beside it
Each run starts a fresh server; the systems take turns, and the order turns with every run. The table for the README goes to
standard output, raw results of every run to --json, progress to standard error. CPU is user and system of the whole process
until it is idle again after the load; memory is the most it had; disk is what its folder takes after it was told to end, with
its logs. What each is started with, and why that is fair: systems.py.
"""
import argparse
import json
import os
import statistics
import sys
import time

from systems import LOADGEN, TICKS, Process, end_everything, fetch, present, run_loadgen, say, temp_folder, wait_for, write_file

KINDS = ("remote_write", "scrape", "mixed")
SIZES = (10_000, 100_000, 1_000_000)
LABELS = (2, 14)
STEP_S = 15
START_DAYS_AGO = 40  # of the first sample sent flat out: time for many rounds
# Of scraped targets, and of samples beside queries.
SCRAPE_INTERVAL_S = {10_000: 1, 100_000: 2, 1_000_000: 15}
MILLION_ROUNDS = 12
QUERIES_PER_S = 4  # beside it
NODE_SERIES = 903  # of a virtual node_exporter


def write_flags(size, labels, seconds):
    return ["remote-write", f"--series={size}", f"--labels={labels}", "--connections=4", "--batch=2000",
            f"--duration={seconds}s", "--no-read-back"]


def measure(system, samples, before_s, samples_before=0):
    system.settle()
    cpu, rss = system.cpu_s() - before_s, system.rss_max()
    disk = system.disk_at_rest()
    return {"samples": samples, "cpu_s": round(cpu, 2), "samples_per_cpu_s": samples / max(cpu, 1 / TICKS),
            "rss_max_bytes": rss, "disk_bytes_per_sample": disk / max(samples + samples_before, 1)}


def remote_write(start, size, labels, seconds):
    system = start()
    try:
        before = system.cpu_s()
        begin = int(time.time()) - START_DAYS_AGO * 86400
        # Of a million series each system takes the same, that they are new included.
        much = [*write_flags(size, labels, 3600), f"--rounds={MILLION_ROUNDS}"]
        got = run_loadgen(*(much if size >= 1_000_000 else write_flags(size, labels, seconds)), f"--step={STEP_S}s", f"--start={begin}",
                          f"{system.base}/api/v1/write")
        return {**measure(system, got["samples"], before), "samples_per_s": got["samples_per_second"],
                "ack_p99_s": got["ack_p99_seconds"], "errors": got["rejected"] + got["failed"] + got["broken"],
                "last_error": got["last_error"]}
    finally:
        system.end()


def scrape(start, size, labels, seconds):
    interval, targets = SCRAPE_INTERVAL_S[size], max(1, round(size / NODE_SERIES))
    farm = Process("farm", [LOADGEN, "scrape-farm", "--port=0", f"--targets={targets}", f"--labels={labels}",
                            f"--interval={interval}s"])
    try:
        address = farm.wait_log(r"at (http://\S+);").group(1)
        system = start(write_file(os.path.join(farm.folder, "farm.yml"), fetch(f"{address}/config")))
        try:
            # The round that makes the series is not counted.
            wait_for("all targets are scraped", lambda: json.loads(fetch(f"{address}/report"))["targets_seen"] == targets, 300)
            system.settle(interval)
            before, first = system.cpu_s(), json.loads(fetch(f"{address}/report"))
            time.sleep(max(seconds, 2 * interval))
            last, cpu = json.loads(fetch(f"{address}/report")), system.cpu_s() - before
            rss = system.rss_max()
            restart_s = system.restart()
            disk = system.disk_at_rest()
            return {"samples": last["samples"] - first["samples"], "cpu_s": round(cpu, 2), "rss_max_bytes": rss,
                    "samples_per_cpu_s": (last["samples"] - first["samples"]) / max(cpu, 1 / TICKS),
                    "disk_bytes_per_sample": disk / last["samples"], "slots_missed": last["missed"] - first["missed"],
                    "late_p99_s": last["late_p99_seconds"], "restart_s": restart_s}
        finally:
            system.end()
    finally:
        farm.kill()


def mixed(start, size, labels, seconds):
    """A quarter of an hour of history (of a million series: less), then the load, and the queries over it."""
    system = start()
    try:
        rounds, end_s = (60 if size <= 100_000 else 6), int(time.time())
        if seconds < 10:
            rounds = 6
        history = run_loadgen(*write_flags(size, labels, 3600), f"--rounds={rounds}", f"--step={STEP_S}s",
                              f"--start={end_s - rounds * STEP_S}", f"{system.base}/api/v1/write")
        before, path = system.cpu_s(), os.path.join(temp_folder(), "queries.json")
        asking = Process("queries", [LOADGEN, "query", f"--json={path}", f"--rate={QUERIES_PER_S}", f"--duration={seconds}s",
                                     "--range=15m", "--step=15s", system.base])
        got = run_loadgen(*write_flags(size, labels, seconds), f"--rate={size / SCRAPE_INTERVAL_S[size]}",
                          f"{system.base}/api/v1/write")
        asking.wait(300)
        with open(path) as f:
            queries = json.load(f)["queries"]
        asked = [q for q in queries if q["asked"]]
        result = measure(system, got["samples"], before, history["samples"])
        return {**result, "ack_p99_s": got["ack_p99_seconds"],
                "errors": got["rejected"] + got["failed"] + got["broken"] + sum(q["failed"] for q in queries),
                "last_error": got["last_error"] or next((q["last_error"] for q in queries if q["failed"]), ""),
                "queries": sum(q["asked"] for q in queries),
                "query_p50_s": statistics.median(q["p50_seconds"] for q in asked) if asked else None,
                "query_max_s": max((q["max_seconds"] for q in asked), default=None)}
    finally:
        system.end()


def median_of(runs):
    """By key, over the runs that have it."""
    keys = {k for r in runs for k, v in r.items() if isinstance(v, (int, float))}
    return {k: statistics.median(r[k] for r in runs if r.get(k) is not None) for k in keys}


def run_rung(kind, size, labels, systems, wanted):
    runs = {s.name: [] for s in systems}
    for turn in range(wanted.runs):
        for i in range(len(systems)):
            s = systems[(i + turn) % len(systems)]
            say(f"{kind}, {size:,} series, {labels} labels: {s.name}, run {turn + 1} of {wanted.runs}")
            runs[s.name].append({"remote_write": remote_write, "scrape": scrape, "mixed": mixed}[kind](
                s, size, labels, wanted.seconds))
    return {"kind": kind, "series": size, "labels": labels, "runs": runs, "median": {n: median_of(r) for n, r in runs.items()}}


def cell(kind, m):
    if not m.get("samples") or not m.get("samples_per_cpu_s"):
        return "nothing taken"
    text = f"{m['samples_per_cpu_s'] / 1e6:.2f} M, {m['rss_max_bytes'] / 2**20:.0f} MiB, {m['disk_bytes_per_sample']:.2f} B"
    if kind == "mixed" and m.get("query_p50_s") is not None:
        text += f", queries {m['query_p50_s'] * 1000:.0f} ms"
    if kind == "scrape":
        text += f", restart {m['restart_s']:.2f} s"
    if m.get("errors"):
        text += f" ({m['errors']:.0f} errors)"
    return text


def print_table(rungs, names, wanted):
    print(f"Samples per CPU second of the server, memory at most, bytes on disk a sample; medians of {wanted.runs} "
          f"run{'s' if wanted.runs > 1 else ''} of {wanted.seconds} s, {time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, load "
          f"average {os.getloadavg()[1]:.1f}, generator on the same machine:\n")
    print("| load | series | labels | " + " | ".join(names.values()) + " |")
    print("|---|---|---|" + "---|" * len(names))
    for r in rungs:
        print(f"| {r['kind']} | {r['series']:,} | {r['labels']} | "
              + " | ".join(cell(r["kind"], r["median"][n]) for n in names) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a short form that shows that all works")
    parser.add_argument("--only", choices=KINDS, action="append", help="this kind of load; may be repeated")
    parser.add_argument("--series", type=int, choices=SIZES, action="append", help="this size; may be repeated")
    parser.add_argument("--labels", type=int, choices=LABELS, action="append", help="these labels; may be repeated")
    parser.add_argument("--seconds", type=int, help="of each run (30)")
    parser.add_argument("--runs", type=int, help="of each system on each rung (3)")
    parser.add_argument("--json", default="ladder.json", help="where the raw results go (%(default)s)")
    wanted = parser.parse_args()
    wanted.seconds = wanted.seconds or (2 if wanted.quick else 30)
    wanted.runs = wanted.runs or (1 if wanted.quick else 3)
    systems = present()
    if not os.path.exists(LOADGEN) or not systems:
        parser.error("nothing to run: build first (meson setup build && ninja -C build)")
    names = {s.name: f"{s.name} {s.version()}" for s in systems}
    sizes = wanted.series or (SIZES[:1] if wanted.quick else SIZES)
    if wanted.quick:
        say("quick: only 10,000 series, and too short to say who is faster")
    rungs = []
    for kind in wanted.only or KINDS:
        for size in sizes:
            for labels in wanted.labels or LABELS:
                rungs.append(run_rung(kind, size, labels, systems, wanted))
                with open(wanted.json, "w") as f:  # after each rung: hours of work are not lost
                    json.dump({"systems": names, "seconds": wanted.seconds, "date": time.strftime("%Y-%m-%d"),
                               "cores": os.cpu_count(), "rungs": rungs}, f, indent=1)
    print_table(rungs, names, wanted)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        end_everything()
