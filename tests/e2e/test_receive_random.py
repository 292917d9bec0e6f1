#!/usr/bin/env python3
"""Random requests of remote_write, well formed and mutated, to Ferula and to Prometheus 3.5: the same answers, the same data.

    tests/e2e/test_receive_random.py [--seed=N] [--count=N] [--only=I] [--now=MS]     by default 300 cases of seed 1

A case is some requests of one message to series of its own, and a function of the seed, its number and the time at the start:
--only=I --now=MS sends that case alone again. Compared of each request: status, text, content type and the X-Prometheus-Remote-Write-*-Written headers. At the end, of all
cases, what both hold: samples and histograms bit for bit (theirs by remote read, ours by the storage's own reader after SIGKILL)
and exemplars; start timestamps and hints beside what was sent; those and metadata stay after the restart, with another number of shards.

The server is told to answer as Prometheus (--storage.tsdb.out-of-order.receiver-default=0s). What is left is in KNOWN, by name;
each is counted, and the last lines say how often it was met. A case whose two sides parted in a known way is not compared further.
"""
import collections
import http.client
import json
import os
import random
import re
import struct
import subprocess
import sys
import time

from harness import (BUILD, Counts, WRITE2_HEADERS, WRITE_HEADERS, check, check_equal, ferula, field, float_bits, main, packed, prometheus,
                     run_scenario, scenario, snappy_literal, varint, write2_request, write2_series, write_sample, zigzag)
from wire import bits, fields, labels_of, numbers, signed, unsnappy, unzigzag

OPTIONS = {name: next((int(a.split("=")[1]) for a in sys.argv if a.startswith(f"--{name}=")), default)
           for name, default in (("seed", 1), ("count", 300), ("only", -1), ("now", int(time.time()) * 1000))}
NOW = OPTIONS["now"]
STALE = 0x7FF0000000000002
INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
WRITTEN = ["X-Prometheus-Remote-Write-" + kind + "-Written" for kind in ("Samples", "Histograms", "Exemplars")]
KNOWN = {
    "panics": "Prometheus 3.5 dies of references that are not in the table; we answer 400 in the words of 3.14",
    "bad histogram": "Prometheus 3.5 answers 500 to histograms that are not valid, 3.14 and we 400",
    "empty series": "3.5 takes series without samples by 2.0, the specification, 3.14 and we do not",
    "newer rule": "3.5 takes custom bounds that are not numbers, any schema and any start timestamp, and looks at labels before metadata",
    "recoded": "3.5 compares a histogram that is sent again with what it made of the first, so that it may be another there",
    "exemplar of bad bytes": "exemplars whose labels are not UTF-8 are kept there and dropped here: no answer could carry them",
    "exemplar first": "exemplars of series that have no samples yet: kept here, dropped with a line in the log there",
    "overrun": "a packed number that runs over the end of its field: there the walk goes on behind it, here the message ends too early",
}


# ---- what is sent

VALUES = [0.0, -0.0, 1.0, -2.5, 1e300, 5e-324, float("inf"), float("-inf"), float("nan"), STALE, 0x7FF8000000001234, 123456.789]
NAMES = ["job", "instance", "a", "b", "z", "le", "__x__", "with.dot", "ünï", "0digit"]
TEXTS = ["1", "2", "x", "", "é", "x" * 70, "with space", "\u2028"]


def a_time(r):
    """Ascending is usual; far away and at the limits sometimes."""
    kind = r.random()
    if kind < 0.9:
        return NOW - r.randrange(60) * 1000
    return r.choice([NOW + 3600_000, NOW - 7200_000, INT64_MIN, INT64_MAX, 0, -1, NOW + 60_000])


