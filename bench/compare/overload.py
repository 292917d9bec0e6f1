#!/usr/bin/env python3
"""Overload: three times what one shard acknowledges, beside a scrape every second and instant queries.

    bench/compare/overload.py                ten minutes
    bench/compare/overload.py --seconds=30   as the tests run it: what is not timing must hold

First what a server with --shards=1 acknowledges flat out, and how fast it answers an instant query when nothing else is
asked of it. Then on a fresh one, for --seconds: remote_write offered at three times that rate, over as many connections as
it takes; a target scraped every second; ten instant queries a second. At the end what must hold:
  memory   the most of the last sixth is at most 1.05 times the most of minute two. A run of less than three minutes has its
           second sixth for that, and 32 MiB more: on a slow machine it ends while the head still fills
  kept     every request that was answered 2xx reads back, by its sequence number
  errors   nothing but 429 and 503, each with Retry-After
  turns    the server's own account: what a scrape or a query waited for was woken, and ran within some turns of the shard
and what is a question of time, which only the long run judges (on a machine that does nothing else):
  scrape   no slot of a second is missed by 50 ms
  query    the 99th percentile is at most five times that of the idle server
The generator runs at a lower priority than the rest, and not on the core of the server's shard if there is another: one on
another machine would not take the processor from the server, nor from those who measure. The verdict on each is printed, with
what the machine did beside it (load average, and how long a thread that sleeps a millisecond overslept: where that is long, times
say nothing), and all is written as JSON. Exit code: 0, 1 when something does not hold.
"""
import argparse
import json
import os
import re
import threading
import time

from systems import LOADGEN, Ferula, Process, fetch, run_loadgen, run_to_end, say, temp_folder, wait_for, write_file

SERIES = 50_000
RSS_FACTOR, QUERY_FACTOR, SLOT_S = 1.05, 5, 0.05
NICENESS = 10  # of the generator
BUSY_S = 0.002  # that a thread oversleeps where something else has the processor
TURNS_MAX = {"scrape": 8, "query": 16}  # of half a millisecond each, between what woke it and when it ran
MINUTES_S, SLACK_BYTES = 180, 32 << 20  # from here on minute two is the beginning; what shorter runs have beside


class Farm(Process):
    """One target, scraped every second; not of the kind that remote_write sends."""

    def __init__(self):
        super().__init__("farm", [LOADGEN, "scrape-farm", "--port=0", "--targets=1", "--exporter=cadvisor", "--interval=1s"])
        self.base = self.wait_log(r"at (http://\S+);").group(1)

    def report(self):
        return json.loads(fetch(f"{self.base}/report"))


class Memory(threading.Thread):
    """The most memory of each sixth of the run, and of minute two; and how late the machine lets a thread run."""

    def __init__(self, server, seconds):
        super().__init__(daemon=True)
        self.server, self.seconds, self.most, self.minute_two, self.overslept = server, seconds, [0] * 6, 0, []

    def run(self):
        begin = time.monotonic()
        while (at := time.monotonic() - begin) < self.seconds:
            try:
                i = min(int(at * 6 / self.seconds), 5)
                rss = self.server.rss()
                self.most[i] = max(self.most[i], rss)
                if 60 <= at < 120:
                    self.minute_two = max(self.minute_two, rss)
            except OSError:
                return
            time.sleep(0.1)
            since = time.monotonic()
            time.sleep(0.001)
            self.overslept.append(time.monotonic() - since - 0.001)


def send(server, seconds, connections, rate):
    return run_loadgen("remote-write", f"--series={SERIES}", f"--duration={seconds}s", f"--pid={server.popen.pid}",
                       f"--connections={connections}", f"--rate={rate:.0f}", f"{server.base}/api/v1/write", niceness=NICENESS,
                       cores=server.free_cores())


