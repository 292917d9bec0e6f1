#!/usr/bin/env python3
"""remote_write 2.0: codes, bodies and headers beside Prometheus's receiver; encodings, negotiation, limits."""
import http.client
import re
import struct
import threading
import time

from harness import (KEPT, WRITE2_HEADERS, WRITE_HEADERS, Raw, check, check_equal, counters, ferula, field, float_bits, histogram_message, main,
                     packed, prometheus, refusals, resident, run_scenario, scenario, snappy_literal, varint, wait_for, write2_request, write2_series,
                     write_sample, write_series, zstd_raw)

NOW = int(time.time() * 1000) // 1000 * 1000
RECEIVER = "--web.enable-remote-write-receiver"
STRICT = "--storage.tsdb.out-of-order.receiver-default=0s"
WRITTEN = ["X-Prometheus-Remote-Write-" + kind + "-Written" for kind in ("Samples", "Histograms", "Exemplars")]

S = ["", "__name__", "a", "x", "1", "2", "job", "help", "seconds", b"\xff\xfe", "b", "c", "trace_id", "abc", "z" * 130]
A, A2, B, C, JOB = [1, 2, 3, 4], [1, 2, 3, 5], [1, 10, 3, 4], [1, 11, 3, 4], [1, 11, 6, 4]


def request(*series):
    return write2_request(S, *series)


def one(refs, *parts):
    return request(write2_series(refs, *parts))


def exemplar(refs, value, ms):
    return field(4, field(1, packed(refs)) + b"\x11" + float_bits(value) + b"\x18" + varint(ms))


def histogram(ms, **options):
    return field(3, histogram_message(ms, **options))


def metadata(kind, help_ref, unit_ref):
    return field(5, b"\x08" + varint(kind) + b"\x18" + varint(help_ref) + b"\x20" + varint(unit_ref))