def some_labels(r, name):
    """Pairs, most often as they should be."""
    pairs = [("__name__", name)] + [(n, r.choice(TEXTS[:3])) for n in r.sample(NAMES, r.randrange(3))]
    pairs.sort()
    if r.random() < 0.15:
        trouble = r.randrange(8)
        if trouble == 0:
            pairs = pairs[1:] if pairs[0][0] == "__name__" else pairs[:-1]
        elif trouble == 1:
            pairs.append((pairs[-1][0], r.choice(["1", pairs[-1][1]])))
        elif trouble == 2:
            pairs.insert(r.randrange(len(pairs) + 1), ("", "x"))
        elif trouble == 3:
            pairs.append((r.choice(NAMES), ""))
        elif trouble == 4:
            r.shuffle(pairs)
        elif trouble == 5:
            pairs.append(("bad", b"\xff\xfe"))
        elif trouble == 6:
            pairs.append((b"\xc3\x28", "x"))
        else:
            pairs.append(("many", r.choice(TEXTS)))
    return pairs


def a_histogram(r, name, ms, is_float, start):
    """A message Histogram, of any kind; sometimes not valid."""
    schema = r.choice([0, 0, 1, 3, -4, 8, -53, -53])
    hint, stale = r.choice([0, 0, 0, 1, 2, 3, 3]), r.random() < 0.08
    trouble = r.randrange(12) if r.random() < 0.2 else -1
    sides, count = {}, 0
    custom = sorted(r.sample([0.1, 0.5, 1.0, 2.5, 5.0, 10.0], r.randrange(1, 5))) if schema == -53 else []
    for side in ("positive",) if schema == -53 else ("positive", "negative"):
        room = len(custom) + 1 if custom else 9
        spans, counts, at = [], [], 0
        for _ in range(r.randrange(3)):
            offset, length = r.randrange(0, 3), r.randrange(1, 4)
            if at + offset + length > room:
                break
            spans.append((offset, length))
            counts += [r.choice([0, 1, 2, 7, 1000]) for _ in range(length)]
            at += offset + length
        sides[side] = (spans, counts)
        count += sum(counts)
    zero = r.choice([0, 1, 5]) if not custom else 0
    count += zero
    total = STALE if stale else r.choice([1.5, 0.0, -3.25, 1e10, float("nan"), float("inf")])
    if trouble == 0:
        count += r.choice([-1, 1, 5]) if count else 1
    elif trouble == 1:
        schema = r.choice([9, 20, 52, 53, -5, -54, 100])
    elif trouble == 2:
        custom = custom[::-1] + [1.0, 1.0]
    elif trouble == 3:
        custom = custom + [r.choice([float("inf"), float("nan")])]
    elif trouble == 4 and sides["positive"][0]:
        sides["positive"][0].append((r.choice([-1, 0]), 1))
    elif trouble == 5 and sides["positive"][1]:
        sides["positive"][1][0] = -1
    elif trouble == 6:
        sides["positive"][1].append(1)
    elif trouble == 7:
        ms = r.choice([NOW + 3600_000, INT64_MIN, INT64_MAX])
    elif trouble == 8:
        custom, sides["negative"] = custom + [50.0], ([(0, 1)], [1])
        count += 1
    count = max(count, 0)
    threshold = 0.0 if custom else r.choice([0.0, 2.0 ** -128, 0.001])
    out = (b"\x11" + float_bits(float(count)) if is_float else b"\x08" + varint(count)) + b"\x19" + float_bits(total)
    out += b"\x20" + zigzag(schema) + b"\x29" + float_bits(threshold if trouble != 9 else -1.0)
    out += b"\x39" + float_bits(float(zero)) if is_float else b"\x30" + varint(zero)
    for side, span, delta, absolute in ("negative", 8, 9, 10), ("positive", 11, 12, 13):
        spans, counts = sides.get(side, ([], []))
        for offset, length in spans:
            out += field(span, b"\x08" + zigzag(offset) + b"\x10" + varint(length))
        if is_float:
            out += field(absolute, packed([float(n) for n in counts], float_bits)) if counts else b""
        elif counts:
            out += field(delta, packed([b - a for a, b in zip([0] + counts, counts)], zigzag))
    HINTS[name, ms].add(hint)
    if hint:
        out += b"\x70" + varint(hint)
    out += b"\x78" + varint(ms)
    if custom:
        out += field(16, packed(custom, float_bits))
        BOUNDS.add((ms, ",".join(f"{bits(float_bits(b)):016x}" for b in custom)))
    return out + (b"\x88\x01" + varint(start) if start is not None else b"")


