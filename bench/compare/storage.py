#!/usr/bin/env python3
"""What the same samples take in Ferula, Prometheus and VictoriaMetrics: bytes, memory, CPU, the time of a restart.

    bench/compare/storage.py                            100 targets, a day at 15 s, both label shapes: hours, Prometheus most of them
    bench/compare/storage.py --targets=2 --only=ferula --only=victoria-metrics
    bench/compare/storage.py --capture=FILE             targets after a recording (ferula-loadgen capture) instead of its tables;
                                                        --hours no longer than it is: repeats compress as nothing real does

Each system is alone, in a folder of its own, and gets history by remote_write: a sample of every series in a round, 15 s after
the one before. Columns:
  bytes    of its folder a sample, after all was merged (VictoriaMetrics is told to, once) and the process was told to end
  of logs  the part of it that is write-ahead log; and bytes a sample that were written to the log for the first ten minutes
  memory   resident bytes a series after the load, at rest
  CPU      seconds of user and system for a million samples, merges included
  restart  seconds from SIGKILL at the end of the load to readiness; of VictoriaMetrics, which has no log, after it was told to end
The table goes to standard output, raw results to --json.
"""
import argparse
import os
import re
import time

from systems import SYSTEMS, load_of, present, run_to_end, say, write_results

ROUNDS_YOUNG = 40  # ten minutes


def bytes_below(path):
    return sum(os.stat(os.path.join(root, name)).st_blocks * 512 for root, _, names in os.walk(path) for name in names)


def log_bytes(system):
    """Written to the log since the start: Ferula's segments are allocated ahead and used again, so it counts them."""
    if system.name == "ferula":
        return float(re.search(rb"^ferula_tsdb_wal_bytes_total (\S+)", system.get("/metrics"), re.M).group(1))
    logs = os.path.join(system.data, "wal")
    return sum(os.stat(os.path.join(root, name)).st_size for root, _, names in os.walk(logs) for name in names)


def measure(kind, labels, wanted):
    system = kind()
    start = int(time.time()) - wanted.hours * 3600 - 6 * 3600
    words = [f"--series={wanted.series}", f"--labels={labels}", "--step=15s", "--duration=24h", "--connections=2"]
    words += [f"--capture={wanted.capture}"] if wanted.capture else [f"--exporter={wanted.exporter}"]
    rounds = wanted.hours * 240
    try:
        logs = os.path.join(system.data, "wal")
        young = load_of(system, f"--rounds={ROUNDS_YOUNG}", f"--start={start}", *words)
        young_bytes = log_bytes(system)
        late = load_of(system, f"--rounds={rounds - ROUNDS_YOUNG}", f"--start={start + ROUNDS_YOUNG * 15}", *words)
        if young["errors"] or late["errors"]:
            raise SystemExit(f"{system.name}: {young['last_error']} {late['last_error']}")
        samples, cpu = young["samples"] + late["samples"], young["cpu_s"] + late["cpu_s"]
        rss = system.rss()
        if system.name == "victoria-metrics":  # without a log a SIGKILL takes what it holds in memory
            system.stop(timeout=600)
            restart_s = system.start()
        else:
            restart_s = system.restart()
        if system.name == "victoria-metrics":
            system.get("/internal/force_merge")
            time.sleep(2)
        system.settle(limit_s=600)
        total = system.disk_at_rest()
        return {"samples": samples, "bytes": total / samples, "log_bytes": bytes_below(logs) / samples,
                "young_log_bytes": young_bytes / young["samples"], "rss_per_series": rss / wanted.series,
                "cpu_s_per_million": cpu / samples * 1e6, "restart_s": restart_s}
    finally:
        system.end()


def print_table(results):
    print("| labels | system | bytes a sample | of logs; log written | memory a series | CPU s a million samples | restart s |")
    print("|---|---|---|---|---|---|---|")
    for (labels, name), r in results.items():
        print(f"| {labels} | {name} | {r['bytes']:.3f} | {r['log_bytes']:.3f}; {r['young_log_bytes']:.2f} | {r['rss_per_series']:,.0f} "
              f"| {r['cpu_s_per_million']:.2f} | {r['restart_s']:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--exporter", default="node", help="of ferula-loadgen's tables: node, cadvisor, kube-state")
    parser.add_argument("--capture", help="a recording instead of a table")
    parser.add_argument("--series-of-target", type=int, default=904, help="904 are node's")
    parser.add_argument("--labels", type=int, choices=(2, 14), action="append")
    parser.add_argument("--only", choices=[s.name for s in SYSTEMS], action="append")
    parser.add_argument("--json", help="raw results")
    wanted = parser.parse_args()
    wanted.series = wanted.targets * wanted.series_of_target
    results = {}
    for labels in wanted.labels or (2, 14):
        for kind in present():
            if wanted.only and kind.name not in wanted.only:
                continue
            results[labels, kind.name] = measure(kind, labels, wanted)
            say(f"{kind.name}, {labels} labels: {results[labels, kind.name]}")
    print(f"{wanted.series:,} series of {wanted.capture or wanted.exporter}, {wanted.hours} h at 15 s, {time.strftime('%Y-%m-%d')}, "
          f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}:\n")
    print_table(results)
    if wanted.json:
        write_results(wanted.json, storage=[{"labels": k[0], "system": k[1], **r} for k, r in results.items()])
    return 0


if __name__ == "__main__":
    run_to_end(main)