def queries(server, seconds):
    """An instant query ten times a second; call what is returned for its JSON."""
    path = os.path.join(temp_folder(), "queries.json")
    file = write_file(path + ".txt", 'instant sum by (name) (rate(container_cpu_usage_seconds_total[1m]))\n')
    asking = Process("queries", [LOADGEN, "query", f"--json={path}", f"--file={file}", "--rate=10", f"--duration={seconds}s",
                                 server.base])

    def result():
        asking.wait(seconds + 120)
        with open(path) as f:
            return json.load(f)["queries"][0]
    return result


def waits(server):
    """By class of work, from the server's metrics: how long flows were ready before they ran."""
    text, found = fetch(server.base + "/metrics").decode(), {}
    for name in ("scrape", "receive", "query"):
        buckets = re.findall(rf'^ferula_loop_wait_seconds_bucket{{class="{name}",le="([^"]+)"}} (\d+)', text, re.M)
        turns = re.search(rf'^ferula_loop_wait_turns_max{{class="{name}"}} (\d+)', text, re.M)
        found[name] = {"turns_max": int(turns.group(1)), "buckets": {le: int(n) for le, n in buckets}}
    return found


def start(args):
    farm = Farm()
    config = write_file(os.path.join(farm.folder, "farm.yml"), fetch(f"{farm.base}/config"))
    server = Ferula(config, ["--shards=1", *args])
    wait_for("the target is scraped", lambda: farm.report()["scrapes"] > 3, 60)
    return farm, server