# (name, request before snappy), sent in this order to both.
REQUESTS = [
    ("good", one(A, write_sample(NOW, 1.0))),
    ("again", one(A, write_sample(NOW, 1.0))),
    ("another value", one(A, write_sample(NOW, 2.0))),
    ("older", one(A, write_sample(NOW - 1000, 2.0))),
    ("older and good", request(write2_series(A, write_sample(NOW - 1000, 2.0), write_sample(NOW + 1, 2.0)),
                               write2_series(A2, write_sample(NOW, 2.0)), write2_series(A, write_sample(NOW - 2000, 2.0)))),
    ("nothing", b""),
    ("first symbol not empty", write2_request(["__name__", "first"], write2_series([0, 1], write_sample(NOW, 1.0)))),
    ("no symbols", write2_request([], write2_series([1, 2], write_sample(NOW, 1.0)))),
    ("odd references", one([1, 2, 3], write_sample(NOW, 1.0))),
    ("value out of range", one([1, 99], write_sample(NOW, 1.0))),
    ("name out of range", one([99, 1], write_sample(NOW, 1.0))),
    ("largest reference", one([4294967295, 1], write_sample(NOW, 1.0))),
    ("out of range and good", request(write2_series([1, 99], write_sample(NOW, 1.0)), write2_series(B, write_sample(NOW, 1.0)))),
    ("reference beyond 32 bits", one([1, (1 << 32) + 2], write_sample(NOW, 1.0))),
    ("no references", one(None, write_sample(NOW, 1.0))),
    ("no name", one([3, 4], write_sample(NOW, 1.0))),
    ("label twice", one([1, 2, 3, 4, 3, 5], write_sample(NOW, 1.0))),
    ("label twice the same", one([1, 2, 3, 4, 3, 4], write_sample(NOW, 1.0))),
    ("unsorted labels", one([3, 5, 1, 10], write_sample(NOW, 1.0))),
    ("empty value", one([1, 2, 3, 0], write_sample(NOW, 1.0))),
    ("empty label name", one([1, 2, 0, 4], write_sample(NOW, 1.0))),
    ("empty metric name", one([1, 0, 3, 4], write_sample(NOW, 1.0))),
    ("invalid utf8", one([1, 2, 3, 9], write_sample(NOW, 1.0))),
    ("no samples", one(A)),
    ("exemplars only", one(A, exemplar([12, 13], 1.0, NOW))),
    ("metadata", one(A, write_sample(NOW + 6, 1.0), metadata(1, 7, 8))),
    ("metadata of another type", one(A, write_sample(NOW + 7, 1.0), metadata(99, 7, 0))),
    ("help out of range", one(A, write_sample(NOW + 8, 1.0), metadata(1, 77, 0))),
    ("far future", one(A, write_sample(NOW + 3600_000, 1.0))),
    ("two hours ago", one([1, 11, 3, 5], write_sample(NOW - 7200_000, 1.0))),
    ("backwards within", one(C, write_sample(NOW, 1.0), write_sample(NOW - 1000, 2.0))),
    ("another value within", one([1, 11, 3, 5], write_sample(NOW, 1.0), write_sample(NOW, 2.0))),
    ("all wrong", request(write2_series([3, 4], write_sample(NOW, 1.0)), write2_series(A, write_sample(NOW - 1000, 1.0)),
                          write2_series(C, write_sample(NOW + 5, 1.0)), write2_series(A, write_sample(NOW + 3600_000, 1.0)))),
    ("start timestamp", one([1, 10, 6, 4], write_sample(NOW, 1.0, start=NOW - 60_000))),
    ("created timestamp", one([1, 10, 6, 5], write_sample(NOW, 1.0), b"\x30" + varint(NOW - 60_000))),
    ("special values", request(*[write2_series([1, 10, 7, i], write_sample(NOW, v)) for i, v in enumerate(
        (float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 0x7FF0000000000002, 0x7FF8000000001234), 2)])),
    ("least time", one(A, write_sample(-(1 << 63), 1.0))),
    ("latest time", one(A, write_sample((1 << 63) - 1, 1.0))),
    ("exemplars", one(A, write_sample(NOW + 20, 1.0), exemplar([12, 13], 1.0, NOW))),
    ("long exemplar", one(A, write_sample(NOW + 21, 1.0), exemplar([12, 14], 2.0, NOW + 5))),
    ("exemplar out of range", one(A, write_sample(NOW + 22, 1.0), exemplar([12, 99], 2.0, NOW + 6))),
    ("exemplar of odd references", one(A, write_sample(NOW + 22, 1.0), exemplar([12], 2.0, NOW + 6))),
    ("exemplar in the far future", one(A, write_sample(NOW + 22, 1.0), exemplar([12, 13], 2.0, NOW + 3600_000))),
    ("references one by one", request(field(5, b"\x08\x01\x08\x02\x08\x06\x08\x04" + write_sample(NOW, 1.0)))),
    ("references in two pieces", request(field(5, field(1, b"\x01\x02") + field(1, b"\x03\x04") + write_sample(NOW + 50, 1.0)))),
    ("symbols behind", write2_series(A, write_sample(NOW + 51, 1.0)) + write2_request(S)),
    ("a request of 1.0", write_series({"__name__": "q"}, [(NOW, 1.0)])),
    ("cut", one(A, write_sample(NOW + 60, 1.0))[:-1]),
    ("wrong length", b"\x2a\xff"),
    ("number as symbols", b"\x20\x01"),
    ("number as series", b"\x28\x01"),
    ("fixed as references", field(5, b"\x0d\x01\0\0\0")),
    ("endless reference", one(None, field(1, b"\x01" + b"\x80" * 11 + b"\x01"))),
    ("number as sample", field(5, b"\x10\x01")),
    ("number as histogram", field(5, b"\x18\x01")),
    ("number as exemplar", field(5, b"\x20\x01")),
    ("number as metadata", field(5, b"\x28\x01")),
    ("bytes as created timestamp", field(5, field(6, b"\x01"))),
    ("end of a group", b"\x2c"),
    ("field 0", b"\x02\x00"),
    ("text", b"hello, world"),
    ("good again", one(A, write_sample(NOW + 70, 1.0))),
]