def exemplar_pairs(r):
    pairs = [("trace_id", r.choice(["a", "b", "c" * 60]))]
    if r.random() < 0.2:
        pairs.append(r.choice([("span", "x"), ("trace_id", "again"), ("", ""), ("long", "z" * 80), ("é", "ü")]))
    return pairs


FLOATS, INTEGERS, FLOAT_HISTOGRAMS = range(3)


class Items:
    """The parts of one series: floats or histograms, exemplars; times go on from those before, most often.

    In a request all of a metric are of one kind: 3.5 keeps floats first, then integer histograms, then those of floats, and drops
    in silence what is then out of order. 3.14 and we keep what was sent in its order. For the same reason no stale marker is among
    floats behind histograms."""

    def __init__(self, r, name, clock, kind, values):
        self.samples, self.histograms, self.exemplars = [], [], []
        for _ in range(r.choice([0, 1, 1, 1, 2, 3])):
            clock[0] += r.choice([0, 1, 1000, 1000, 1000])
            ms = clock[0] if r.random() < 0.85 else a_time(r)
            start = r.choice([None, None, 0, ms - 60_000])
            STARTS[name, ms].add(start or 0)
            if kind == FLOATS:
                self.samples.append((ms, r.choice(values), start))
            else:
                self.histograms.append(a_histogram(r, name, ms, kind == FLOAT_HISTOGRAMS, start))
        for k in range(r.choice([0, 0, 0, 1, 2]) if r.random() < 0.1 or self.samples or self.histograms else 0):
            ms = clock[0] + k if r.random() < 0.85 else a_time(r)
            self.exemplars.append((ms, r.choice(VALUES[:8]), exemplar_pairs(r)))
        if self.exemplars and r.random() < 0.1:
            self.exemplars.append(self.exemplars[0])


def request_v1(r, names, clock, kinds):
    out = b""
    for _ in range(r.choice([0, 1, 1, 2, 3, 5])):
        name = r.choice(names)
        items = Items(r, name, clock, *kinds[name])
        body = b"".join(field(1, field(1, n) + field(2, v)) for n, v in some_labels(r, name))
        body += b"".join(field(2, b"\x09" + float_bits(v) + b"\x10" + varint(ms)) for ms, v, _ in items.samples)
        for ms, value, pairs in items.exemplars:
            body += field(3, b"".join(field(1, field(1, n) + field(2, v)) for n, v in pairs) + b"\x11" + float_bits(value) +
                          b"\x18" + varint(ms))
        body += b"".join(field(4, h) for h in items.histograms)
        out += field(1, body)
    if r.random() < 0.1:
        out += field(3, b"\x08" + varint(r.randrange(9)) + field(2, names[0]) + field(4, "help"))
    return out


def request_v2(r, names, clock, kinds):
    symbols = [""]

    def ref(text):
        if text not in symbols or r.random() < 0.02:
            symbols.append(text)
        return symbols.index(text)

    def refs(pairs):
        return [ref(t) for pair in pairs for t in pair]
    series = []
    for _ in range(r.choice([0, 1, 1, 2, 3, 5])):
        name = r.choice(names)
        items, labels = Items(r, name, clock, *kinds[name]), refs(some_labels(r, name))
        if labels and r.random() < 0.02:
            labels[r.randrange(len(labels))] = r.choice([99, 1 << 31])
        if labels and r.random() < 0.01:
            labels.pop()
        parts = [write_sample(ms, v, start) for ms, v, start in items.samples]
        parts += [field(3, h) for h in items.histograms]
        for ms, value, pairs in items.exemplars:
            parts.append(field(4, field(1, packed(refs(pairs))) + b"\x11" + float_bits(value) + b"\x18" + varint(ms)))
        if r.random() < 0.3:
            parts.append(field(5, b"\x08" + varint(r.randrange(10)) + b"\x18" + varint(ref("help")) + b"\x20" + varint(ref("s"))))
        series.append(write2_series(labels, *parts))
    return write2_request(symbols, *series)


