#!/usr/bin/env python3
"""ferula-loadgen: what it sends is there, what is lost it finds, what goes wrong it counts."""
import json
import os
import re
import signal
import subprocess
import time
import urllib.parse

from harness import (BUILD, PATIENCE_S, REPORTS, TOP, URING_IS_FORBIDDEN, FakeTarget, Process, Reply, cases, check, check_equal, ferula, main, prometheus, request,
                     run_scenario, scenario, temp_folder, wait_for, write_file)

LOADGEN = os.path.join(BUILD, "tools", "ferula-loadgen")


def load(url, *flags, timeout=PATIENCE_S):
    """Exit code, the JSON and both outputs of a run."""
    path = os.path.join(temp_folder(), "result.json")
    done = subprocess.run([LOADGEN, "remote-write", f"--json={path}", *flags, url], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=timeout)
    with open(path) as f:
        return done.returncode, json.load(f), done.stdout, done.stderr


SMALL = ("--series=6000", "--batch=500", "--duration=1s", "--connections=3")
KINDS = (("flat out",), ("by time", "--split=time"), ("cut connections", "--cut=0.3"), ("14 labels", "--labels=14"), ("cadvisor by hash", "--exporter=cadvisor", "--split=hash"),
         ("kube-state, seven samples", "--exporter=kube-state", "--samples=7"), ("a rate", "--rate=20000"),
         ("churn", "--churn=30", "--step=1m"), ("encoded live", "--live", "--rate=20000"),
         ("zstd", "--compression=zstd", "--rate=20000"), ("zstd, encoded live", "--compression=zstd", "--live", "--rate=20000"),
         ("out of order", "--late-share=0.3", "--late-rounds=2", "--rate=20000"),
         ("what goes wrong with senders", "--repeat=0.3", "--slow=0.3", "--slow-by=50ms", "--garbage=0.3", "--cut=0.3", "--rate=20000"))


def check_kept(server, name, flags):
    vices = [field for flag, field in (("--repeat", "repeated"), ("--slow", "slow"), ("--garbage", "garbage"), ("--cut", "cut"))
             if any(f.startswith(flag + "=") for f in flags)]
    for attempt in range(5):  # on a slow machine these may be few requests
        code, result, out, err = load(f"{server.base}/api/v1/write", *SMALL, f"--pid={server.popen.pid}", *flags)
        if code or "--start=" in str(flags) or all(result[field] > 0 for field in vices):
            break
    check_equal((code, result["rejected"], result["failed"], result["broken"]), (0, 0, 0, 0), out + err)
    check(result["samples"] > 0 and result["sequence_checked"] > 0, result)
    check_equal(result["sequence_missing"], 0)
    check(result["server_resident_bytes"] > 0 and result["ack_p50_seconds"] > 0, result)
    check("loss        0 of " in out, out)
    for field in vices:
        check(result[field] > 0, field, result)
    check_equal(result["garbage_taken"], 0)
    check_equal(("each request encoded live" in out, result["encoded_live"]), ("--live" in flags, "--live" in flags))


@scenario
@cases(2 * len(KINDS) + 1)
def test_samples_arrive():
    """Every kind of load, into ours and into Prometheus with both protocols."""
    ours = ferula(args=["--web.enable-remote-write-receiver"])
    start = int(time.time()) - 12 * 3600
    for i, (name, *flags) in enumerate(KINDS):  # each later than the one before, whatever that reached in its second
        paced = [f for f in flags if f.startswith("--rate")]
        run_scenario(f"ferula: {name}", check_kept, ours, name, flags + ([] if paced else [f"--start={start + i * 2400}"]))
    theirs = prometheus(args=["--web.enable-remote-write-receiver"],
                        config="storage: {tsdb: {out_of_order_time_window: 30m}}\n")
    for name, *flags in KINDS:  # at a rate, so that the time of each is later than that of the one before
        for protocol in (1, 2) if "--compression=zstd" not in flags else ():  # which it does not take
            paced = [f for f in flags if not f.startswith(("--rate", "--step"))] + ["--rate=20000", f"--protocol={protocol}"]
            run_scenario(f"prometheus: {name}, {protocol}.0", check_kept, theirs, name, paced)