# Where our answer should be another, or theirs is none: (reason, status, text, written samples).
PANIC = "Prometheus 3.5 panics; 3.14 names the series"
EXPLAINED = {
    "no symbols": (PANIC, 400, "parsing labels for series [1 2]: labelRefs 1 (name) = 2 (value) outside of symbols table (size 0)\n", "0"),
    "odd references": (PANIC, 400, "parsing labels for series [1 2 3]: invalid labelRefs length 3\n", "0"),
    "value out of range": (PANIC, 400, "parsing labels for series [1 99]: labelRefs 1 (name) = 99 (value) outside of symbols table "
                           "(size 15)\n", "0"),
    "name out of range": (PANIC, 400, "parsing labels for series [99 1]: labelRefs 99 (name) = 1 (value) outside of symbols table "
                          "(size 15)\n", "0"),
    "largest reference": (PANIC, 400, "parsing labels for series [4294967295 1]: labelRefs 4294967295 (name) = 1 (value) outside of "
                          "symbols table (size 15)\n", "0"),
    "out of range and good": (PANIC, 400, "parsing labels for series [1 99]: labelRefs 1 (name) = 99 (value) outside of symbols table "
                              "(size 15)\n", "1"),
    "no samples": ("the specification and 3.14 refuse it", 400,
                   'TimeSeries must contain at least one sample or histogram for series {__name__="a", x="1"}\n', "0"),
    "help out of range": (PANIC, 400, "parsing metadata for series [1 2 3 4]: metadata refs 77 (help), 0 (unit) outside of symbols table "
                          "(size 15)\n", "0"),
    "exemplar out of range": (PANIC, 400, 'parsing exemplar for series {__name__="a", x="1"}: labelRefs 12 (name) = 99 (value) outside '
                              "of symbols table (size 15)\n", "1"),
    "exemplar of odd references": (PANIC, 400, 'parsing exemplar for series {__name__="a", x="1"}: invalid labelRefs length 1\n', "1"),
    "exemplars only": ("what is not stored is not said to be written", 204, "", "0"),
    "exemplars": ("what is not stored is not said to be written", 204, "", "1"),
    "long exemplar": ("what is not stored is not said to be written", 204, "", "1"),
}


def send(server, body, headers=WRITE2_HEADERS):
    try:
        return server.request("POST", "/api/v1/write", body, headers)
    except http.client.RemoteDisconnected:
        return None


def written(answer):
    return [answer.headers.get(name) for name in WRITTEN]


def compare_answer(ours, theirs, name, body):
    got, wanted = send(ours, snappy_literal(body)), send(theirs, snappy_literal(body))
    if name in EXPLAINED:
        _, status, text, samples = EXPLAINED[name]
        check_equal((got.status, got.text(), written(got)[0]), (status, text, samples), name)
        if wanted is None:  # they have not kept the good part either
            send(theirs, snappy_literal(one(B, write_sample(NOW, 1.0)))) if name == "out of range and good" else None
            send(theirs, snappy_literal(one(A, write_sample(NOW + 22, 1.0)))) if name.startswith("exemplar") else None
        return
    check(wanted is not None, "no answer", name)
    check_equal((got.status, got.text()), (wanted.status, wanted.text()), name)
    check_equal(written(got), written(wanted), name)
    check_equal(got.headers.get("Content-Type"), wanted.headers.get("Content-Type"), name)


def everything(server):
    found = server.samples('{__name__=~".+"}', at=NOW / 1000 + 120, window="4h")
    return {tuple(n + "=" + v[:20] for n, v in k): v for k, v in found.items()}


INVALID = "prometheus_api_remote_write_invalid_labels_samples_total"
SAMPLE_COUNTERS = f"prometheus_tsdb_(?:out_of_order|out_of_bound|too_old)_samples_total|{INVALID}"


@scenario
def answers_as_prometheus():
    for shards in 1, 3:
        ours = ferula(args=[RECEIVER, STRICT, f"--shards={shards}"])
        theirs = prometheus(args=[RECEIVER])
        for name, body in REQUESTS:
            run_scenario(f"request {name}, {shards} shards", compare_answer, ours, theirs, name, body)
        got, wanted = everything(ours), everything(theirs)
        problems = [f"{k}: {got.get(k)}, wanted {wanted.get(k)}" for k in sorted(set(got) | set(wanted)) if got.get(k) != wanted.get(k)]
        check(not problems, "\n".join(problems)[:2000])
        # Theirs has not counted what it panicked at: six series with references out of range or odd, and the metadata's.
        counted, wanted = counters(ours, SAMPLE_COUNTERS), counters(theirs, SAMPLE_COUNTERS)
        check_equal(counted, {**wanted, INVALID: wanted[INVALID] + 7})
        check_equal(refusals(ours), ({"malformed": 14},  # from "cut" to "text"
                                     {"labels": counted[INVALID], "duplicate": 1, "out_of_order": 4, "out_of_bounds": 2, "in_future": 3}))


