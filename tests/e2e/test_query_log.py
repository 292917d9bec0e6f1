#!/usr/bin/env python3
"""The query log, that of failed scrapes, and the active queries over a crash, beside a Prometheus's."""
import json
import os
import signal
import threading
import time

from harness import PATIENCE_S, FakeTarget, Reply, check, check_equal, ferula, main, prometheus, run_scenario, scenario, temp_folder, wait_for

# Sorts 12 h of seconds for each second of an hour: as long as anyone waits.
ENDLESS = "max_over_time(quantile_over_time(0.5, vector(1)[12h:1s])[1h:1s])"
# Some seconds, which Prometheus does not look at before the end.
LONG = "max_over_time(quantile_over_time(0.5, vector(time())[3h:1s])[1h:1s])"


def both(config="", args=()):
    """The two systems, with the same configuration, in which {home} is a folder of their own."""
    for make in (ferula, prometheus):
        home = temp_folder()
        yield make(config.format(home=home), args=["--web.enable-lifecycle", *args]), home


def lines(path):
    try:
        with open(path) as f:
            return [json.loads(line) for line in f if line.endswith("\n")]
    except FileNotFoundError:
        return None


def cleaned(line):
    """Without what differs from run to run, as JSON text: the order of keys counts."""
    line = json.loads(json.dumps(line))
    check(line.pop("time").endswith("Z") and line.pop("source"), line)
    timings = line["stats"]["timings"]
    check(all(isinstance(v, (int, float)) for v in timings.values()), timings)
    line["stats"]["timings"] = list(timings)
    line["stats"]["samples"] = [k for k in line["stats"]["samples"] if k != "samplesRead"]  # newer than 3.5
    return json.dumps(line)


CONFIG = "global: {{query_log_file: {home}/queries.log}}\n"


@scenario
def lines_as_prometheus():
    found = []
    for server, home in both(CONFIG):
        path = os.path.join(home, "queries.log")
        server.get("/api/v1/query", {"query": "sum(up)", "time": 1000})
        server.post("/api/v1/query", {"query": '"<&>é"', "time": 1000.25})
        server.get("/api/v1/query_range", {"query": "vector(1)\n+ vector(2)", "start": 1000, "end": 1010.5, "step": 1.5})
        server.post("/api/v1/query_range", {"query": "time()", "start": 0, "end": 60, "step": "1m"})
        server.get("/api/v1/query", {"query": "sum("})  # is not logged
        server.get("/api/v1/query", {"query": "vector(1)[2h:100ms]", "time": 1000, "timeout": "1h"})
        server.get("/api/v1/query", {"query": "vector(1)[20d:10ms]", "time": 1000})  # too many samples
        server.get("/api/v1/query", {"query": LONG, "time": 1000, "timeout": "10ms"}, timeout=10 * PATIENCE_S)
        server.get("/api/v1/query", {"query": "label_replace(vector(1), 'a', 'b', 'c', '(')", "time": 1000})
        server.get("/api/v1/labels")
        got = wait_for("lines are written", lambda: len(lines(path) or []) >= 8 and lines(path))
        found.append([cleaned(line) for line in got])
        check("prometheus_engine_query_log_enabled 1" in server.get("/metrics").text(), server.name)
    ours, theirs = found
    for i, (got, wanted) in enumerate(zip(ours, theirs)):
        run_scenario(f"line {i}", check_equal, got, wanted)
    check_equal(len(ours), len(theirs))


@scenario
def the_prefix_is_part_of_the_path():
    for server, home in both(CONFIG):
        server.stop()
        server.args.append("--web.route-prefix=/pre")
        server.start(server.name, ready=False)
        address = server.wait_log(r'msg="Listening on".*address="?(\S+?)"?(?:\s|$)').group(1)
        server.port = int(address.rpartition(":")[2])
        wait_for("ready", lambda: server.get("/pre/-/ready").status == 200)
        check_equal(server.get("/pre/api/v1/query", {"query": "1"}).status, 200)
        got = wait_for("a line", lambda: lines(os.path.join(home, "queries.log")))
        check_equal(got[0]["httpRequest"]["path"], "/pre/api/v1/query", server.name)


