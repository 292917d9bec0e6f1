#!/usr/bin/env python3
"""Ferula beside Prometheus and VictoriaMetrics: the same data, the same 16 dashboard queries, in the same run.

The data goes to each by remote_write: counters, gauges and a histogram of some instances, a sample every 15 s. Then each
query is asked of one after the other, round after round, as a range query over the last hour. Printed for each query: the
median wall time and CPU time of each system, and whether Ferula's answer equals Prometheus's; at the end resident memory,
CPU time of the loading, and the geometric mean of times beside VictoriaMetrics's; then the same as a table.
"""
import argparse
import json
import math
import os
import statistics
import struct
import time

from systems import present, run_to_end, say
from harness import field, snappy_literal, varint  # from tests/e2e, where systems.py looked

GAP_S, BUCKETS = 15, ["0.01", "0.05", "0.1", "0.5", "1", "5", "+Inf"]

QUERIES = [
    "sum(rate(requests_total[5m]))",
    "sum by (job) (rate(requests_total[5m]))",
    "sum by (instance) (rate(requests_total{code=~\"5..\"}[5m]))",
    "topk(5, sum by (instance) (rate(requests_total[5m])))",
    "sum by (code) (increase(requests_total[10m]))",
    "1 - sum(rate(requests_total{code=~\"5..\"}[5m])) / sum(rate(requests_total[5m]))",
    "avg by (job) (memory_bytes)",
    "max by (instance) (memory_bytes) / 1024 / 1024",
    "memory_bytes{instance=\"i7\"}",
    "histogram_quantile(0.99, sum by (le) (rate(latency_bucket[5m])))",
    "histogram_quantile(0.9, sum by (le, job) (rate(latency_bucket[5m])))",
    "sum(rate(latency_sum[5m])) / sum(rate(latency_count[5m]))",
    "count(up == 1)",
    "max_over_time(memory_bytes[10m])",
    "avg_over_time(temperature{instance=~\"i1.*\"}[5m])",
    "quantile(0.95, temperature)",
]


def make_series(instances):
    """(encoded labels, value at sample k) of every series."""
    out = []

    def add(name, value, **labels):
        labels["__name__"] = name
        out.append((b"".join(field(1, field(1, k) + field(2, v)) for k, v in sorted(labels.items())), value))
    for i in range(instances):
        at = {"instance": f"i{i}", "job": f"job{i % 5}"}
        add("up", lambda k: 1.0, **at)
        add("memory_bytes", lambda k, i=i: 1e9 + (i * 7919 + k * 104729) % 1000003 * 512.0, **at)
        add("temperature", lambda k, i=i: 20 + (i * 31 + k * 17) % 400 / 10, **at)
        for code in ("200", "201", "301", "400", "404", "500", "503"):
            for handler in range(4):
                speed = 1 + (i + handler + int(code)) % 37 + i / 1024  # no two instances alike
                add("requests_total", lambda k, s=speed: float(k * s + k * k % 7), code=code, handler=f"/h{handler}", **at)
        for n, le in enumerate(BUCKETS):
            add("latency_bucket", lambda k, n=n: float(k * 10 * (n + 1)), le=le, **at)
        add("latency_sum", lambda k: k * 3.25, **at)
        add("latency_count", lambda k: float(k * 70), **at)
    return out


def ask(system, query, start, end, step):
    """Wall time, CPU time and the body."""
    cpu, since = system.cpu_s(), time.monotonic()
    body = system.get("/api/v1/query_range", {"query": query, "start": start, "end": end, "step": step, "nocache": 1})
    return time.monotonic() - since, system.cpu_s() - cpu, body


def load(systems, series, samples, end_ms):
    for first in range(0, samples, 20):
        for at in range(0, len(series), 2000):
            body = bytearray()
            for labels, value in series[at:at + 2000]:
                one = labels
                for k in range(first, min(first + 20, samples)):
                    ms = end_ms - (samples - 1 - k) * GAP_S * 1000
                    one += field(2, b"\x09" + struct.pack("<d", value(k)) + b"\x10" + varint(ms))
                body += field(1, one)
            packed = snappy_literal(bytes(body))
            for s in systems:
                s.write(packed)


