"""The samples that both systems hold, the same in every run with a seed: what the queries of grammar.py ask for.

Times are fixed: START and the 55 minutes after it, so that a query can be repeated by hand and its
answer computed. Most values are integers or small binary fractions: sums of them have the same bits
in any order. Those of WILD are not.
"""
import random
import struct

START = 1_700_000_040  # a multiple of 60, in seconds
SECONDS = 55 * 60
STEP = 15
STALE = 0x7FF0000000000002
PAYLOAD = 0x7FF8000000ABCDEF  # a NaN that says something
SMALLEST = 5e-324
EVERY = range(0, SECONDS + 1, STEP)

# Of interest to the grammar: what there is of each kind.
COUNTERS = ["req_total", "off_total", "fast_total"]
GAUGES = ["temp", "off_temp", "lone", "slow"]
DISTINCT = ["wild", "wild_total"]  # no two values of a time are equal
BUCKETS = ["lat_bucket", "bad_bucket", "mix_bucket"]
KEYWORDS = ["sum", "rate", "by", "offset", "start", "without", "atan2"]
OTHERS = ["odd", "mix", "info", "many", "single", "gone", "job:req:rate5m", "lat_sum", "lat_count"]
QUOTED = ["metric.utf8 ü", "1st", "a-b"]
NAMES = COUNTERS + GAUGES + DISTINCT + BUCKETS + KEYWORDS + OTHERS


def counter(r, reset=0.02, gap=0.03, step=1.0):
    """Offset in seconds and value; grows, sometimes starts again, sometimes has no sample."""
    value, out = r.choice([0.0, r.randint(0, 1000) * step]), []
    for at in EVERY:
        value = value + r.randint(0, 30) * step if r.random() >= reset else r.randint(0, 5) * step
        if r.random() >= gap:
            out.append((at, value))
    return out


def gauge(r, gap=0.05):
    return [(at, r.randint(-400, 400) / 8) for at in EVERY if r.random() >= gap]


def moved(r, samples):
    """The same off the edges: some milliseconds later or earlier."""
    return [(at + r.choice([-0.001, 0.001, 0.5, 3.217, 7.5, 14.998]), v) for at, v in samples]


def targets():
    return [{"job": f"j{i % 3}", "instance": f"h{i // 3}:80"} for i in range(6)]


def requests(r):
    for where in targets():
        for code in ("200", "404", "500"):
            yield {"__name__": "req_total", "code": code, "method": r.choice(["get", "post"]), **where}, counter(r)
        yield {"__name__": "off_total", **where}, moved(r, counter(r))
        yield {"__name__": "temp", **where}, gauge(r)
        yield {"__name__": "off_temp", **where}, moved(r, gauge(r))
        yield {"__name__": "wild", **where}, [(at, r.uniform(-1e3, 1e3)) for at in EVERY]
        more = r.random()
        yield {"__name__": "wild_total", **where}, [(at, v + more) for at, v in counter(r, step=r.random())]
        yield {"__name__": "info", "version": r.choice(["v1", "v2", "v3"]), "os": "linux", **where}, [(at, 1.0) for at in EVERY]