@scenario
def reload_opens_rotates_and_closes():
    for server, home in both(""):
        first, second, moved = (os.path.join(home, n) for n in ("first.log", "second.log", "first.log.1"))

        def ask(text):
            check_equal(server.get("/api/v1/query", {"query": text}).status, 200)

        def queries(path):
            return [line["params"]["query"] for line in lines(path) or []]

        def use(path):
            server.configure(f"global: {{query_log_file: {path}}}\n" if path else "")
            check_equal((server.reload().status, server.name), (200, server.name))
        ask("0")
        use(first)
        for i in range(8):  # by every shard
            ask("1")
        wait_for("logged", lambda: queries(first) == ["1"] * 8)
        os.rename(first, moved)
        ask("2")
        wait_for("logged", lambda: queries(moved) == ["1"] * 8 + ["2"])
        use(first)
        ask("3")
        wait_for("logged", lambda: queries(first) == ["3"])
        use(second)
        ask("4")
        wait_for("logged", lambda: queries(second) == ["4"])
        use(None)
        ask("5")
        check_equal(server.stop(), 0)
        check_equal((queries(moved), queries(first), queries(second)), (["1"] * 8 + ["2"], ["3"], ["4"]), server.name)


@scenario
def a_path_that_cannot_be_written():
    errors = []
    for server, home in both(CONFIG):
        path = os.path.join(home, "queries.log")
        server.configure(f"global: {{query_log_file: {home}/no/such/queries.log}}\n")
        answer = server.reload()
        errors.append((answer.status, answer.text().replace(server.config_path, "CONFIG")))
        server.get("/api/v1/query", {"query": "1"})
        check("can't create json log file: open" in server.log() and "no such file or directory" in server.log(), server.log())
        if "ferula" in server.name:  # a reload changes nothing when it fails
            wait_for("the old one is written on", lambda: lines(path))
    check_equal(errors[0], errors[1])


@scenario
def a_relative_path_is_beside_the_configuration():
    for server, home in both("global: {{query_log_file: queries.log}}\n"):
        server.get("/api/v1/query", {"query": "1"})
        wait_for("a line", lambda: lines(os.path.join(server.home, "queries.log")))


