#!/usr/bin/env python3
"""ferula-loadgen, as a receiver sees it: each option, checked in the requests that arrive, read by a decoder of this file."""
import ctypes
import itertools
import json
import lzma
import math
import os
import statistics
import struct
import subprocess
import time

from harness import BUILD, PATIENCE_S, TOP, FakeTarget, Reply, Skip, cases, check, check_equal, main, run_scenario, scenario, temp_folder, write_file

LOADGEN = os.path.join(BUILD, "tools", "ferula-loadgen")
START = 1_780_000_000
STALE = 0x7ff0000000000002


# ---- what arrives

MESSAGE_MAX = 8 << 20
_zstd, _snappy = ctypes.CDLL("libzstd.so.1"), ctypes.CDLL("libsnappy.so.1")
_zstd.ZSTD_decompress.restype = ctypes.c_size_t


def uncompress(body, encoding):
    """By libsnappy and libzstd; None: it cannot be read."""
    n, size = ctypes.c_size_t(), ctypes.c_size_t(len(body))
    if encoding == "zstd":
        n.value = min(MESSAGE_MAX, 256 * len(body) + 1024)
        out = ctypes.create_string_buffer(n.value)
        got = _zstd.ZSTD_decompress(out, n, body, size)
        return None if _zstd.ZSTD_isError(ctypes.c_size_t(got)) else out.raw[:got]
    if _snappy.snappy_uncompressed_length(body, size, ctypes.byref(n)) or n.value > MESSAGE_MAX:
        return None
    out = ctypes.create_string_buffer(n.value + 1)
    return None if _snappy.snappy_uncompress(body, size, out, ctypes.byref(n)) else out.raw[:n.value]


def varint_at(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7f) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def fields(data):
    """(number, content): an int, or bytes."""
    at = 0
    while at < len(data):
        tag, at = varint_at(data, at)
        if tag & 7 == 0:
            value, at = varint_at(data, at)
        else:
            n = 8
            if tag & 7 == 2:
                n, at = varint_at(data, at)
            elif tag & 7 != 1:
                raise ValueError(f"wire type {tag & 7}")
            value, at = data[at:at + n], at + n
            if at > len(data):
                raise ValueError("too long")
        yield tag >> 3, value


def numbers(data):
    at, out = 0, []
    while at < len(data):
        value, at = varint_at(data, at)
        out.append(value)
    return out


def unzigzag(n):
    return n >> 1 ^ -(n & 1)


class Series:
    """labels: a dict; samples: [(ms, bits)]; histograms: [(ms, count, sum, counts of buckets)]."""

    def __init__(self, labels, key):
        self.labels, self.key, self.samples, self.histograms = labels, key, [], []

    @property
    def name(self):
        return self.labels["__name__"]

    @property
    def is_sequence(self):
        return self.name == "loadgen_sequence"


def histogram_of(data):
    got = dict(fields(data))
    buckets = list(itertools.accumulate(unzigzag(n) for n in numbers(got[12])))
    return got[15], got[1], struct.unpack("<d", got[3])[0], buckets


_labels_of = {}  # by their bytes: they come again and again


def labels_1(data):
    if data not in _labels_of:
        _labels_of[data] = {}
        for _, pair in fields(data):
            both = dict(fields(pair))
            _labels_of[data][both[1].decode()] = both[2].decode()
    return _labels_of[data]


def series_of(request):
    """Of a request of 1.0 or 2.0; None: it cannot be read."""
    data = uncompress(request.body, request.headers["Content-Encoding"])
    is_v2 = "v2.Request" in request.headers["Content-Type"]
    if data is None:
        return None
    try:
        return read_series(data, is_v2)
    except (ValueError, IndexError):
        return None


