#!/usr/bin/env python3
"""storage.tsdb.out_of_order_time_window, beside Prometheus 3.5 with the same configuration: answers, counters and what is kept.

Whoever writes another value for a time that is there gets no error there and none here, as long as it is not the series' newest;
which of the two values is shown is chance there, so such times are not compared.
"""
import collections
import random
import time

from harness import (FakeTarget, check, check_equal, ferula, main, prometheus, remote_write, run_scenario, scenario, wait_for)

NOW = int(time.time()) * 1000
MINUTE = 60_000
RECEIVER = "--web.enable-remote-write-receiver"
LIFECYCLE = "--web.enable-lifecycle"
STRICT = "--storage.tsdb.out-of-order.receiver-default=0s"
COUNTERS = ["prometheus_tsdb_head_out_of_order_samples_appended_total", "prometheus_tsdb_out_of_order_samples_total",
            "prometheus_tsdb_too_old_samples_total", "prometheus_tsdb_out_of_bound_samples_total"]


def config(window, scrape=""):
    return f"storage: {{tsdb: {{out_of_order_time_window: {window}}}}}\n" + scrape


def counters(server):
    lines = dict(line.rsplit(" ", 1) for line in server.get("/metrics").text().splitlines() if line and line[0] != "#")
    return {name: float(lines[name + '{type="float"}']) for name in COUNTERS}


def samples(server, selector, at_ms=NOW):
    """{labels: {time: text of the value}} of the last twelve hours."""
    found = server.api("query", {"query": f"{selector}[12h]", "time": f"{at_ms / 1000 + 1:.3f}"})["result"]
    return {tuple(sorted(s["metric"].items())): {round(t * 1000): v for t, v in s["values"]} for s in found}


def some_requests(seed, count):
    """(labels, samples) of one request each: most go on, many are late, some are too late or repeated."""
    r = random.Random(seed)
    newest, sent = {}, collections.defaultdict(list)
    for _ in range(count):
        name = f"late_{r.randrange(8)}"
        if r.random() < 0.4:
            newest[name] = min(newest.get(name, NOW - 5 * 60 * MINUTE) + r.randrange(1, 4 * MINUTE), NOW)
            times = [newest[name]]
        elif r.random() < 0.2 and sent[name]:
            times = [r.choice(sent[name])]
        else:
            times = sorted(NOW - r.choice([10, 29, 31, 59, 61, 170, 200, 400]) * MINUTE - r.randrange(30_000) for _ in range(r.choice([1, 1, 3])))
        sent[name] += times
        yield {"__name__": name, "job": "j"}, [(t, float(r.randrange(3))) for t in times]


def compare_writes(window):
    args = [RECEIVER, STRICT]
    ours, theirs = ferula(config(window), args=args + ["--shards=2"]), prometheus(config(window), args=[RECEIVER])
    sent = collections.defaultdict(list)
    for server in ours, theirs:
        check_equal(remote_write(server, [({"__name__": "newest"}, [(NOW, 1.0)])]).status, 204)
    for i, (labels, points) in enumerate(some_requests(window, 400)):
        answers = [remote_write(server, [(labels, points)]) for server in (ours, theirs)]
        check_equal((answers[0].status, answers[0].text()), (answers[1].status, answers[1].text()), f"window {window}, request {i}: {labels} {points}")
        for t, value in points:
            sent[labels["__name__"], t].append(value)
    compare_kept(ours, theirs, sent)
    compare_counters(counters(ours), counters(theirs), sum(len(values) - 1 for values in sent.values()))
    before = samples(ours, '{__name__=~"late_.*"}')
    ours.kill()
    ours.args = [a.replace("--shards=2", "--shards=3") for a in ours.args]
    ours.restart()
    check_equal(samples(ours, '{__name__=~"late_.*"}'), before, "after SIGKILL, with another number of shards")


def compare_counters(got, wanted, repeated):
    """What repeats the time of an older sample in order is one more there."""
    late = COUNTERS[0]
    check(wanted[late] - repeated <= got.pop(late) <= wanted.pop(late), got, wanted, repeated)
    check_equal(got, wanted)


def compare_kept(ours, theirs, sent):
    kept = [samples(server, '{__name__=~"late_.*"}') for server in (ours, theirs)]
    check_equal(sorted(kept[0]), sorted(kept[1]), "series")
    for labels in kept[1]:
        name = dict(labels)["__name__"]
        check_equal(sorted(kept[0][labels]), sorted(kept[1][labels]), f"times of {name}")
        for t, value in kept[1][labels].items():
            check(kept[0][labels][t] == value or len(set(sent[name, t])) > 1, name, t, kept[0][labels][t], value)


@scenario
def writes():
    for window in "30m", "1h", "3h":
        run_scenario(f"window {window}", compare_writes, window)


@scenario
def window_of_a_reload():
    """Opened and closed while the server runs; what was taken stays."""
    ours, theirs = ferula(args=[RECEIVER, STRICT, LIFECYCLE]), prometheus(args=[RECEIVER])
    late = NOW - 10 * MINUTE
    steps = [("", NOW, 1.0), ("", late, 2.0), ("30m", late, 3.0), ("30m", late + 1, 4.0), ("30m", NOW - 31 * MINUTE, 5.0), ("0s", late + 2, 6.0)]
    for window, t, value in steps:
        answers = []
        for server in ours, theirs:
            server.configure(config(window) if window else "")
            check_equal(server.reload().status, 200)
            answer = remote_write(server, [({"__name__": "reloaded"}, [(t, value)])])
            answers.append((answer.status, answer.text()))
        check_equal(answers[0], answers[1], (window, t, value))
    check_equal(samples(ours, "reloaded"), samples(theirs, "reloaded"))


@scenario
def scraped_times():
    """An exporter with timestamps of its own: late ones are kept, those that are too old are not. There these fail the whole scrape
    (its issue 13272); here they are left out and counted, like those that are out of bounds."""
    body = {"text": ""}
    target = FakeTarget(lambda request: body["text"])
    scrape = ("global: {{scrape_interval: 200ms}}\nscrape_configs: [{{job_name: j, metrics_path: {}, static_configs: [{{targets: ['" +
              target.address + "']}}]}}]\n")
    paths = "/ours", "/theirs"
    servers = ferula(config("30m", scrape.format(paths[0]))), prometheus(config("30m", scrape.format(paths[1])))
    seen = []
    start = int(time.time()) * 1000
    for text in (f"timed 1 {start}\nplain 1\n", f"timed 2 {start - 10 * MINUTE}\nplain 2\n", f"timed 3 {start - 40 * MINUTE}\nplain 3\n",
                 f"timed 4 {start - 20 * MINUTE}\nplain 4\n"):
        body["text"] = text
        last = text.split()[-1]
        for path in paths:
            count = target.count(path) + 3  # the one before is kept by then
            wait_for("scrapes", lambda: target.count(path) >= count)
        seen.append([(sorted(next(iter(samples(s, "timed", start + 3600_000).values())).items()),
                      [x["value"][1] for x in s.api("query", {"query": "up"})["result"]],
                      [x["value"][1] == last for x in s.api("query", {"query": "plain"})["result"]]) for s in servers])
    for step in seen:
        if step[1][1] == ["0"]:
            check_equal((step[0][0], step[0][1:]), (step[1][0], (["1"], [True])), seen)
        else:
            check_equal(step[0], step[1], seen)
    check_equal([step[1][1] for step in seen], [["1"], ["1"], ["0"], ["1"]])


if __name__ == "__main__":
    main()