@scenario
def many_queries_at_once_are_all_there():
    for server, home in both(CONFIG):
        if "ferula" not in server.name:
            continue
        threads = [threading.Thread(target=lambda n=n: [server.get("/api/v1/query", {"query": f"vector({n}) + {i}"}) for i in range(50)])
                   for n in range(6)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        check_equal(server.stop(), 0)
        got = lines(os.path.join(home, "queries.log"))
        check_equal(len({line["params"]["query"] for line in got}), 300)
        check_equal(len(got), 300)


@scenario
def whoever_is_answered_finds_the_line():
    """And so lines stand in the order of the answers, whichever shards gave them."""
    for server, home in both(CONFIG):
        for i in range(60):
            check_equal(server.get("/api/v1/query", {"query": f"vector({i})"}).status, 200)
            got = lines(os.path.join(home, "queries.log"))
            check_equal([line["params"]["query"] for line in got], [f"vector({n})" for n in range(i + 1)], server.name)


@scenario
def a_full_disk_stops_no_query():
    ours = ferula("global: {query_log_file: /dev/full}\n")
    for i in range(8):
        check_equal(ours.get("/api/v1/query", {"query": "1"}).status, 200)
    wait_for("counted", lambda: "prometheus_engine_query_log_failures_total 8" in ours.get("/metrics").text())
    check_equal(ours.log().count("lines of a log were lost") <= 2 * os.cpu_count(), True)  # once a shard, not once a line


def ask_in_background(server, **params):
    def ask():
        try:
            server.post("/api/v1/query", params, timeout=10 * PATIENCE_S)
        except OSError:
            pass  # the server was killed
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread


def active(server):
    with open(os.path.join(server.data, "queries.active"), "rb") as f:
        return f.read()


@scenario
def active_queries_over_a_crash():
    long = ENDLESS + ' + 0 * count_values("<&é", vector(1))'
    endings = ["# " + "x" * 1500, '# ' + '"' * 1500, ""]
    for server, _ in both(""):
        size = len(active(server))
        check_equal((active(server)[:1], size), (b"[", 20001), server.name)
        for ending in endings:
            ask_in_background(server, query=long + ending)
        wait_for("they run", lambda: active(server).count(b"timestamp_sec") >= len(endings) - 1)
        server.kill()
        server.restart()
        found = server.wait_log(r".*These queries didn't finish in prometheus' last run:\"? .*queries=(.*)").group(0)
        check('count_values(\\\\\\"\\\\u003c\\\\u0026' in found or "count_values" in found, server.name, found)
        check("activeQueryTracker" in found and "timestamp_sec" in found, server.name, found)
        check_equal(active(server).strip(b"\0"), b"[", server.name)
        server.stop()
        server.restart()
        check("These queries" not in server.log(), server.name, "what has been said once is not said again")


@scenario
def entries_are_whole_json():
    ours = ferula()
    texts = [ENDLESS, ENDLESS + " # " + "é" * 800, ENDLESS + " # " + "<" * 900]
    for text in texts:
        ask_in_background(ours, query=text)
    wait_for("they run", lambda: active(ours).count(b"timestamp_sec") == 3)
    image = active(ours)
    found = json.loads(image.replace(b"\0", b"")[:-1] + b"]")
    check_equal(sorted(list(e) for e in found), [["query", "timestamp_sec"]] * 3)
    for entry in found:
        check(any(t.startswith(entry["query"]) for t in texts) and abs(entry["timestamp_sec"] - time.time()) < 2 * PATIENCE_S, entry)
    ours.signal(signal.SIGTERM)
    ours.wait()


@scenario
def turns_are_waited_for():
    # One shard, so that the limit is met by any two queries.
    answers = []
    for server in (ferula(args=["--shards=1", "--query.max-concurrency=1"]), prometheus(args=["--query.max-concurrency=1"])):
        ask_in_background(server, query=ENDLESS, timeout="30s")
        wait_for("it runs", lambda: b"timestamp_sec" in active(server))
        answer = server.get("/api/v1/query", {"query": "1", "timeout": "300ms"})
        answers.append((answer.status, answer.json()))
        check("prometheus_engine_queries_concurrent_max 1" in server.get("/metrics").text(), server.name)
        server.kill()
    check_equal(answers[0], answers[1])


@scenario
def failed_scrapes_as_prometheus():
    found = []
    for make in (ferula, prometheus):
        home = temp_folder()
        one, two = os.path.join(home, "one.log"), os.path.join(home, "two.log")
        bad = FakeTarget(lambda r: Reply("a{ 1\n"))  # a page that cannot be read is not logged, there as here
        gone = FakeTarget(lambda r: Reply("no\n", 503))
        good = FakeTarget(lambda r: Reply("a 1\n"))
        jobs = "".join(f"""
- job_name: {name}
  {extra}
  static_configs: [{{targets: ['{target}']}}]""" for name, extra, target in (
            ("down", "", "127.0.0.1:1"), ("bad", "", bad.address), ("gone", f"scrape_failure_log_file: {two}", gone.address), ("good", "", good.address)))
        config = f"global: {{scrape_interval: 1s, scrape_failure_log_file: {one}}}\nscrape_configs:{jobs}\n"
        server = make(config, args=["--web.enable-lifecycle"])

        def seen(path, count):
            # On a busy machine any scrape may be late.
            jobs_seen = {line["job_name"]: line for line in lines(path) or [] if "deadline exceeded" not in json.dumps(line)}
            return jobs_seen if len(jobs_seen) == count else None
        got = {**wait_for("one", lambda: seen(one, 1)), **wait_for("two", lambda: seen(two, 1))}
        for line in got.values():
            check(line.pop("time") and line.pop("source"), line)
        text = json.dumps([got[k] for k in sorted(got)])
        for target in (bad, gone, good):
            text = text.replace(target.address, "TARGET")
        found.append(text)
        os.rename(one, one + ".1")
        check_equal(server.reload().status, 200, server.name)
        wait_for("it goes on in a new file", lambda: seen(one, 1))
        server.configure(config.replace("one.log", "no/such/one.log"))
        check_equal(server.reload().status, 500, server.name)
        server.configure(config.replace(f", scrape_failure_log_file: {one}", ""))
        check_equal(server.reload().status, 200, server.name)
        os.remove(one)
        os.remove(two)
        wait_for("the other goes on", lambda: server.reload().status == 200 and seen(two, 1))
        check_equal(server.stop(), 0, server.name)
        check_equal(lines(one), None, server.name)
    check_equal(found[0], found[1])


if __name__ == "__main__":
    main()
