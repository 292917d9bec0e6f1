#!/usr/bin/env python3
"""Replays what Grafana and the Thanos sidecar ask, in their order, of Ferula and of a Prometheus with the same data.

A sequence is a file `<who>/<name>.json`: {"about": why, "steps": [...]}. A step is a request,

    {"ask": "POST /api/v1/query", "query": {...}, "form": {...}, "headers": {...}, "as": "same"}

whose answers must be the same: status, content type, body (JSON in any order of objects and of notes in lists, times of the run
aside). "as" may also be "shape" (keys and types), "status", or a list of keys of `data` (or names of metrics of a page) that must be
equal. Or it is something to do: {"do": "configure", "global": "..."}, {"do": "reload"}, {"do": "sighup"}. In texts {T0} is the time
of the first sample, {T0+60} a minute later, {T0ms} the same in milliseconds.

Arguments: parts of the sequences' names.
"""
import glob
import gzip
import json
import os
import re
import signal
import sys
import time
import urllib.parse
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
from harness import (Counts, FakeTarget, Reply, Skip, check, check_equal, end_everything, ferula, prometheus,  # noqa: E402
                     remote_write, run_and_count, run_scenario, skip, wait_for)

T0 = int(time.time()) // 60 * 60 - 900  # samples every 15 s from here for five minutes
WHO = {"grafana": {"User-Agent": "Grafana/12.1.0", "Accept-Encoding": "gzip"},
       "thanos": {"User-Agent": "Thanos/0.43.0", "Accept-Encoding": "gzip"}}


def data():
    """A small service's metrics: counters, gauges, a classic histogram, odd values, names that are UTF-8."""
    out = []
    times = [(T0 + 15 * i) * 1000 for i in range(21)]
    for job in ("api", "db"):
        for instance in ("host-0:9100", "host-1:9100", "host-2:9100"):
            labels = {"job": job, "instance": instance, "cluster": "eu"}
            k = len(out) + 1
            for code in ("200", "500"):
                out.append(({"__name__": "http_requests_total", "code": code, **labels}, [(t, float(i * k * int(code) % 99991)) for i, t in enumerate(times)]))
            out.append(({"__name__": "temperature_celsius", **labels}, [(t, (i * 7919 * k % 1000) / 8 - 50 + k / 64) for i, t in enumerate(times)]))
            for le, share in (("0.1", 2), ("0.5", 5), ("1", 7), ("+Inf", 8)):
                out.append(({"__name__": "request_duration_seconds_bucket", "le": le, **labels}, [(t, float(i * share * k)) for i, t in enumerate(times)]))
            out.append(({"__name__": "request_duration_seconds_count", **labels}, [(t, float(i * 8 * k)) for i, t in enumerate(times)]))
            out.append(({"__name__": "request_duration_seconds_sum", **labels}, [(t, i * 1.25 * k) for i, t in enumerate(times)]))
    out.append(({"__name__": "odd", "l": "a\"b\\c\n<é&>"}, [(times[0], float("nan")), (times[1], float("inf")), (times[2], -float("inf"))]))
    out.append(({"__name__": "stopped_total", "job": "gone"}, [(times[0], 1.0), (times[1], 2.0), (times[2], 0x7FF0000000000002)]))
    out.append(({"__name__": "metric.with.dots", "label.x": "ü"}, [(t, 1.0) for t in times]))
    return out


CONFIG = """global:
  scrape_interval: 1s
  external_labels: {{{labels}}}
scrape_configs:
- job_name: service
  static_configs: [{{targets: ['{target}'], labels: {{instance: one}}}}]
- job_name: dropping
  relabel_configs: [{{action: drop}}]
  static_configs: [{{targets: ['10.0.0.1:80']}}]
"""
LABELS = "prometheus: main, replica: a"


class Pair:
    """The two systems, started anew for each sequence that changes them."""

    def __init__(self, with_data=True):
        self.target = FakeTarget(lambda r: Reply("# HELP scraped_total How often.\n# TYPE scraped_total counter\nscraped_total 1\n"
                                                 "# TYPE level gauge\nlevel 0.5\n"))
        args = ["--web.enable-remote-write-receiver", "--web.enable-lifecycle"]
        config = CONFIG.format(labels=LABELS, target=self.target.address) if with_data else ""
        self.servers = [ferula(config, args=args), prometheus(config, args=args)]
        for server in self.servers if with_data else ():
            check_equal(remote_write(server, data()).status, 204, server.name)
            wait_for("the target is scraped", lambda: len(server.query("scraped_total")) == 1)

    def running(self):
        return all(s.running() for s in self.servers)


# ---- answers

# What differs from run to run, wherever it stands: its type is compared.
TIMES = {"lastScrape", "lastScrapeDuration", "globalUrl", "timings", "startTime", "serverTime", "lastConfigTime", "CWD", "hostname"}


