#!/usr/bin/env python3
"""What the parts of Ferula cost by themselves: the programs of bench/ whose figures the READMEs of the folders have, as tables.

    bench/compare/parts.py                 half a minute on a machine that does nothing else
    bench/compare/parts.py --only=scrape   one of them

  scrape    ns a sample of a scrape, from a recording (left out without one: scrape.py says where it is)   engine/scrape/README.md
  receive   ns a sample of remote_write, by the pattern of requests                                        engine/remote/README.md
  head      bytes and ns of the head, 50,000 and a million series                                          engine/tsdb/README.md
"""
import argparse
import json
import os
import subprocess
import time

from scrape import find_recording
from systems import BUILD, run_to_end, say

PARTS = {"scrape": [["bench_scrape", "300", "4", "8"]], "receive": [["bench_receive", "20000", "6"]],
         "head": [["bench_head", "50000", "84"], ["bench_head", "1000000", "84"]]}


def flat(row, prefix=""):
    for key, value in row.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}: ")
        elif key != "bench":
            yield prefix + key, value


def print_table(rows):
    columns = list(dict.fromkeys(k for r in rows for k in r))
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for r in rows:
        print(f"| {' | '.join(f'{r[c]:,}' if isinstance(r.get(c), int) else str(r.get(c, '')) for c in columns)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append", help="this one; may be repeated")
    wanted = parser.parse_args()
    recording = find_recording()
    for name in wanted.only or PARTS:
        if name == "scrape" and not recording:
            say("scrape: there is no recording, it is left out")
            continue
        rows = []
        for words in PARTS[name]:
            done = subprocess.run([os.path.join(BUILD, "bench", words[0]), *words[1:]], stdout=subprocess.PIPE, text=True, check=True,
                                  env={**os.environ, "FERULA_CAPTURE": recording or ""})
            rows += [dict(flat(json.loads(line))) for line in done.stdout.split("\n") if line.startswith("{")]
        commands = ", ".join(f"`build/bench/{' '.join(w)}`" for w in PARTS[name])
        print(f"{commands}, {time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}:\n")
        print_table(rows)
        print(flush=True)
    return 0


if __name__ == "__main__":
    run_to_end(main)