HISTOGRAMS = [
    ("good", histogram(NOW)),
    ("again", histogram(NOW)),
    ("another", histogram(NOW, total=2.0)),
    ("older", histogram(NOW - 1000)),
    ("wrong count", histogram(NOW + 1, count=2)),
    ("negative bucket", histogram(NOW + 1, count=2, deltas=(-1,))),
    ("too few buckets", histogram(NOW + 1, spans=((0, 2),))),
    ("negative offset", histogram(NOW + 1, count=2, spans=((0, 1), (-1, 1)), deltas=(1, 0))),
    ("schema 9", histogram(NOW + 1, schema=9)),
    ("least schema", histogram(NOW + 2, schema=-4)),
    ("custom buckets without bounds", histogram(NOW + 3, schema=-53)),
    ("custom buckets", histogram(NOW + 4, schema=-53, custom=(1.0,))),
    ("bounds that fall", histogram(NOW + 5, schema=-53, custom=(1.0, 0.5))),
    ("infinite bound", histogram(NOW + 5, schema=-53, custom=(float("inf"),))),
    ("bound that is none", histogram(NOW + 5, schema=-53, custom=(float("nan"),))),
    ("bounds of an exponential one", histogram(NOW + 5, custom=(1.0,))),
    ("negative zero threshold", histogram(NOW + 5, extra=b"\x29" + float_bits(-1.0))),
    ("sum that is none", histogram(NOW + 5, total=float("nan"))),
    ("count below buckets, sum none", histogram(NOW + 6, total=float("nan"), deltas=(3,))),
    ("float", field(3, b"\x11" + float_bits(3.0) + b"\x19" + float_bits(1.5) + field(11, b"\x10\x02") + field(
        13, packed((1.0, 2.0), float_bits)) + b"\x78" + varint(NOW + 7))),
    ("float, negative", field(3, b"\x11" + float_bits(3.0) + field(11, b"\x10\x01") + field(
        13, packed((-1.0,), float_bits)) + b"\x78" + varint(NOW + 8))),
    ("float, negative count", field(3, b"\x11" + float_bits(-3.0) + b"\x78" + varint(NOW + 8))),
    ("empty", field(3, b"\x78" + varint(NOW + 8))),
    ("gauge", histogram(NOW + 9, hint=3)),
    ("unknown hint", histogram(NOW + 10, hint=77)),
    ("behind a sample", write_sample(NOW + 11, 1.0) + histogram(NOW + 12)),
    ("far future", histogram(NOW + 3600_000)),
    ("far future and wrong", histogram(NOW + 3600_000, count=9)),
    ("latest time", histogram((1 << 63) - 1)),
    ("a float on a histogram", write_sample(NOW + 12, 1.0)),
    ("two of which one is good", histogram(NOW + 13, count=2) + histogram(NOW + 14)),
]


def compare_histogram(ours, theirs, name, part):
    """Prometheus 3.5 has 500 for those that are not valid, 3.14 and we 400."""
    got = send(ours, snappy_literal(one(JOB, part)))
    if name == "bound that is none":  # which 3.5 takes
        check_equal((got.status, got.text()), (400, 'custom buckets: histogram custom bounds must not be NaN for series '
                                                    '{__name__="c", job="1"}\n'))
        return
    wanted = send(theirs, snappy_literal(one(JOB, part)))
    text, status, kept = wanted.text(), wanted.status, written(wanted)
    if status == 500:
        text, status = text[:-1] + ' for series {__name__="c", job="1"}\n', 400
        if name.startswith("two"):
            kept = ["0", "1", "0"]
            send(theirs, snappy_literal(one(JOB, histogram(NOW + 14))))
    check_equal((got.status, got.text(), written(got)), (status, text, kept), name)


@scenario
def histograms_as_prometheus():
    for shards in 1, 3:
        ours = ferula(args=[RECEIVER, STRICT, f"--shards={shards}"])
        theirs = prometheus(args=[RECEIVER, "--enable-feature=native-histograms"])
        for name, part in HISTOGRAMS:
            run_scenario(f"histogram {name}, {shards} shards", compare_histogram, ours, theirs, name, part)
        name = 'prometheus_tsdb_out_of_order_samples_total{type="histogram"}'
        check_equal(counters(ours, SAMPLE_COUNTERS), {name: 1})
        check_equal(counters(theirs, SAMPLE_COUNTERS), {name: 2})  # one that is sent again counts there, though it is success
        check_equal(refusals(ours)[1], {"histogram": 12, "duplicate": 4, "out_of_order": 1, "in_future": 2})


