#!/usr/bin/env python3
"""What ferula-loadgen itself can do: samples into a sink that keeps nothing, from one core.

    bench/compare/sink.py              the table of tools/loadgen/README.md, in half a minute
    bench/compare/sink.py --seconds=10

The generator runs on the first core it may use, the sink on another where there is one; 2 connections, requests of 2,000
series of node_exporter, 50,000 in all. Two numbers each: samples/s by the clock, and for each CPU second of the generator,
which other work on the machine disturbs less.
"""
import argparse
import os
import subprocess
import time

from systems import LOADGEN, Process, run_loadgen, run_to_end

FORMS = {"snappy": [], "zstd": ["--compression=zstd"], "2.0, snappy": ["--protocol=2"],
         "snappy, live": ["--live"], "zstd, live": ["--compression=zstd", "--live"], "2.0, snappy, live": ["--protocol=2", "--live"]}
LABELS = (2, 14)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=2, help="of each form (%(default)s)")
    wanted = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    sink = Process("sink", [LOADGEN, "sink", "--port=0"])
    url = sink.wait_log(r"listening on (http://\S+)").group(1)
    for task in os.listdir(f"/proc/{sink.popen.pid}/task"):
        subprocess.run(["taskset", "-p", "-c", str(cores[-1]), task], check=True, stdout=subprocess.DEVNULL)
    os.sched_setaffinity(0, cores[:1])  # what is started from here on
    print(f"{time.strftime('%Y-%m-%d')}, {len(cores)} cores, load average {os.getloadavg()[0]:.0f}:\n")
    print("| | 2 labels | 14 labels |\n| --- | --- | --- |")
    for name, flags in FORMS.items():
        cells = []
        for labels in LABELS:
            got = run_loadgen("remote-write", "--no-read-back", f"--labels={labels}", "--connections=2", f"--duration={wanted.seconds}s",
                              "--step=15s", f"--start={int(time.time()) - 40 * 86400}", *flags, f"{url}/api/v1/write")
            cells.append(f"{got['samples_per_second'] / 1e6:.1f} M, {got['generator_samples_per_cpu_second'] / 1e6:.1f} M")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    run_to_end(main)