def rows(body):
    result = json.loads(body)["data"]["result"]
    return {json.dumps(r["metric"], sort_keys=True): r["values"] for r in result}


def equal(a, b):
    """The same series, times and values, but for the last bits of sums."""
    a, b = rows(a), rows(b)
    if a.keys() != b.keys():
        return False
    for key, values in a.items():
        others = b[key]
        if [v[0] for v in values] != [v[0] for v in others]:
            return False
        for (_, x), (_, y) in zip(values, others):
            if x != y and not math.isclose(float(x), float(y), rel_tol=1e-12):
                return False
    return True


def compare(systems, rounds, start, end, step):
    walls, differ = {}, []
    for query in QUERIES:
        took = {s.name: [] for s in systems}
        burnt = {s.name: 0.0 for s in systems}
        answers = {}
        for turn in range(rounds + 1):
            for s in systems:
                wall, cpu, answers[s.name] = ask(s, query, start, end, step)
                if turn:  # the first warms
                    took[s.name].append(wall)
                    burnt[s.name] += cpu
        same = equal(answers["ferula"], answers["prometheus"]) if "prometheus" in answers else None
        if same is False:
            differ.append(query)
        walls[query] = {n: statistics.median(t) for n, t in took.items()}
        print(json.dumps({"query": query, "wall_ms": {n: round(t * 1000, 2) for n, t in walls[query].items()},
                          "cpu_ms": {n: round(c / rounds * 1000, 1) for n, c in burnt.items()},
                          "equal": same}), flush=True)
    return walls, differ


def geometric(values):
    return math.exp(sum(math.log(v) for v in values) / len(values))


def print_table(walls, ratios, names, what):
    print(f"\nMilliseconds by the clock, medians of {what}, {time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, load average "
          f"{os.getloadavg()[1]:.1f}:\n")
    print(f"| query | {' | '.join(names.values())} |\n|---|{'---|' * len(names)}")
    for query, wall in walls.items():
        words = query.replace("|", "\\|")
        print(f"| `{words}` | {' | '.join(f'{wall[n] * 1000:.1f}' for n in names)} |")
    print(f"| geometric mean of ratios | {' | '.join(f'{ratios[n]:.2f}' for n in names)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=600, help="40 series each")
    parser.add_argument("--hours", type=float, default=2, help="of data")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    # Without VictoriaMetrics's cache of answers: it is the work that is compared.
    systems = [s(args=["-search.disableCache"] if s.name == "victoria-metrics" else []) for s in present()]
    samples = int(args.hours * 3600 / GAP_S)
    end_s = int(time.time()) // 60 * 60 - 60
    series = make_series(args.instances)
    say(f"{len(series)} series, {samples} samples each")
    load(systems, series, samples, end_s * 1000)
    time.sleep(2)
    loaded = {s.name: round(s.cpu_s(), 2) for s in systems}
    walls, differ = compare(systems, args.rounds, end_s - min(3600, args.hours * 1800), end_s, GAP_S)
    beside = "victoria-metrics" if "victoria-metrics" in loaded else systems[-1].name
    ratios = {s.name: round(geometric([w[s.name] / w[beside] for w in walls.values()]), 3) for s in systems}
    print(json.dumps({f"wall_beside_{beside}": ratios, "loading_cpu_s": loaded,
                      "rss_mb": {s.name: round(s.rss() / 2**20) for s in systems}, "differ": differ}))
    print_table(walls, ratios, {s.name: f"{s.name} {s.version()}" for s in systems},
                f"{args.rounds} rounds over {len(series)} series with {samples} samples each")
    return 1 if differ else 0


if __name__ == "__main__":
    run_to_end(main)
