"""Random requests of all endpoints, with parameters that are missing, doubled, malformed or out of any range, asked of both.

Status, headers and body must be equal, but for what known.txt explains.
"""
import http.client
import json
import re
import time
import urllib.parse

import answers
import known
import series
from harness import PATIENCE_S

TIMES = ["", "x", "NaN", "Inf", "-Inf", "1e400", "1e18", "-1e18", "9223372036854775807", "9223372036.854775807", "1e300", "0x10", "1_000", "+5", ".5", "5.",
         " 1", "1 ", "1e3", "0x1p10", "-0", "infinity", "nan", "1.5", "-1.0005", "1e-400", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00.123456789Z",
         "2020-01-01T00:00:00,5Z", "2020-01-01T00:00:00+02:00", "2020-01-01T00:00:00+24:00", "2020-01-01T00:00:00+24:01", "2020-01-01T00:00:00-00:60",
         "2020-01-01T00:00:00+00:61", "2020-01-01T0:00:00Z", "2020-01-01T00:0:00Z", "2020-1-01T00:00:00Z", "2020-01-01 00:00:00Z", "2020-01-01T00:00:00",
         "2020-01-01t00:00:00z", "2020-02-30T00:00:00Z", "2020-02-29T00:00:00Z", "2021-02-29T00:00:00Z", "2020-13-01T00:00:00Z", "2020-01-01T24:00:00Z",
         "2020-01-01T00:60:00Z", "2020-01-01T00:00:60Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "10000-01-01T00:00:00Z", "2020-01-01T00:00:00.Z",
         "-292273086-05-16T16:47:06Z", "292277025-08-18T07:12:54.999999999Z", "now", "1,5", "١", "2020-01-01T00:00:00+0200", "2020-01-01T00:00:00+02",
         "1700000040", "1700000640", "1700000640.5", "1700003000", "253402300799", "-62135596800", "99999999999", "0"]
DURATIONS = ["", "x", "0", "-1", "0s", "5m", "1h30m", "90", "1.5", "1e2", "1e300", "NaN", "Inf", "-Inf", "1e10", "9223372036", "9223372037", "300y", "292y", "1.5s", "5m5m",
             "1s1m", "5 m", " 5m", "5M", "-5m", "+5", "1ms", "0.0001", "1e-10", "5µs", "1ns", "0x1p3", "0x5", "1_0", "5m ", "1d12h", "1w", "1y", "m", "5mm", "106751d", "1e3s"]
LIMITS = ["", "x", "0", "1", "3", "-1", "1.5", "+3", "007", "0x1", "1e3", " 1", "99999999999999999999", "9223372036854775807", "1_0", "1000"]
QUERIES = ["", "1", "temp", "lone", "up{", "foo[5m]", "'a'", "lone[1m]", "sum(temp)", "{}", "rate(lone)", "\xff", "1 +", "nothing", "vector(time())", "time()",
           "x offset 1e10", "a{b='c'}{d='e'}", "lone @ end()", "# nothing", " ", "\n1\n", "lone[1m:1s]", "absent(nothing)", "topk(1, lone)"]
MATCHES = ["", "temp", "lone", "{}", "{a=''}", "{job=~'.*'}", "{job=~'.+'}", "up{", "foo[5m]", "1", "sum(x)", "x offset 5m", "x @ 1", "(lone)", "-lone", "'a'", "{__name__=~'t.*'}",
           "x{a='b'} ", "x y", "{'a b'}", "{\"temp\"}", "lone{le!~'['}"]
STATS = ["", "true", "false", "all", "x", "TRUE", "1"]
WORDS = ["", "x", "temp", "alert", "record", "active", "dropped", "any", "ANY", "true", "false", "1", "fake", "{job='x'}", "up{"]
PARAMETERS = {"query": QUERIES, "time": TIMES, "start": TIMES, "end": TIMES, "step": DURATIONS, "timeout": DURATIONS, "lookback_delta": DURATIONS, "limit": LIMITS,
              "stats": STATS, "match[]": MATCHES, "match": MATCHES, "limit_per_metric": LIMITS, "metric": WORDS, "match_target": MATCHES, "type": WORDS, "state": WORDS,
              "scrapePool": WORDS, "exclude_alerts": WORDS, "group_limit": LIMITS, "group_next_token": WORDS, "rule_name[]": WORDS, "file[]": WORDS, "": ["", "x"]}
GET, BOTH = ["GET"], ["GET", "POST"]
# What an endpoint knows, what of it comes most often with a sound value, and how it is asked.
ENDPOINTS = {
    "query": ("query time timeout limit lookback_delta stats", BOTH), "query_range": ("query start end step timeout limit lookback_delta stats", BOTH),
    "format_query": ("query", BOTH), "parse_query": ("query", BOTH), "query_exemplars": ("query start end", BOTH), "labels": ("start end match[] limit", BOTH),
    "label/job/values": ("start end match[] limit", GET), "label/a-b/values": ("start end match[] limit", GET), "label/%FF/values": ("start match[]", GET),
    "label/U__a_20_b/values": ("start match[]", GET), "label/U___/values": ("start", GET), "label/U__zz_/values": ("match[]", GET),
    "series": ("match[] start end limit", BOTH), "metadata": ("metric limit limit_per_metric", GET), "targets/metadata": ("match_target metric limit", GET),
    "targets": ("state scrapePool", GET), "rules": ("type match[] exclude_alerts group_limit group_next_token rule_name[] file[]", GET), "alerts": ("", GET),
    "alertmanagers": ("", GET), "scrape_pools": ("", GET), "status/tsdb": ("limit", GET), "status/walreplay": ("", GET), "notifications": ("", GET),
    "admin/tsdb/delete_series": ("match[] start end", ["POST", "PUT"]), "admin/tsdb/snapshot": ("", ["POST"]), "nothing": ("query", BOTH), "": ("query", GET),
}
SOUND = {"query": "lone", "start": str(series.START + 600), "end": str(series.START + 900), "time": str(series.START + 700), "step": "60", "match[]": "lone"}
HEADERS = ("Content-Type", "Vary", "Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
           "Access-Control-Expose-Headers", "Allow", "Location", "X-Content-Type-Options")
