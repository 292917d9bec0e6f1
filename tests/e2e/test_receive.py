#!/usr/bin/env python3
"""remote_write 1.0: codes and bodies beside Prometheus's receiver, then real senders with restarts."""
import http.client
import os
import re
import signal
import struct
import subprocess
import time

from harness import (BUILD, WRITE_HEADERS, FakeTarget, Process, Reply, cases, check, check_equal, connections_to, counters, ferula, field, float_bits,
                     free_port, main, packed, peer, prometheus, refusals, remote_write, run_scenario, scenario, snappy_literal,
                     temp_folder, varint, wait_for, write_file, write_series, zigzag)
from wire import labels_of, sent_samples, unsnappy

NOW = int(time.time() * 1000) // 1000 * 1000
STALE = 0x7FF0000000000002
RECEIVER = "--web.enable-remote-write-receiver"


def sample(name, ms, value, **labels):
    return ({"__name__": name, **labels}, [(ms, value)])


def body_of(*series):
    return snappy_literal(b"".join(write_series(*s) for s in series))


def exemplar(ms):
    return field(3, field(1, field(1, "trace_id") + field(2, "x")) + b"\x11" + float_bits(1.0) + b"\x18" + varint(ms))


def histogram(ms):
    """The smallest integer histogram: count 1, sum 1, one bucket."""
    return field(4, b"\x08\x01" + b"\x19" + float_bits(1.0) + b"\x20\x00" + field(11, b"\x08\x00\x10\x01") +
                 field(12, b"\x02") + b"\x78" + varint(ms))


METADATA = field(3, b"\x08\x01" + field(2, "m") + field(4, "help"))

