#!/usr/bin/env python3
"""The HTTP API beside a Prometheus that holds the same samples: codes, headers, bodies.

Both get the same remote_write requests and scrape a fake target of the same labels. Bodies must be
equal but for what cannot be (times of the day, build facts); each request goes over several
connections so that every shard answers it.
"""
import gzip
import hashlib
import http.client
import json
import os
import re
import signal
import time
import urllib.parse
import zlib

from harness import (FakeTarget, Raw, Reply, all_stays, check, check_equal, ferula, free_port, main, prometheus,
                     remote_write, run_scenario, scenario, wait_for)

T0 = int(time.time()) // 60 * 60 - 600  # samples every 15 s from here for five minutes
HERE = os.path.dirname(os.path.abspath(__file__))


def data():
    """Series of several shapes, as remote_write takes them."""
    out = []
    for job in ("api", "db"):
        for instance in range(5):
            labels = {"job": job, "instance": f"host-{instance}:9100"}
            for code in ("200", "404", "500"):
                out.append(({"__name__": "http_requests_total", "code": code, **labels},
                            [((T0 + 15 * i) * 1000, float(i * (instance + 1) * int(code) % 1000003)) for i in range(21)]))
            out.append(({"__name__": "temperature", **labels},
                        [((T0 + 15 * i) * 1000, (i * 7919 % 1000) / 7 - 50) for i in range(21) if i % 5 or instance]))
    out.append(({"__name__": "odd", "l": "a\"b\\c\n<é&>"}, [(T0 * 1000, 1.5), ((T0 + 15) * 1000, float("nan"))]))
    out.append(({"__name__": "odd", "l": "inf"}, [(T0 * 1000, float("inf")), ((T0 + 15) * 1000, -float("inf"))]))
    out.append(({"__name__": "odd", "l": "small"}, [(T0 * 1000, 1e-9), ((T0 + 15) * 1000, 1e22), ((T0 + 30) * 1000, -0.0)]))
    out.append(({"__name__": "metric.with.dots", "label.x": "ü"}, [(T0 * 1000, 1.0)]))
    out.append(({"__name__": "fractions"}, [(T0 * 1000 + ms, float(ms)) for ms in (1, 20, 300, 999)]))
    out.append(({"__name__": "gone"}, [(T0 * 1000, 1.0), ((T0 + 15) * 1000, 0x7FF0000000000002)]))
    return out


class Pair:
    ours = theirs = None


def pair():
    """The two systems, started once for all scenarios of a run."""
    if Pair.ours and Pair.ours.running() and Pair.theirs.running():
        return Pair
    target = FakeTarget(lambda r: Reply("# HELP scraped_total A \\\\ help.\n# TYPE scraped_total counter\nscraped_total 1\n"
                                        "# HELP plain\n# TYPE hist histogram\nhist_bucket{le=\"1\"} 1\nhist_bucket{le=\"+Inf\"} 1\n"
                                        "hist_sum 1\nhist_count 1\n# TYPE sum summary\nsum{quantile=\"0.5\"} 1\n"))
    other = FakeTarget(lambda r: Reply("# HELP scraped_total Another help.\n# TYPE scraped_total gauge\nscraped_total 2\n"))
    config = f"""global:
  scrape_interval: 1s
  external_labels: {{replica: a}}
scrape_configs:
- job_name: fake
  static_configs:
  - targets: ['{target.address}']
    labels: {{instance: one}}
  - targets: ['{other.address}']
    labels: {{instance: two, drop: 'no'}}
- job_name: down
  basic_auth: {{username: me, password: secret}}
  static_configs: [{{targets: ['127.0.0.1:1'], labels: {{instance: three}}}}]
- job_name: dropping
  relabel_configs: [{{source_labels: [drop], regex: 'yes', action: drop}}]
  static_configs:
  - {{targets: ['10.0.0.1:80', '10.0.0.2:80'], labels: {{drop: 'yes'}}}}
"""
    args = ["--web.enable-remote-write-receiver", "--web.enable-lifecycle", "--query.max-samples=5000"]
    Pair.ours, Pair.theirs = ferula(config, args=args), prometheus(config, args=args)
    for server in (Pair.ours, Pair.theirs):
        answer = remote_write(server, data())
        check_equal((answer.status, answer.text()), (204, ""), server.name)
        wait_for("the targets are scraped", lambda: len(server.query("up")) == 3 and len(server.query("scraped_total")) == 2)
    all_stays()
    return Pair


# ---- answers

DROP = ("timings",)
# Keys of parse_query that 3.14 has and 3.5 has not, with what they hold where the feature is not used.
NEWER = {"anchored": False, "smoothed": False, "offsetExpr": None, "rangeExpr": None, "stepExpr": None,
         "fillValues": {"lhs": None, "rhs": None}}


def cleaned(value):
    """Without what differs from run to run and what is newer; lists of objects in order of their text."""
    if isinstance(value, dict):
        return {k: cleaned(v) for k, v in value.items() if k not in DROP and (k not in NEWER or v != NEWER[k])}
    if isinstance(value, list):
        return [cleaned(v) for v in value]
    return value


def in_order(value):
    if isinstance(value, dict):
        return {k: in_order(v) for k, v in value.items()}
    if isinstance(value, list):
        items = [in_order(v) for v in value]
        return sorted(items, key=lambda v: json.dumps(v, sort_keys=True)) if items and isinstance(items[0], dict) else items
    return value


HEADERS = ("Content-Type", "Vary", "Access-Control-Allow-Origin", "Access-Control-Allow-Methods",
           "Access-Control-Allow-Headers", "Access-Control-Expose-Headers", "Content-Encoding", "Allow", "Location",
           "X-Content-Type-Options")


def shown(answer, sort=True):
    """Status, headers and body in a form that can be compared."""
    body = answer.body
    if answer.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    elif answer.headers.get("Content-Encoding") == "deflate":
        body = zlib.decompress(body)
    if answer.headers.get("Content-Type", "").startswith("application/json"):
        value = cleaned(json.loads(body))
        body = json.dumps(in_order(value) if sort else value, sort_keys=True, ensure_ascii=False)
    else:
        body = body.decode(errors="replace")
    headers = {h: sorted(answer.headers.get_all(h)) for h in HEADERS if answer.headers.get_all(h)}
    # Here each answer varies by Accept-Encoding, as in Prometheus 3.14; in 3.5 only packed ones.
    headers["Vary"] = [v for v in headers.get("Vary", []) if v != "Accept-Encoding"]
    return answer.status, headers, body