def read_series(data, is_v2):
    out, symbols = [], []
    for number, message in fields(data):
        if is_v2 and number == 4:
            symbols.append(message.decode())
        if number != (5 if is_v2 else 1):
            continue
        # Labels come first, then samples of 18 bytes or histograms.
        at = 0
        while at < len(message) and message[at] == 0x0a:
            n, body = varint_at(message, at + 1)
            at = body + n
        if is_v2:
            refs = numbers(next(v for n, v in fields(message[:at])))
            labels = {symbols[refs[i]]: symbols[refs[i + 1]] for i in range(0, len(refs), 2)}
        else:
            labels = labels_1(message[:at])
        one = Series(labels, tuple(sorted(labels.items())) if is_v2 else message[:at])
        for n, v in fields(message[at:]):
            if n == 2:
                sample = dict(fields(v))
                one.samples.append((sample[2], struct.unpack("<Q", sample[1])[0]))
            elif n == (3 if is_v2 else 4):
                one.histograms.append(histogram_of(v))
        out.append(one)
    return out


def value(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


class Receiver(FakeTarget):
    """Takes everything that can be read, answers 400 to the rest; requests have their series and the time of their arrival."""

    def __init__(self, delay=lambda request: 0.0):
        super().__init__(self.take)
        self.delay = delay

    def take(self, request):
        request.at_ms = time.time() * 1000
        request.is_whole = len(request.body) == int(request.headers.get("Content-Length") or -1)
        request.series = series_of(request) if request.is_whole else None
        time.sleep(self.delay(request))
        return Reply("", 400 if request.series is None else 204)

    def good(self):
        return [r for r in self.requests if r.series is not None]

    def series(self, with_sequences=False):
        return [s for r in self.good() for s in r.series if with_sequences or not s.is_sequence]


def send(receiver, *flags, timeout=PATIENCE_S):
    """The JSON of a run, and what it printed."""
    path = os.path.join(temp_folder(), "result.json")
    duration = [] if any(f.startswith("--duration=") for f in flags) else ["--duration=10m"]  # --rounds end it
    done = subprocess.run([LOADGEN, "remote-write", "--no-read-back", f"--json={path}", *flags, *duration, f"http://{receiver.address}/w"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)
    with open(path) as f:
        result = json.load(f)
    return result, done.stdout + done.stderr


# An exporter of a few series, so that there can be many targets.
FEW = "# TYPE a_total counter\n" + "".join(f'a_total{{n="{i}"}} {1000 * i + 7}\n' for i in range(3)) + "b 5\n# EOF\n" \
      "# TYPE a_total counter\n" + "".join(f'a_total{{n="{i}"}} {1000 * i + 9 + i}\n' for i in range(3)) + "b 7.5\n"


def few():
    return f"--capture={write_file(os.path.join(temp_folder(), 'few.capture'), FEW)}"


# ---- options

@scenario
@cases(3)
def test_split():
    """Which connection carries what."""
    def check_split(split):
        receiver = Receiver()
        result, out = send(receiver, "--series=3000", "--exporter=cadvisor", "--batch=300", "--connections=3", f"--split={split}", "--rounds=6",
                           f"--start={START}")
        check_equal(result["requests"], len(receiver.requests), out)
        of_series, of_instance = {}, {}
        for r in receiver.good():
            for s in r.series:
                if not s.is_sequence:
                    of_series.setdefault(s.key, []).append(r.connection)
                    of_instance.setdefault(s.labels["instance"], set()).add(r.connection)
        check_equal({len(v) for v in of_series.values()}, {6}, "each series in each round, once")
        check_equal(result["series"], len(of_series) + result["requests"] // 6)
        spread = {len(set(v)) for v in of_series.values()}
        check_equal(set().union(*of_instance.values()), {1, 2, 3})
        if split == "target":
            check_equal({len(v) for v in of_instance.values()}, {1})
        elif split == "hash":
            check_equal((spread, {len(v) for v in of_instance.values()}), ({1}, {3}))
        else:
            check(max(spread) > 1, "a series goes over several connections", spread)
    for split in ("target", "hash", "time"):
        run_scenario(f"split by {split}", check_split, split)


@scenario
def test_form_of_requests():
    """Batch, samples of a series and their distance, headers of the user."""
    receiver = Receiver()
    result, out = send(receiver, "--series=1800", "--batch=128", "--samples=5", "--step=15s", f"--start={START}", "--rounds=3",
                       "--connections=2", "--header=Authorization=Bearer abc", "--header=X-Scope-OrgID=7", "--labels=14")
    good = receiver.good()
    check_equal((len(good), result["requests"]), (len(receiver.requests), len(receiver.requests)), out)
    check_equal(max(len(r.series) for r in good), 128)
    check_equal({(r.headers["Authorization"], r.headers["X-Scope-OrgID"], r.headers["X-Prometheus-Remote-Write-Version"]) for r in good},
                {("Bearer abc", "7", "0.1.0")})
    times = {}
    for s in receiver.series():
        check_equal([t - s.samples[0][0] for t, _ in s.samples], [i * 15_000 for i in range(5)])
        times.setdefault(s.key, []).extend(t for t, _ in s.samples)
    check_equal({tuple(t) for t in times.values()}, {tuple(START * 1000 + i * 15_000 for i in range(15))})
    check_equal(result["samples"], sum(len(s.samples) for s in receiver.series(with_sequences=True)))
    check(all(len(s.labels) >= 15 and list(s.labels) == sorted(s.labels) for s in receiver.series()))
    check_equal(result["answers"], {"204": len(good)})


@scenario
@cases(6)
def test_protocols():
    """The same samples by each protocol, with each compression, from templates and encoded live."""
    seen = {}

    def check_same(flags):
        receiver = Receiver()
        result, out = send(receiver, "--series=1800", "--batch=400", "--connections=2", "--rounds=3", "--samples=2", f"--start={START}",
                           "--step=10s", "--histograms=2", *flags)
        check_equal(len(receiver.good()), len(receiver.requests), out)
        got = {(tuple(sorted(s.labels.items())), tuple(s.samples), tuple((t, n, x, *b) for t, n, x, b in s.histograms))
               for s in receiver.series()}
        seen.setdefault("first", got)
        check(len(got) > 5000 and got == seen["first"], len(got), len(seen["first"]))
    for protocol, compression, live in (("1", "snappy", ()), ("1", "zstd", ()), ("2", "snappy", ()), ("2", "zstd", ()),
                                        ("1", "snappy", ("--live",)), ("2", "zstd", ("--live",))):
        run_scenario(f"{protocol}.0, {compression}{', live' if live else ''}", check_same,
                     [f"--protocol={protocol}", f"--compression={compression}", *live])


@scenario
def test_histograms():
    """Native ones: a count is the sum of its buckets, and nothing shrinks."""
    receiver = Receiver()
    send(receiver, "--series=904", "--histograms=4", "--rounds=5", f"--start={START}", "--connections=1")
    found = {}
    for s in receiver.series():
        for t, count, total, buckets in s.histograms:
            check(count == sum(buckets) > 0 or t == START * 1000, s.labels, count, buckets)
            check(total >= 0 and len(buckets) == 8)
            found.setdefault(s.labels["handler"], []).append((t, count, buckets))
    check_equal(sorted(found), [f"/api/{i}" for i in range(4)])
    for one in found.values():
        check_equal(len(one), 5)
        check(all(a[1] <= b[1] and all(x <= y for x, y in zip(a[2], b[2])) for a, b in zip(one, one[1:])), one)


@scenario
def test_rate():
    """Samples are dated and sent by a schedule, never before it; what waited behind a slow answer is told by it."""
    receiver = Receiver(lambda r: 1.0 if r.number == 10 else 0.0)
    result, out = send(receiver, few(), "--series=400", "--batch=400", "--connections=1", "--rate=8000", "--rounds=60")
    step = statistics.median(b - a for a, b in zip(*(lambda t: (t, t[1:]))(sorted({s.samples[0][0] for s in receiver.series()}))))
    check(abs(step - 1000 * result["series"] / 8000) <= 2, step, result["series"])
    for r in receiver.good():
        t = r.series[0].samples[0][0]
        check(r.at_ms >= t, "sent before its time", r.at_ms - t)
    check(result["samples"] <= 8000 * result["seconds"] * 1.05 + 2 * result["series"], result)
    # A request waited a second for its answer; those of the schedule behind it waited, too.
    check(result["ack_max_seconds"] >= 1 and result["schedule_max_seconds"] >= 0.9, result)
    check(result["schedule_p90_seconds"] >= 0.25 and result["schedule_p50_seconds"] >= result["ack_p50_seconds"], result)
    check("by schedule p50" in out, out)


@scenario
def test_churn():
    """So many targets are replaced in a minute of sample time, each with all its series; counters go on."""
    receiver = Receiver()
    minutes, churn = 30, 0.25
    send(receiver, few(), "--series=400", "--batch=500", "--connections=1", f"--rounds={minutes}", "--step=1m", f"--churn={churn}", f"--start={START}")
    generations, values = {}, {}
    for s in receiver.series():
        host, _, rest = s.labels["instance"].partition("-")
        generations.setdefault((host, s.samples[0][0]), set()).add(rest)
        values.setdefault((host, s.name, s.labels.get("n")), []).append(value(s.samples[0][1]))
    check_equal({len(g) for g in generations.values()}, {1}, "all of a target are replaced together")
    hosts = {h for h, _ in generations}
    changes = sum(generations[h, t] != generations[h, t + 60_000] for h, t in generations if (h, t + 60_000) in generations)
    check_equal(len(hosts), 100)
    check(abs(changes - churn * len(hosts) * (minutes - 1)) <= len(hosts), changes)
    check(all(v == sorted(v) for (_, name, _), v in values.items() if name == "a_total"))


@scenario
def test_late_share():
    """The share of requests that come so many rounds late."""
    receiver = Receiver()
    result, out = send(receiver, few(), "--series=400", "--batch=100", "--connections=2", "--rounds=60", "--late-share=0.3",
                       "--late-rounds=3", f"--start={START}")
    of_template, late, by = {}, 0, []
    for r in receiver.good():
        [sequence] = [s for s in r.series if s.is_sequence]
        before = of_template.setdefault(sequence.labels["instance"], [])
        number = int(value(sequence.samples[0][1]))
        if before and number < max(before):
            late += 1
            by.append(max(before) - number)
        before.append(number)
    check(all(sorted(n) == list(range(1, 61)) for n in of_template.values()), of_template)
    total = sum(map(len, of_template.values()))
    check(0.3 - 0.12 < result["late"] / total < 0.3 + 0.12, result["late"], total)
    # Late ones in a row keep their order.
    check(result["late"] * 0.5 < late <= result["late"], late, result["late"], out)
    check(statistics.median(by) in (2, 3, 4) and min(by) >= 1, sorted(by))


@scenario
def test_vices():
    """Requests cut in their middle, repeated, slow, and garbage: as many as the report says, and nothing is lost."""
    receiver = Receiver()
    result, out = send(receiver, "--series=1800", "--batch=200", "--connections=4", "--rounds=8", f"--start={START}", "--cut=0.2", "--repeat=0.2",
                       "--garbage=0.2", "--slow=0.2", "--slow-by=50ms")
    whole = [r for r in receiver.requests if r.is_whole]
    check(0 < len(receiver.requests) - len(whole) <= result["cut"], len(receiver.requests) - len(whole), result["cut"])
    check_equal(sum(r.series is None for r in whole), result["garbage"], out)
    bodies = {}
    for r in receiver.good():
        bodies.setdefault(r.body, []).append(r)
    check_equal(sum(len(b) - 1 for b in bodies.values()), result["repeated"])
    check_equal((len(bodies), result["rejected"]), (result["requests"], 0))
    sent = {}
    for r in (b[0] for b in bodies.values()):
        for s in r.series:
            sent.setdefault(s.key, []).append(s.samples[0][0])
    check_equal({tuple(sorted(t)) for t in sent.values()}, {tuple(START * 1000 + i * 1000 for i in range(8))})
    for name in ("cut", "repeated", "slow", "garbage"):
        # each of a request's attempts has its chances, which are a fifth
        check(result["requests"] * 0.04 < result[name] < result["requests"] * 0.7, name, result[name], result["requests"])
    check(result["seconds"] >= result["slow"] * 0.05 * 15 / 16 / 4, result)


@scenario
def test_no_host_repeats_another():
    """Of each exporter's shape: names and labels are equal, values are not; each host begins elsewhere."""
    for exporter in ("node", "cadvisor", "kube-state"):
        receiver = Receiver()
        send(receiver, "--series=10000", f"--exporter={exporter}", "--rounds=2", f"--start={START}", "--connections=2")
        hosts = {}
        for s in receiver.series():
            hosts.setdefault(s.labels["instance"], []).append((s.name, s.samples[0][1]))
        check(len(hosts) >= 3, exporter)
        shapes = {tuple(n for n, _ in h) for h in hosts.values()}
        check_equal((len(shapes), len({tuple(h) for h in hosts.values()})), (1, len(hosts)), exporter)


# ---- captures

def as_text(scrapes):
    return "".join(f"{s.rstrip()}\n# EOF\n" for s in scrapes)


def parse(scrape):
    """{name{labels}: value} of a body, and the types of its families."""
    series, types = {}, {}
    for line in scrape.split("\n"):
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            types[name] = kind
        elif line and line[0] != "#":
            name, _, number = line.rpartition(" ")
            series[name] = float(number)
    return series, types


def columns_of(scrapes):
    """{name{labels}: [value or None]}."""
    parsed = [parse(s)[0] for s in scrapes]
    return {name: [p.get(name) for p in parsed] for name in dict.fromkeys(n for p in parsed for n in p)}


def motion(column):
    """What a table says of a series: is it constant, how many steps stand still, are down, mean of the others; how often it comes."""
    there = [v for v in column if v is not None]
    steps = [b - a for a, b in zip(column, column[1:]) if a is not None and b is not None]
    moved = sorted(abs(s) for s in steps if s)
    return {"constant": len(there) == len(column) and len(set(there)) == 1, "still": sum(s == 0 for s in steps), "down": sum(s < 0 for s in steps),
            "median": moved[len(moved) // 2] if moved else 0,
            "comes": sum(a is None and b is not None for a, b in zip(column, column[1:])),
            "there": len(there)}


def text_name(labels):
    own = {k: v for k, v in labels.items() if k not in ("__name__", "job", "instance")}
    own = {k.removeprefix("exported_"): v for k, v in own.items()}
    return labels["__name__"], tuple(sorted(own.items()))


def name_of_line(line):
    name, _, rest = line.partition("{")
    pairs, rest = [], rest.rstrip("}")
    while rest:
        key, _, rest = rest.partition('="')
        end = 0
        while rest[end] != '"':
            end += 2 if rest[end] == "\\" else 1
        number = float(rest[:end]) if key in ("le", "quantile") else None  # as Prometheus writes them
        pairs.append((key, str(number).replace("inf", "+Inf") if number is not None else rest[:end].replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")))
        rest = rest[end + 1:].lstrip(",")
    return name, tuple(sorted((k, v) for k, v in pairs if v))  # an empty label is none


def check_capture(scrapes, targets, flags=()):
    """Once through the capture each target shows each series as it was: at its pace, from its place, and on across the end."""
    n, types = len(scrapes), parse(scrapes[0])[1]
    columns = {name_of_line(k): v for k, v in columns_of(scrapes).items()}
    path = write_file(os.path.join(temp_folder(), "some.capture"), as_text(scrapes))
    receiver = Receiver()
    _, out = send(receiver, f"--capture={path}", f"--series={targets * len(columns)}", "--batch=20000", "--connections=1",
                  f"--rounds={n + 1}", "--step=1s", f"--start={START}", *flags)
    hosts = {}
    for s in receiver.series():
        step = (s.samples[0][0] - START * 1000) // 1000
        column = hosts.setdefault(s.labels["instance"], {}).setdefault(text_name(s.labels), [None] * (n + 1))
        bits = s.samples[0][1]
        check(bits != STALE or step and column[step - 1] is not None, "a stale marker, and it was not there")
        column[step] = None if bits == STALE else value(bits)
    check_equal(len(hosts), targets, out)
    check_equal(len({tuple(map(tuple, h.values())) for h in hosts.values()}), targets, "a host repeats another")
    places = set()
    for shown in hosts.values():
        check_equal({k for k, v in shown.items() if any(x is not None for x in v)} ^ set(columns), set())
        place, pace = find_place(columns, types, shown, n)
        places.add(place)
        for name, column in columns.items():
            check_column(name, types.get(name[0]) == "counter", column, shown[name], place, pace, n)
    check(len(places) > 1, "all begin at the same place", places)


def find_place(columns, types, shown, n):
    """Where a target began, and its pace: by the gauges that move, and the presence of what comes and goes."""
    fitting = set(range(n))
    paces = []
    for name, column in columns.items():
        if types.get(name[0]) == "gauge" and None not in column and len(set(column)) > n // 2 and min(column) > 1000:
            for place in list(fitting):
                ratios = [a / b for a, b in zip(shown[name], column[place:] + column[:place])]
                if max(ratios) - min(ratios) > 0.01:
                    fitting.discard(place)
        if any(v is None for v in column):
            for place in list(fitting):
                if any((a is None) != (b is None) for a, b in zip(shown[name], (column + column)[place:])):
                    fitting.discard(place)
    check_equal(len(fitting), 1, "places that fit")
    [place] = fitting
    for name, column in columns.items():
        if column[place] is not None and abs(column[place]) > 1000 and len(set(column)) > 1 and shown[name][0]:
            paces.append(shown[name][0] / column[place])
    pace = statistics.median(paces)
    check(0.49 < pace < 1.51, pace)
    return place, pace


def check_column(name, is_counter, was, now, place, pace, n):
    """was: in the capture; now: of a target, a step more than once through it. Around the end of the capture counters go on."""
    seam = n - place  # the step that begins anew
    turned = was[place:] + was[:place]
    check_equal([v is None for v in now[:n]], [v is None for v in turned], name)
    a, b = motion(turned), motion(now[:n])
    check_equal(b["constant"], a["constant"] or (len(set(turned)) == 1), name)
    if a["constant"]:
        check_equal(now[0], was[0], name)
        return
    check(abs(a["still"] - b["still"]) <= 1 + n // 4 and abs(a["comes"] - b["comes"]) <= 1, name, a, b)
    if a["median"]:
        smallest = min(abs(x - math.floor(x)) or 1 for x in turned if x is not None)  # the decimals it has
        check(abs(b["median"] - pace * a["median"]) <= 0.05 * pace * a["median"] + 2 * smallest + 1e-9, name, pace, a, b)
    if is_counter:
        resets = sum(x is not None and y is not None and y < x for x, y in zip(was, was[1:]))
        shown = [i for i in range(1, n + 1) if now[i] is not None and now[i - 1] is not None and now[i] < now[i - 1]]
        check(seam not in shown, name, "a counter falls where the capture begins anew", now[seam - 1:seam + 1])
        check(abs(len(shown) - resets) <= 1, name, shown, resets)


def synthetic(n):
    """Scrapes with what a real exporter shows over a day: series that come, go, are reset, stand still."""
    out = []
    for i in range(n):
        text = f"# TYPE steady_total counter\nsteady_total {10_000 + 37 * i + i * i % 11}\n"
        text += f"# TYPE reset_total counter\nreset_total {5000 + 50 * i if i < n // 2 else 50 * (i - n // 2)}\n"
        text += f"# TYPE level gauge\nlevel {20_000 + (i * 7919) % 4096}\n# TYPE still gauge\nstill{{a=\"x y\"}} 42.5\n"
        if n // 3 <= i < n // 2:
            text += f"# TYPE burst_total counter\nburst_total{{job=\"batch\"}} {3000 + 100 * i}\n"
        if i % 7 < 5:
            text += f"# TYPE flaky gauge\nflaky {i % 7}.25\n"
        out.append(text)
    return out


@scenario
@cases(3)
def test_capture():
    """What comes later in a capture, goes and is reset does so in each target, with each way to make requests."""
    for flags in ((), ("--protocol=2", "--compression=zstd"), ("--live",)):
        run_scenario(f"a made capture {' '.join(flags)}", check_capture, synthetic(60), 6, flags)


def recorded():
    """The bodies of a real node_exporter, ten minutes of them, a second apart."""
    near = (os.path.join(TOP, up, "shared/data/node_exporter-1s.capture.xz") for up in ("..", "../.."))
    path = os.environ.get("FERULA_CAPTURE") or next((p for p in near if os.path.exists(p)), None)
    if not path:
        raise Skip("there is no recording: FERULA_CAPTURE names one")
    with lzma.open(path) as f:
        data = f.read()
    scrapes, at = [], 0
    while at < len(data):
        n = struct.unpack_from("<I", data, at + 8)[0]
        scrapes.append(data[at + 12:at + 12 + n].decode())
        at += 12 + n
    return scrapes


@scenario
def test_recorded_capture():
    """A real node_exporter: per series the same share of constants, steps, resets, from other places, at other paces."""
    check_capture(recorded()[:120], 3)


def table_of(scrapes=None):
    """Rows of `shapes` by family, the columns by name; of a capture, or of the exporter node."""
    flags = [] if scrapes is None else [f"--capture={write_file(os.path.join(temp_folder(), 'some.capture'), as_text(scrapes))}"]
    done = subprocess.run([LOADGEN, "shapes", *flags], stdout=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=True)
    lines = [[c.strip() for c in line.split("|")[1:-1]] for line in done.stdout.split("\n## ")[0].split("\n") if line.startswith("|")]
    return {row[0]: dict(zip(lines[0], row)) for row in lines[2:]}


def percent(share):
    return f"{100 * share:.0f} %"


@scenario
@cases(2)
def test_tables():
    """What `shapes` says of a capture is what the capture says; and the tables of node are like a real one's."""
    scrapes = recorded()
    columns = columns_of(scrapes)
    families, kinds = {}, parse(scrapes[0])[1]
    for name, column in columns.items():
        families.setdefault(name.partition("{")[0], []).append(column)

    def check_families():
        table = table_of(scrapes)
        check_equal(set(table), {*families, "all"})
        for family, of in families.items():
            each, row = [motion(c) for c in of], table[family]
            moving = [c for c, m in zip(of, each) if not m["constant"]]
            steps = [abs(b - a) for c in moving for a, b in zip(c, c[1:])]
            moved = sorted(s for s in steps if s)
            check_equal((int(row["series"]), row["constant"], row["still"]),
                        (len(of), percent(sum(m["constant"] for m in each) / len(of)), percent(1 - len(moved) / len(steps)) if steps else ""), family)
            wanted = [moved[int(share * (len(moved) - 1))] for share in (0.5, 0.9, 0.99)] if moved else []
            got = [float(x) for x in row["p50, p90, p99"].split(",") if x]
            check(len(got) == len(wanted) and all(math.isclose(a, b, rel_tol=0.01) for a, b in zip(got, wanted)), family, got, wanted)
            check_equal(row["resets"] or "0", str(sum(m["down"] for m in each) if kinds.get(family) == "counter" else 0), family)
    run_scenario("of a capture", check_families)

    def check_shape():
        ours, real = table_of()["all"], table_of(scrapes[::15])["all"]  # a sample each 15 s
        for column, points in (("constant", 10), ("still", 8)):
            a, b = (int(t[column].rstrip(" %")) for t in (ours, real))
            check(abs(a - b) <= points, column, a, b)
    run_scenario("of node beside a real one", check_shape)


if __name__ == "__main__":
    main()
