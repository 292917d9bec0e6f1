#!/usr/bin/env python3
"""admin/tsdb/delete_series and clean_tombstones, beside a Prometheus 3.5 that holds the same samples: answers, and what is hidden.

Two things are other here, for they serve who deletes: what is deleted leaves the label APIs at once, and a late sample for a time
that was deleted shows at once (there not before its block is written).
"""
import os
import random
import re
import time
import urllib.parse

from harness import FakeTarget, Reply, check, check_equal, ferula, main, prometheus, remote_write, scenario, wait_for

NOW = int(time.time()) * 1000
MINUTE = 60_000
STEP = 15_000
ARGS = ["--web.enable-remote-write-receiver", "--web.enable-admin-api"]
DELETE, CLEAN = "/api/v1/admin/tsdb/delete_series", "/api/v1/admin/tsdb/clean_tombstones"
EVERYTHING = '{__name__=~".+"}'


def delete(server, *selectors, **times):
    pairs = [("match[]", s) for s in selectors] + list(times.items())
    answer = server.post(DELETE, pairs)
    check_equal((answer.status, answer.text()), (204, ""), pairs)


def shown(server, selector=EVERYTHING):
    found = server.api("query", {"query": f"{selector}[12h]", "time": f"{NOW / 1000 + 60:.3f}"})["result"]
    return {tuple(sorted(s["metric"].items())): [(round(t * 1000), v) for t, v in s["values"]] for s in found}


def series_of(server, selector=EVERYTHING, **times):
    return sorted(tuple(sorted(s.items())) for s in server.api("series", [("match[]", selector), *times.items()]))


def values_of(server, name):
    return server.api(f"label/{name}/values")


def some_series(prefix="m", count=6, rows=100, end=NOW):
    return [({"__name__": f"{prefix}{k % 3}", "job": "j", "instance": str(k)}, [(end - (rows - 1 - i) * STEP, float(i * k)) for i in range(rows)])
            for k in range(count)]


def both(**options):
    return ferula(args=ARGS + ["--shards=2"], **options), prometheus(args=ARGS)


@scenario
def answers():
    ours, theirs = both()
    forms = [{}, {"match[]": ""}, {"match[]": "{"}, {"match[]": "{}"}, {"match[]": '{a=""}'}, {"match[]": "up"}, {"match[]": 'up{a=~"("}'},
             {"match[]": "up", "start": "x"}, {"match[]": "up", "end": "x"}, {"match[]": "up", "start": "", "end": ""}, {"match[]": "up[5m]"},
             {"match[]": "up", "start": 2, "end": 1}, {"match[]": "up", "start": "2024-01-01T00:00:00Z"}, {"match": "up"}, {"match[]": "{", "start": "x"},
             {"match[]": "sum(up)"}, {"match[]": '{__name__=~".*"}'}, [("match[]", "up"), ("match[]", "{")], [("match[]", "up"), ("match[]", "down")]]
    for path in DELETE, CLEAN:
        for form in forms:
            for method in "POST", "PUT":
                got, wanted = (send(server, method, path, form) for server in (ours, theirs))
                check_equal((got.status, got.headers.get("Content-Type"), got.text()),
                            (wanted.status, wanted.headers.get("Content-Type"), wanted.text()), (method, path, form))
    for method in "GET", "DELETE":
        check_equal(ours.request(method, DELETE).status, theirs.request(method, DELETE).status, method)


def send(server, method, path, form):
    return server.request(method, path + "?" + urllib.parse.urlencode(form))