def mutated(r, body):
    """Some bytes are others, gone, twice or new; or the end is missing."""
    data = bytearray(body)
    for _ in range(r.choice([1, 1, 2, 4])):
        at = r.randrange(len(data) + 1)
        kind = r.randrange(5)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << r.randrange(8)
        elif kind == 1:
            data[at:at + r.choice([1, 1, 8])] = b""
        elif kind == 2:
            data[at:at] = bytes(r.randrange(256) for _ in range(r.choice([1, 2, 9])))
        elif kind == 3:
            data[at:at] = data[at:at + 12]
        else:
            del data[at:]
    return bytes(data)


BOUNDS = set()  # all that were sent, as bits: 3.5's remote read leaves them out
# By metric and time, all that were sent: 3.5 keeps no start timestamps, and makes hints anew.
COMPARED = collections.Counter()
STARTS, HINTS = collections.defaultdict(set), collections.defaultdict(set)


def check_digits(number):
    """So that no name of a case becomes one of another when some bytes change."""
    return f"{number * 7919 % 9973:04}"


class Case:
    def __init__(self, seed, number):
        r = random.Random(f"{seed}/{number}")
        self.number, self.is_v2 = number, r.random() < 0.6
        clock = [NOW - 60_000 + r.randrange(20_000)]
        self.headers = WRITE2_HEADERS if self.is_v2 else WRITE_HEADERS
        names = [f"r{number}_{check_digits(number)}_{x}" for x in "abc"[:r.randrange(1, 4)]]
        self.mutates = mutates = r.random() < 0.3
        self.requests, had_histograms = [], set()
        for _ in range(r.randrange(1, 6)):
            kinds = {}
            for name in names:
                kind = r.choice([FLOATS, FLOATS, INTEGERS, FLOAT_HISTOGRAMS])
                had_histograms |= {name} if kind != FLOATS else set()
                kinds[name] = (kind, [v for v in VALUES if v != STALE or name not in had_histograms])
            body = (request_v2 if self.is_v2 else request_v1)(r, names, clock, kinds)
            self.requests.append(mutated(r, body) if mutates and r.random() < 0.7 else body)
            if r.random() < 0.15:
                self.requests.append(self.requests[-1])  # a retry


# ---- what is answered

def send(server, headers, body):
    try:
        return server.request("POST", "/api/v1/write", snappy_literal(body), headers)
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return None


def said(answer):
    return answer.status, answer.text(), answer.headers.get("Content-Type"), [answer.headers.get(n) for n in WRITTEN]


EMPTY = "TimeSeries must contain at least one sample or histogram for series "