@scenario
def test_series():
    """As many series as asked for, with the labels they should have, and new ones by churn."""
    server = ferula(args=["--web.enable-remote-write-receiver"])
    url, start = f"{server.base}/api/v1/write", int(time.time()) - 3600
    code, result, out, err = load(url, "--series=6000", "--batch=500", "--connections=3", "--duration=4s", "--labels=14", "--rate=12000")
    check_equal(code, 0, out + err)
    at = int(time.time()) + 1
    count = server.query('count({job="node-exporter"})', at)
    targets = server.query('count(count by (instance) ({job="node-exporter"}))', at)
    per_target = float(count[()]) / float(targets[()])
    check(abs(float(count[()]) - 6000) <= per_target / 2 + 1, count, targets)
    check_equal(result["series"], int(count[()]) + int(server.query("count(loadgen_sequence)", at)[()]))
    one = next(iter(server.query('topk(1, node_cpu_seconds_total{mode="user"})', at)))
    check_equal(len(one), 14 + 3, one)  # and __name__, cpu, mode
    # So few that there are many rounds, however slow the machine is.
    code, result, out, err = load(url, "--series=600", "--batch=500", "--connections=1", "--duration=2s", "--exporter=kube-state",
                                  "--churn=1", "--step=30s", f"--start={start}")
    check_equal(code, 0, out + err)
    generations = server.query('count by (instance) (count_over_time(kube_service_info{service="app-1"}[2h]))', at)
    check(any("-0000:8080" in dict(k)["instance"] for k in generations), generations)
    check(any("-0001:8080" in dict(k)["instance"] for k in generations), generations)


def send_histograms(server, protocol):
    code, result, out, err = load(f"{server.base}/api/v1/write", *SMALL, "--histograms=5", f"--protocol={protocol}", "--rate=30000")
    check_equal((code, result["rejected"], result["failed"]), (0, 0, 0), out + err)


def check_histograms(server, protocol):
    """What arrived is what was sent: counts are the sums of their buckets, and grow."""
    send_histograms(server, protocol)
    at = int(time.time()) + 1
    counts = server.query("count(histogram_count(http_request_duration_seconds))", at)
    targets = server.query('count(count by (instance) (node_time_seconds))', at)
    check_equal(counts, {k: str(5 * int(v)) for k, v in targets.items()})
    check(float(server.query("min(histogram_count(http_request_duration_seconds))", at)[()]) > 0)
    median = float(server.query("histogram_quantile(0.5, sum(http_request_duration_seconds))", at)[()])
    check(2 ** (-22 / 8) < median < 2 ** (-18 / 8), median)
    check_equal(server.query("sum(resets(http_request_duration_seconds[5m]))", at), {(): "0"})


@scenario
def test_histograms():
    """Prometheus counts what was sent, and ours takes the same."""
    for protocol in (1, 2):
        theirs = prometheus(args=["--web.enable-remote-write-receiver", "--enable-feature=native-histograms"])
        run_scenario(f"prometheus: histograms, {protocol}.0", check_histograms, theirs, protocol)
        ours = ferula(args=["--web.enable-remote-write-receiver"])
        run_scenario(f"ferula: histograms, {protocol}.0", send_histograms, ours, protocol)