def gaps(r):
    """Series that come and go, that are seldom, that are marked as ended."""
    yield {"__name__": "lone"}, [(at, at / 2) for at in EVERY]
    yield {"__name__": "fast_total", "job": "j0"}, [(1200 + i, float(i * 3 % 500)) for i in range(300)]
    yield {"__name__": "fast_total", "job": "j1"}, [(1200 + i / 4, float(i)) for i in range(400)]
    for i, seconds in enumerate((60, 240, 300, 301, 420)):
        yield {"__name__": "slow", "every": f"{seconds}s"}, [(at, float(at + i)) for at in range(0, SECONDS, seconds)]
    yield {"__name__": "single", "job": "j0"}, [(1000, 42.0)]
    yield {"__name__": "single", "job": "j1"}, [(1000.999, -42.0)]
    yield {"__name__": "gone", "job": "j0"}, [(at, 1.0) for at in range(0, 1200, STEP)] + [(1200, STALE)]
    yield {"__name__": "gone", "job": "j1"}, [(at, STALE if at // STEP % 7 == 3 else at / 4) for at in EVERY]
    yield {"__name__": "gone", "job": "j2"}, [(1800, STALE)] + [(at, 5.0) for at in range(2400, SECONDS, STEP)]
    yield {"__name__": "job:req:rate5m", "job": "j0"}, gauge(r)
    yield {"__name__": "job:req:rate5m", "job": "j1"}, gauge(r)


def odd_values(r):
    odd = [float("nan"), PAYLOAD, float("inf"), -float("inf"), -0.0, 0.0, SMALLEST, -SMALLEST, 2.2e-308, 1.7976931348623157e308,
           -1.7e308, 1e21, 1e-7, 1.0, -1.0, 0.1, 123456789.125]
    for i, value in enumerate(odd):
        yield {"__name__": "odd", "kind": f"k{i}"}, [(at, value) for at in range(0, 2400, 30)]
    yield {"__name__": "odd", "kind": "all"}, [(at, r.choice(odd)) for at in EVERY]
    yield {"__name__": "odd", "kind": "infinite"}, [(at, r.choice([float("inf"), -float("inf"), 1.0])) for at in EVERY]
    yield {"__name__": "odd", "kind": "holes"}, [(at, r.choice([float("nan"), 2.0, 3.0, -0.0])) for at in EVERY]


def mixed(r):
    """Other ones with each seed: what kinds of values, at what times, between what bounds."""
    for i in range(r.randint(4, 8)):
        pool = r.choice([[0.0, -0.0], [2.0 ** 53, 2.0 ** 53 + 2, 2.0 ** 53 - 1, 2.0 ** 60], [SMALLEST * k for k in range(5)], [1.0, 2.0, STALE], [-1e-3, 0.125, 1e9],
                         [float("nan"), 1.0, PAYLOAD], [r.randint(-9, 9) / 4 for _ in range(5)], [1.0, 1.0, 1.0, 5.0], [float("inf"), 3.0], [float(r.getrandbits(62))]])
        step, jitter, gap = r.choice([1, 5, 15, 60, 299.999, 300]), r.choice([0, 0, 0.4, 7]), r.choice([0, 0, 0.1, 0.5])
        times = [at * step + r.random() * jitter for at in range(int(SECONDS / step))]
        yield {"__name__": "mix", "job": r.choice(["j0", "j1", "ü", ""]), "kind": f"m{i}"}, [(at, r.choice(pool)) for at in times if r.random() >= gap]
    spelled = ["0", "-0", "0.0", "1", "1.0", "1e0", "+1", "01", "0x1p0", "1_0", "10", "1e1", "+Inf", "Inf", "inf", "+inf", "-Inf", " 1", "1 ", "x", "1e400", "5e-324",
               "Infinity", "2.5", "-3", "1.000000000000001"]
    for i in range(5):
        for le in sorted(r.sample(spelled, r.randint(2, 7))) + ["+Inf"] * r.choice([0, 1, 1]):
            value, grows = float(r.randint(0, 9)), r.choice([0, 0, 1, 3, 0.5])
            yield {"__name__": "mix_bucket", "le": le, "kind": f"m{i}"}, [(at, value + grows * (at // 60)) for at in EVERY if r.random() > .02]


def histograms(r):
    """Classic ones, sound and broken."""
    bounds = ["0.1", "0.5", "1", "2.5", "10", "+Inf"]
    for where in targets()[:4]:
        totals, rows = [0] * len(bounds), {le: [] for le in bounds}
        count, total = [], []
        for at in EVERY:
            for i in range(len(bounds)):
                totals[i] += r.randint(0, 3)
            if r.random() < .01:
                totals = [0] * len(bounds)
            for i, le in enumerate(bounds):
                rows[le].append((at, float(sum(totals[:i + 1]))))
            count.append((at, float(sum(totals))))
            total.append((at, sum(totals) / 4))
        for le, samples in rows.items():
            yield {"__name__": "lat_bucket", "le": le, **where}, samples
        yield {"__name__": "lat_count", **where}, count
        yield {"__name__": "lat_sum", **where}, total
    broken = {
        "no-inf": [("0.1", 1.0), ("1", 2.0)], "falls": [("0.1", 5.0), ("1", 3.0), ("+Inf", 8.0)],
        "falls-a-little": [("0.1", 5.0), ("1", 5.0 - 1e-13), ("+Inf", 8.0)], "only-inf": [("+Inf", 4.0)],
        "no-number": [("x", 1.0), ("1", 2.0), ("+Inf", 3.0)], "twice": [("1", 2.0), ("1.0", 3.0), ("+Inf", 9.0)],
        "negative": [("-5", 2.0), ("-1", 4.0), ("+Inf", 5.0)], "zero": [("0", 2.0), ("2", 4.0), ("+Inf", 6.0)],
        "nothing": [("1", 0.0), ("+Inf", 0.0)], "nan": [("1", 1.0), ("2", float("nan")), ("+Inf", 6.0)],
        "missing": [("", 1.0), ("1", 2.0), ("+Inf", 3.0)], "more": [("1", 7.0), ("2", 9.0), ("+Inf", 6.0)],
    }
    for kind, buckets in broken.items():
        for le, value in buckets:
            labels = {"__name__": "bad_bucket", "kind": kind}
            yield ({**labels, "le": le} if le else labels), [(at, value * (1 + at // 600)) for at in EVERY]


def names(r):
    """Names and values that need quoting, that are keywords, that are many."""
    for i, name in enumerate(KEYWORDS):
        yield {"__name__": name, "by": str(i), "on": "x", "bool": "true" if i % 2 else "false", "end": "y"}, gauge(r)
    yield {"__name__": "many", **{f"l{i:02}": f"v{i % 3}" for i in range(20)}}, gauge(r)
    yield {"__name__": "many", **{f"l{i:02}": f"v{i % 4}" for i in range(15)}}, gauge(r)
    for value in ("plain", 'a"b', "a\\b", "line\nbreak", "<é&>", "'", "`", "日本", "tab\there", " "):
        yield {"__name__": "odd", "l": value}, [(at, 7.0) for at in range(0, SECONDS, 60)]


def quoted(r):
    """Names that only a quoted form can say: unknown to Prometheus 2."""
    for i, name in enumerate(QUOTED):
        for job in ("j0", "j1"):
            yield {"__name__": name, "job": job, "label.x": f"ü{i}", "a b": "c"}, gauge(r)


def of(seed, utf8=True):
    """[(labels, [(ms, value)])], times ascending."""
    r = random.Random(seed)
    out, seen = [], set()
    for make in (requests, gaps, odd_values, histograms, names, mixed) + ((quoted,) if utf8 else ()):
        for labels, samples in make(r):
            if frozenset(labels.items()) in seen:
                continue
            seen.add(frozenset(labels.items()))
            times = {round((START + at) * 1000): value for at, value in samples}
            out.append((labels, sorted(times.items())))
    return out


def slices(series, seconds=300):
    """As requests, by time: a receiver that has seen late samples refuses much earlier ones."""
    for begin in range(START - STEP, START + SECONDS + STEP, seconds):
        low, high = begin * 1000, (begin + seconds) * 1000
        part = [(labels, [s for s in samples if low <= s[0] < high]) for labels, samples in series]
        yield [row for row in part if row[1]]


def shown(value):
    """A value as text, with its bits where the text does not tell."""
    return f"0x{value:016x}" if isinstance(value, int) else repr(value) if value == value else "NaN 0x%016x" % bits(value)


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]