class Run:
    def __init__(self, theirs, ours):
        self.theirs, self.ours, self.met, self.parted = theirs, ours, collections.Counter(), set()

    def part(self, case, name):
        self.met[name] += 1
        self.parted.add(case.number)

    def compare(self, case):
        for i, body in enumerate(case.requests):
            where = f"case {case.number}, request {i}: {body.hex()}"
            ours, theirs = send(self.ours, case.headers, body), send(self.theirs, case.headers, body)
            check(ours is not None and ours.status in (204, 400), where, ours and (ours.status, ours.text()))
            if case.number in self.parted:
                continue
            if theirs is None:
                check_equal(ours.status, 400, where)
                self.part(case, "panics")
                continue
            got, wanted = said(ours), said(theirs)
            if re.search("custom bounds must not be NaN|has an invalid schema|parsing metadata|StartTimestamp", got[1]) and got != wanted:
                self.part(case, "newer rule")
                continue
            if got[1] == "unexpected EOF\n" and got != wanted:
                self.part(case, "overrun")
                continue
            if theirs.status == 500:
                self.met["bad histogram"] += 1
                check(ours.status == 400 and wanted[1].strip().split("\n")[-1] in got[1], where, got, wanted)
                if case.is_v2:
                    self.parted.add(case.number)  # which keeps what is good
                continue
            if EMPTY in got[1]:
                self.met["empty series"] += 1
                lines = [line for line in got[1].split("\n") if not line.startswith(EMPTY)]
                got = (400, "\n".join(lines), *got[2:]) if "".join(lines) else (204, "", None, got[3])
            if case.mutates and self.is_of_bad_bytes(got, wanted):
                self.part(case, "exemplar of bad bytes")
                continue
            if self.is_recoded(got, wanted):
                self.part(case, "recoded")
                continue
            if self.is_exemplar_first(got, wanted):
                self.part(case, "exemplar first")
                continue
            check_equal(got, wanted, where)

    def is_of_bad_bytes(self, got, wanted):
        return got[:2] == wanted[:2] and got[3][:2] == wanted[3][:2] and got[3][2] and int(got[3][2]) < int(wanted[3][2])

    def is_recoded(self, got, wanted):
        """All is the same but that a histogram is a duplicate there."""
        lines = [line for line in wanted[1].split("\n") if not line.startswith("duplicate sample for timestamp")]
        same = [line for line in got[1].split("\n") if not line.startswith("duplicate sample for timestamp")]
        return "duplicate sample for timestamp" in wanted[1] and (wanted[3][1] is None and got[0] == 204 or lines == same and (
            got[3][1] is not None and int(got[3][1]) > int(wanted[3][1])))

    def is_exemplar_first(self, got, wanted):
        """All is the same but that more exemplars were written, or judged."""
        lines = [line for line in got[1].split("\n") if not line.startswith("out of order exemplar")]
        same = [line for line in wanted[1].split("\n") if not line.startswith("out of order exemplar")]
        return got[3][:2] == wanted[3][:2] and lines == same and got[3][2] and int(got[3][2]) > int(wanted[3][2])


# ---- what is kept

def sample_text(value_bits):
    """Remote read leaves out -0, which is then 0."""
    return "stale" if value_bits == STALE else repr(struct.unpack("<d", struct.pack("<Q", value_bits))[0] or 0.0)


def read_histogram(data):
    """(ms, text) of prompb's Histogram: buckets that hold something, and all else by its bits."""
    f = collections.defaultdict(list)
    for number, value in fields(data):
        f[number].append(value)
    is_float, ms = 2 in f, signed(f[15][0]) if f[15] else 0
    total = bits(f[3][0]) if f[3] else 0
    if total == STALE:
        return ms, "stale"

    def one(integer, float_):
        return f"{bits(f[float_][0]) if f[float_] else 0:016x}" if is_float else str(f[integer][0] if f[integer] else 0)

    schema = unzigzag(f[4][0]) if f[4] else 0

    def side(spans, deltas, counts):
        """Buckets that hold something; of schemas above 8, which 3.5 keeps as they are, those of schema 8."""
        listed = [struct.unpack("<d", x)[0] for c in f[counts] for x in numbers(c, 8)] if is_float else []
        if not is_float:
            at = 0
            for delta in (unzigzag(x) for d in f[deltas] for x in numbers(d)):
                at += delta
                listed.append(at)
        out, index, k = collections.Counter(), 0, 0
        for span in f[spans]:
            s = dict(fields(span))
            index += unzigzag(s.get(1, 0))
            for _ in range(s.get(2, 0)):
                if listed[k]:
                    out[((index - 1) >> max(schema - 8, 0)) + 1] += listed[k]
                index, k = index + 1, k + 1
        return ",".join(f"{i}:{bits(float_bits(n)):016x}" if is_float else f"{i}:{n}" for i, n in sorted(out.items()))
    gauge = f[14] and f[14][0] == 3
    threshold = bits(f[5][0]) if f[5] else 0
    return ms, (f"[{'f' if is_float else ''}{min(schema, 8)},{'gauge' if gauge else ''},{one(1, 2)},{one(6, 7)},{threshold:016x},{total:016x}|"
                f"{side(11, 12, 13)}|{side(8, 9, 10)}]")