@scenario
def test_capture():
    """Loads after an exporter of one's own: a capture is taken, sent and shown."""
    farm = Farm("--targets=1", "--exporter=cadvisor", "--interval=1s")
    url = f"http://{farm.host}:{farm.port}/metrics"
    done = subprocess.run([LOADGEN, "capture", "--scrapes=3", "--interval=1s", url], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    check_equal((done.returncode, done.stdout.count("# EOF\n")), (0, 3), done.stderr)
    path = os.path.join(temp_folder(), "one.capture")
    with open(path, "w") as f:
        f.write(done.stdout)
    per_target = len([line for line in done.stdout.split("# EOF")[0].split("\n") if line and line[0] != "#"])
    server = ferula(args=["--web.enable-remote-write-receiver"])
    code, result, out, err = load(f"{server.base}/api/v1/write", f"--capture={path}", "--labels=14", f"--series={4 * per_target}",
                                  "--rate=20000", "--duration=2s")
    check_equal((code, result["rejected"]), (0, 0), out + err)
    at = int(time.time()) + 1
    check_equal(server.query('count({__name__=~"container_.*|machine_.*"})', at), {(): str(4 * per_target)})
    values = server.query('container_memory_rss{name="k8s_app_0-0000"}', at)
    check_equal(len(values), 4, values)
    copy = Farm("--targets=3", f"--capture={path}")
    bodies = [copy.text(f"/t/{t}/metrics") for t in range(3)]
    check_equal([len([x for x in b.split("\n") if x and x[0] != "#"]) for b in bodies], [per_target] * 3)
    check_equal(len(set(bodies)), 3)
    copy.stop()
    farm.stop()


@scenario
def test_loss_is_found():
    """A server that acknowledges and forgets."""
    target = FakeTarget(lambda r: Reply("", 204))
    target.on("/api/v1/query", lambda r: Reply('{"status":"success","data":{"resultType":"matrix","result":[]}}',
                                               content_type="application/json"))
    code, result, out, _ = load(f"http://{target.address}/api/v1/write", *SMALL, "--rate=20000")
    check_equal(code, 1, out)
    check(result["sequence_missing"] == result["sequence_checked"] == result["requests"] > 0, result)
    target.on("/api/v1/query", lambda r: Reply("what", 404))
    code, result, out, _ = load(f"http://{target.address}/api/v1/write", *SMALL, "--rate=20000")
    check("loss        unknown: the query was answered 404 what" in out, out)
    check("sequence_checked" not in result, result)


def forward(server, r):
    """What the server behind a proxy answers."""
    headers = {k: v for k, v in r.headers.items() if k.lower() not in ("host", "content-length", "connection", "accept-encoding")}
    answer = request(server.host, server.port, r.method, r.path + (f"?{r.query}" if r.query else ""), r.body, headers)
    return Reply(answer.body, answer.status, content_type=answer.headers.get("Content-Type") or "text/plain")


@scenario
def test_planted_loss():
    """A proxy drops every seventh request and says 204: as many sequence numbers are missing, no more and no less."""
    server = ferula(args=["--web.enable-remote-write-receiver"])
    for samples in (1, 3):
        dropped = []
        proxy = FakeTarget(lambda r: forward(server, r))
        proxy.on("/api/v1/write", lambda r: dropped.append(r) or Reply("", 204) if r.number % 7 == 3 else forward(server, r))
        code, result, out, err = load(f"http://{proxy.address}/api/v1/write", *SMALL, "--rate=20000", f"--samples={samples}",
                                      f"--pid={server.popen.pid}", f"--data={server.data}")
        check_equal(code, 1, out + err)
        check_equal((result["sequence_missing"], result["sequence_checked"]), (len(dropped) * samples, result["requests"] * samples), out)
        check(len(dropped) > 0 and result["server_disk_bytes"] > 0 and "disk  " in out, out)
        proxy.close()


@scenario
def test_ends_in_time():
    """A server that takes requests and never answers holds up nothing; Ctrl-C prints what was done."""
    hanging = FakeTarget(lambda r: time.sleep(3600) or Reply("", 204))
    code, result, out, err = load(f"http://{hanging.address}/w", *SMALL)
    check_equal((code, result["requests"], result["broken"]), (1, 0, 3), out + err)
    check(result["seconds"] < PATIENCE_S / 2 and "no answer before the end" in out and "nothing was acknowledged" in out, out)
    code, result, out = ask(f"http://{hanging.address}", "--connections=2")
    check_equal((code, result["queries"][0]["asked"]), (1, 0), out)
    check(result["seconds"] < PATIENCE_S / 2 and "no answer came" in out, out)
    code, result, out = ask("http://127.0.0.1:1", "--connections=2")
    check(code == 1 and "connection refused" in out and "no answer came" in out, out)
    server = ferula(args=["--web.enable-remote-write-receiver"])
    for words, last in ((["remote-write", *SMALL[:2], "--duration=1h", "--rate=20000", f"{server.base}/api/v1/write"], "loss        0 of "),
                        (["query", "--duration=1h", server.base], " queries, "), (["scrape-farm", "--port=0"], " CPU s\n")):
        running = Process("interrupted", [LOADGEN, *words])
        running.wait_log("samples/s|queries/s|listening|targets of")
        running.popen.send_signal(signal.SIGINT)
        check(running.wait() in (0, 1), words)
        check(last in running.log(), words, running.log())


@scenario
def test_errors_are_counted():
    """Refusals, failures and broken connections are sent again; what is rejected is given up."""
    for name, reply, field, sent_again in (("503", Reply("busy", 503), "refused", True), ("429", Reply("slow", 429), "refused", True),
                                           ("500", Reply("boom", 500), "failed", True), ("400", Reply("bad", 400), "rejected", False),
                                           ("closed", Reply(raw=b"", close=True), "broken", True)):
        def run():
            target = FakeTarget()
            target.on("/w", lambda r: reply if r.number % 5 == 2 else Reply("", 204))
            code, result, out, err = load(f"http://{target.address}/w", *SMALL, "--rate=30000", "--no-read-back")
            check(result[field] > 0, result)
            others = [f for f in ("refused", "failed", "rejected", "broken") if f != field]
            check_equal([result[f] for f in others], [0, 0, 0], result)
            check(name == "closed" or reply.body.decode() in result["last_error"], result)
            check(code == 0 and field in out, out)
            # Each request was sent until it was acknowledged: none is missing, none is there twice.
            acked = target.count("/w") - result[field]
            check_equal(result["requests"], acked)
        run_scenario(f"answer {name}", run)
    target = FakeTarget(lambda r: Reply("no", 415))
    code, result, out, err = load(f"http://{target.address}/w", *SMALL[:2], "--no-read-back", "--duration=60s")
    check_equal((code, result["requests"]), (1, 0), out)
    check(result["rejected"] >= 100 and result["seconds"] < 60, result)
    code, result, out, err = load("http://127.0.0.1:1/w", *SMALL, "--no-read-back")
    check_equal((code, result["requests"]), (1, 0), out)
    check("connection refused" in out, out)


@scenario
def test_split_by_time():
    """The next request of all goes over whatever connection is free; nothing is sent twice, nothing left out."""
    target = FakeTarget(lambda r: Reply("", 204))
    code, result, out, _ = load(f"http://{target.address}/w", *SMALL, "--split=time", "--rounds=5", "--no-read-back", "--start=1780000000")
    check_equal(code, 0, out)
    check_equal(result["samples"], 5 * result["series"])
    by_connection = {}
    for r in target.requests:
        by_connection.setdefault(r.connection, []).append(r)
    check_equal(len(by_connection), 3)
    check_equal(len({r.body for r in target.requests}), len(target.requests))


@scenario
def test_ladder():
    """bench/compare's short form: every system that is here takes every load."""
    path = os.path.join(temp_folder(), "ladder.json")
    # The others are the same, whichever build of ours runs.
    only = ["--system=ferula"] if REPORTS or URING_IS_FORBIDDEN else []
    done = subprocess.run([os.path.join(TOP, "bench", "compare", "ladder.py"), *only, "--quick", "--series=10000", "--labels=14", "--seconds=2", "--runs=1",
                           f"--json={path}"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=1100)
    check_equal(done.returncode, 0, done.stdout + done.stderr)
    with open(path) as f:
        found = json.load(f)
    check_equal([(r["kind"], r["series"]) for r in found["rungs"]], [(k, 10000) for k in ("remote_write", "scrape", "mixed")])
    for name in found["systems"]:
        for rung in found["rungs"]:
            run = rung["runs"][name][0]
            check(run["samples"] > 0 and run["rss_max_bytes"] > 0 and run["disk_bytes_per_sample"] > 0, name, rung["kind"], run)
            check_equal(run.get("errors", 0), 0, f"{name} {rung['kind']} {run}")
    for name in ("ferula", "prometheus", "victoria-metrics")[:1 if only else None]:
        check(name in found["systems"] or f"{name} is not there" in done.stderr, name, done.stderr)
    check(done.stdout.count("| 10,000 | 14 |") == 3, done.stdout)


@scenario
def test_all():
    """bench/compare/all.py gives each part its time, and has its table: here that of receive.py, for one shape."""
    if REPORTS or URING_IS_FORBIDDEN:
        return  # the same whichever build of ours runs
    folder = temp_folder()
    done = subprocess.run([os.path.join(TOP, "bench", "compare", "all.py"), "--only=receive", "--minutes=0.1", f"--folder={folder}"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    check_equal(done.returncode, 0, done.stdout + done.stderr)
    with open(os.path.join(folder, "receive.json")) as f:
        found = json.load(f)
    check(all(r["samples"] > 0 and r["cpu_s"] > 0 for r in found["shapes"]["rows2"]["ferula"]), found)
    with open(os.path.join(folder, "tables.md")) as f:
        text = f.read()
    check(text.strip() == done.stdout.strip() and text.count("| whole targets, 2 labels | ") == 1 and "## receive: " in text, text)
    check("] rows2 ferula, run 1 of 5: " in done.stderr and "0 parts to go" in done.stderr, done.stderr)


@scenario
def test_overload():
    """Three times what one shard acknowledges: memory stays bounded, what was acknowledged is there, refusals are polite.

    What is a question of time is printed and not judged: other work runs beside the tests."""
    done = subprocess.run([os.path.join(TOP, "bench", "compare", "overload.py"), "--seconds=30", "--spill-size=4MB", "--no-times",
                           f"--json={os.path.join(temp_folder(), 'overload.json')}"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=1100)
    check_equal(done.returncode, 0, done.stdout + done.stderr[-2000:])
    print(done.stdout, end="", flush=True)


@scenario
def test_sink():
    """The sink takes what is sent and says how much it was."""
    sink = Process("sink", [LOADGEN, "sink", "--port=0"])
    url = sink.wait_log(r"listening on (http://\S+)").group(1)
    code, result, out, err = load(f"{url}/api/v1/write", *SMALL, "--no-read-back", "--start=1780000000")
    check_equal(code, 0, out + err)
    check_equal(sink.stop(), 0)
    check(f"{result['requests']} requests, {result['bytes']} bytes" in sink.log(), sink.log(), result)


class Farm(Process):
    def __init__(self, *flags):
        self.scrapes = 0
        super().__init__("farm", [LOADGEN, "scrape-farm", "--port=0", *flags])
        address = self.wait_log(r"at http://(\S+):(\d+);")
        self.host, self.port = address.group(1), int(address.group(2))

    def get(self, path):
        answer = request(self.host, self.port, "GET", path)
        self.scrapes += path.endswith("/metrics") and answer.status != 404
        return answer

    def text(self, path):
        answer = self.get(path)
        check_equal(answer.status, 200, path)
        return answer.text()


@scenario
def test_farm_is_scraped():
    """All targets of a farm, scraped by ours and by Prometheus with the configuration it gives."""
    for start in (ferula, prometheus):
        farm = Farm("--targets=20", "--interval=1s", "--json=-")
        server = start(farm.text("/config"))
        wait_for("all are scraped", lambda: server.query("sum(up)") == {(): "20"})
        wait_for("counters move", lambda: float(server.query("min(changes(node_context_switches_total[1m]))")[()]) >= 2)
        wait_for("all are there", lambda: server.query('count(count by (instance) (node_cpu_seconds_total))') == {(): "20"})
        samples = {float(v) for v in server.query("max_over_time(scrape_samples_scraped[1m])").values()}
        check_equal(len(samples), 1, samples)
        server.stop()
        check_equal(farm.stop(), 0)
        result = json.loads(farm.log().strip().split("\n")[-1])
        check(result["targets_seen"] == 20 and result["scrapes"] >= 40, result)
        check_equal(result["samples"], int(samples.pop()) * result["scrapes"])


@scenario
@cases(2)
def test_farm_is_found():
    """Prometheus finds thousands of targets on many ports by the configuration that is printed, and has their native histograms."""
    def check_found(*flags):
        farm = None
        while not farm:  # the system chooses the first port, and one of the others may be taken
            try:
                farm = Farm("--targets=2000", "--ports=40", "--exporter=cadvisor", "--interval=1h", *flags)
            except RuntimeError as why:
                check("address already in use" in str(why), why)
        config = farm.wait_log(r"(?s)names each:\n\n(.*)\n\n").group(1)
        server = prometheus(config)
        wait_for("all are found", lambda: len(server.api("targets?state=active")["activeTargets"]) == 2000, 120)
        ports = {t["discoveredLabels"]["__address__"] for t in server.api("targets?state=active")["activeTargets"]}
        check_equal(len(ports), 40)
        server.stop()
        farm.stop()
    run_scenario("http_sd", check_found)
    path = os.path.join(temp_folder(), "farm.json")
    run_scenario("file_sd", check_found, f"--sd-file={path}")
    check(not os.path.exists(path), "it is removed at the end")


@scenario
@cases(2)
def test_farm_histograms():
    """By protobuf they are native and classic, in text classic; nothing shrinks."""
    farm = Farm("--targets=3", "--exporter=cadvisor", "--interval=1s", "--histograms=2", "--json=-")
    server = prometheus(farm.wait_log(r"(?s)names each:\n\n(.*)\n\n").group(1), args=["--enable-feature=native-histograms"])

    def native():
        wait_for("they are there", lambda: server.query("count(histogram_count(http_request_duration_seconds))") == {(): "6"}, 60)
        wait_for("they grow", lambda: float(server.query("min(changes(http_request_duration_seconds[1m]))").get((), 0)) >= 2, 60)
        check_equal(server.query("count(http_request_duration_seconds_bucket)"), {})
        median = float(server.query("histogram_quantile(0.5, sum(rate(http_request_duration_seconds[1m])))")[()])
        check(2 ** (-22 / 8) < median < 2 ** (-18 / 8), median)
        check_equal(server.query("sum(resets(http_request_duration_seconds[5m]))"), {(): "0"})
        samples = {float(v) for v in server.query("scrape_samples_scraped").values()}
        check_equal(samples, {597.0 + 2})
        kinds = {m["type"] for m in sum(server.api("metadata").values(), [])}
        check(kinds >= {"counter", "gauge", "histogram"}, kinds)
        check_equal(json.loads(farm.text("/report"))["protobuf_scrapes"], json.loads(farm.text("/report"))["scrapes"])
    run_scenario("native", native)
    server.stop()

    def classic():
        ours = ferula(farm.text("/config"))
        wait_for("they are there", lambda: ours.query("count(http_request_duration_seconds_bucket)") == {(): str(6 * 9)}, 60)
        ours.stop()
    run_scenario("classic", classic)
    farm.stop()


CAPTURED = """# TYPE took histogram
took_bucket{code="200",le="0.1"} 5
took_bucket{code="200",le="1"} 7
took_bucket{code="200",le="+Inf"} 9
took_sum{code="200"} 3.5
took_count{code="200"} 9
took_bucket{code="500",le="0.1"} 0
took_bucket{code="500",le="+Inf"} 0
took_sum{code="500"} 0
took_count{code="500"} 0
# TYPE rpc summary
rpc{quantile="0.5"} 0.25
rpc_sum 5
rpc_count 7
# TYPE level gauge
level 1.5
# TYPE x_total counter
x_total 5
other 7
"""


@scenario
def test_farm_of_a_capture():
    """Families are of their kinds, by protobuf and in the text format; series are those of the capture."""
    farm = Farm("--targets=1", "--interval=1s", "--capture=" + write_file(os.path.join(temp_folder(), "app.capture"), CAPTURED))
    named = "{job!='',__name__!~'up|scrape_.*'}"
    wanted = {"took_bucket": 5, "took_sum": 2, "took_count": 2, "rpc": 1, "rpc_sum": 1, "rpc_count": 1, "level": 1, "x_total": 1, "other": 1}
    config, found = farm.text("/config"), []
    for start, args in (prometheus, ["--enable-feature=native-histograms"]), (ferula, []):
        server = start(config, args=args)
        wait_for("it is scraped", lambda: server.query("level"))
        counts = {dict(k)["__name__"]: int(v) for k, v in server.query(f"count by (__name__) ({named})").items()}
        check_equal(counts, wanted)
        found.append({k for k in server.query(f"count by (__name__, code, le, quantile) ({named})")})
        check_equal(server.query("count(took_bucket{le='+Inf'} == ignoring (le) took_count)"), {(): "2"})
        check_equal([float(v) for name in ("level", "rpc") for v in server.query(name).values()], [1.5, 0.25])
        kinds = {name: m[0]["type"] for name, m in server.api("metadata").items()}
        check_equal(kinds, {"took": "histogram", "rpc": "summary", "level": "gauge", "x_total": "counter", "other": "unknown"})
        server.stop()
    check_equal(found[0], found[1])
    check(json.loads(farm.text("/report"))["protobuf_scrapes"] > 0, "by protobuf, too")
    farm.stop()


@scenario
def test_farm_vices():
    """Targets that fail, reorder, are slow or come anew."""
    farm = Farm("--targets=40", "--failing=0.3", "--reordering=0.5", "--exporter=cadvisor")
    statuses = [[farm.get(f"/t/{t}/metrics").status for _ in range(2)] for t in range(40)]
    failing = [t for t, s in enumerate(statuses) if s == [200, 500]]
    check(4 <= len(failing) <= 22 and all(s in ([200, 500], [200, 200]) for s in statuses), statuses)
    bodies = [[farm.get(f"/t/{t}/metrics").text() for _ in range(4)] for t in range(40) if t not in failing]
    names = [[[line.split("{")[0] for line in b.split("\n") if line and line[0] != "#"] for b in four] for four in bodies]
    moved = [four for four in names if len({tuple(n) for n in four}) > 1]
    check(5 <= len(moved) < len(names), len(moved))
    check(all(sorted(n) == sorted(four[0]) for four in names for n in four))
    check(len({b[0] for b in bodies}) == len(bodies), "two hosts are equal")
    check_equal(farm.get("/t/40/metrics").status, 404)
    check_equal(farm.get("/t/x/metrics").status, 404)
    found = json.loads(farm.text("/sd"))
    check_equal(len(found), 40)
    check_equal(found[7], {"targets": [f"{farm.host}:{farm.port}"],
                           "labels": {"__metrics_path__": "/t/7/metrics", "instance": "10.16.0.7:10250", "job": "kubelet"}})
    check_equal(json.loads(farm.text("/report"))["scrapes"], farm.scrapes)
    farm.stop()
    many = Farm("--targets=2", "--labels=14")
    check_equal(len(json.loads(many.text("/sd"))[1]["labels"]), 14 + 1)
    many.stop()
    ports = None
    while not ports:  # the system chooses the first, and one of the others may be taken
        try:
            ports = Farm("--targets=5", "--ports=3", "--histograms=2")
        except RuntimeError as why:
            check("address already in use" in str(why), why)
    spread = [g["targets"][0] for g in json.loads(ports.text("/sd"))]
    check_equal(spread, [f"{ports.host}:{ports.port + i % 3}" for i in range(5)])
    check_equal(re.findall(r"targets: \['(\S+)'\]", ports.text("/config")), spread)
    second = request(ports.host, ports.port + 1, "GET", "/metrics").text()
    check_equal(second.count("http_request_duration_seconds_bucket"), 2 * 9, second)
    switches = [float(re.search(r"^node_context_switches_total (\S+)$", body, re.M).group(1))
                for body in (second, ports.text("/t/1/metrics"), ports.text("/t/0/metrics"))]
    check(abs(switches[0] - switches[1]) < 1e8 < abs(switches[0] - switches[2]), switches)  # it is target 1, some steps later
    ports.stop()
    slow = Farm("--targets=1", "--slow=1", "--slow-by=300ms")
    begin = time.monotonic()
    slow.text("/t/0/metrics")
    check(time.monotonic() - begin >= 0.3)
    slow.stop()
    churning = Farm("--targets=1", "--churn=600", "--exporter=kube-state")
    first = set(re.findall(r'generation="(\w+)"', churning.text("/metrics")))
    check_equal(len(first), 1, first)
    wait_for("a new generation", lambda: set(re.findall(r'generation="(\w+)"', churning.text("/metrics"))) != first)
    churning.stop()


def ask(url, *flags, seconds=3):
    """Each query is asked, however long that takes."""
    path = os.path.join(temp_folder(), "result.json")
    done = subprocess.run([LOADGEN, "query", f"--json={path}", f"--duration={seconds}s", *flags, url], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    with open(path) as f:
        result = json.load(f)
    if seconds < 60 and any(q["asked"] <= 1 for q in result["queries"]) and "no answer came" not in done.stdout:
        return ask(url, *flags, seconds=4 * seconds)
    return done.returncode, result, done.stdout + done.stderr


@scenario
def test_queries():
    """The dashboard's queries over what remote-write sent: ours as Prometheus, and a difference is seen."""
    servers = [start(args=["--web.enable-remote-write-receiver"]) for start in (ferula, prometheus)]
    begin = int(time.time()) - 1800
    for server in servers:  # the same samples in both: one connection, a fixed time, a rate would date them by the clock
        code, _, out, err = load(f"{server.base}/api/v1/write", "--series=3000", "--batch=500", "--connections=1",
                                 f"--start={begin}", "--step=15s", "--duration=2s")
        check_equal(code, 0, out + err)
    for server in servers:
        code, result, out = ask(server.base, "--range=20m")
        check_equal(code, 0, out)
        check(len(result["queries"]) == 16 and all(q["failed"] == 0 for q in result["queries"]), out)
        check(sum(q["asked"] for q in result["queries"]) > 16, out)
    path = os.path.join(temp_folder(), "queries")
    with open(path, "w") as f:
        f.write("# over the first minutes, which both have\n")
        for at in range(60, 240, 15):
            f.write(f"instant sort_desc(sum by (mode, instance) (node_cpu_seconds_total @ {begin + at}))\n")
        f.write(f"range sum by (instance) (rate(node_network_receive_bytes_total[1m] @ {begin + 200}))\n")
    code, result, out = ask(servers[0].base, f"--file={path}", f"--reference={servers[1].base}", "--rate=30")
    check_equal(code, 0, out)
    check(all(q["different"] == 0 for q in result["queries"]), out)
    with open(path, "a") as f:
        f.write("instant loadgen_sequence\ninstant sum(\n")
    code, result, out = ask(servers[0].base, f"--file={path}", f"--reference={servers[1].base}")
    check_equal(code, 1, out)
    check_equal([q["query"] for q in result["queries"] if q["different"] == q["asked"] > 0], ["loadgen_sequence"], out)
    check_equal([q["query"] for q in result["queries"] if q["failed"] == q["asked"] > 0], ["sum("], out)
    check("unclosed left parenthesis" in out, out)
    def off_by_a_little(r):
        """As Prometheus answers, but for one value of one query."""
        answer = forward(servers[1], r)
        return Reply(re.sub(rb'"(\d+\.?\d*)"\]', rb'"\g<1>1"]', answer.body, count=1), 200) if b"count" in r.body or "count" in (r.query or "") else answer
    planted = FakeTarget(off_by_a_little)
    with open(path, "w") as f:
        f.write(f"instant sum(node_load1 @ {begin + 60})\ninstant count(node_load1 @ {begin + 60})\n")
    code, result, out = ask(servers[0].base, f"--file={path}", f"--reference=http://{planted.address}", "--rate=30")
    check_equal((code, [q["different"] == q["asked"] > 0 for q in result["queries"]]), (1, [False, True]), out)
    check("other values of" in out, out)
    code, result, out = ask(servers[0].base, f"--file={path}", "--reference=http://127.0.0.1:1", "--rate=30")
    check(code == 1 and all(q["unchecked"] == q["asked"] > 0 and q["different"] == 0 for q in result["queries"]), out)
    with open(path, "w") as f:  # as Prometheus logs them
        for step in (0, 30):
            f.write(json.dumps({"params": {"query": f"sum(up)+{step}", "start": "2026-01-01T00:00:00.000Z", "step": step,
                                           "end": "2026-01-01T01:00:00.000Z" if step else "2026-01-01T00:00:00.000Z"},
                                "stats": {}, "ts": "2026-01-01T00:00:00.000Z"}) + "\n")
    target = FakeTarget(lambda r: Reply('{"status":"success","data":{"resultType":"vector","result":[]}}'))
    code, result, out = ask(f"http://{target.address}", f"--file={path}", "--rate=20")
    check_equal((code, [(q["query"], q["kind"]) for q in result["queries"]]), (0, [("sum(up)+0", "instant"), ("sum(up)+30", "range")]))
    asked = {k: [float(v[0]) for n, v in urllib.parse.parse_qs(r.query).items() if n != "query"]
             for r in target.requests for k in [r.path]}
    start, end, step = asked["/api/v1/query_range"]
    check_equal((end - start, step), (3600, 30))
    # A query each twentieth of a second, and one of each kind that takes a second: those of the schedule behind it waited, too.
    target = FakeTarget(lambda r: Reply('{"status":"success","data":{"resultType":"vector","result":[]}}',
                                        503 if r.number == 2 else 200, delay=1.0 if r.number == 5 else 0.0))
    code, result, out = ask(f"http://{target.address}", f"--file={path}", "--rate=20", "--connections=1")
    check_equal((code, result["failed"], result["answers"]), (1, 2, {"200": result["asked"] - 2, "503": 2}), out)
    check(result["answer_max_seconds"] >= 1 and result["schedule_p90_seconds"] >= 0.25, out)
    check(result["schedule_p50_seconds"] >= result["answer_p50_seconds"] and "by schedule p50" in out, out)
    with open(path, "w") as f:
        f.write('{"a": 1}\n')
    done = subprocess.run([LOADGEN, "query", f"--file={path}", "http://x/"], capture_output=True, text=True, timeout=PATIENCE_S)
    check("line 1: no line of a query log" in done.stderr, done.stderr)


@scenario
def test_readme():
    """The README has the table that the program goes by."""
    done = subprocess.run([LOADGEN, "shapes"], capture_output=True, text=True, timeout=PATIENCE_S)
    with open(os.path.join(TOP, "tools", "loadgen", "README.md")) as f:
        check(done.stdout in f.read(), "tools/loadgen/README.md: put there what `ferula-loadgen shapes` prints")


@scenario
def test_words():
    for words, text in ((["foo"], 'expected command but got "foo"'), (["remote-write"], "which <url>?"),
                        (["remote-write", "a", "b"], "one <url>, please"), (["remote-write", "ftp://x/"], "unsupported protocol"),
                        (["remote-write", "--rate=-1", "http://x/"], "--rate and --churn are 0 or more"),
                        (["remote-write", "--garbage=2", "http://x/"], "--garbage is a share, 0 to 0.9"),
                        (["remote-write", "--batch=1", "http://x/"], "is not within 2..20000"),
                        (["remote-write", "--pid=2147483647", "http://x/"], "there is no process 2147483647"),
                        (["remote-write", "--data=/tmp", "http://x/"], "--data goes with --pid"),
                        (["remote-write", "--start=x", "http://x/"], '--start: "x" is no time'),
                        (["remote-write", "--exporter=x", "http://x/"], "enum value must be one of"),
                        (["sink", "--port=99999"], "is not within 0..65535"),
                        (["scrape-farm", "--port=65000", "--ports=1000"], "there are no 1000 ports"),
                        (["capture"], "one <url> of an exporter"),
                        (["remote-write", "--capture=/nope", "http://x/"], "--capture: /nope cannot be read"),
                        (["query"], "one <server>, please"), (["query", "--file=/nope", "x"], "/nope cannot be read")):
        done = subprocess.run([LOADGEN, *words], capture_output=True, text=True, timeout=PATIENCE_S)
        check(done.returncode == 1 and text in done.stderr, words, done)
    for words in (["--help"], ["remote-write", "--help"], ["sink", "-h"], ["scrape-farm", "--help"], ["query", "--help"], ["capture", "--help"], ["shapes"], ["shapes", "--help"], ["--version"]):
        done = subprocess.run([LOADGEN, *words], capture_output=True, text=True, timeout=PATIENCE_S)
        check(done.returncode == 0 and done.stdout and not done.stderr, words, done)


if __name__ == "__main__":
    main()