V1 = snappy_literal(write_series({"__name__": "v1"}, [(NOW, 1.0)]))
V2 = snappy_literal(one(A, write_sample(NOW, 1.0)))
P = "application/x-protobuf"
TYPES = [None, "", P, P + ";proto=prometheus.WriteRequest", P + ";proto=io.prometheus.write.v2.Request",
         P + ';proto="io.prometheus.write.v2.Request"', P + ";charset=utf-8;proto=io.prometheus.write.v2.Request",
         P + ";proto=io.prometheus.write.v2.Request;foo", P + ";proto=foo.Bar", P + ";proto=", P + ";", P + " ;proto=prometheus.WriteRequest",
         " " + P + " ", "application/json", "text/plain; charset=utf-8"]


def as_newer(text):
    """The texts of 3.14 where they are others."""
    text = re.sub(r"accepted \[(.*)\]", r"only accepts \1", text)
    return text.replace("; unknown remote write", "; unknown type for remote write")


def compare_type(ours, theirs, kind, encoding):
    body = V2 if kind and "v2" in kind else V1
    headers = {"Content-Encoding": encoding, **({} if kind is None else {"Content-Type": kind})}
    got, wanted = send(ours, body, headers), send(theirs, body, headers)
    lines = as_newer(wanted.text())
    if lines.count("\n") == 2:  # 3.5 goes on behind its first refusal
        lines = lines[:lines.index("\n") + 1]
    check_equal((got.status, got.text(), written(got)), (wanted.status, lines, written(wanted)), f"{kind} {encoding}")


@scenario
def types_and_encodings_as_prometheus():
    for messages in [], ["prometheus.WriteRequest"], ["io.prometheus.write.v2.Request"]:
        args = [RECEIVER, *["--web.remote-write-receiver.accepted-protobuf-messages=" + m for m in messages]]
        ours, theirs = ferula(args=args), prometheus(args=args)
        for kind in TYPES:
            for encoding in ("snappy", "gzip", "SNAPPY", "deflate", "identity"):
                run_scenario(f"type {kind} {encoding} {messages}", compare_type, ours, theirs, kind, encoding)


@scenario
def parameters_may_have_spaces():
    """RFC 9110; Prometheus takes these for 1.0 and keeps nothing of what it answers 204 to."""
    server = ferula(args=[RECEIVER])
    for i, kind in enumerate((P + "; proto=io.prometheus.write.v2.Request", P + ";PROTO=io.prometheus.write.v2.Request")):
        answer = send(server, snappy_literal(one(A, write_sample(NOW + i, 1.0))), {**WRITE2_HEADERS, "Content-Type": kind})
        check_equal((answer.status, written(answer)), (204, ["1", "0", "0"]), kind)


@scenario
def zstd_of_both_messages():
    server = ferula(args=[RECEIVER])
    for i in range(3):
        for headers, body in (WRITE_HEADERS, write_series({"__name__": "z1"}, [(NOW + i, 1.0)])), \
                             (WRITE2_HEADERS, one(A, write_sample(NOW + i, 1.0))):
            answer = send(server, zstd_raw(body), {**headers, "Content-Encoding": "zstd"})
            check_equal(answer.status, 204, answer.text())
    big = write2_request(S, *[write2_series(C, write_sample(NOW - 100_000 + i, float(i))) for i in range(30_000)])
    check_equal(send(server, zstd_raw(big), {**WRITE2_HEADERS, "Content-Encoding": "zstd"}).status, 204)
    found = everything(server)
    check_equal(len(found[("__name__=z1",)]), 3)
    check_equal(len(found[("__name__=a", "x=1")]), 3)
    check_equal([v for _, v in found[("__name__=c", "x=1")]], [str(i) for i in range(30_000)])


FRAME = b"\x28\xb5\x2f\xfd"


def rle(blocks, said=None):
    """A frame of blocks of 128 KiB of zeros each."""
    head = FRAME + (b"\x00\x58" if said is None else b"\xe0" + struct.pack("<Q", said))
    return head + b"".join(struct.pack("<I", (i + 1 == blocks) | 1 << 1 | 131072 << 3)[:3] + b"\0" for i in range(blocks))