with open(os.path.join(HERE, "api_differences.json")) as known:
    EXPLAINED = json.load(known)  # {request: why the answer differs}


def compare(name, method, path, params=None, headers=None, sort=True, ignore=()):
    def ask(server):
        if method == "POST":
            return server.post(path, params, headers)
        target = path + ("?" + urllib.parse.urlencode(params, doseq=True) if params else "")
        return server.request(method, target, None, headers)
    theirs = shown(ask(pair().theirs), sort)
    for _ in range(3):  # connections go round the shards
        ours = shown(ask(pair().ours), sort)
        for attempt in range(5):  # what is now may have passed between the two, and a scrape be late
            if ours == theirs or name in EXPLAINED:
                break
            time.sleep(0.5 * 2 ** attempt)
            theirs, ours = shown(ask(pair().theirs), sort), shown(ask(pair().ours), sort)
        if name in EXPLAINED:
            check(ours != theirs, "differs no more, but api_differences.json explains why it does")
            continue
        differ = [f"    {what}\n     got: {got}\n  wanted: {wanted}" for what, got, wanted in
                  zip(("status", "headers", "body"), ours, theirs) if got != wanted]
        check(not differ, "\n" + "\n".join(differ))


def soon_equal(ours, theirs):
    """What both call now: a scrape may be late on a busy machine."""
    try:
        wait_for("equal", lambda: ours() == theirs(), 20, 0.2)
    except AssertionError:
        check_equal(ours(), theirs())


def run_all(rows):
    pair()
    for row in rows:
        name = " ".join(json.dumps(part, ensure_ascii=False) if isinstance(part, dict) else part for part in row if part)
        name = re.sub(r"\b1[789]\d{8}\b", lambda m: f"T0{int(m.group()) - T0:+d}", name)  # times, from the data's start on
        run_scenario(name, compare, name, *row)


def instant(query, **params):
    return ("GET", "/api/v1/query", {"query": query, "time": params.pop("time", T0 + 200), **params})


def ranged(query, start=T0, end=T0 + 300, step=30, **params):
    return ("GET", "/api/v1/query_range", {"query": query, "start": start, "end": end, "step": step, **params})


# More than a selector of anybody has: some that no label has, some that all series match, one that takes a part.
MANY_MATCHERS = "temperature{" + ", ".join([f'n{i}!="x"' for i in range(60)] + ['instance=~".+"', 'job=~"api|db"'] * 10 + ['job="db"']) + "}"


@scenario
def instant_queries():
    run_all([instant(q) for q in (
        "http_requests_total", "sum(http_requests_total)", "sum by (job, code) (rate(http_requests_total[2m]))",
        "temperature > 20", "1", "1.5e-7", "1e21", "-0", "NaN", "Inf", '"a string"', '"<é&>"', "time()", "vector(3)",
        "http_requests_total[1m]", "odd", "odd[1m]", "fractions[1m]", "gone", "nothing", "nothing[5m]",
        '{"metric.with.dots"}', "topk(3, temperature)", "sort_desc(temperature)", "sort(temperature)",
        "count_values('v', http_requests_total)", "http_requests_total offset 1m", f"http_requests_total @ {T0 + 60}",
        "temperature * on (job, instance) group_left http_requests_total{code='200'}", "absent(nothing{a='b'})",
        "label_replace(temperature, 'x', '$1', 'instance', '(.*):.*')", "temperature[1m:15s]", "{__name__=~'temp.*'}",
        "quantile(0.9, temperature)", "stddev(temperature)", "max_over_time(temperature[2m])", "-temperature",
        "temperature == bool 1", "temperature and on(instance) http_requests_total{code='404'}", "group(temperature)",
        "http_requests_total / 0", "scalar(vector(1))", "rate(temperature[1m])", "increase(odd[1m])",
        MANY_MATCHERS, f"count({MANY_MATCHERS})", "sum_over_time(nothing[1d:1ms])", "absent_over_time(nothing[1y:1ms])")] + [
        instant("temperature", time=t) for t in (T0, T0 + 0.5, T0 + 14.999, T0 + 15.0004, T0 + 299, T0 + 601, f"{T0}.123456",
                                                  time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(T0 + 60)),
                                                  time.strftime("%Y-%m-%dT%H:%M:%S.5+02:00", time.gmtime(T0 + 7260)))] + [
        instant("temperature", limit=n) for n in (0, 1, 3, 10, 100)] + [
        instant("temperature", lookback_delta=d, time=T0 + 301) for d in ("10s", "1", "5m", "20")] + [
        instant("temperature", timeout="10s"), instant("temperature", timeout="5"),
        ("POST", "/api/v1/query", {"query": "temperature", "time": T0 + 100}),
        ("POST", f"/api/v1/query?time={T0 + 30}", {"query": "temperature"}),
        ("POST", f"/api/v1/query?query=1&time=1", {"query": "2", "time": 2}),
    ])


@scenario
def range_queries():
    run_all([ranged(q) for q in (
        "http_requests_total{code='200'}", "sum(rate(http_requests_total[1m]))", "temperature", "1", "time()", "odd", "gone",
        "fractions", "nothing", "sum by (job) (temperature)", "vector(1) > 2", "avg_over_time(temperature[1m])",
        "http_requests_total % 7 > 3", "topk(1, temperature)")] + [
        ranged("temperature", step=s) for s in ("1m", "0.5", "15.5", "1m30s", "301")] + [
        ranged("temperature", limit=2), ranged("temperature", start=T0, end=T0), ranged("temperature", lookback_delta="10s"),
        ranged("time()", end=T0 + 10999, step=1), ranged("temperature", start=f"{T0}.250", end=f"{T0 + 60}.5"),
        ("POST", "/api/v1/query_range", {"query": "temperature", "start": T0, "end": T0 + 60, "step": "15s"}),
    ])


