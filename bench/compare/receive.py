#!/usr/bin/env python3
"""What receiving costs: accepted samples a second of CPU, Ferula on one shard beside VictoriaMetrics, by the shape of requests.

    bench/compare/receive.py                       all shapes, medians of five runs of 20 seconds, about 40 minutes
    bench/compare/receive.py --quick               five runs of 4 seconds, of VictoriaMetrics 8, as many as end within eight minutes
    bench/compare/receive.py --only=split --runs=3 --seconds=10

50,000 series of node_exporter as ferula-loadgen shapes them, 15 s apart, sent as fast as they are taken, the first requests,
whose series are all new, included:
  rows2     whole targets, labels job and instance, over 4 connections
  rows14    the same with prometheus-operator's 14 labels
  split     14 labels, series split by their hash over 8 connections
  times     14 labels, 12 samples of each series in a request, as senders do that catch up
  v2        rows14 over remote_write 2.0, which VictoriaMetrics does not take: beside its rows14
  new       a million series with 14 labels: how many samples a second of CPU when each series has had 12
Each run starts a fresh server. The systems take turns and the order turns with every run; every shape has a run before any has
its second; --quick runs new on VictoriaMetrics, which takes a minute for it, once. CPU is user and system of the whole process until it is idle again. The table goes to standard output, also after
Ctrl-C, raw results of every run to --json, progress to standard error.
"""
import argparse
import os
import statistics
import time

from systems import Ferula, Victoria, load_of, run_to_end, say, write_results

SHAPES = {"rows2": ["--labels=2", "--connections=4"],
          "rows14": ["--labels=14", "--connections=4"],
          "split": ["--labels=14", "--connections=8", "--split=hash"],
          "times": ["--labels=14", "--connections=4", "--samples=12", "--batch=200"],
          "v2": ["--labels=14", "--connections=4", "--protocol=2"],
          "new": ["--labels=14", "--connections=4"]}
WORDS = {"rows2": "whole targets, 2 labels", "rows14": "whole targets, 14 labels",
         "split": "14 labels, split by series over 8 connections", "times": "14 labels, 12 samples of a series in a request",
         "v2": "2.0, 14 labels", "new": "a million new series, 14 labels, 12 samples each"}
BESIDE = {"v2": "rows14"}  # what the other system has instead
SYSTEMS = {"ferula": Ferula, "victoria": Victoria}
START_DAYS_AGO = 40
NEW_SERIES, NEW_SAMPLES = 1_000_000, 12
QUICK_SECONDS, QUICK_MINUTES = 4, 8


def run(kind, shape, series, seconds):
    system = SYSTEMS[kind](args=("--shards=1",) if kind == "ferula" else ())
    try:
        begin = int(time.time()) - START_DAYS_AGO * 86400
        many = ([f"--series={NEW_SERIES}", f"--rounds={NEW_SAMPLES}", "--duration=1h"] if shape == "new" else
                [f"--series={series}", f"--duration={seconds}s"])
        got = load_of(system, "--step=15s", f"--start={begin}", *many, *SHAPES[shape])
        if got["errors"]:
            raise SystemExit(f"{kind}, {shape}: {got['last_error']}")
        return got
    finally:
        system.end()


def take_turns(shapes, kinds, wanted, runs, save):
    """A run of every shape, then the next of every shape, while there is time."""
    begin, took_s = time.monotonic(), {}
    for i in range(wanted.runs):
        for shape in shapes:
            since = time.monotonic()
            if since - begin + took_s.get(shape, 0) > wanted.minutes * 60:
                say(f"no time for {shape}, run {i + 1}: --minutes gives more")
                continue
            for kind in kinds if i % 2 == 0 else reversed(kinds):
                is_once = wanted.quick and shape == "new" and i
                if kind != "ferula" and (shape in BESIDE or is_once):
                    continue  # it does not take it, or it takes long
                # Who takes less has longer in short runs, so that the first of all series weighs no more than in long ones.
                seconds = wanted.seconds * (2 if wanted.quick and kind != "ferula" else 1)
                got = {"seconds": seconds, **run(kind, shape, wanted.series, seconds)}
                say(f"[{(time.monotonic() - begin) / 60:.1f} of {wanted.minutes:.1f} min] {shape} {kind}, run {i + 1} of {wanted.runs}: "
                    f"{got['samples_per_cpu_s'] / 1e6:.2f} M a CPU second, {got['samples'] / 1e6:.1f} M samples, {got['cpu_s']:.2f} CPU s")
                runs[shape][kind].append(got)
            took_s[shape] = time.monotonic() - since
            save()