def run(wanted):
    args = [f"--storage.spill-size={wanted.spill_size}"] if wanted.spill_size else []
    short = max(5, wanted.seconds // 10)
    farm, server = start(args)
    say(f"idle, {short} s")
    idle = queries(server, short)()
    say(f"flat out, {short} s")
    flat = send(server, short, wanted.connections, 1e9)
    server.end()
    farm.stop()

    farm, server = start(args)
    offered = wanted.times * flat["samples_per_second"]
    say(f"{offered / 1e6:.2f} M samples/s offered, {wanted.seconds} s")
    memory, before, asking = Memory(server, wanted.seconds), farm.report(), queries(server, wanted.seconds)
    memory.start()
    got = send(server, wanted.seconds, wanted.connections, offered)
    memory.join()
    scraped, asked, waited = farm.report(), asking(), waits(server)
    log = server.log()
    server.end()
    farm.stop()
    return {
        "seconds": wanted.seconds, "flat_out_samples_per_s": flat["samples_per_second"], "offered_samples_per_s": offered,
        "acknowledged_samples_per_s": got["samples_per_second"], "ack_p99_s": got["ack_p99_seconds"],
        "refused": got["refused"], "refused_without_retry_after": got["no_retry_after"],
        "other_errors": got["failed"] + got["rejected"] + got["broken"], "last_error": got["last_error"],
        "checked": got.get("sequence_checked", 0), "missing": got.get("sequence_missing"),
        "rss_bytes": memory.most, "rss_early_bytes": memory.minute_two if wanted.seconds >= MINUTES_S else memory.most[1],
        "scrapes": scraped["scrapes"] - before["scrapes"],
        "slots_missed": scraped["missed"] - before["missed"], "scrape_late_max_s": scraped["late_max_seconds"],
        "scrape_late_p99_s": scraped["late_p99_seconds"],
        "query_idle_p99_s": idle["p99_seconds"], "query_p99_s": asked["p99_seconds"], "queries": asked["asked"],
        "load_average": os.getloadavg()[0], "overslept_p99_s": sorted(memory.overslept)[len(memory.overslept) * 99 // 100],
        "waits": waited, "queries_failed": asked["failed"], "errors_logged": log.count("level=error"),
    }


def judge(r, with_times):
    """(holds, what it is about, words) of each."""
    factor = r["rss_bytes"][5] / max(r["rss_early_bytes"], 1)
    slack = 0 if r["seconds"] >= MINUTES_S else SLACK_BYTES
    found = [
        (r["rss_bytes"][5] <= RSS_FACTOR * r["rss_early_bytes"] + slack, "memory", f"at the end {factor:.3f} x that of "
         f"{'minute two' if not slack else 'the second sixth'}, at most {RSS_FACTOR} x{f' and {slack >> 20} MiB' if slack else ''}; by sixths "
         + " ".join(f"{b / 2**20:.0f}" for b in r["rss_bytes"]) + " MiB"),
        (r["missing"] == 0 and r["checked"] > 0, "kept", f"{r['missing']} of {r['checked']} acknowledged requests not found"),
        (r["other_errors"] == 0 and r["refused_without_retry_after"] == 0 and r["queries_failed"] == 0, "errors",
         f"{r['refused']} refused, {r['refused_without_retry_after']} of them without Retry-After, {r['other_errors']} others, "
         f"{r['queries_failed']} queries failed {r['last_error']}"),
        (all(r["waits"][name]["turns_max"] <= most for name, most in TURNS_MAX.items()), "turns", "waited for at most: " + ", ".join(
            f"{name} {w['turns_max']}" for name, w in r["waits"].items())),
    ]
    times = [
        (r["slots_missed"] == 0 and r["scrape_late_max_s"] <= SLOT_S, "scrape",
         f"{r['slots_missed']} of {r['scrapes']} slots missed; late by p99 {r['scrape_late_p99_s'] * 1000:.1f} ms and "
         f"{r['scrape_late_max_s'] * 1000:.1f} ms at most, allowed {SLOT_S * 1000:.0f} ms"),
        (r["query_p99_s"] <= QUERY_FACTOR * r["query_idle_p99_s"], "query",
         f"p99 {r['query_p99_s'] * 1000:.2f} ms of {r['queries']}, {r['query_p99_s'] / r['query_idle_p99_s']:.1f} x the idle server's "
         f"{r['query_idle_p99_s'] * 1000:.2f} ms, at most {QUERY_FACTOR} x"),
    ]
    return found + [(ok if with_times else None, name, words) for ok, name, words in times]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600, help="of overload (%(default)s)")
    parser.add_argument("--times", type=float, default=3, help="what was acknowledged flat out (%(default)s)")
    parser.add_argument("--connections", type=int, default=64, help="that offer it (%(default)s)")
    parser.add_argument("--spill-size", help="the server's --storage.spill-size, so that short runs spill, too")
    parser.add_argument("--no-times", action="store_true", help="do not judge what is a question of time")
    parser.add_argument("--json", default="overload.json", help="where the result goes (%(default)s)")
    wanted = parser.parse_args()
    result = run(wanted)
    with open(wanted.json, "w") as f:
        json.dump(result, f, indent=1)
    print(f"flat out {result['flat_out_samples_per_s'] / 1e6:.2f} M samples/s, offered {result['offered_samples_per_s'] / 1e6:.2f} M, "
          f"acknowledged {result['acknowledged_samples_per_s'] / 1e6:.2f} M, p99 {result['ack_p99_s'] * 1000:.0f} ms; load average "
          f"{result['load_average']:.1f}, a thread overslept by p99 {result['overslept_p99_s'] * 1000:.1f} ms")
    verdicts = judge(result, not wanted.no_times)
    for ok, name, words in verdicts:
        print(f"{'-' if ok is None else 'holds' if ok else 'FAILS':6} {name:7} {words}")
    failed = [name for ok, name, _ in verdicts if ok is False]
    busy = result["overslept_p99_s"] > BUSY_S
    print(f"{sum(ok is True for ok, _, _ in verdicts)} of {len(verdicts)} hold" + (", not judged: " + ", ".join(
        name for ok, name, _ in verdicts if ok is None) if wanted.no_times else "") + (f"; {', '.join(failed)} do not" if failed else "") +
          ("; the machine had other work to do: its times say nothing of the server" if busy else ""))
    return 0 if all(ok is not False for ok, _, _ in verdicts) else 1


if __name__ == "__main__":
    run_to_end(main)