@scenario
def query_errors():
    run_all([instant(q) for q in (
        "", "(", "foo bar", "sum(", "foo{", "foo{a=}", "foo{a=~'('}", "rate(foo)", "foo[5m", "1 +", "foo and 1", "sum by foo",
        "unknown(foo)", "{}", "foo offset", "'abc", "foo[0s]", "sum(foo) by (", "foo @ x", "a{b='c'} on c", "\n\n  foo(",
        "topk(foo)", "rate(foo[1m:])[5m]", "{a=''}", "foo{a='b' c='d'}", "1 == 1", "-'a'", "\xff", "foo[1m] offset 1m[2m]",
        "a + on(x) group_left b + on () group_right c + ignoring", "count_values(1, foo)", "http_requests_total + on (job) temperature",
        "label_replace(temperature, 'x', '$1', 'instance', '(')", "quantile('a', b)",
        "http_requests_total[10m:1ms]", "temperature[1m:0.0004]", "sum_over_time(temperature[1m:0.0009])",
        "nothing[1m:0.0001]", "temperature[0.0004]")] + [
        instant("1", time=t) for t in ("x", "1e400", "NaN", "2020-01-01", "-1e300", "+Inf", "2020-01-01T00:00:00", "99999999999999")] + [
        instant("1", limit=n) for n in ("x", "-1", "1.5", "99999999999999999999")] + [
        instant("1", timeout=n) for n in ("x", "1e300", "5y400d", "")] + [
        instant("1", lookback_delta=n) for n in ("x", "-1", "1e300")] + [
        ("GET", "/api/v1/query"), ("POST", "/api/v1/query"), ("GET", "/api/v1/query?query=%zz"), ("GET", "/api/v1/query?query=1;time=2"),
        ranged("1", start="x"), ranged("1", end="x"), ranged("1", step="x"), ranged("1", step=0), ranged("1", step=-1),
        ranged("1", end=T0 - 1), *[ranged(q, step=s, end=T0) for q in ("1", "temperature") for s in ("0.0001", "0.0009", "1e-9", "0.0015")],
        ranged("1", end=T0 + 11001, step=1), ranged("1", end=T0 + 11000, step=1),
        ranged("foo["), ranged("foo[5m]"), ranged("'a'"), ranged("temperature[5m]"), ranged("1", timeout="x"), ranged("1", limit="x"),
        ("GET", "/api/v1/query_range"), ("GET", "/api/v1/query_range", {"query": "1"}),
        ("GET", "/api/v1/query_range", {"query": "1", "start": 1}), ("GET", "/api/v1/query_range", {"query": "1", "start": 1, "end": 2}),
        ranged("http_requests_total", step=1), instant("http_requests_total[1h:100ms]"), ranged("1", step="1e300"),
        instant("temperature", timeout="1ns"), ranged("temperature", timeout="10s", step="0.1"),
    ])


@scenario
def labels_and_series():
    span = {"start": T0, "end": T0 + 3600}  # to now and beyond: what is scraped is there in both
    run_all([
        ("GET", "/api/v1/labels", span), ("POST", "/api/v1/labels", span), ("GET", "/api/v1/labels", {**span, "match[]": "temperature"}),
        ("GET", "/api/v1/labels", {**span, "match[]": ["temperature", "odd"]}), ("GET", "/api/v1/labels", {**span, "limit": 3}),
        ("GET", "/api/v1/labels", {**span, "limit": 100}), ("GET", "/api/v1/labels", {**span, "match[]": "{__name__=~'.*requests.*'}"}),
        ("GET", "/api/v1/labels", {"match[]": "nothing"}), ("GET", "/api/v1/labels", {"match[]": "{a=''}"}),
        ("GET", "/api/v1/labels", {"match[]": "foo["}), ("GET", "/api/v1/labels", {"match[]": ""}), ("GET", "/api/v1/labels", {"start": "x"}),
        ("GET", "/api/v1/labels", {"end": "x"}), ("GET", "/api/v1/labels", {"limit": "x"}), ("GET", "/api/v1/labels", {"limit": "-2"}),
        ("GET", "/api/v1/labels", {"match[]": "sum(foo)"}), ("GET", "/api/v1/labels", {"match[]": "foo[5m]"}),
        ("GET", "/api/v1/label/job/values", span), ("GET", "/api/v1/label/__name__/values", span),
        ("GET", "/api/v1/label/instance/values", {**span, "match[]": "temperature{job='db'}"}),
        ("GET", "/api/v1/label/instance/values", {**span, "match[]": ["temperature{job='db'}", "odd"]}),
        ("GET", "/api/v1/label/instance/values", {**span, "limit": 2}), ("GET", "/api/v1/label/nothing/values", span),
        ("GET", "/api/v1/label/l/values", span), ("GET", "/api/v1/label/U__label_2e_x/values", span),
        ("GET", "/api/v1/label/label.x/values", span), ("GET", "/api/v1/label/a-b/values", span),
        ("GET", "/api/v1/label/%C3%A9/values", span), ("GET", "/api/v1/label/%FF/values", span),
        ("GET", "/api/v1/label//values", span), ("POST", "/api/v1/label/job/values", span),
        ("GET", "/api/v1/label/job/values", {"match[]": "{a=''}"}), ("GET", "/api/v1/label/job/values", {"start": "x"}),
        ("GET", "/api/v1/label/job", span), ("GET", "/api/v1/label/a%2Fb/values", span), ("GET", "/api/v1/label/job/values/", span),
        ("GET", "/api/v1/series", {**span, "match[]": "temperature"}), ("POST", "/api/v1/series", {**span, "match[]": "temperature"}),
        ("GET", "/api/v1/series", {**span, "match[]": ["temperature{job='api'}", "{job='api',__name__=~'temp.*'}", "odd"]}),
        ("GET", "/api/v1/series", {**span, "match[]": "temperature", "limit": 3}), ("GET", "/api/v1/series", span),
        ("GET", "/api/v1/series", {**span, "match[]": "nothing"}), ("GET", "/api/v1/series", {**span, "match[]": ""}),
        ("GET", "/api/v1/series", {**span, "match[]": "{l=~'.*'}"}), ("GET", "/api/v1/series", {**span, "match[]": "foo{"}),
        ("GET", "/api/v1/series", {"match[]": "temperature", "start": T0 + 301, "end": T0 + 400}),
        ("GET", "/api/v1/series", {"match[]": "temperature", "start": "x"}), ("DELETE", "/api/v1/series", {"match[]": "temperature"}),
        ("GET", "/api/v1/series", {**span, "match[]": '{"metric.with.dots"}'}),
        ("GET", "/api/v1/series", {**span, "match[]": "{code!='200',job='api'}"}),
    ])