FORM = "application/x-www-form-urlencoded"
TYPES = [FORM] * 12 + [FORM + "; charset=utf-8", "Application/X-WWW-Form-URLEncoded", "text/plain", "application/json", "", "x", "multipart/form-data"]


class Asked:
    """A request as it goes over the wire."""

    def __init__(self, method, path, params, body, headers):
        self.method, self.path, self.params, self.body, self.headers = method, path, params, body, headers

    def __str__(self):
        return f"{self.method} {self.path} {self.body if self.body is not None else ''} {self.headers}"


def encoded(r, params):
    text = urllib.parse.urlencode([(k, v.encode("latin-1" if v == "\xff" else "utf-8")) for k, v in params])
    roll = r.random()
    return text + "&%zz" if roll < .01 else text.replace("&", ";", 1) if roll < .02 else text + "&&=" if roll < .03 else text


def make_request(r):
    endpoint = r.choice(list(ENDPOINTS))
    names, methods = ENDPOINTS[endpoint]
    params = []
    for name in names.split():
        roll = r.random()
        if roll < .5 and name in SOUND:
            params.append((name, SOUND[name]))
        elif roll < .85:
            params += [(name, r.choice(PARAMETERS[name])) for _ in range(r.choice([1, 1, 1, 1, 2]))]
    if r.random() < .05:
        name = r.choice(list(PARAMETERS))
        params.append((name, r.choice(PARAMETERS[name])))
    r.shuffle(params)
    method = r.choice(methods) if r.random() < .94 else r.choice(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
    path, headers, body = f"/api/v1/{endpoint}", {}, None
    if method in ("POST", "PUT", "PATCH"):
        split = r.choice([0, 0, 0, 0, 1, len(params)])
        path, body = path + ("?" + encoded(r, params[:split]) if split else ""), encoded(r, params[split:])
        content = r.choice(TYPES)
        headers = {"Content-Type": content} if content else {}
    elif params:
        path += "?" + encoded(r, params)
    if r.random() < .15:
        headers["Origin"] = r.choice(["http://example.org", "null", ""])
    return Asked(method, path, params, body, headers)


def ask(server, asked):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE_S)
    try:
        connection.request(asked.method, asked.path, asked.body, asked.headers)
        response = connection.getresponse()
        text = response.read().decode(errors="backslashreplace")
        headers = {h: sorted(v for v in response.headers.get_all(h)) for h in HEADERS if response.headers.get_all(h)}
        # Each answer varies by Accept-Encoding in Prometheus 3.14, in 3.5 only packed ones; and there * is the default origin.
        headers["Vary"] = [v for v in headers.get("Vary", []) if v != "Accept-Encoding"]
        headers.pop("Access-Control-Allow-Origin", None)
        return response.status, headers, text
    except http.client.RemoteDisconnected:
        return 0, {}, "closed"
    finally:
        connection.close()


def in_order(text):
    """Without what is new since 3.6, a warning of other words than true and all for stats; lists come in the order of storage."""
    value = answers.parse(text)
    if not isinstance(value, dict):
        return text
    value["warnings"] = [w for w in value.get("warnings", []) if 'for parameter "stats" is deprecated' not in w]
    if not value["warnings"]:
        del value["warnings"]
    if isinstance(value.get("data"), list):
        value["data"].sort(key=json.dumps)
    return json.dumps(value)


def is_chance(asked, found):
    """What is decided by the time of day, by a limit, or by where a block of samples ends."""
    given = dict(asked.params)
    if "timeout" in given and any(re.search("deadline exceeded|timed out", text) for text in (found.theirs, found.ours)):
        return True
    if found.kind in ("times", "values"):
        return any(abs(float(text) - time.time()) < 600 for text in re.findall(r"\b\d{10}(?:\.\d+)?\b", found.theirs))
    return found.kind == "data" and ("tsdb" in asked.path or any(given.get(n) not in (None, SOUND.get(n, "0")) for n in ("limit", "start", "end")))


def differs(pair, asked):
    theirs, ours = ask(pair.theirs, asked), ask(pair.ours, asked)
    if theirs[2] == "closed" or theirs[2] == ours[2] and theirs[:2] == ours[:2]:
        return None  # the first is a crash of theirs: memory for that many
    if theirs[:2] != ours[:2]:
        found = answers.Difference("status" if theirs[0] != ours[0] else "headers", answers.plain(theirs[2]), answers.plain(ours[2]),
                                   f"{theirs[:2]} {theirs[2][:300]!r}\n  and {ours[:2]} {ours[2][:300]!r}")
        return None if is_chance(asked, found) else found
    theirs, ours = in_order(theirs[2]), in_order(ours[2])
    if not theirs.startswith("{") or not ours.startswith("{"):
        return answers.Difference("body", theirs, ours, f"{theirs!r}\n  and {ours!r}")
    found = answers.difference((0, theirs), (0, ours))
    return None if found and is_chance(asked, found) else found


def compare(pair, seed, count, entries):
    known.compare("parameters", pair, seed, count, entries, make_request, differs)