BOMBS = [
    ("declared", rle(256, 32 << 20 | 1), "zstd: decoded length 33554433 exceeds limit 33554432\n"),
    ("declared, far", rle(256, 1 << 62), None),
    ("declared, a lie", FRAME + b"\xa0" + struct.pack("<I", 32 << 20) + b"\x01\0\0", "zstd: corrupt input\n"),
    ("real", rle(257), "zstd: decoded length 33554433 exceeds limit 33554432\n"),
    ("real, declared less", rle(300, 1000), "zstd: corrupt input\n"),
    ("real, 13 GB", rle(100_000), "zstd: decoded length 33554433 exceeds limit 33554432\n"),
    ("many frames", rle(128) * 100, None),
    ("cut", rle(100)[:-1], "zstd: corrupt input\n"),
    ("no zstd", b"hello", "zstd: invalid header\n"),
    ("nothing", b"", "zstd: invalid header\n"),
]


def check_bomb(server, body, text):
    for headers in WRITE_HEADERS, WRITE2_HEADERS:
        answer = send(server, body, {**headers, "Content-Encoding": "zstd"})
        check_equal(answer.status, 400, answer.text())
        check(text is None or answer.text() == text, answer.text())


@scenario
def bombs_cost_little():
    server = ferula(args=[RECEIVER, "--shards=1"])
    check_equal(send(server, V1, WRITE_HEADERS).status, 204)
    before = resident(server)
    for name, body, text in BOMBS:
        run_scenario(f"bomb {name}", check_bomb, server, body, text)
    check(resident(server) - before < (150 << 20) + KEPT, "grew by", resident(server) - before)
    check_equal(refusals(server), ({"malformed": 2 * len(BOMBS)}, {}))
    # 32 MiB of zeros are a request that ends at its first field; many of them at once are within a budget.
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(send(server, rle(256), {**WRITE2_HEADERS, "Content-Encoding": "zstd"})))
               for _ in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check(all(a.status in (400, 503) for a in answers), [a.status for a in answers])
    check(all(a.headers.get("Retry-After") for a in answers if a.status == 503), "Retry-After")
    check(resident(server) - before < (600 << 20) + KEPT, "grew by", resident(server) - before)
    wait_for("all are counted, which comes after the answer", lambda: sum(refusals(server)[0].values()) == 2 * len(BOMBS) + 24)
    check_equal(refusals(server)[0].get("memory", 0), sum(a.status == 503 for a in answers))
    check_equal(send(server, V1, WRITE_HEADERS).status, 204)


def hostile_requests():
    """(name, body, status, text): each alone, both messages."""
    for n in 60_000, 1_000_000:
        size = sum(len(f"l{i}") + 3 for i in range(n)) + len("__name__many") + 2  # names, values and a byte each for their sizes
        status, text = (204, "") if size <= 1 << 20 else (400, f"the labels of a series take {size} bytes, at most 1048576 are kept\n")
        many = write_series([("__name__", "many")] + [(f"l{i}", "v") for i in range(n)], [(NOW, 1.0)])
        yield f"{n} labels", WRITE_HEADERS, many, status, text
        symbols = ["__name__", "maNy", "v"] + [f"l{i}" for i in range(n)]
        refs = [0, 1] + [r for i in range(n) for r in (3 + i, 2)]
        yield f"{n} labels, 2.0", WRITE2_HEADERS, write2_request(symbols, write2_series(refs, write_sample(NOW, 1.0))), status, text
    yield "too many symbols", WRITE2_HEADERS, b"\x22\x00" * ((4 << 20) + 1), 400, "too many symbols: at most 4194304\n"
    yield "a million empty series", WRITE2_HEADERS, b"\x2a\x00" * 1_000_000, 400, None
    yield "a million empty series, 1.0", WRITE_HEADERS, b"\x0a\x00" * 1_000_000, 204, ""
    yield "a million empty samples", WRITE2_HEADERS, one(A, b"\x12\x00" * 1_000_000), None, None
    for headers, body in (WRITE2_HEADERS, one(A, b"\x12\x00" * ((4 << 20) + 1))), \
                         (WRITE_HEADERS, write_series({"__name__": "x"}, [], b"\x12\x00" * ((4 << 20) + 1))):
        yield "too many samples", headers, body, 400, "too many samples: at most 4194304\n"
    yield "a million groups in one another", WRITE2_HEADERS, b"\x0b" * 1_000_000, 400, "unexpected EOF\n"