@scenario
def other_endpoints():
    run_all([
        ("GET", "/api/v1/metadata"), ("GET", "/api/v1/metadata", {"metric": "scraped_total"}), ("GET", "/api/v1/metadata", {"metric": "none"}),
        ("GET", "/api/v1/metadata", {"limit": 1, "metric": "scraped_total"}), ("GET", "/api/v1/metadata", {"limit": "x"}),
        ("GET", "/api/v1/metadata", {"limit_per_metric": 1, "metric": "hist"}), ("GET", "/api/v1/metadata", {"limit_per_metric": "x"}),
        ("GET", "/api/v1/metadata", {"limit": -1}), ("GET", "/api/v1/metadata", {"limit": 0}), ("POST", "/api/v1/metadata"),
        ("GET", "/api/v1/rules"), ("GET", "/api/v1/rules", {"type": "alert"}), ("GET", "/api/v1/rules", {"type": "x"}),
        ("GET", "/api/v1/rules", {"match[]": "foo{"}), ("GET", "/api/v1/rules", {"group_limit": "x"}), ("GET", "/api/v1/rules", {"exclude_alerts": "x"}),
        ("GET", "/api/v1/rules", {"group_next_token": "x"}), ("GET", "/api/v1/rules", {"group_limit": 0}),
        ("GET", "/api/v1/rules", {"group_limit": 1, "group_next_token": "x"}),
        ("GET", "/api/v1/alerts"), ("GET", "/api/v1/alertmanagers"), ("GET", "/api/v1/query_exemplars", {"query": "temperature"}),
        ("GET", "/api/v1/query_exemplars", {"query": "1"}), ("GET", "/api/v1/query_exemplars", {"query": "foo{"}),
        ("GET", "/api/v1/query_exemplars", {"query": "temperature", "start": 2, "end": 1}), ("GET", "/api/v1/query_exemplars"),
        ("GET", "/api/v1/query_exemplars", {"query": "temperature", "start": "x"}),
        ("POST", "/api/v1/query_exemplars", {"query": "temperature", "start": T0, "end": T0 + 1}),
        ("GET", "/api/v1/scrape_pools"), ("GET", "/api/v1/status/config"), ("GET", "/api/v1/status/walreplay"),
        ("POST", "/api/v1/status/config"), ("GET", "/api/v1/nothing"), ("GET", "/api/v1"), ("GET", "/api/v1/"), ("GET", "/nothing"),
        ("GET", "/api/v2/query"), ("GET", "/api/v1/query/"), ("PUT", "/api/v1/query"), ("DELETE", "/api/v1/query"),
        ("HEAD", "/api/v1/query"), ("PATCH", "/api/v1/labels"), ("GET", "/-/healthy"), ("HEAD", "/-/healthy"), ("GET", "/-/ready"),
        ("HEAD", "/-/ready"), ("POST", "/-/healthy"), ("GET", "/-/reload"), ("GET", "/-/quit"), ("DELETE", "/-/quit"), ("HEAD", "/-/reload"),
        ("POST", "/-/reload"), ("PUT", "/-/reload"), ("GET", "/api/v1/status/tsdb", {"limit": "x"}), ("GET", "/api/v1/status/tsdb", {"limit": 0}),
        ("GET", "/api/v1/status/tsdb", {"limit": 10001}), ("OPTIONS", "/api/v1/query"), ("OPTIONS", "/api/v1/anything/at/all"),
        ("OPTIONS", "/-/healthy"), ("GET", "//api/v1/query", {"query": "1"}), ("GET", "/api/v1/../v1/query", {"query": "1"}),
        ("POST", "/metrics"), ("GET", "/metrics/"), ("GET", "/metrics//"), ("GET", "/./metrics"), ("GET", "/-/healthy/"), ("POST", "/-/reload/"),
        ("POST", "//api/v1/query"), ("GET", "/nothing/"), ("GET", "/api/v1/nothing/"), ("GET", "//metrics", {"a<": "b&c"}), ("GET", "/version/"),
        ("GET", "/api/v1/series?match[]=up&%zz"), ("GET", "/api/v1/rules?%zz"), ("GET", "/api/v1/labels?match[]=odd&%zz&start=1"),
        ("GET", "/api/v1/series?match[]=up;a=b"), ("POST", "/api/v1/query/"),
    ])


LANGUAGE = (
    "foo", "sum(a)by(b)", "", "foo{", "rate(foo)", "1+2*3", "-(1)", "a and on(b) c", "foo[5m] offset 1h @ 5", "foo @ start()",
    'a{b="<&>",c=~"x|y",d!="",e!~"z"}', '"str<&>"', "sum by(a,b)(rate(foo{a='b'}[5m:1m] offset -1h))", "count_values without (a) ('x', b)",
    "quantile(0.5, a) / ignoring(x) group_left(y) b", "a > bool b", "time()", "label_replace(a, 'b', '$1', 'c', '(.*)')", "1.50", "0x1F", "Inf", "NaN",
    "topk by (a) (5, b)", "{__name__='a b'}", '{"metric.with.dots", "label.x"="ü"}', "foo[1h:]", "((a))", "a or b unless c", "2 ^ 3 ^ 2", "# comment\n a",
    "round(a)", "round(a, 5)", "day_of_month()", "histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m])))", "a atan2 b", "absent(foo{a='b'})",
    "sum(very_long_metric_name_number_one_of_many{label_one='value one', label_two='value two'}) by (label_one, label_two) / "
    "on (label_one) group_left (label_two) max(very_long_metric_name_number_two_of_many{label_one='value one'}) by (label_one) > 5")


@scenario
def language():
    run_all([("GET", f"/api/v1/{path}", {"query": q}) for path in ("format_query", "parse_query") for q in LANGUAGE] + [
        ("POST", "/api/v1/format_query", {"query": "a+b"}), ("POST", "/api/v1/parse_query", {"query": "a+b"}),
        ("GET", "/api/v1/format_query"), ("GET", "/api/v1/parse_query"), ("PUT", "/api/v1/parse_query"),
    ])


