#!/usr/bin/env python3
"""How long Ferula, Prometheus and VictoriaMetrics take to come back with many active series, killed and told to end.

    bench/compare/restart.py                                 a million series, two hours at 15 s: tens of minutes, Prometheus most of them
    bench/compare/restart.py --series=100000 --rounds=60     seconds; --only=ferula, --labels=14

Each system is alone and gets history by remote_write, up to now. Then, twice (SIGKILL, then SIGTERM), it ends, the page cache is
dropped (root only; the last line says), and it starts on the same data. Columns, in seconds from the start of the process:
  end      how long it took to end (SIGTERM)
  HTTP     until anything is answered
  scrape   until a target is asked that is to be scraped each second
  write    until a sample is taken by remote_write
  query    until the number of all series is answered as before
  memory   resident MiB: before, and the most it had from its start until 10 s after the query
  read     MiB read from the disk until then
VictoriaMetrics has no log: it is killed last, loses what it had not written, and its query is then the first that answers at all.
The table goes to standard output.
"""
import argparse
import json
import os
import re
import signal
import time
import urllib.error

from systems import SYSTEMS, Process, load_of, present, run_to_end, say, temp_folder, write_file  # knows where harness is
from harness import FakeTarget, snappy_literal, write_series

COUNT = 'count(last_over_time({__name__=~"node_.+"}[2h]))'
STEP_S, AFTERWARDS_S, LIMIT_S = 15, 10, 900
MIB = 1 << 20


def drop_page_cache():
    os.sync()
    try:
        with open("/proc/sys/vm/drop_caches", "w") as f:
            f.write("3")
        return True
    except OSError:
        return False


def answers(call):
    try:
        return call()
    except (OSError, urllib.error.URLError, ValueError, LookupError):
        return None


def count_of(system):
    result = json.loads(system.get("/api/v1/query", {"query": COUNT}))["data"]["result"]
    return int(result[0]["value"][1])


def settled_count(system):
    """Once it no longer grows: what was acknowledged a moment ago is not found at once everywhere."""
    last, end = None, time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        time.sleep(2)
        count = answers(lambda: count_of(system))
        if count and count == last:
            return count
        last = count
    raise SystemExit(f"{system.name} does not find its series")


def write_one(system):
    body = write_series({"__name__": "restarted", "job": "restart", "instance": "x"}, [(int(time.time() * 1000), 1.0)])
    system.write(snappy_literal(body))
    return True


def disk_reads(system):
    with open(f"/proc/{system.popen.pid}/io") as f:
        return int(re.search(r"^read_bytes: (\d+)", f.read(), re.M).group(1))


def start_again(system, served, wanted_count):  # 0: any answer will do
    """Seconds to each, by looking at what is still missing every few milliseconds."""
    since, before = time.monotonic(), len(served)
    Process.__init__(system, system.name, [system.program, *system.flags(), *system.args], cwd=system.home)
    looks = {"HTTP": lambda: system.get("/health" if system.name == "victoria-metrics" else "/-/healthy") is not None,
             "scrape": lambda: len(served) > before,
             "write": lambda: write_one(system),
             "query": lambda: count_of(system) >= wanted_count if wanted_count else system.get("/api/v1/query", {"query": COUNT})}
    seconds = {}
    while len(seconds) < len(looks) and time.monotonic() - since < LIMIT_S:
        for name, look in looks.items():
            if name not in seconds and answers(look):
                seconds[name] = time.monotonic() - since
        time.sleep(0.005)
    return seconds


def one_end(system, how, served, count):
    rss, since = system.rss(), time.monotonic()
    if how == signal.SIGKILL:
        system.kill()
    else:
        system.stop(timeout=600)
    row = {"end": time.monotonic() - since if how == signal.SIGTERM else 0, "before": rss / MIB}
    row["dropped"] = drop_page_cache()
    lossy = system.name == "victoria-metrics" and how == signal.SIGKILL
    row.update(start_again(system, served, 0 if lossy else count))
    time.sleep(AFTERWARDS_S)
    return {**row, "most": system.rss_max() / MIB, "read": disk_reads(system) / MIB}


def measure(kind, wanted, config, served):
    system = kind(config)
    try:
        start = int(time.time()) - wanted.rounds * STEP_S - 30
        got = load_of(system, f"--series={wanted.series}", f"--labels={wanted.labels}", f"--step={STEP_S}s", "--duration=24h",
                      f"--rounds={wanted.rounds}", f"--start={start}", "--connections=2")
        if got["errors"]:
            raise SystemExit(f"{system.name}: {got['last_error']}")
        count = settled_count(system)
        ends = [signal.SIGKILL, signal.SIGTERM]  # killed with all in the log
        if kind.name == "victoria-metrics":
            ends.reverse()  # as long as it has what is counted
        return {how.name: one_end(system, how, served, count) for how in ends}
    finally:
        system.end()


def print_table(results):
    print("| system | ended by | end | HTTP | scrape | write | query | memory before, most | read |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (name, how), r in results.items():
        times = " | ".join(f"{r[k]:.2f}" if k in r else f"over {LIMIT_S}" for k in ("HTTP", "scrape", "write", "query"))
        end = f"{r['end']:.2f}" if r["end"] else ""
        print(f"| {name} | {how} | {end} | {times} | {r['before']:.0f}, {r['most']:.0f} | {r['read']:.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=480, help="samples of each series, 15 s apart")
    parser.add_argument("--labels", type=int, choices=(2, 14), default=2)
    parser.add_argument("--only", choices=[s.name for s in SYSTEMS], action="append")
    wanted = parser.parse_args()
    served = []
    target = FakeTarget(lambda request: served.append(1) or "up_again 1\n")
    config = write_file(os.path.join(temp_folder(), "config.yml"),
                        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
                        f"scrape_configs: [{{job_name: t, static_configs: [{{targets: ['{target.address}']}}]}}]\n")
    results = {}
    for kind in present():
        if wanted.only and kind.name not in wanted.only:
            continue
        for how, row in measure(kind, wanted, config, served).items():
            results[f"{kind.name} {kind.version()}", how] = row
            say(f"{kind.name}, {how}: {row}")
    dropped = all(r["dropped"] for r in results.values())
    print_table(results)
    print(f"\n{wanted.series:,} series, {wanted.rounds} samples each, {wanted.labels} labels, page cache {'dropped' if dropped else 'NOT dropped'}, "
          f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    run_to_end(main)
