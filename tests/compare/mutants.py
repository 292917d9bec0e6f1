"""Queries as people write them for dashboards, alerts and tests, changed here and there: a second source
of queries beside grammar.py, which shares none of its productions.

A mutant is an expression of EXPRESSIONS, or of Prometheus's own scripts where they are, cut into tokens of
which some are exchanged for others of their kind, lost, doubled or foreign. Half of them are broken then:
their errors and the positions of these must be equal.
"""
import glob
import os
import re

import grammar
import series
from grammar import Node, Query

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
SCRIPTS = [os.path.join(TOP, path, "*.test") for path in ("../shared/promqltest", "../../shared/promqltest")]

# Of what the samples of series.py are like, in the forms of node, Kubernetes, latency and budget rules.
EXPRESSIONS = """
sum by (job) (rate(req_total{code=~"5.."}[5m])) / sum by (job) (rate(req_total[5m])) > 0.01
histogram_quantile(0.99, sum by (job, le) (rate(lat_bucket[5m])))
histogram_quantile(0.5, sum without (instance) (increase(lat_bucket{job="j0"}[10m]))) * 1000
histogram_fraction(0, 0.5, sum by (le) (rate(lat_bucket[2m])))
100 - (avg by (instance) (irate(off_total{instance!=""}[5m])) * 100)
(temp - temp offset 5m) / temp offset 5m * 100 < -10 or temp > 40
predict_linear(temp[10m], 4 * 3600) < 0 and on (job, instance) off_temp < 20
max_over_time((sum by (job) (rate(req_total[1m])))[10m:1m]) > bool 3
absent(temp{job="j9", instance=~"h.*"}) or absent(nothing{job="x"} == 1)
topk(3, wild) unless on (job) wild_total
label_replace(temp, "host", "$1", "instance", "(.*):80")
sum by (job, version) (rate(req_total[5m]) * on (job, instance) group_left (version) info)
count by (version) (info) > bool 1 or vector(0)
(sum(lat_sum) / sum(lat_count)) and sum(rate(lat_count[5m])) > 0
changes(gone[10m]) > 2 or resets(req_total[30m]) > 0
clamp_max(clamp_min(temp, -10), 10) + on () group_right () vector(1)
avg_over_time(temp[5m]) - 2 * stddev_over_time(temp[5m])
quantile_over_time(0.9, temp[15m]) > ignoring (job) group_left avg by (instance) (temp)
rate(fast_total[30s] @ 1700001500) or rate(fast_total[30s] offset -5m)
time() - timestamp(lone) > 60
hour() >= 9 and hour() <= 17 and day_of_week() > 0
sum(req_total{code!~"2..", method="get"}) without (code, method)
count_values("value", round(temp, 10))
(1 - (sum(rate(req_total{code="500"}[1h])) / sum(rate(req_total[1h])))) ** 2
delta(temp[5m]) > 0 unless deriv(temp[5m]) < 0
-temp ^ 2 + (+off_temp) % 7
scalar(sum(many)) + time() % 60 == bool pi()
last_over_time(single[1h]) * on (job) group_right temp
sum_over_time(gone[20m]) / count_over_time(gone[20m])
sgn(temp) * sqrt(abs(temp)) + ln(exp(1))
min by (job) (temp) <= max by (job) (off_temp) != avg by (job) (temp)
increase(req_total{job="j0"}[1h30m:5m] offset 10m)
{__name__=~"temp|off_temp", job!="j1"} * 2
{"metric.utf8 ü", "label.x"="ü0"} or {"a-b"}
sum by ("label.x") ({"1st"})
group(odd) by (kind) unless bool odd
stddev by (job) (temp) + stdvar by (job) (off_temp)
quantile(0.95, temp) by (job) > 10
idelta(temp[2m]) == 0 or irate(req_total[2m]) == 0
present_over_time(single[5m] @ end()) + absent_over_time(single[5m] @ start())
label_join(temp, "id", "/", "job", "instance", "nothing")
sort_desc(sum by (job) (req_total))
bottomk(2, wild_total) by (job)
avg(rate(wild_total[5m:15s])) by (instance)
vector(scalar(lone)) and vector(1) or vector(NaN)
lone[5m]
lone[5m:1m] @ 1700001300 offset 2m
sum(rate(req_total[5m])) by (job) / ignoring (code) group_left sum(rate(req_total[5m])) by (job, code)
sum(temp >= bool 0) / count(temp) * 1e2
avg without () (bad_bucket{kind!="nan"}) and ignoring (le) bad_bucket{le="+Inf"}
histogram_quantile(scalar(vector(0.9)), bad_bucket)
-histogram_quantile(1.5, bad_bucket{kind=~"f.*"}) + 0x1F
days_in_month(vector(1.7e9)) + month(temp) - minute()
sum(sum_over_time(job:req:rate5m[5m])) or sum(offset) or sum(by)
max(temp) by (job,) == on (job,) max(temp) by (job)
count(count by (instance) (temp)) > 1
(((temp)))[5m:] offset 1m
temp # a remark
  > 3
""".strip().split("\n")