@scenario
def every_rune_is_quoted_as_prometheus_does():
    refused = [0xfeff, 0xfffd]  # each a query of its own: it is an error
    runes = [r for r in range(0x80, 0x110000) if not 0xd800 <= r < 0xe000 and r not in refused]
    for some in [runes[i:i + 16384] for i in range(0, len(runes), 16384)] + [[r] for r in refused]:
        form = {"query": 'x{a="%s"}' % "".join(map(chr, some))}
        ours, theirs = (server.post("/api/v1/format_query", form).json() for server in (pair().ours, pair().theirs))
        check(ours == theirs, hex(some[0]), *[(a, b) for a, b in zip(str(ours), str(theirs)) if a != b][:3])


@scenario
def what_there_is_most_of():
    """Counted over all series, whichever shard has them; the order of equal counts is nobody's promise."""
    def counts(server):
        data = server.api("status/tsdb", {"limit": 10000})
        lists = {name: {row["name"]: row["value"] for row in rows} for name, rows in data.items() if name != "headStats"}
        return {"numSeries": data["headStats"]["numSeries"], "numLabelPairs": data["headStats"]["numLabelPairs"], **lists}
    check_equal(counts(pair().ours), counts(pair().theirs))


@scenario
def metadata_of_targets():
    run_all([("GET", "/api/v1/targets/metadata", params) for params in (
        {}, {"metric": "scraped_total"}, {"metric": "none"}, {"match_target": '{instance="one"}'}, {"match_target": '{instance="one",job!="fake"}'},
        {"match_target": '{instance="two"}', "metric": "scraped_total"}, {"match_target": '{nothing=""}', "metric": "hist"}, {"match_target": "x{"},
        {"match_target": "{}"}, {"match_target": "up"}, {"limit": 0}, {"limit": "x"}, {"limit": 1, "match_target": '{instance="one"}'}, {"limit": -1},
        {"match_target": "{__address__=~'.+'}"}, {"match_target": "{drop='no'}"})] + [("POST", "/api/v1/targets/metadata")])


@scenario
def what_is_off():
    run_all([(method, f"/api/v1/admin/tsdb/{what}") for what in ("snapshot", "delete_series", "clean_tombstones") for method in ("POST", "PUT", "GET")] + [
        ("GET", "/api/v1/notifications"), ("POST", "/api/v1/notifications"), ("POST", "/api/v1/admin/tsdb/nothing"),
        ("POST", "/api/v1/otlp/v1/metrics"), ("HEAD", "/version"), ("POST", "/version"), ("HEAD", "/metrics"),
    ])


@scenario
def the_version_as_prometheus():
    ours, theirs = pair().ours.get("/version"), pair().theirs.get("/version")
    check_equal(ours.headers["Content-Type"], theirs.headers["Content-Type"])
    check_equal(list(ours.json()), list(theirs.json()))
    check_equal(ours.text()[-2:], theirs.text()[-2:])


RELABEL = """scrape_configs:
- job_name: steps
  static_configs: [{targets: ['127.0.0.1:1']}]
  relabel_configs:
  - {source_labels: [a, b], regex: 'x;(.*)', target_label: c}
  - {action: labeldrop, regex: 'a|b'}
  - {action: hashmod, source_labels: [c], modulus: 8, target_label: h}
  - {action: drop, source_labels: [c], regex: gone, separator: ''}
  - {target_label: late, replacement: '<&>'}
- job_name: none
  static_configs: [{targets: ['127.0.0.1:1']}]
"""


@scenario
def relabelling_step_by_step():
    # Prometheus knows this since 3.6: expected as its sources say.
    ours = ferula(RELABEL)
    rules = [{"sourceLabels": ["a", "b"], "separator": ";", "regex": "x;(.*)", "targetLabel": "c", "replacement": "$1", "action": "replace"},
             {"separator": ";", "regex": "a|b", "replacement": "$1", "action": "labeldrop"},
             {"sourceLabels": ["c"], "separator": ";", "regex": "(.*)", "modulus": 8, "targetLabel": "h", "replacement": "$1", "action": "hashmod"},
             {"sourceLabels": ["c"], "regex": "gone", "replacement": "$1", "action": "drop"},
             {"separator": ";", "regex": "(.*)", "targetLabel": "late", "replacement": "<&>", "action": "replace"}]

    def steps(labels):
        return ours.api("targets/relabel_steps", {"scrapePool": "steps", "labels": labels})["steps"]
    # md5("y") ends in ...c1af: its last eight bytes modulo 8.
    h = str(int(hashlib.md5(b"y").hexdigest()[16:], 16) % 8)
    got = steps('{"a":"x","b":"y","k":"v"}')
    check_equal([s["rule"] for s in got], rules)
    check_equal([s["output"] for s in got], [{"a": "x", "b": "y", "c": "y", "k": "v"}, {"c": "y", "k": "v"}, {"c": "y", "h": h, "k": "v"},
                                             {"c": "y", "h": h, "k": "v"}, {"c": "y", "h": h, "k": "v", "late": "<&>"}])
    check_equal([s["keep"] for s in got], [True] * 5)
    got = steps('{"a":"x","b":"gone"}')
    check_equal([(s["output"], s["keep"]) for s in got[3:]], [({}, False)] * 2)
    check_equal(ours.api("targets/relabel_steps", {"scrapePool": "none", "labels": "{}"}), {"steps": []})
    for params, text in (({}, "no scrapePool parameter provided"), ({"scrapePool": "steps"}, "no labels parameter provided"),
                         ({"scrapePool": "x", "labels": "{}"}, 'error getting scrape config: scrape pool "x" not found'),
                         ({"scrapePool": "steps", "labels": "x"}, "error parsing labels: invalid character 'x' looking for beginning of value")):
        answer = ours.get("/api/v1/targets/relabel_steps", params)
        check_equal((answer.status, answer.json()["errorType"], answer.json()["error"]), (400, "bad_data", text))


@scenario
def configuration_of_a_pool():
    ours = ferula(RELABEL)
    yaml = ours.api("scrape_pools/config", {"scrapePool": "steps"})["yaml"]
    whole = ours.api("status/config")["yaml"]
    check(yaml.startswith("job_name: steps\n"), yaml)
    check("- " + yaml.rstrip("\n").replace("\n", "\n  ") in whole, yaml, whole)
    check_equal(ours.get("/api/v1/scrape_pools/config").status, 400)
    check_equal(ours.get("/api/v1/scrape_pools/config", {"scrapePool": "x"}).status, 400)