@scenario
def what_is_hidden():
    """The same deletions in both, of what memory has; the same is shown."""
    ours, theirs = both()
    sent = some_series()
    for server in ours, theirs:
        check_equal(remote_write(server, sent).status, 204)
    second = lambda t: f"{t / 1000:.3f}"
    first = NOW - 99 * STEP
    steps = [(('m0{instance="0"}',), {}), (('m1{instance="1"}',), {"end": second(first + 10 * STEP)}), (('m1{instance="1"}',), {"start": second(NOW - STEP)}),
             (('m1{instance="4"}',), {"start": second(first + 20 * STEP), "end": second(first + 30 * STEP)}),
             (('m1{instance="4"}',), {"start": second(first + 30 * STEP), "end": second(first + 30 * STEP + 1)}),
             (('m2{instance="2"}', 'm0{instance="3"}'), {"start": second(first + 50 * STEP + 1), "end": second(first + 51 * STEP - 1)}),
             (('m2{instance="2"}', 'm0{instance="3"}'), {"start": second(first + 70 * STEP)}), (("nothing",), {}), (('{instance=~"5|x"}',), {})]
    for selectors, times in steps:
        for server in ours, theirs:
            delete(server, *selectors, **times)
        check_equal(shown(ours), shown(theirs), (selectors, times))
    check_equal(values_of(ours, "instance"), ["1", "2", "3", "4"])
    check_equal([dict(s)["instance"] for s in series_of(ours)], ["3", "1", "4", "2"])
    check_equal(series_of(ours, start=second(NOW - 20 * STEP)), [s for s in series_of(ours) if dict(s)["instance"] in "14"], "with times")
    check_equal(len(ours.api("status/tsdb")["seriesCountByMetricName"]), 3)
    goes_on = [(labels, [(NOW + STEP, 7.0)]) for labels, _ in sent]
    again = [(labels, [points[-1]]) for labels, points in sent]
    for what, request in ("the newest again", again), ("newer samples", goes_on):
        for server in ours, theirs:
            remote_write(server, request)
        check_equal(shown(ours), shown(theirs), what)
    before = shown(ours)
    ours.kill()
    ours.args[-1] = "--shards=3"
    ours.restart()
    check_equal(shown(ours), before, "after SIGKILL, with another number of shards")
    for server in ours, theirs:
        delete(server, "m1")
        check_equal(server.post(CLEAN).status, 204)
    check_equal(shown(ours), shown(theirs), "cleaned")
    ours.stop()
    ours.restart()
    check_equal(shown(ours), shown(theirs), "after a clean end")


def files(server):
    return sorted(os.listdir(os.path.join(server.data, "blocks")))


def spilled(**options):
    server = ferula(args=ARGS + ["--storage.spill-interval=1s", "--shards=2"], **options)
    check_equal(remote_write(server, some_series()).status, 204)
    wait_for("files", lambda: files(server))
    return server


@scenario
def in_files():
    """What is in files is hidden there, and gone when they are cleaned, wherever the server dies."""
    server = spilled()
    wanted = shown(server)
    gone = tuple(sorted({"__name__": "m0", "job": "j", "instance": "0"}.items()))
    part = tuple(sorted({"__name__": "m1", "job": "j", "instance": "1"}.items()))
    delete(server, 'm0{instance="0"}')
    delete(server, 'm1{instance="1"}', end=f"{(NOW - 50 * STEP) / 1000:.3f}")
    del wanted[gone]
    wanted[part] = [(t, v) for t, v in wanted[part] if t > NOW - 50 * STEP]
    for what, shards in ("at once", 0), ("after SIGKILL", 2), ("with three shards", 3), ("with one", 1):
        if shards:
            server.kill()
            server.args[-1] = f"--shards={shards}"
            server.restart()
        check_equal(shown(server), wanted, what)
        check("0" not in values_of(server, "instance"), what)
        check_equal(len(series_of(server)), 5, what)
    name = server.post("/api/v1/admin/tsdb/snapshot").json()["data"]["name"]
    check_equal(server.post(CLEAN).status, 204)  # nothing is left to do where the files were divided meanwhile
    server.kill()
    server.restart()
    check_equal(shown(server), wanted, "cleaned")
    copy = ferula(data=os.path.join(server.data, "snapshots", name), args=ARGS)
    check_equal(shown(copy), wanted, "a snapshot from before")
    delete(server, EVERYTHING)
    check_equal((shown(server), values_of(server, "__name__"), server.api("labels")), ({}, [], []))
    check_equal(server.post(CLEAN).status, 204)
    check_equal(files(server), [])
    check_equal(shown(copy), wanted, "the snapshot")