def held_by_theirs(server):
    """{labels: [(ms, text)]} by remote read."""
    query = b"\x08" + varint(INT64_MIN) + b"\x10" + varint(INT64_MAX) + field(3, b"\x08\x02" + field(2, "__name__") + field(3, ".+"))
    answer = server.request("POST", "/api/v1/read", snappy_literal(field(1, query)),
                            {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
                             "X-Prometheus-Remote-Read-Version": "0.1.0"})
    check_equal(answer.status, 200, answer.text()[:300])
    out = {}
    for _, result in fields(unsnappy(answer.body)):
        for _, series in fields(result):
            labels, samples = [], []
            for number, value in fields(series):
                if number == 1:
                    pair = dict(fields(value))
                    labels.append((pair.get(1, b"").decode(), pair.get(2, b"").decode()))
                elif number == 2:
                    s = dict(fields(value))
                    samples.append((signed(s.get(2, 0)), sample_text(bits(s.get(1, bytes(8))))))
                elif number == 4:
                    samples.append(read_histogram(value))
            out[tuple(sorted(labels))] = sorted(samples)
    return out


def check_beside(labels, ms, start, value, of_v1, mutated_cases):
    """What a sample has beside its value: as it was sent, and 1.0 has no start timestamps."""
    key, number = (dict(labels).get("__name__"), ms), number_of(labels)
    if number in mutated_cases or key not in STARTS:
        return
    check(start in ({0} if number in of_v1 else STARTS[key]), "start", start, labels, ms, STARTS[key])
    hint = value[1:].split(",")[1] if value.startswith("[") else ""
    check(not hint or int(hint) in HINTS[key], "hint", hint, labels, ms, HINTS[key])
    COMPARED["start timestamps"] += start != 0
    COMPARED["hints"] += hint not in ("", "0")


def held_by_ours(folder, of_v1, mutated_cases):
    done = subprocess.run([os.path.join(BUILD, "tests", "lib", "dump_folder"), folder], capture_output=True, text=True)
    check_equal((done.returncode, done.stderr), (0, ""), "dump_folder")
    out = {}
    for line in done.stdout.split("\n")[:-1]:
        at = re.match(r'(?:[^"{ ]*)(?:\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})?', line).end()
        samples = []
        for value, ms, start in re.findall(r" (\S+?)@(-?\d+)(?:<(-?\d+))?(?= |$)", line[at:]):
            check_beside(labels_of(line[:at]), int(ms), int(start or 0), value, of_v1, mutated_cases)
            if value.startswith("["):
                head, positive, negative, custom = value[1:-1].split("|")
                schema, hint, count, zero, threshold, total = head.split(",")

                def full(side):
                    return ",".join(b for b in side.split(",") if b and int(b.split(":")[1], 16))
                value = "stale" if int(total, 16) == STALE else (f"[{schema},{'gauge' if hint == '3' else ''},{count},{zero},{threshold},"
                                                                 f"{total}|{full(positive)}|{full(negative)}]")
                check(not custom or (int(ms), custom) in BOUNDS or number_of(labels_of(line[:at])) in mutated_cases, line)
            elif value != "stale":
                value = repr(float(value.replace("Inf", "inf").replace("NaN", "nan")) or 0.0)
            samples.append((int(ms), value))
        out[labels_of(line[:at])] = sorted(samples)
    return out


