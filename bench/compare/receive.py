#!/usr/bin/env python3
"""What receiving costs: accepted samples a second of CPU, Ferula on one shard beside VictoriaMetrics, by the shape of requests.

    bench/compare/receive.py                       all shapes, medians of five runs of 20 seconds, about 40 minutes
    bench/compare/receive.py --only=split --runs=3 --seconds=10

50,000 series of node_exporter as ferula-loadgen shapes them, 15 s apart, sent as fast as they are taken, the first requests,
whose series are all new, included:
  rows2     whole targets, labels job and instance, over 4 connections
  rows14    the same with prometheus-operator's 14 labels
  split     14 labels, series split by their hash over 8 connections
  times     14 labels, 12 samples of each series in a request, as senders do that catch up
  v2        rows14 over remote_write 2.0
  new       a million series with 14 labels: how many samples a second of CPU when each series has had 12
The systems take turns and the order turns with every run. CPU is user and system of the whole process until it is idle again.
"""
import argparse
import statistics
import time

from systems import Ferula, Victoria, load_of, run_to_end, say, write_results

SHAPES = {"rows2": ["--labels=2", "--connections=4"],
          "rows14": ["--labels=14", "--connections=4"],
          "split": ["--labels=14", "--connections=8", "--split=hash"],
          "times": ["--labels=14", "--connections=4", "--samples=12", "--batch=200"],
          "v2": ["--labels=14", "--connections=4", "--protocol=2"],
          "new": ["--labels=14", "--connections=4"]}
START_DAYS_AGO = 40
NEW_SERIES, NEW_SAMPLES = 1_000_000, 12


def run(kind, shape, series, seconds):
    system = Ferula(args=("--shards=1",)) if kind == "ferula" else Victoria()
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SHAPES, action="append", help="this shape; may be repeated")
    parser.add_argument("--runs", type=int, default=5, help="of each system and shape (%(default)s)")
    parser.add_argument("--seconds", type=int, default=20, help="of each run (%(default)s)")
    parser.add_argument("--series", type=int, default=50_000, help="of all shapes but new (%(default)s)")
    parser.add_argument("--json", default="receive.json", help="where the raw results go (%(default)s)")
    wanted = parser.parse_args()
    kinds = [k for k, s in (("ferula", Ferula), ("victoria", Victoria)) if s.is_there()]
    results = {}
    for shape in wanted.only or SHAPES:
        runs = {k: [] for k in kinds}
        for i in range(wanted.runs):
            for kind in kinds if i % 2 == 0 else reversed(kinds):
                if shape == "v2" and kind == "victoria":
                    continue  # it does not take it
                got = run(kind, shape, wanted.series, wanted.seconds)
                say(f"{shape} {kind}: {got['samples_per_cpu_s'] / 1e6:.2f} M a CPU second, {got['samples'] / 1e6:.1f} M samples, "
                    f"{got['cpu_s']:.2f} CPU s")
                runs[kind].append(got)
        results[shape] = runs
        medians = {k: statistics.median(r["samples_per_cpu_s"] for r in v) for k, v in runs.items() if v}
        print(f"{shape:8}" + "".join(f"  {k} {m / 1e6:6.2f} M/CPU s" for k, m in medians.items()) +
              (f"  {medians['ferula'] / medians['victoria']:.1f} x" if len(medians) == 2 else ""), flush=True)
        write_results(wanted.json, seconds=wanted.seconds, series=wanted.series, shapes=results)
    return 0


if __name__ == "__main__":
    run_to_end(main)