LATE = "storage: {tsdb: {out_of_order_time_window: 6h}}\n"


@scenario
def late_samples_after_a_deletion():
    """They show, in memory and in files; Prometheus hides those of its head until it has written their block."""
    for server in ferula(LATE, args=ARGS), ferula(LATE, args=ARGS + ["--storage.spill-interval=1s"]):
        check_equal(remote_write(server, some_series(count=1)).status, 204)
        if "--storage.spill-interval=1s" in server.args:
            wait_for("files", lambda: files(server))
        delete(server, "m0", end=f"{(NOW - 20 * STEP) / 1000:.3f}")
        labels, points = some_series(count=1)[0]
        late = [(points[5][0], 1.5), (points[6][0], points[6][1]), (points[6][0] + 1, 2.5)]
        check_equal(remote_write(server, [(labels, late)]).status, 204)
        wanted = [(t, v) for t, v in late] + [p for p in points if p[0] > NOW - 20 * STEP]
        for what in "at once", "after SIGKILL":
            check_equal([(t, float(v)) for t, v in list(shown(server).values())[0]], wanted, what)
            server.kill()
            server.restart()


@scenario
def deleted_while_it_is_scraped():
    target = FakeTarget(lambda request: Reply("x 1\nhistogram_bucket{le=\"1\"} 1\n"))
    config = f"global: {{scrape_interval: 100ms}}\nscrape_configs: [{{job_name: s, static_configs: [{{targets: ['{target.address}']}}]}}]\n"
    server = ferula(config, args=ARGS)
    count = lambda: float(next(iter(server.query("count_over_time(x[1h])").values()), 0))
    wait_for("samples", lambda: count() >= 10)
    delete(server, '{job="s"}')
    check(count() < 10, count())
    wait_for("new samples", lambda: count() >= 5)


@scenario
def many_deletions():
    """One after the other, at random, of what is in memory, in files and in both; a map says what must be left."""
    seed = int(os.environ.get("DELETE_SEED") or random.randrange(1 << 32))
    print(f"DELETE_SEED={seed}")
    rng = random.Random(seed)
    server = ferula(args=ARGS + ["--storage.spill-interval=1s", "--shards=2"])
    wanted = {}
    for turn in range(12):
        rows = some_series("r", 9, 20, NOW - (12 - turn) * 20 * STEP)
        check_equal(remote_write(server, rows).status, 204)
        for labels, points in rows:
            wanted.setdefault(tuple(sorted(labels.items())), {}).update(points)
        for _ in range(rng.randrange(4)):
            instance, name = rng.choice(["0", "[1-4]", ".*7", ".+"]), rng.choice(["r0", "r1", "r.", "r[12]"])
            start = NOW - rng.randrange(260) * STEP
            end = start + rng.choice([0, 3, 40, 300]) * STEP
            delete(server, f'{{__name__=~"{name}",instance=~"{instance}"}}', start=f"{start / 1000:.3f}", end=f"{end / 1000:.3f}")
            for labels, points in wanted.items():
                if re.fullmatch(name, dict(labels)["__name__"]) and re.fullmatch(instance, dict(labels)["instance"]):
                    for t in [t for t in points if start <= t <= end]:
                        del points[t]
        action = rng.randrange(6)
        if action == 0:
            server.kill()
            server.args[-1] = f"--shards={rng.randrange(1, 4)}"
            server.restart()
        elif action == 1:
            check_equal(server.post(CLEAN).status, 204)
        elif action == 2:
            had = files(server)
            wait_for("a file", lambda: files(server) != had)
        left = {labels: sorted(points.items()) for labels, points in wanted.items() if points}
        check_equal({k: [(t, float(v)) for t, v in p] for k, p in shown(server).items()}, left, f"turn {turn}")
        check_equal(sorted(series_of(server)), sorted(left), f"series, turn {turn}")
        check_equal(values_of(server, "instance"), sorted({dict(labels)["instance"] for labels in left}), f"values, turn {turn}")


if __name__ == "__main__":
    main()