WORDS = re.compile(r"""(?P<space>\s+|\#[^\n]*)|(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
    |(?P<duration>(?:\d+(?:ms|[smhdwy]))+)|(?P<number>(?:0[xX][\da-fA-F]+|\d*\.?\d+(?:[eE][-+]?\d+)?))
    |(?P<word>[a-zA-Z_][\w:]*)|(?P<operator>[=!]~|[=!<>]=|\*\*|[-+*/%^<>=])|(?P<other>.)""", re.X | re.S)
CALLS = grammar.FUNCTIONS
AGGREGATIONS = grammar.AGGREGATIONS + ["quantile", "count_values"]
KEYWORDS = "by without on ignoring group_left group_right bool and or unless offset atan2".split()
LABELS = [*grammar.VALUES, "label", "__name__"]
OPERATORS = grammar.ARITHMETIC + grammar.COMPARISONS + grammar.SETS
MODIFIERS = [" offset 5m", " offset -1m", " @ 1700001200", " @ start()", " @ end()", " offset 1m @ end()", " @ 1.7000012345678e9", " offset 0.5", " @ -1", "[5m]", "[5m:1m]",
             "[0.5:]", "{}", "{job=~\"j.\"}", " > 0", " bool", ")", "(", " offset 1h30m", " @ 1e3", "[5s:1ms]", "[1d:1h]"]
DURATIONS = ["1ms", "15s", "1m", "5m", "1h30m", "90s", "1d", "0s", "10m30s500ms", "1w", "1y", "1m30", "61m", "300ms"]
NUMBERS = ["0", "1", "-1", "2", "0.5", "1e3", "0x10", "1_000", "Inf", "NaN", "1.5", "60", "1e-3", "08", "1e400", "5.", ".5", "9007199254740993", "0.1"]
NAMES = series.COUNTERS + series.GAUGES + series.DISTINCT + series.BUCKETS + series.OTHERS
TOO_LONG = re.compile(r"[dwyhm]\w*\s*:\s*(\d*ms|0?\.\d+|\d+e-\d+|(0x)?\d{0,2})\s*\]|[dwy]\w*\s*:\s*\d*s?\s*\]|:\s*\d+ms\s*\]|\de[3-9]\s*:", re.I)
BY_ORDER = re.compile(r"\b(top|bottom|limit)k|limit_ratio")
# What 3.5 has not, so that each query with it differs; what stands for native histograms.
NEWER = re.compile(r"\b(anchored|smoothed|fill|fill_left|fill_right|start_timestamp|first_over_time|ts_of_first_over_time|histogram_quantiles|max_of|min_of|start|end|step|range)\b ?\(?"
                   r"|</|>/|nativ|nhcb")


def script_expressions():
    """Of the scripts that are there, in an order that only they decide."""
    out = set()
    for pattern in SCRIPTS:
        for path in glob.glob(pattern):
            for line in open(path):
                found = re.match(r"\s*eval(?:_\w+)? (?:instant at \S+|range from \S+ to \S+ step \S+) (.*)", line)
                if found and not NEWER.search(re.sub(r"@ ?(start|end)\(\)", "", found[1])):
                    out.add(found[1].strip())
    return sorted(out)