@scenario
def features_of_this_server():
    ours = ferula(args=["--web.enable-lifecycle", "--enable-feature=promql-experimental-functions"])
    features = ours.api("features")
    check_equal(sorted(features), ["api", "otlp_receiver", "prometheus", "promql", "promql_functions", "promql_operators", "rules", "scrape",
                                   "service_discovery_providers", "templating_functions", "tsdb", "ui"])
    check(all(isinstance(v, bool) for category in features.values() for v in category.values()), features)
    check(features["api"]["lifecycle"] and not features["api"]["admin"] and not features["api"]["remote_write_receiver"], features["api"])
    check(features["promql_functions"]["sort_by_label"] and features["promql_operators"]["limitk"])
    plain = ferula()
    check(not plain.api("features")["promql_functions"]["sort_by_label"] and plain.api("features")["promql_functions"]["rate"])
    check("<=" in plain.get("/api/v1/features").text(), "not escaped for HTML")
    answer = plain.get("/api/v1/search/metric_names")
    check_equal((answer.status, answer.json()), (500, {"status": "error", "errorType": "unavailable", "error": "search API disabled"}))


PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding="


def families(text):
    """A text page as {TYPE line: sorted samples}, in its order: within a family Prometheus's order is of no sort."""
    out = {}
    for line in text.split("\n"):
        if line.startswith("#"):
            at = out.setdefault(line, [])
        elif line:
            at.append(line)
    return [(k, sorted(v)) for k, v in out.items()]


def fresh():
    """Series with samples of now, of several shapes, for both."""
    now = int(time.time() * 1000)
    shapes = [("now_total", {"job": "api", "instance": f"host-{i}"}, float(i)) for i in range(5)]
    shapes += [("no_instance", {"job": "api"}, v) for v in (1e6,)] + [("no_instance", {"job": f"v{i}"}, v) for i, v in enumerate(
        (1e-7, 1e21, 123456.789, -1.0, float("inf"), -float("inf"), float("nan"), 0.0, -0.0, 1e5, 5e-324))]
    shapes += [("now.with.dots", {"label.x": "ü", "_a_b": "c", "plain": "d"}, 1.0), ("now-ü", {}, 2.0), ("has_replica", {"replica": "own"}, 3.0),
               ("odd_value", {"l": "a\"b\\c\n<é&>"}, 4.0), ("Z_first", {"A": "1", "z": "2"}, 5.0), ("ends", {"job": "x"}, 1.0), ("old", {"job": "x"}, 1.0),
               ("with:colon", {"a": "b"}, 6.0)]
    series = [({"__name__": n, **l}, [(now - 60000, v - 1), (now - 30000, v)]) for n, l, v in shapes if n not in ("ends", "old")]
    series.append(({"__name__": "ends", "job": "x"}, [(now - 60000, 1.0), (now - 30000, 0x7FF0000000000002)]))
    series.append(({"__name__": "old", "job": "x"}, [(now - 400000, 1.0)]))
    series.append(({"__name__": "edge", "job": "x"}, [(now - 290000, 1.0)]))
    return series


def federate(server, matches, accept=None, **headers):
    return server.get("/federate", {"match[]": matches}, {**({"Accept": accept} if accept else {}), **headers})


@scenario
def federation():
    p = pair()
    series = fresh()
    for server in (p.ours, p.theirs):
        check_equal(remote_write(server, series).status, 204, server.name)
    everything = '{__name__!~"up|scrape_.*|scraped_total|plain|hist.*|sum.*"}'
    for matches in ([everything], ["now_total"], ["now_total", '{job="api"}', "no_instance"], ['{__name__=~"now.*"}'], ["nothing"], [], ["ends"], ["old"],
                    ["edge"], ['{l=~".+"}'], ['{instance=""}']):
        def one(matches=matches):
            def page(server):
                answer = federate(server, matches)
                return answer.status, answer.headers["Content-Type"], families(answer.text())
            soon_equal(lambda: page(p.ours), lambda: page(p.theirs))
        run_scenario(f"federate {matches}", one)
    for matches in (["{}"], ['{a=""}']):
        check_equal([f[0] for f in families(federate(p.ours, matches).text())], [f[0] for f in families(federate(p.theirs, matches).text())], matches)
    few = ["now_total", '{__name__=~"now.with.dots|now-ü|odd_value|Z_first|with:colon"}']
    for accept in ("text/plain", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "*/*", "application/openmetrics-text;version=1.0.0", "text/html", "",
                   *(f"text/plain;version=0.0.4;escaping={s}" for s in ("allow-utf-8", "underscores", "dots", "values", "nonsense")),
                   "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                   "text/plain;version=1.0.0;escaping=values", "text/plain;escaping=dots;q=0.1,text/plain;escaping=values;q=0.2",
                   PROTOBUF + "delimited", PROTOBUF + "delimited;escaping=values;q=0.6,text/plain;q=0.5", PROTOBUF + "delimited;q=0.4,text/plain;q=0.5",
                   PROTOBUF + "nonsense", PROTOBUF + "text", PROTOBUF + "compact-text"):
        def one(accept=accept):
            ours, theirs = federate(p.ours, few, accept), federate(p.theirs, few, accept)
            check_equal((ours.status, ours.headers["Content-Type"]), (theirs.status, theirs.headers["Content-Type"]))
            if "text" in ours.headers["Content-Type"].partition("encoding=")[2].partition(";")[0]:  # Go varies its spaces on purpose
                check_equal(re.sub(r"[ \n]+", " ", ours.text()), re.sub(r"[ \n]+", " ", theirs.text()))
            else:
                check_equal(ours.body, theirs.body)
        run_scenario(f"federate Accept: {accept}", one)
    run_all([("GET", "/federate", params) for params in ({"match[]": "foo{"}, {"match[]": "sum(a)"}, {"match[]": ""},
                                                         {"match[]": ["up", "foo["]}, {"x": "y"})] + [
        ("POST", "/federate"), ("HEAD", "/federate"), ("OPTIONS", "/federate"), ("GET", "/federate?match[]=%zz"), ("GET", "/federate?a;b"),
        ("GET", "/federate", {"match[]": "now_total"}, {"Origin": "http://example.org"}),
        ("GET", "/federate", {"match[]": "now_total"}, {"Accept-Encoding": "gzip"}), ("GET", "/federate", {"match[]": "nothing"}, {"Accept-Encoding": "gzip"})])