def shape(value):
    if isinstance(value, dict):
        return {k: shape(v) for k, v in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__ if isinstance(value, (str, bool, type(None))) else "number"


# Lists of texts that Prometheus 3.5 writes in the random order of a map.
UNORDERED = {"infos", "warnings"}


def cleaned(value):
    if isinstance(value, dict):
        return {k: shape(v) if k in TIMES else sorted(v) if k in UNORDERED else cleaned(v) for k, v in value.items() if k != "samplesRead"}
    if isinstance(value, list):
        items = [cleaned(v) for v in value]
        return sorted(items, key=lambda v: json.dumps(v, sort_keys=True)) if items and isinstance(items[0], dict) else items
    return value


def body_of(answer):
    encoding = answer.headers.get("Content-Encoding")
    return gzip.decompress(answer.body) if encoding == "gzip" else zlib.decompress(answer.body) if encoding == "deflate" else answer.body


def picked(body, keys):
    """Of a JSON answer keys of its data, of a page the lines of the metrics named."""
    if body.startswith(b"{"):
        found = json.loads(body)["data"]
        return {k: found.get(k) for k in keys}
    lines = body.decode().split("\n")
    return {k: [line for line in lines if re.match(rf"(# TYPE )?{k}[ {{]", line)] for k in keys}


def view(answer, how):
    body, kind = body_of(answer), answer.headers.get("Content-Type")
    if isinstance(how, list):
        return answer.status, kind if kind == "application/json" else None, picked(body, how)
    if how == "status":
        return answer.status, kind
    if kind == "application/json":
        value = json.loads(body)
        body = shape(value) if how == "shape" else cleaned(value)
    return answer.status, kind, body


# ---- steps

def filled(value):
    if isinstance(value, dict):
        return {k: filled(v) for k, v in value.items()}
    if isinstance(value, list):
        return [filled(v) for v in value]
    if not isinstance(value, str):
        return value
    return re.sub(r"\{T0(ms)?([+-][\d.]+)?\}", lambda m: format((T0 + float(m.group(2) or 0)) * (1000 if m.group(1) else 1), ".15g"), value)


def ask(server, step, who):
    method, path = step["ask"].split(" ")
    headers = {**WHO[who], **step.get("headers", {})}
    if step.get("query"):
        path += "?" + urllib.parse.urlencode(filled(step["query"]), doseq=True)
    if "form" in step:
        return server.post(path, filled(step["form"]), headers)
    return server.request(method, path, None, headers)


def replay_step(pair, step, who):
    if "do" in step:
        for server in pair.servers:
            if step["do"] == "configure":
                server.configure(step["text"] if "text" in step else CONFIG.format(labels=step.get("labels", LABELS), target=pair.target.address))
            elif step["do"] == "sighup":
                time.sleep(1.1)  # Prometheus tells the time of the last one in seconds
                before = server.api("status/runtimeinfo")["lastConfigTime"]
                server.signal(signal.SIGHUP)
                wait_for("the reload is seen", lambda: server.api("status/runtimeinfo")["lastConfigTime"] != before)
            else:
                check(False, "no such thing to do", step)
        return
    how = step.get("as", "same")
    ours, theirs = (view(ask(s, step, who), how) for s in pair.servers)
    for attempt in range(5):  # what is now may have passed between the two, and a scrape be late
        if ours == theirs:
            break
        time.sleep(0.5 * 2 ** attempt)
        ours, theirs = (view(ask(s, step, who), how) for s in pair.servers)
    check_equal(ours, theirs)
    if "status" in step:
        check_equal(ours[0], step["status"], "status of both")


def describe(step):
    return " ".join([step.get("ask") or step["do"], *(json.dumps(step[k], ensure_ascii=False) for k in ("query", "form", "labels", "text") if k in step)])


def replay(path, pair):
    """The pair that the next sequence may use, or None."""
    who, name = path.split(os.sep)[-2:]
    name = f"{who}/{name[:-5]}"
    wanted = [a for a in sys.argv[1:] if not a.startswith("-")]
    if wanted and not any(w in name for w in wanted):
        return pair
    with open(path) as f:
        sequence = json.load(f)
    if sequence.get("own_servers") or not pair or not pair.running():
        end_everything(name)
        try:
            pair = Pair(sequence.get("data", True))
        except Skip as why:
            why.cases = len(sequence["steps"])
            return skip(name, why)
    before = Counts.failed
    for i, step in enumerate(sequence["steps"]):
        run_scenario(f"{name} {i}: {describe(step)}", replay_step, pair, step, who)
    print(f"{name}: {len(sequence['steps'])} steps, {Counts.failed - before} failed", flush=True)
    return None if sequence.get("own_servers") else pair


def replay_all():
    pair = None
    for path in sorted(glob.glob(os.path.join(HERE, "*", "*.json"))):
        pair = replay(path, pair)


if __name__ == "__main__":
    run_and_count(replay_all)