def number_of(labels):
    """Of the case that a series is of; -1: a mutated name."""
    found = re.fullmatch(r"r(\d+)_(\d+)_[abc]", dict(labels).get("__name__", ""))
    return int(found.group(1)) if found and check_digits(int(found.group(1))) == found.group(2) else -1


def exemplars(server):
    answer = server.get("/api/v1/query_exemplars", {"query": '{__name__=~".+"}', "start": "0", "end": str(NOW // 1000 + 7200)})
    return {tuple(sorted(s["seriesLabels"].items())): s["exemplars"] for s in json.loads(answer.text())["data"]}


def compare_exemplars(got, wanted, parted, of_v1, met):
    """By 1.0 nobody says how many were written: ours may be more, see "exemplar first"."""
    for labels in list(got):
        if number_of(labels) in of_v1 and got[labels] != wanted.get(labels, []):
            if any(x not in wanted.get(labels, []) for x in got[labels]):
                met["exemplar first"] += 1
                got[labels] = wanted.get(labels, [])
    compare_held(got, wanted, parted)


def compare_held(got, wanted, parted):
    problems = [f"{k}: {got.get(k)}, wanted {wanted.get(k)}" for k in sorted(set(got) | set(wanted))
                if got.get(k, []) != wanted.get(k, []) and number_of(k) not in parted | {-1}]
    check(not problems, len(problems), "series differ\n" + "\n".join(p[:1500] for p in problems[:5]))


@scenario
def random_requests():
    features = "--enable-feature=exemplar-storage,native-histograms"
    ours = ferula(args=["--web.enable-remote-write-receiver", "--storage.tsdb.out-of-order.receiver-default=0s", "--shards=2", features])
    theirs = prometheus(args=["--web.enable-remote-write-receiver", features])
    run, of_v1, mutated_cases = Run(theirs, ours), set(), {-1}
    wanted = range(OPTIONS["count"]) if OPTIONS["only"] < 0 else [OPTIONS["only"]]
    first = snappy_literal(field(1, field(1, field(1, "__name__") + field(2, "first")) + field(2, b"\x09" + float_bits(1.0) + b"\x10" + varint(NOW))))
    for server in ours, theirs:
        check_equal(server.request("POST", "/api/v1/write", first, WRITE_HEADERS).status, 204)
    for number in wanted:
        case = Case(OPTIONS["seed"], number)
        if not case.is_v2:
            of_v1.add(number)
        if case.mutates:
            mutated_cases.add(number)
        before = Counts.failed
        run_scenario(f"case {number} of seed {OPTIONS['seed']}, --now={NOW}", run.compare, case)
        if Counts.failed > before:
            run.parted.add(number)
    shown, said = exemplars(ours), ours.api("metadata")
    check(said or OPTIONS["only"] >= 0, "2.0 says what metrics are")
    run_scenario("exemplars", compare_exemplars, dict(shown), exemplars(theirs), run.parted, of_v1, run.met)
    ours.kill()
    ours.args = [a.replace("--shards=2", "--shards=3") for a in ours.args]
    ours.restart()
    run_scenario("exemplars after a restart", compare_held, exemplars(ours), shown, set())
    run_scenario("metadata after a restart", check_equal, ours.api("metadata"), said)
    ours.kill()
    run_scenario("samples", compare_held, held_by_ours(ours.data, of_v1, mutated_cases), held_by_theirs(theirs), run.parted)
    check(all(COMPARED[what] for what in ("start timestamps", "hints")) or OPTIONS["only"] >= 0, COMPARED)
    print("known differences met: " + (", ".join(f"{name} {n}" for name, n in run.met.items()) or "none"), flush=True)


if __name__ == "__main__":
    main()