def median(runs):
    return statistics.median(r["samples_per_cpu_s"] for r in runs) if runs else None


def spread(runs):
    each = [r["samples_per_cpu_s"] / 1e6 for r in runs]
    return f"{min(each):.2f} to {max(each):.2f}"


def runs_of(of, versions):
    counts = [len(of[k]) for k in versions if of[k]]
    return str(counts[0]) if len(set(counts)) == 1 else ", ".join(map(str, counts))


def print_table(runs, wanted, versions):
    most = max((len(r["ferula"]) for r in runs.values()), default=0)
    print(f"Samples accepted for each second of CPU of the process, one shard, first requests with all series new included; medians of "
          f"{most} runs of {wanted.seconds} s, alternating, in parentheses the least and the most; {time.strftime('%Y-%m-%d')}, "
          f"{os.cpu_count()} cores, load average {os.getloadavg()[2]:.1f}, generator on the same machine:\n")
    print("| shape | " + " | ".join(versions.values()) + " | | runs |\n|---|" + "---|" * (len(versions) + 2))
    for shape, of in runs.items():
        if not of["ferula"]:
            continue
        others = runs.get(BESIDE.get(shape, shape), {}).get("victoria", [])
        ours, theirs = median(of["ferula"]), median(others)
        cells = [f"{ours / 1e6:.2f} M ({spread(of['ferula'])})"]
        if "victoria" in versions:
            cells.append("-" if not theirs else f"{theirs / 1e6:.2f} M" + (" of 1.0" if shape in BESIDE else f" ({spread(others)})"))
        print(f"| {WORDS[shape]} | {' | '.join(cells)} | {f'{ours / theirs:.1f} x' if theirs else ''} | {runs_of(of, versions)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"runs of {QUICK_SECONDS} s, {QUICK_MINUTES} minutes in all")
    parser.add_argument("--only", choices=SHAPES, action="append", help="this shape; may be repeated")
    parser.add_argument("--runs", type=int, default=5, help="of each system and shape, at most (%(default)s)")
    parser.add_argument("--seconds", type=int, help=f"of each run but of new (20; --quick: {QUICK_SECONDS})")
    parser.add_argument("--minutes", type=float, help=f"no run begins that would not end within them (600; --quick: {QUICK_MINUTES})")
    parser.add_argument("--series", type=int, default=50_000, help="of all shapes but new (%(default)s)")
    parser.add_argument("--json", default="receive.json", help="where the raw results go (%(default)s)")
    wanted = parser.parse_args()
    wanted.seconds = wanted.seconds or (QUICK_SECONDS if wanted.quick else 20)
    wanted.minutes = wanted.minutes or (QUICK_MINUTES if wanted.quick else 600)
    versions = {k: f"{s.name} {s.version()}" for k, s in SYSTEMS.items() if s.is_there()}
    shapes = wanted.only or list(SHAPES)
    runs = {shape: {k: [] for k in versions} for shape in shapes}

    def save():
        write_results(wanted.json, systems=versions, seconds=wanted.seconds, series=wanted.series, shapes=runs)
    try:
        take_turns(shapes, list(versions), wanted, runs, save)
    except KeyboardInterrupt:
        say("\ninterrupted: what was done")
    print_table(runs, wanted, versions)
    return 0


if __name__ == "__main__":
    run_to_end(main)