# (name, method, headers changed (None: left out), body), sent in this order to both.
REQUESTS = [
    ("get", "GET", {}, b""),
    ("put", "PUT", {}, body_of(sample("a", NOW, 1.0))),
    ("good", "POST", {}, body_of(sample("a", NOW, 1.0, x="1"), sample("b", NOW, 2.0))),
    ("empty request", "POST", {}, snappy_literal(b"")),
    ("empty body", "POST", {}, b""),
    ("no type", "POST", {"Content-Type": None}, body_of(sample("a", NOW, 1.0, x="1"))),
    ("text type", "POST", {"Content-Type": "text/plain"}, body_of(sample("a", NOW, 1.0, x="1"))),
    ("blank type", "POST", {"Content-Type": ""}, body_of(sample("a", NOW, 1.0, x="1"))),
    ("type with proto", "POST", {"Content-Type": "application/x-protobuf;proto=prometheus.WriteRequest"},
     body_of(sample("a", NOW, 1.0, x="1"))),
    ("type with other proto", "POST", {"Content-Type": "application/x-protobuf;proto=foo.Bar"}, body_of(sample("a", NOW, 1.0))),
    ("type with v2", "POST", {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}, snappy_literal(b"")),
    ("type with parameter", "POST", {"Content-Type": "application/x-protobuf; charset=utf-8"}, body_of(sample("a", NOW, 1.0, x="1"))),
    ("type upper case", "POST", {"Content-Type": "Application/X-Protobuf"}, body_of(sample("a", NOW, 1.0, x="1"))),
    ("type bad parameter", "POST", {"Content-Type": "application/x-protobuf;proto"}, body_of(sample("a", NOW, 1.0, x="1"))),
    ("no encoding", "POST", {"Content-Encoding": None}, body_of(sample("a", NOW, 1.0, x="1"))),
    ("gzip encoding", "POST", {"Content-Encoding": "gzip"}, body_of(sample("a", NOW, 1.0, x="1"))),
    ("upper case encoding", "POST", {"Content-Encoding": "SNAPPY"}, body_of(sample("a", NOW, 1.0, x="1"))),
    ("no version", "POST", {"X-Prometheus-Remote-Write-Version": None}, body_of(sample("a", NOW, 1.0, x="1"))),
    ("bad snappy", "POST", {}, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
    ("cut snappy", "POST", {}, body_of(sample("a", NOW, 1.0))[:-3]),
    ("snappy of 40 MB", "POST", {}, varint(40 << 20) + b"\x00x"),
    ("bad proto", "POST", {}, snappy_literal(b"\x0a\xff")),
    ("text proto", "POST", {}, snappy_literal(b"hello, world")),
    ("unknown fields", "POST", {}, snappy_literal(write_series({"__name__": "unk"}, [(NOW, 1.0)], field(99, b"abc")) + field(50, b"x"))),
    ("the same again", "POST", {}, body_of(sample("a", NOW, 1.0, x="1"))),
    ("another value", "POST", {}, body_of(sample("a", NOW, 2.0, x="1"))),
    ("older", "POST", {}, body_of(sample("a", NOW - 1000, 1.0, x="1"))),
    ("good and older", "POST", {}, body_of(sample("c", NOW, 1.0), sample("a", NOW - 1000, 1.0, x="1"), sample("d", NOW, 1.0))),
    ("many and older", "POST", {}, body_of(*[sample("spread", NOW, 1.0, job=str(i), instance="x") for i in range(40)],
                                           sample("a", NOW - 1000, 1.0, x="1"))),
    ("many and another value", "POST", {}, body_of(*[sample("spread", NOW, 1.0, job=str(i), instance="x") for i in range(40)],
                                                   sample("b", NOW, 2e21), sample("a", NOW - 1000, 1.0, x="1"))),
    ("many and too old", "POST", {}, body_of(*[sample("spread", NOW, 1.0, job=str(i), instance="x") for i in range(40)],
                                             sample("fresh", NOW - 3600_001, 1.0))),
    ("many", "POST", {}, body_of(*[sample("spread", NOW, 1.0, job=str(i), instance="x") for i in range(40)])),
    ("stored before and newer", "POST", {}, body_of(({"__name__": "spread", "job": "1", "instance": "x"}, [(NOW, 1.0), (NOW + 1, 2.0)]))),
    ("stored before, older of two", "POST", {}, body_of(({"__name__": "spread", "job": "1", "instance": "x"}, [(NOW, 1.0), (NOW + 1, 2.0)]))),
    ("stale marker over a value", "POST", {}, body_of(sample("b", NOW, STALE))),
    ("older and older still", "POST", {}, body_of(sample("a", NOW - 1000, 1.0, x="1"), sample("b", NOW - 1000, 1.0))),
    ("duplicate within", "POST", {}, body_of(({"__name__": "within"}, [(NOW, 1.0), (NOW, 2.0)]))),
    ("backwards within", "POST", {}, body_of(({"__name__": "back"}, [(NOW, 1.0), (NOW - 1000, 2.0)]))),
    ("same series twice", "POST", {}, body_of(sample("twice", NOW, 1.0), sample("twice", NOW + 1, 2.0))),
    ("far future", "POST", {}, body_of(sample("future", NOW + 3600_000, 1.0))),
    ("near future", "POST", {}, body_of(sample("near", NOW + 60_000, 1.0))),
    ("two hours ago", "POST", {}, body_of(sample("old", NOW - 7200_000, 1.0))),
    ("half an hour ago", "POST", {}, body_of(sample("recent", NOW - 1800_000, 1.0))),
    ("negative time", "POST", {}, body_of(sample("negative", -1000, 1.0))),
    ("special values", "POST", {}, body_of(*[sample("special", NOW, v, k=k) for k, v in
                                             {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "-0": -0.0,
                                              "least": 5e-324, "stale": STALE, "payload": 0x7FF8000000001234}.items()])),
    ("no name", "POST", {}, body_of(({"x": "1"}, [(NOW, 1.0)]), sample("named", NOW, 1.0))),
    ("no labels", "POST", {}, body_of(({}, [(NOW, 1.0)]))),
    ("unsorted labels", "POST", {}, body_of(([("z", "1"), ("__name__", "unsorted"), ("a", "2")], [(NOW, 1.0)]))),
    ("label twice", "POST", {}, body_of(([("__name__", "double"), ("a", "1"), ("a", "2")], [(NOW, 1.0)]))),
    ("label twice the same", "POST", {}, body_of(([("__name__", "double"), ("a", "1"), ("a", "1")], [(NOW, 1.0)]))),
    ("empty value", "POST", {}, body_of(({"__name__": "empty", "a": ""}, [(NOW, 1.0)]))),
    ("empty label name", "POST", {}, body_of(([("__name__", "noname"), ("", "x")], [(NOW, 1.0)]))),
    ("utf8 names", "POST", {}, body_of(({"__name__": "metric.with.dots", "läbel": "ü"}, [(NOW, 1.0)]))),
    ("invalid utf8", "POST", {}, snappy_literal(field(1, field(1, field(1, "__name__") + field(2, b"\xff\xfe")) + field(
        2, b"\x09" + float_bits(1.0) + b"\x10" + varint(NOW))))),
    ("no samples", "POST", {}, body_of(({"__name__": "nosamples"}, []))),
    ("metadata only", "POST", {}, snappy_literal(METADATA)),
    ("metadata and samples", "POST", {}, snappy_literal(METADATA + write_series({"__name__": "m"}, [(NOW, 1.0)]))),
    ("exemplars", "POST", {}, snappy_literal(write_series({"__name__": "ex"}, [(NOW, 1.0)], exemplar(NOW)))),
    ("many samples", "POST", {}, body_of(({"__name__": "many"}, [(NOW - 500_000 + i * 1000, float(i)) for i in range(500)]))),
    ("long labels", "POST", {}, body_of(({"__name__": "long", "l": "x" * 100_000}, [(NOW, 1.0)]))),
    ("histograms", "POST", {}, snappy_literal(write_series({"__name__": "hist"}, [], histogram(NOW)))),
    ("too large", "POST", {}, b"\x00" * (33 << 20)),
]

# Where our answer should be another: reason and status.
EXPLAINED = {
    "type with other proto": ("the text of Prometheus 3.14", 415),
    "too large": ("bodies over 32 MiB are 413, as in Prometheus 3.14", 413),
    "histograms": ("native histograms are a feature of 3.5 that is on in 3.14", 204),
}


def send(server, method, changes, body):
    headers = {k: v for k, v in {**WRITE_HEADERS, **changes}.items() if v is not None}
    return server.request(method, "/api/v1/write", body, headers)


def compare_answer(ours, theirs, name, method, changes, body):
    got, wanted = send(ours, method, changes, body), send(theirs, method, changes, body)
    if name in EXPLAINED:
        check(got.status in EXPLAINED[name][1:], got.status, EXPLAINED[name])
        return
    check_equal((got.status, got.text()), (wanted.status, wanted.text()), name)
    check_equal(got.headers.get("Content-Type"), wanted.headers.get("Content-Type"), name)


def everything(server):
    """All samples of the last hours, by labels."""
    return {k: v for k, v in server.samples('{__name__=~".+"}', at=NOW / 1000 + 120, window="4h").items()}


@scenario
@cases(2 * (len(REQUESTS) + 2) + 1)
def answers_as_prometheus():
    for shards in 1, 3:
        ours = ferula(args=[RECEIVER, "--storage.tsdb.out-of-order.receiver-default=0s", f"--shards={shards}"])
        theirs = prometheus(args=[RECEIVER])
        for name, method, changes, body in REQUESTS:
            run_scenario(f"request {name}, {shards} shards", compare_answer, ours, theirs, name, method, changes, body)
        run_scenario(f"what both keep then, {shards} shards", compare_kept, kept(ours), kept(theirs))
        run_scenario(f"what both count, {shards} shards", compare_counters, ours, theirs)


SAMPLE_COUNTERS = "prometheus_tsdb_(?:out_of_order|out_of_bound|too_old)_samples_total|prometheus_api_remote_write_invalid"


def compare_counters(ours, theirs):
    """What refused samples are counted as there, and here by reason: each once."""
    check_equal(counters(ours, SAMPLE_COUNTERS), counters(theirs, SAMPLE_COUNTERS))
    requests, samples = refusals(ours)
    check_equal(requests, {"format": 5, "malformed": 6, "too_large": 1})
    check_equal(samples, {"labels": 6, "duplicate": 3, "out_of_order": 5, "out_of_bounds": 3, "in_future": 1})


def kept(server):
    return {tuple(n + "=" + v[:20] for n, v in k): v for k, v in everything(server).items()}


def compare_kept(got, wanted):
    problems = [f"{k}: {got.get(k)}, wanted {wanted.get(k)}" for k in sorted(set(got) | set(wanted))
                if got.get(k) != wanted.get(k)]
    check(not problems, "\n".join(problems)[:2000])


@scenario
def receiver_is_off_by_default():
    ours, theirs = ferula(), prometheus()
    got, wanted = remote_write(ours, [sample("a", NOW, 1.0)]), remote_write(theirs, [sample("a", NOW, 1.0)])
    check_equal((got.status, got.text()), (wanted.status, wanted.text()))


@scenario
def late_samples_are_kept_by_default():
    server = ferula(args=[RECEIVER])
    check_equal(remote_write(server, [sample("a", NOW, 1.0)]).status, 204)
    check_equal(remote_write(server, [sample("a", NOW - 60_000, 2.0)]).status, 204, "a minute late")
    check_equal(remote_write(server, [sample("a", NOW - 60_000, 2.0)]).status, 204, "the same again")
    answer = remote_write(server, [sample("good", NOW, 1.0), sample("a", NOW - 600_000, 3.0), sample("good2", NOW, 1.0)])
    check_equal((answer.status, answer.text()), (400, "too old sample: a\n"), "ten minutes late")
    answer = remote_write(server, [sample("a", NOW - 60_000, 9.0)])
    check_equal((answer.status, answer.text()), (400, "duplicate sample for timestamp: a\n"), "another value")
    found = {dict(k)["__name__"]: v for k, v in everything(server).items()}
    check_equal(found["a"], [((NOW - 60_000) // 1000, "2"), (NOW // 1000, "1")])
    check("good" in found and "good2" in found, "the good part of a request is kept", found)


@scenario
def a_series_moves_over_connections():
    """The same series by eight connections, each with its own share of the times, out of step."""
    server = ferula(args=[RECEIVER])
    import threading
    failures = []

    def sender(k):
        for i in range(k, 400, 8):
            series = [sample("s", NOW - 200_000 + i * 500, float(i), n=str(n)) for n in range(50)]
            answer = remote_write(server, series)
            if answer.status != 204:
                failures.append((answer.status, answer.text()))
    threads = [threading.Thread(target=sender, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check_equal(failures, [])
    wanted = [((NOW - 200_000 + i * 500) / 1000, str(i)) for i in range(400)]
    found = everything(server)
    check_equal(len(found), 50)
    for labels, samples in found.items():
        check_equal([(float(t), v) for t, v in samples], wanted, labels)


@scenario
def body_in_chunks_and_with_expect():
    from harness import Raw
    server = ferula(args=[RECEIVER])
    raw = Raw(server)
    data = body_of(sample("chunked", NOW, 1.0))
    head = ("POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n"
            "Content-Encoding: snappy\r\n")
    raw.send(head + "Transfer-Encoding: chunked\r\n\r\n")
    for i in range(0, len(data), 7):
        raw.send(b"%x\r\n%s\r\n" % (len(data[i:i + 7]), data[i:i + 7]))
    raw.send(b"0\r\n\r\n")
    check_equal(raw.answer().status, 204)
    raw.send(head + f"Content-Length: {len(data)}\r\nExpect: 100-continue\r\n\r\n")
    check_equal(raw.answer().status, 100)
    raw.send(data)
    check_equal(raw.answer().status, 204)
    check_equal(len(everything(server)), 1)


# ---- real senders

SERIES = 300


class Counting(FakeTarget):
    """Serves SERIES series whose value is the number of the scrape; by protobuf native histograms and exemplars too."""

    def __init__(self):
        super().__init__(self.serve)

    def serve(self, r):
        values = [r.number * 1000 + i / 8 for i in range(SERIES)]
        if "vnd.google.protobuf" in r.headers.get("Accept", ""):
            return Reply(protobuf_page(r.number, values), content_type=PROTOBUF)
        return Reply("# TYPE c counter\n" + "".join(f'c{{i="{i}",kind="k{i % 7}"}} {v}\n' for i, v in enumerate(values)))


PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
HISTOGRAMS = 40


def pairs(**labels):
    return b"".join(field(1, field(1, n) + field(2, v)) for n, v in labels.items())


def family(name, kind, metrics):
    body = field(1, name) + field(2, "help of " + name) + b"\x18" + varint(kind) + b"".join(field(4, m) for m in metrics)
    return varint(len(body)) + body


def exposed_histogram(number, i):
    """Of the scrape and the series: (schema, threshold, zero count, positive counts, negative counts, sum); spans begin at i."""
    return (i % 12 - 4, 2.0 ** -100, number + i, [number, number + i, 3 * number], [2 * number] if i % 2 else [], number * 1.5 + i / 8)


def protobuf_page(number, values):
    """A counter with an exemplar, and native histograms with a created timestamp."""
    now = time.time_ns()
    exemplar = field(2, pairs(trace_id=str(number)) + b"\x11" + float_bits(number / 8) +
                     field(3, b"\x08" + varint(now // 10 ** 9) + b"\x10" + varint(now % 10 ** 9)))
    out = family("c", 0, [pairs(i=str(i), kind=f"k{i % 7}") + field(3, b"\x09" + float_bits(v) + (exemplar if i < 5 else b""))
                          for i, v in enumerate(values)])
    metrics = []
    for i in range(HISTOGRAMS):
        schema, threshold, zero, positive, negative, total = exposed_histogram(number, i)
        h = (b"\x08" + varint(zero + sum(positive) + sum(negative)) + b"\x11" + float_bits(total) + b"\x28" + zigzag(schema) +
             b"\x31" + float_bits(threshold) + b"\x38" + varint(zero) + field(15, b"\x08" + varint(1700000000)))
        for span, delta, counts in (12, 13, positive), (9, 10, negative):
            if counts:
                h += field(span, b"\x08" + zigzag(i) + b"\x10" + varint(len(counts)))
                h += field(delta, packed([b - a for a, b in zip([0] + counts, counts)], zigzag))
        metrics.append(pairs(i=str(i)) + field(7, h))
    return out + family("h", 4, metrics)


def dumped_histogram(number, i):
    """The same as dump_folder writes it, without the hint."""
    schema, threshold, zero, positive, negative, total = exposed_histogram(number, i)
    sides = [",".join(f"{i + k}:{n}" for k, n in enumerate(counts)) for counts in (positive, negative)]
    count = zero + sum(positive) + sum(negative)
    bits = [struct.unpack("<Q", float_bits(v))[0] for v in (threshold, total)]
    return f"[{schema},{count},{zero},{bits[0]:016x},{bits[1]:016x}|{'|'.join(sides)}|]"


def prometheus_config(name, target, url, more=""):
    return f"""global: {{scrape_interval: 500ms, scrape_timeout: 500ms, external_labels: {{sender: '{name}'}}}}
scrape_configs:
- job_name: counting
  static_configs: [{{targets: ['{target.address}']}}]
remote_write:
- url: {url}
{more}  queue_config: {{min_shards: 4, max_shards: 8, max_samples_per_send: 120, batch_send_deadline: 200ms,
                 min_backoff: 30ms, max_backoff: 300ms}}
"""


def vmagent(target, url, folder, port, args=()):
    config = write_file(os.path.join(folder, "vm.yml"), f"""global: {{scrape_interval: 500ms, external_labels: {{sender: vmagent}}}}
scrape_configs:
- job_name: counting
  static_configs: [{{targets: ['{target.address}']}}]
""")
    return Process("vmagent", [peer("vmagent"), f"-promscrape.config={config}", f"-remoteWrite.url={url}",
                               f"-httpListenAddr=127.0.0.1:{port}", f"-remoteWrite.tmpDataPath={folder}/queue",
                               "-remoteWrite.queues=4", "-remoteWrite.flushInterval=200ms", "-remoteWrite.maxRowsPerBlock=60",
                               "-remoteWrite.retryMinInterval=100ms", "-remoteWrite.retryMaxTime=500ms", *args])


def numbers_held(server, name):
    """{series: [numbers of scrapes, in order]}; each sample's value must be what was served."""
    found = server.samples(f'c{{sender="{name}"}}', window="1h")
    out = {}
    for labels, samples in found.items():
        i = int(dict(labels)["i"])
        values = [float(v) - i / 8 for _, v in samples]
        check(all(v % 1000 == 0 for v in values), "values are as served", labels, values[:5])
        out[i] = [int(v // 1000) for v in values]
    return out


def check_complete(server, name, target, restarts):
    held = numbers_held(server, name)
    check_equal(len(held), SERIES, f"{name}: series")
    for i, numbers in held.items():
        check_equal(numbers, sorted(set(numbers)), f"{name} {i}: in order, once each")
    # One is cut off by each restart; and a scrape may be late on a busy machine, which is told.
    missing = restarts + sum(v == "0" for samples in server.samples(f'up{{sender="{name}"}}', window="1h").values() for _, v in samples)
    lost = set(range(min(held[0]), max(held[0]) + 1)) - set(held[0])
    check(len(lost) <= missing, f"{name}: scrapes {sorted(lost)} are missing, {missing} may be")
    for i, numbers in held.items():
        check_equal(numbers, held[0], f"{name} {i}: the same scrapes as the others")
    check(target.count("/metrics") - max(held[0]) <= 1 + missing, f"{name}: the last is {max(held[0])} of {target.count('/metrics')}")


def dumped(folder):
    """{labels: [(ms, value or histogram without its hint, start or None)]} of a data folder."""
    done = subprocess.run([os.path.join(BUILD, "tests", "lib", "dump_folder"), folder], capture_output=True, text=True)
    check_equal((done.returncode, done.stderr), (0, ""), "dump_folder")
    out = {}
    for line in done.stdout.splitlines():
        labels, _, rest = line.partition("} ")
        out[labels + "}"] = [re.fullmatch(r"(\S+)@(-?\d+)(?:<(-?\d+))?", re.sub(r"^(\[f?-?\d+),\d+", r"\1", s)).groups()
                             for s in rest.split()]
    return out


def check_histograms(server, name, target, held):
    """Every scrape whose floats were kept has its histograms, bit for bit; the folder is nobody's just now."""
    found = dumped(server.data)
    for i in range(HISTOGRAMS):
        key = next(k for k in found if k.startswith("h{") and f'i="{i}"' in k and f'sender="{name}"' in k)
        # A scrape that was late on a busy machine ends its series, with a marker that is a histogram.
        values = [v for v, ms, start in found[key] if v != "stale" and f",{STALE:016x}|" not in v]
        wanted = [dumped_histogram(n, i) for n in held[0]]
        check_equal(values, wanted, f"{name}: histogram {i}")


def check_exemplars(server, name, held):
    """Those of the scrapes that were kept, in order; what the server answers."""
    answer = server.get("/api/v1/query_exemplars", {"query": f'c{{sender="{name}"}}'}).json()
    series = {int(s["seriesLabels"]["i"]): s["exemplars"] for s in answer["data"]}
    check_equal(sorted(series), list(range(5)), f"{name}: series with exemplars")
    for i, exemplars in series.items():
        numbers = [int(x["labels"]["trace_id"]) for x in exemplars]
        check_equal(numbers, sorted(set(numbers)), f"{name} {i}: exemplars in order, once each")
        check_equal([x["value"] for x in exemplars], [f"{n / 8:g}" for n in numbers], f"{name} {i}: their values")
        missing = set(held[0]) - set(numbers)
        check(len(missing) <= 2, f"{name} {i}: exemplars of scrapes {sorted(missing)} are missing")  # around its restart
    return answer


def check_sender(sender):
    """It takes nothing for lost: what was refused for a restart was sent again."""
    failed = re.findall(r"^(prometheus_remote_storage_(?:samples|histograms)_(?:failed|dropped)_total\S*) (\d+)",
                        sender.get("/metrics").text(), re.M)
    check(failed and all(n == "0" for _, n in failed), failed)


def run_sender(name, start, restart, histograms=False):
    """Scrapes and sends over four connections while each side is restarted, ours also killed; then all must be there."""
    port = free_port()
    listen = f"127.0.0.1:{port}"
    url = f"http://{listen}/api/v1/write"
    target = Counting()
    server = ferula(args=[RECEIVER, "--enable-feature=exemplar-storage"], listen=listen)
    sender = start(target, url)
    arrived = lambda n: wait_for(f"scrape {n} has arrived",
                                 lambda: max(numbers_held(server, name).get(0, [0])) >= n, interval=0.1)
    arrived(4)
    over_four = lambda: wait_for("it sends over four connections", lambda: connections_to(port) >= 4)
    over_four()
    check_equal(server.stop(), 0, "exit code")
    time.sleep(0.7)
    server.restart()
    arrived(target.count("/metrics") + 2)
    server.kill()
    time.sleep(0.7)
    server.restart()
    arrived(target.count("/metrics") + 2)
    sender.stop()
    sender = restart(sender)
    arrived(target.count("/metrics") + 3)
    over_four()
    if sender.name.startswith("prometheus"):
        check_sender(sender)
    sender.stop()
    time.sleep(0.3)
    check_complete(server, name, target, 1)
    held = numbers_held(server, name)
    exemplars = check_exemplars(server, name, held) if histograms else None
    check_equal(server.stop(), 0, "exit code")
    if histograms:
        check_histograms(server, name, target, held)
    server.restart()
    check_complete(server, name, target, 1)
    check_equal(numbers_held(server, name), held)
    if histograms:
        check_equal(check_exemplars(server, name, held), exemplars, "exemplars from files")


def prometheus_sender(version, name=None, more="", args=()):
    def start(target, url):
        return prometheus(prometheus_config(name or version, target, url, more), version=version, args=args)

    def restart(sender):
        sender.restart()
        return sender
    run_sender(name or version, start, restart, "histograms" in more)


@scenario
def sender_prometheus():
    prometheus_sender("prometheus")


FEATURES = "--enable-feature=native-histograms,exemplar-storage"
SENT = "  send_native_histograms: true\n  send_exemplars: true\n"


@scenario
def sender_prometheus_with_histograms():
    prometheus_sender("prometheus", "prometheus-v1", SENT, [FEATURES])


@scenario
def sender_prometheus_of_2_0():
    prometheus_sender("prometheus", "prometheus-v2", SENT + "  protobuf_message: io.prometheus.write.v2.Request\n",
                      [FEATURES + ",metadata-wal-records"])


@scenario
def sender_prometheus_2_42():
    prometheus_sender("prometheus-2.42")


def vmagent_sender(args):
    folder, port = temp_folder(), free_port()
    state = {"logs": []}

    def start(target, url):
        state["args"] = (target, url, folder, port, args)
        return vmagent(*state["args"])

    def restart(old):
        state["logs"].append(old.log())
        return vmagent(*state["args"])
    run_sender("vmagent", start, restart)
    check("downgrad" not in "".join(state["logs"]).lower(), "vmagent's log:", state["logs"][0][-2000:])


@scenario
def sender_vmagent():
    vmagent_sender([])  # zstd, its own choice


@scenario
def sender_vmagent_plain():
    vmagent_sender(["-remoteWrite.forcePromProto"])


# ---- senders that are killed

class Between(FakeTarget):
    """Stands before a server, and remembers what that acknowledged."""

    def __init__(self, server):
        super().__init__(self.pass_on)
        self.server, self.acknowledged = server, []

    def pass_on(self, r):
        kept = {k: v for k, v in r.headers.items() if k.lower() not in ("host", "content-length", "connection")}
        try:
            answer = self.server.request(r.method, r.path, r.body, kept)
        except (OSError, http.client.HTTPException):
            return Reply(raw=b"", close=True)
        if answer.status // 100 == 2:
            self.acknowledged.append((r.headers["Content-Type"], r.body))
        return Reply(answer.body, answer.status, {k: v for k, v in answer.headers.items() if k.startswith("X-") or k == "Retry-After"})


class Agent:
    """Prometheus as an agent, with a log of its own."""

    def __init__(self, name, target, between, more):
        self.folder, self.port, self.between = temp_folder(), free_port(), between
        self.config = write_file(os.path.join(self.folder, "agent.yml"),
                                 prometheus_config(name, target, f"http://{between.address}/api/v1/write", more))
        self.is_v2, self.before = "v2" in more, 0

    def start(self):
        self.before = self.sent()
        self.process = Process("agent", [peer("prometheus"), "--agent", f"--config.file={self.config}",
                                         f"--storage.agent.path={self.folder}/wal", f"--web.listen-address=127.0.0.1:{self.port}"])

    def sent(self):
        return sum(("v2" in kind) == self.is_v2 for kind, _ in list(self.between.acknowledged))

    def wait_sends(self, requests):
        wait_for("it sends", lambda: self.sent() > self.before + requests)


@scenario
def killed_senders():
    """Agents, of 1.0 and of 2.0, are killed again and again, as is the server: each float that was acknowledged is there."""
    target, listen = Counting(), f"127.0.0.1:{free_port()}"
    server = ferula(args=[RECEIVER], listen=listen)
    between = Between(server)
    agents = [Agent("v1", target, between, ""), Agent("v2", target, between, "  protobuf_message: io.prometheus.write.v2.Request\n")]
    for i in range(3):
        for agent in agents:
            agent.start()
        for agent in agents:
            agent.wait_sends(4)
        if i == 1:
            server.kill()
            time.sleep(0.3)
            server.restart()
            for agent in agents:
                agent.wait_sends(10)
        time.sleep(0.1 + 0.13 * i)  # somewhere between two scrapes
        for agent in agents:
            agent.process.kill()
    check_equal(server.stop(), 0, "exit code")
    wanted = {}
    for kind, body in list(between.acknowledged):
        wanted.update(sent_samples(unsnappy(body), "v2" in kind))
    held = {(labels_of(labels), int(ms)): value for labels, samples in dumped(server.data).items() for value, ms, _ in samples}
    lost = [(key, value) for key, value in wanted.items() if key not in held]
    check(not lost, len(lost), "of", len(wanted), "are not there:", lost[:3])
    other = [(k, v, held[k]) for k, v in wanted.items() if v != (
        STALE if held[k] == "stale" else struct.unpack("<Q", float_bits(float(held[k])))[0])]
    check(not other, len(other), "are others:", other[:3])
    check(len(wanted) > 12 * SERIES, len(wanted), "were acknowledged")


if __name__ == "__main__":
    main()