class Events:
    """Server-sent events of a connection, as they come."""

    def __init__(self, server):
        self.raw = Raw(server)
        self.raw.send("GET /api/v1/notifications/live HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
        self.status = int(self.raw.file.readline().split()[1])
        self.headers = http.client.parse_headers(self.raw.file)

    def next(self):
        n = int(self.raw.file.readline(), 16)
        data = self.raw.file.read(n + 2)[:-2]
        return data if not n else json.loads(data.removeprefix(b"data: "))


@scenario
def notices_live():
    for server in (ferula(args=["--web.enable-lifecycle", "--web.max-notifications-subscribers=2"]),
                   prometheus(args=["--web.max-notifications-subscribers=2"])):
        events = Events(server)
        check_equal((events.status, events.headers["Content-Type"], events.headers["Content-Encoding"], events.headers["Cache-Control"]),
                    (200, "text/event-stream", None, "no-cache"), server.name)
        server.configure("x")
        check_equal(server.reload().status, 500, server.name)
        event = events.next()
        check_equal((list(event), event["text"], event["active"]), (["text", "date", "active"], "Configuration reload has failed.", True), server.name)
        late = Events(server)
        check_equal(late.next(), event, server.name)
        check_equal(Events(server).status, 204, server.name)
        standing = server.api("notifications")
        check_equal(standing, [event], server.name)
        late.raw.close()
        check(wait_for("a place is free", lambda: (e := Events(server)).status == 200 and (e.next() or True)), server.name)
        server.configure("")
        check_equal(server.reload().status, 200, server.name)
        check_equal(events.next(), {**event, "active": False}, server.name)
        check_equal(server.api("notifications"), [], server.name)
        server.signal(signal.SIGTERM)
        event = events.next()
        check_equal((event["text"], event["active"]), ("Prometheus is shutting down and gracefully stopping all operations.", True), server.name)
        check_equal(server.wait(), 0, server.name)


@scenario
def headers_and_encodings():
    big = {"query": "http_requests_total[5m]", "time": T0 + 300}
    run_all([
        ("GET", "/api/v1/query", big, {"Accept-Encoding": "gzip"}), ("GET", "/api/v1/query", big, {"Accept-Encoding": "deflate"}),
        ("GET", "/api/v1/query", big, {"Accept-Encoding": "deflate, gzip"}), ("GET", "/api/v1/query", big, {"Accept-Encoding": "br, gzip;q=0.1"}),
        ("GET", "/api/v1/query", big, {"Accept-Encoding": "identity"}), ("GET", "/api/v1/query", big, {"Accept-Encoding": "gzip;q=0"}),
        ("GET", "/api/v1/query", big, {"Accept": "application/x-protobuf"}), ("GET", "/api/v1/query", big, {"Accept": "text/html"}),
        ("GET", "/api/v1/query", {"query": "1", "time": 1}, {"Origin": "http://example.org"}),
        ("OPTIONS", "/api/v1/query", None, {"Origin": "http://example.org", "Access-Control-Request-Method": "POST"}),
        ("GET", "/api/v1/query", {"query": "("}, {"Origin": "http://example.org"}), ("GET", "/-/healthy", None, {"Origin": "http://example.org"}),
        ("GET", "/api/v1/nothing", None, {"Origin": "http://example.org"}),
    ])


@scenario
def small_answers_are_compressed_as_asked():
    compare("small gzip", "GET", "/api/v1/query", {"query": "1", "time": 1}, {"Accept-Encoding": "gzip"})


# ---- what is not equal word for word: the same shape

def shape(value):
    """Types instead of values."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__ if not isinstance(value, (int, float)) or isinstance(value, bool) else "number"


@scenario
def status_shapes():
    p = pair()
    for path in ("status/runtimeinfo", "status/buildinfo", "status/tsdb"):
        run_scenario(path, lambda: check_equal(shape(p.ours.api(path)), shape(p.theirs.api(path)), path))
    run_scenario("flags", check_flags)
    run_scenario("statistics", check_statistics)


def check_flags():
    ours, theirs = pair().ours.api("status/flags"), pair().theirs.api("status/flags")
    check(all(isinstance(v, str) for v in ours.values()), "values are texts")
    missing = sorted(set(theirs) - set(ours) - {"agent", "storage.agent.path", "web.local-assets"})  # the last is Debian's own
    check_equal([m for m in missing if "agent" not in m], [], "flags of Prometheus that are missing")
    own = ("web.listen-address", "config.file", "storage.tsdb.path")
    differ = {k: (ours[k], theirs[k]) for k in theirs if k in ours and ours[k] != theirs[k] and k not in own}
    check_equal({k: v for k, v in differ.items() if k not in EXPLAINED["flags"]}, {}, "values that differ")


def check_statistics():
    for stats in ("true", "all", "1", "false", "<x>"):
        params = {"query": "sum(http_requests_total)", "time": T0 + 100, "stats": stats}
        ours, theirs = (s.get("/api/v1/query", params).json() for s in (pair().ours, pair().theirs))
        ours_stats, theirs_stats = ours["data"]["stats"], theirs["data"]["stats"]
        check_equal(list(ours_stats["timings"]), list(theirs_stats["timings"]), "timings")
        check_equal(list(ours_stats["samples"]), ["totalQueryableSamples", "samplesRead", "peakSamples"], "samples")
        # Known in 3.14: other words than these two.
        check_equal(ours.get("warnings"), None if stats in ("true", "all") else [
            f'value "{stats}" for parameter "stats" is deprecated and will be rejected in the next major release, use "true" or "all"'])
    check("stats" not in pair().ours.api("query", {"query": "1"}) and "stats" not in pair().ours.api("query", {"query": "1", "stats": ""}))
    for query in ("sum(http_requests_total)", "rate(http_requests_total[1m])", "vector(1)", "temperature * 2", "topk(2, temperature)"):
        for path, params in (("query", {"query": query, "time": T0 + 100}),
                             ("query_range", {"query": query, "start": T0, "end": T0 + 120, "step": 15})):
            def one(path=path, params={**params, "stats": "all"}):
                ours, theirs = (s.api(path, params)["stats"]["samples"] for s in (pair().ours, pair().theirs))
                check_equal({k: v for k, v in ours.items() if k in theirs}, theirs, params)
            run_scenario(f"samples of {path} {query}", one)


@scenario
def targets_as_prometheus():
    def targets(server, **params):
        data = server.api("targets", params)
        for t in data["activeTargets"] or []:
            t["lastScrape"] = "T" in t["lastScrape"]
            t["lastScrapeDuration"] = isinstance(t["lastScrapeDuration"], (int, float))
            t["globalUrl"] = re.sub(r"http://[^:/]+:", "http://HOST:", t["globalUrl"])
        return in_order(data)
    for params in ({}, {"state": "active"}, {"state": "dropped"}, {"state": "any"}, {"state": "ACTIVE"}, {"state": "x"},
                   {"scrapePool": "down"}, {"scrapePool": "nothing"}, {"scrapePool": "dropping", "state": "dropped"}):
        run_scenario(f"targets {params}", soon_equal, lambda p=params: targets(pair().ours, **p), lambda p=params: targets(pair().theirs, **p))


@scenario
def every_metric_name_of_the_page_is_well_formed():
    text = pair().ours.get("/metrics").text()
    types, seen = {}, set()
    for line in text.strip().split("\n"):
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            check(name not in types, "TYPE twice", name)
            types[name] = kind
        elif not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            float(value)
            check(series not in seen, "series twice", series)
            seen.add(series)
            name = series.partition("{")[0]
            check(name in types or re.sub(r"_(bucket|sum|count)$", "", name) in types, "no TYPE", name)
    theirs = pair().theirs.get("/metrics").text()
    wanted = {line.split(" ")[2]: line.split(" ")[3] for line in theirs.split("\n") if line.startswith("# TYPE ")}
    differ = {n: (k, wanted[n]) for n, k in types.items() if n in wanted and wanted[n] != k}
    check_equal(differ, {}, "types that differ")


# ---- lifecycle


@scenario
def lifecycle_is_off_by_default():
    ours = ferula()
    for path in ("/-/reload", "/-/quit"):
        for method, status, text in (("POST", 403, "Lifecycle API is not enabled."), ("PUT", 403, "Lifecycle API is not enabled."),
                                     ("GET", 405, "Only POST or PUT requests allowed")):
            answer = ours.request(method, path)
            check_equal((answer.status, answer.text().strip()), (status, text), f"{method} {path}")


@scenario
def reload_is_all_or_nothing():
    ours = ferula("global: {scrape_interval: 7s}\n", args=["--web.enable-lifecycle"])
    before = ours.api("status/config")["yaml"]
    check("scrape_interval: 7s" in before, before)
    ours.configure("global: {scrape_interval: 8s}\nscrape_configs: [{job_name: a}, {job_name: a}]\n")
    for _ in range(4):  # by every shard
        answer = ours.reload()
        check_equal(answer.status, 500)
        check(answer.text().startswith("failed to reload config: couldn't load configuration (--config.file="), answer.text())
        check_equal(ours.api("status/config")["yaml"], before)
        check_equal(ours.api("status/runtimeinfo")["reloadConfigSuccess"], False)
    check("prometheus_config_last_reload_successful 0" in ours.get("/metrics").text())
    ours.configure("global: {scrape_interval: 8s}\n")
    for _ in range(4):
        check_equal((ours.reload().status, ours.reload().text()), (200, ""))
    check("scrape_interval: 8s" in ours.api("status/config")["yaml"])
    check_equal(ours.api("status/runtimeinfo")["reloadConfigSuccess"], True)


@scenario
def quit_ends_the_process():
    for _ in range(2):
        ours = ferula(args=["--web.enable-lifecycle"])
        answer = ours.request("PUT", "/-/quit")
        check_equal((answer.status, answer.text()), (200, "Requesting termination... Goodbye!"))
        check_equal(ours.wait(), 0, "exit code")


@scenario
def secrets_are_nowhere():
    target = FakeTarget(lambda r: Reply("a 1\n"))
    config = f"""scrape_configs:
- job_name: s
  scrape_interval: 200ms
  basic_auth: {{username: u, password: 'hunter-two'}}
  http_headers: {{X-Key: {{secrets: ['hunter-two']}}}}
  static_configs: [{{targets: ['{target.address}']}}]
- job_name: b
  authorization: {{credentials: 'hunter-two'}}
  scrape_interval: 200ms
  static_configs: [{{targets: ['{target.address}']}}]
"""
    ours = ferula(config, args=["--log.level=debug"])
    wait_for("scrapes", lambda: len(ours.query("up")) == 2)
    for path in ("/api/v1/status/config", "/api/v1/targets", "/metrics", "/api/v1/status/flags", "/"):
        check("hunter-two" not in ours.get(path).text(), path)
    check("hunter-two" not in ours.log(), "the log")


@scenario
def every_link_of_the_page_answers():
    for args, prefix in (([], ""), (["--web.route-prefix=/pre"], "/pre")):
        ours = ferula("scrape_configs: []\n", args=args, ready=False)
        address = ours.wait_log(r"Listening on.*address=(\S+)").group(1)
        ours.host, ours.port = address.split(":")[0], int(address.split(":")[1])
        wait_for("ready", lambda: ours.get(prefix + "/-/ready").status == 200)
        page = ours.get(prefix + "/")
        check_equal((page.status, page.headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        links = re.findall(r'(?:href|action)="(/[^"]*)"', page.text())
        check(len(links) > 10 and all(link.startswith(prefix + "/") for link in links), links)
        for link in links:
            check_equal(ours.get(link + ("?query=up" if link.endswith("/query") else "")).status, 200, link)
        check("is ready and runs since" in page.text(), page.text())


@scenario
def prefix_and_external_url():
    ours = ferula("scrape_configs: []\n", args=["--web.external-url=http://example.org/prom/"], ready=False)
    ours.wait_log("Listening on")
    address = re.search(r"address=(\S+)", ours.log()).group(1)
    ours.host, ours.port = address.split(":")[0], int(address.split(":")[1])
    check_equal(wait_for("ready", lambda: ours.get("/prom/-/ready").status == 200), True)
    check_equal(ours.get("/prom/api/v1/query?query=1").status, 200)
    check_equal(ours.get("/api/v1/query?query=1").status, 404)
    answer = ours.get("/")
    check_equal((answer.status, answer.headers["Location"]), (302, "/prom"))


if __name__ == "__main__":
    main()