def cut(text):
    """[(kind, token)]"""
    return [(m.lastgroup, m[0]) for m in WORDS.finditer(text)]


def is_chance(query, found):
    """What nobody promises, and the grammar does not ask for: which of equal values topk takes, last digits of powers, logarithms of denormal numbers, what takes too long."""
    if query.shape != "mutant":
        return False
    by_order = BY_ORDER.search(query.text) is not None and found.kind in ("series", "values", "times", "stats")
    by_digits = found.kind == "values" and "^" in query.text and re.search("%|[=!]=|floor|ceil|round", query.text)
    by_digits = by_digits or found.kind in ("values", "series") and re.search(r"\b(ln|log\w+)\b", query.text) and grammar.ODD.search(query.text)
    return by_order or by_digits or "query timed out" in found.theirs or "query timed out" in found.ours


def sources(features):
    """Those that are refused for their functions are few."""
    return EXPRESSIONS * 5 + [e for e in script_expressions() if features or not any(f"{name}(" in e or f"{name} " in e for name in grammar.BEHIND_FLAGS)]


class Mutants:
    def __init__(self, r, sources):
        self.r, self.sources = r, sources

    def like(self, kind, token, behind):
        """Something in the place of a token."""
        r = self.r
        if kind == "duration":
            return r.choice(DURATIONS)
        if kind == "number":
            return r.choice(NUMBERS)
        if kind == "operator":
            return r.choice(OPERATORS)
        if kind == "string":
            return r.choice(['"j0"', '"j.*"', "'200|404'", '""', '"x"', "`h\\d:80`", '"job"', '"("', '".+"'])
        if kind == "word" and token in AGGREGATIONS:
            return r.choice(AGGREGATIONS)
        if kind == "word" and behind == "(" and token not in KEYWORDS:
            return r.choice(CALLS)
        if kind == "word" and token in KEYWORDS:
            return r.choice(KEYWORDS)
        if kind == "word":
            return r.choice(LABELS if token in LABELS else NAMES)
        return r.choice(grammar.TOKENS)

    def here(self, tokens):
        """The same with names of metrics that have samples."""
        out = list(tokens)
        for at, (kind, token) in enumerate(out):
            behind = out[at + 1][1] if at + 1 < len(out) else ""
            known = token in LABELS or token in KEYWORDS or token in CALLS or token in AGGREGATIONS or token in NAMES
            if kind == "word" and behind != "(" and not known and self.r.random() < .8:
                before = "".join(t for _, t in out[:at]).rstrip()
                out[at] = kind, self.r.choice(LABELS if before.endswith(("(", ",", "{")) and before.count("{") > before.count("}") else NAMES)
        return out

    def change(self, tokens):
        r = self.r
        at, roll = r.randrange(len(tokens)), r.random()
        kind, token = tokens[at]
        if kind == "space":
            return
        if roll < .7 and kind != "other" or roll < .1:
            tokens[at] = kind, self.like(kind, token, tokens[at + 1][1] if at + 1 < len(tokens) else "")
        elif roll < .73:
            del tokens[at]
        elif roll < .75:
            tokens.insert(at, tokens[at])
        elif roll < .77:
            tokens[at:at + 2] = tokens[at:at + 2][::-1]
        elif roll < .8:
            tokens.insert(at, ("other", f" {r.choice(grammar.TOKENS)} "))
        elif roll < .9:
            ends = [i for i, (_, t) in enumerate(tokens) if t in ("]", "}") or t in NAMES]
            tokens.insert(1 + (r.choice(ends) if ends else at), ("other", r.choice(MODIFIERS)))
        else:
            tokens[at:at + 1] = [("other", "("), *self.here(cut(r.choice(self.sources))), ("other", ")")]

    def query(self):
        while True:
            query = self.any_query()
            if not TOO_LONG.search(query.text):
                return query

    def any_query(self):
        tokens = self.here(cut(self.r.choice(self.sources)))
        for _ in range(self.r.choice([0, 0, 1, 1, 1, 2, 3, 5])):
            if tokens:
                self.change(tokens)
        tree = Node("list", *[token for _, token in tokens], exact=False)
        return Query(tree, "mutant")