@scenario
def hostile_bodies():
    server = ferula(args=[RECEIVER, "--shards=2"])
    check_equal(send(server, V1, WRITE_HEADERS).status, 204)
    for name, headers, body, status, text in hostile_requests():
        answer = send(server, snappy_literal(body), headers)
        check(status is None or answer.status == status, name, answer.status, answer.text()[:300])
        check(text is None or answer.text() == text, name, answer.text()[:300])
        check(len(answer.text()) < 200_000, name, "answered", len(answer.text()), "bytes")
        check_equal(send(server, V1, WRITE_HEADERS).status, 204, f"behind {name}")
    requests, samples = refusals(server)
    check_equal(samples, {"long_labels": 2})
    check_equal(requests, {"malformed": 4})
    names = [dict(k)["__name__"] for k in server.samples('{__name__=~"ma.y"}', at=NOW / 1000 + 60)]
    check_equal(sorted(names), ["maNy", "many"])


def gauge(server, name):
    return float(re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", server.get("/metrics").text(), re.M).group(1))


def cohorts_of(connect_anew):
    """How many cohorts the head has behind a sender whose target grows with each request."""
    server = ferula(args=[RECEIVER, "--shards=1"])
    raw = Raw(server)
    for i in range(12):
        series = [write_series({"__name__": f"grows_{k}", "job": "j", "instance": "i"}, [(NOW + i * 1000, 1.0)]) for k in range(8 * i + 8)]
        body = snappy_literal(b"".join(series))
        raw.send((f"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
        check_equal(raw.answer().status, 204)
        if connect_anew:
            raw.close()
            wait_for("the connection ends", lambda: gauge(server, "ferula_shard_connections") <= 1)
            raw = Raw(server)
    raw.close()
    return gauge(server, "ferula_tsdb_cohorts")


@scenario
def who_comes_back_is_known():
    """What a sender sends stays together when its connection is cut and made anew, from another port."""
    check_equal(cohorts_of(connect_anew=True), cohorts_of(connect_anew=False))


def head_of(size, extra=""):
    return (f"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: {WRITE2_HEADERS['Content-Type']}\r\n"
            f"Content-Encoding: snappy\r\nContent-Length: {size}\r\n{extra}\r\n")


@scenario
def cut_and_slow_senders():
    """Nothing of a request that did not arrive whole is kept; others do not wait for it."""
    server = ferula(args=[RECEIVER, "--web.read-timeout=5s", "--shards=1"])
    whole = snappy_literal(one(A, write_sample(NOW, 1.0)))
    for size in 0, 1, len(whole) - 1:  # cut off in the middle
        raw = Raw(server)
        raw.send(head_of(len(whole)) .encode() + whole[:size])
        raw.close()
    slow = [Raw(server) for _ in range(20)]
    for raw in slow:
        raw.send(head_of(len(whole)).encode() + whole[:5])
    check_equal(send(server, V1, WRITE_HEADERS).status, 204, "others are served meanwhile")
    for raw in slow:
        answer = raw.answer()  # told that it took too long, or cut off
        check(answer is None or answer.status in (400, 408), answer and answer.status)
        check(raw.closed(), "the connection ends")
        raw.close()
    for body, status, text in ((whole + b"x", 400, "snappy: corrupt input\n"), (whole[:-1], 400, "snappy: corrupt input\n")):
        answer = send(server, body)
        check_equal((answer.status, answer.text()), (status, text))
    raw = Raw(server)
    raw.send(head_of(33 << 20))
    check_equal(raw.answer().status, 413, "told before it is sent")
    raw.close()
    check("__name__=a" not in str(everything(server)), "nothing is kept of it")
    wait_for("each is counted", lambda: refusals(server) == ({"cut": 3 + len(slow), "malformed": 2, "too_large": 1}, {}))
    wait_for("no body is held", lambda: re.search(r"^ferula_http_body_bytes 0$", server.get("/metrics").text(), re.M) or
             "ferula_http_body_bytes" not in server.get("/metrics").text())
    check_equal(send(server, whole).status, 204)


if __name__ == "__main__":
    main()
