"""Queries at the limits: many series, nesting, long texts, large regular expressions. Answers are Prometheus's, memory
stays within bounds, and no loop over series keeps a shard from its other work.

FERULA_LIMITS_SERIES is how many series, a million unless it says otherwise; tools/test takes fewer.
"""
import hashlib
import json
import os
import re
import socket
import threading
import time
import urllib.parse

from harness import (KEPT, WRITE_HEADERS, check, check_equal, ferula, field, float_bits, main, scenario, snappy_literal, varint,
                     wait_for)

SERIES = int(os.environ.get("FERULA_LIMITS_SERIES", "1000000"))
VALUES = min(1000000, 10 * SERIES)  # of one label
PER_GROUP, BATCH = 10, 5000
# A turn is the quota of 500 us and one piece of work, which takes no longer. What a busy machine adds (interrupts, cold caches, faults
# of pages) falls on another place each time: a piece, or a turn, is too long where it is each time something is asked. Sanitizers
# need another bound.
PIECE_US_MAX = int(os.environ.get("FERULA_PIECE_US", "500"))
HOUR_S = 3600
NOW_MS = int(time.time()) // 30 * 30000  # a step of subqueries


def label(name, value):
    return field(1, field(1, name) + field(2, value))


def value_of(i):
    return float(i * 7919 % 100003)


def write(server, series):
    answer = server.request("POST", "/api/v1/write", snappy_literal(b"".join(series)), WRITE_HEADERS, timeout=HOUR_S)
    check_equal(answer.status, 204, answer.text())


def fill(server, count=SERIES):
    """m{g,id,instance,job}, ten of each group g, and one{g,side}, one of each group."""
    when, job, name = b"\x10" + varint(NOW_MS), label("job", "j"), label("__name__", "m")
    instances = [label("instance", f"h{i}:9100") for i in range(1000)]
    for first in range(0, count, BATCH):
        body = []
        for i in range(first, min(first + BATCH, count)):
            labels = name + label("g", f"g{i // PER_GROUP}") + label("id", f"id-{i:07}") + instances[i % 1000] + job
            body.append(field(1, labels + field(2, b"\x09" + float_bits(value_of(i)) + when)))
        write(server, body)
    name = label("__name__", "one")
    for first in range(0, count // PER_GROUP, BATCH):
        body = []
        for i in range(first, min(first + BATCH, count // PER_GROUP)):
            labels = name + label("g", f"g{i}") + instances[i % 1000] + job + label("side", f"s{i % 7}")
            body.append(field(1, labels + field(2, b"\x09" + float_bits(i + 1.0) + when)))
        write(server, body)


def long_pieces(log):
    """{where: us} of pieces that took more than the quota, turns that took more than twice that, and queries that went on."""
    found = {}
    for line in log.splitlines():
        if "a query went on after it was told to end" in line:
            found[line.split("msg=")[1]] = 0
        for what, us_max in (("piece", PIECE_US_MAX), ("turn", 2 * PIECE_US_MAX)):
            took = re.search(rf'msg="a {what} took too long" us=(\d+) (?:longest_us=\d+ )?(.*?)(?: count=\d+)?$', line)
            if took and int(took.group(1)) > us_max:
                place = f"{what} {took.group(2)}"
                found[place] = max(found.get(place, 0), int(took.group(1)))
    return found


class Watched:
    """A server that logs long turns; what was logged while filling it does not count."""

    def __init__(self, args=()):
        self.server = ferula(args=["--web.enable-remote-write-receiver", "--debug.turn-watch=log", "--query.timeout=1h", *args])
        self.read = 0

    def forget(self):
        self.read = len(self.server.log())

    def long_turns(self):
        log = self.server.log()[self.read:]
        self.read += len(log)
        return long_pieces(log)

    def in_short_turns(self, what, work):
        """What work returns."""
        always = None
        for attempt in range(8):
            found = work()
            places = self.long_turns()
            always = places if always is None else {at: min(us, places[at]) for at, us in always.items() if at in places}
            if not always:
                return found
            time.sleep(0.1 * 2 ** attempt)
        check(False, what[:200], "took turns too long:", *(f"{us} us {at}" for at, us in always.items()))

    def ask(self, query, status=200, **params):
        def work():
            answer = self.server.post("/api/v1/query", {"query": query, "time": NOW_MS / 1000, **params}, timeout=HOUR_S)
            check_equal(answer.status, status, query[:200] + answer.text()[:500])
            return answer
        value = self.in_short_turns(query, work).json()
        return value["data"]["result"] if status == 200 else value["error"]

    def number(self, query):
        result = self.ask(query)
        check_equal(len(result), 1, query)
        return float(result[0]["value"][1])


def memory_bytes(server):
    with open(f"/proc/{server.popen.pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) * 1024


def groups():
    return SERIES // PER_GROUP


def counted():
    """Queries, and the one number each answers."""
    values = sorted(value_of(i) for i in range(SERIES))
    rank = 0.9 * (SERIES - 1)
    low = int(rank)
    quantile = values[low] + (rank - low) * (values[min(low + 1, SERIES - 1)] - values[low])
    ids = [f"id-{i:07}" for i in range(SERIES)]
    listed = "|".join(ids[7:3007])
    return [
        ("count(m)", SERIES),
        ('count(m{id=~".*77"})', sum(i.endswith("77") for i in ids)),
        ('count(m{id=~"id-[0-9]+55"})', sum(i.endswith("55") for i in ids)),
        ('count(m{id!~"id-00.*|.*9"}) or vector(0)', sum(not (i.startswith("id-00") or i.endswith("9")) for i in ids)),
        (f'count(m{{id=~"{listed}"}})', len(ids[7:3007])),
        ("quantile(0.9, m)", quantile),
        ('count(count_values("v", m))', len(set(values))),
        ("count(sort(m))", SERIES),
        ("count(topk by (g) (2, m))", 2 * groups()),
        ("max(topk(5, m))", values[-1]),
        ("count(m * on (g) group_left (side) one)", SERIES),
        ("count(m + m)", SERIES),
        ("count(m and on (g) one)", SERIES),
        ("count(m unless on (g) one) or vector(0)", 0),
        ("count(m or one)", SERIES + groups()),
        ("count(sum by (g) (m))", groups()),
        ("count(sum without (id) (m))", SERIES if SERIES <= 1000 else None),
        ('count(label_replace(m, "x", "$1", "id", "id-(.*)"))', SERIES),
        ("count(abs(-m))", SERIES),
        ("count(max_over_time(m[2m:30s]))", SERIES),
    ]


@scenario
def a_million_series():
    watched = Watched(["--query.max-samples=50000000"])
    fill(watched.server)
    watched.forget()
    for query, wanted in counted():
        if wanted is None:
            continue
        got = watched.number(query)
        check(abs(got - wanted) <= 1e-9 * abs(wanted), query[:100], "answers", got, "wanted", wanted)
    best = watched.ask("topk(3, sort_desc(m))")
    check_equal(sorted((float(r["value"][1]) for r in best), reverse=True),
                sorted((value_of(i) for i in range(SERIES)), reverse=True)[:3], "the best three")
    answer = watched.in_short_turns("m", lambda: watched.server.post("/api/v1/query", {"query": "m", "time": NOW_MS / 1000}, timeout=HOUR_S))
    check_equal(answer.body.count(b'"id":"id-'), SERIES, "series of the whole answer")
    check(memory_bytes(watched.server) < 300 * 2**20 + SERIES * 4000 + KEPT, "memory", memory_bytes(watched.server))
    ends_early(watched)


def ends_early(watched):
    """A timeout, and a client that leaves, end what takes seconds."""
    error = watched.ask("count(m * on (g) group_left (side) one)", status=503, timeout="1ms")
    check(error.startswith("query timed out in"), error)
    watched.in_short_turns("a query that was left", lambda: leave(watched.server))


def leave(server):
    """A client that asks for what takes long, and is gone."""
    host, port = server.host, server.port
    body = urllib.parse.urlencode({"query": "count(sort(m) + sort(m) + sort(m))", "time": NOW_MS / 1000})
    with socket.create_connection((host, port)) as s:
        s.sendall((f"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
                   f"Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}").encode())
        time.sleep(0.1)
    running = r"^prometheus_engine_queries(?:{[^}]*})? 0$"
    wait_for("the query of a client that left ends",
             lambda: re.search(running, server.get("/metrics").text(), re.M))


def fill_values(server):
    """v{id}, a value each."""
    when = field(2, b"\x09" + float_bits(1.0) + b"\x10" + varint(NOW_MS))
    labels = label("__name__", "v") + label("id", "id-0000000")
    row = field(1, labels + when).replace(b"%", b"%%").replace(b"id-0000000", b"id-%07d")
    for first in range(0, VALUES, 4 * BATCH):
        write(server, [row % i for i in range(first, min(first + 4 * BATCH, VALUES))])


def matched_values():
    """(matchers, how many values they leave)."""
    ids = [f"id-{i:07}" for i in range(VALUES)]
    listed = ids[5:9005]
    return [
        ('id="id-0000123"', 1),
        ('id!="id-0000123"', VALUES - 1),
        ('id=~".*77"', VALUES // 100),
        ('id=~"id-[0-9]+5"', VALUES // 10),
        ('id=~"(id|no)-00001.*"', sum(i.startswith("id-00001") for i in ids)),
        ('id!~".*[0-8]"', VALUES // 10),
        ('id=~".+"', VALUES),
        ('id=~".*77",id!~".*1.*"', sum(i.endswith("77") and "1" not in i for i in ids)),
        (f'id=~"{"|".join(listed)}"', len(listed)),  # 100 kB
        (f'id!~"{"|".join(listed)}"', VALUES - len(listed)),
        ('id=~"(.*x){5}"', 0),
    ]


def names_and_counts_hold_little(server):
    """All values of a label, and the lists of status/tsdb, leave some at a time: no shard holds a copy of them all."""
    ids = [f"id-{i:07}" for i in range(VALUES)]
    def held(path, params):
        since = peak_of(server, forget=True)
        answer = server.get(f"/api/v1/{path}", params, timeout=HOUR_S)
        check(peak_of(server) - since < SLACK_BYTES, path, params, "took", (peak_of(server) - since) >> 20, "MiB")
        return answer.json()
    for params in ({}, {"match[]": "v"}, *({"limit": limit} for limit in (1, 65535, 65536, 65537, VALUES - 1, VALUES, VALUES + 1))):
        answer, limit = held("label/id/values", params), params.get("limit", VALUES)
        check(answer["data"] == ids[:limit], params, len(answer["data"]), answer["data"][:3], answer["data"][-3:])
        check_equal("warnings" in answer, limit < VALUES, params)
    lists = held("status/tsdb", {"limit": 3})["data"]
    check_equal(lists["headStats"]["numLabelPairs"], VALUES + 1)
    check_equal([lists[name] for name in ("seriesCountByMetricName", "labelValueCountByLabelName", "memoryInBytesByLabelName",
                                          "seriesCountByLabelValuePair")],
                [[{"name": "v", "value": VALUES}], [{"name": "id", "value": VALUES}, {"name": "__name__", "value": 1}],
                 [{"name": "id", "value": VALUES * 14}, {"name": "__name__", "value": VALUES * 11}],
                 [{"name": "__name__=v", "value": VALUES}, {"name": "id=id-0000000", "value": 1}, {"name": "id=id-0000001", "value": 1}]])


@scenario
def a_million_label_values():
    watched = Watched(["--query.lookback-delta=1d"])  # federation asks for what there is now, however long filling took
    fill_values(watched.server)
    watched.forget()
    for matchers, wanted in matched_values():
        found = watched.ask(f"count(v{{{matchers}}})")
        check_equal([r["value"][1] for r in found], [str(wanted)] if wanted else [], matchers[:100])
    for path, params, wanted in (("label/id/values", {}, VALUES), ("label/id/values", {"match[]": 'v{id=~".*77"}'}, VALUES // 100),
                                 ("series", {"match[]": 'v{id=~".*77"}'}, VALUES // 100)):
        params = {**params, "start": NOW_MS // 1000 - 60, "end": NOW_MS // 1000 + 60}
        answer = watched.in_short_turns(path, lambda: watched.server.get(f"/api/v1/{path}", params, timeout=HOUR_S))
        check_equal((answer.status, len(answer.json()["data"])), (200, wanted), path)
    values = watched.in_short_turns("count_values", lambda: watched.server.post("/api/v1/query_range", {
        "query": 'count_values("v", vector(time()))', "start": 0, "end": 2000, "step": 1}, timeout=HOUR_S))
    check_equal(len(values.json()["data"]["result"]), 2001, "count_values")
    few = 'v{id=~"id-00[0-4].*"}'
    federated = watched.in_short_turns("federate", lambda: watched.server.get("/federate", {"match[]": few}, timeout=HOUR_S))
    check_equal(federated.body.count(b"\nv{"), min(VALUES, 50000), "federate")
    watched.in_short_turns("status/tsdb", lambda: watched.server.get("/api/v1/status/tsdb", {"limit": 1000}, timeout=HOUR_S))
    names_and_counts_hold_little(watched.server)


@scenario
def too_many_samples():
    watched = Watched(["--query.max-samples=1000"])
    when = b"\x10" + varint(NOW_MS)
    write(watched.server, [field(1, label("__name__", "m") + label("i", str(i)) +
                                 field(2, b"\x09" + float_bits(1.0) + when)) for i in range(1001)])
    check_equal(watched.ask("m", status=422),
                "query processing would load too many samples into memory in query execution", "m")


DEEP = 100000

# Prometheus 3.5 answers the same, where it answers within a minute.
NESTED = [
    ("parentheses", "(" * DEEP + "1" + ")" * DEEP, "1"),
    ("signs", "-" * DEEP + "1", "1"),
    ("sums of numbers", "+".join(["1"] * 10000), "10000"),
    ("powers", "^".join(["1"] * 10000), "1"),
    ("100 kB of sums", "+".join(str(i) for i in range(18000)), "161991000"),
]
NESTED_VECTORS = [
    ("sums of vectors", "+".join(["vector(1)"] * 10000), "10000"),
    ("functions", "abs(" * DEEP + "vector(3)" + ")" * DEEP, "3"),
    ("aggregations", "sum(" * 10000 + "vector(3)" + ")" * 10000, "3"),
    ("subqueries", "max_over_time(" * 200 + "vector(3)" + "[1m:1m])" * 200, "3"),
    ("a subquery of a million steps", "count_over_time(vector(1)[1000000s:1s])", "1000000"),
    ("selectors", " or ".join(f'x{{a="{i}"}}' for i in range(3000)) + " or vector(4)", "4"),
]
REFUSED = [
    ("(" * DEEP, f"{DEEP + 1}: parse error: unclosed left parenthesis"),
    ("x[300y]", "parse error: duration out of range"),
    ("x offset 9999999999y", "parse error: duration out of range"),
    ('x{a=~"\\\\pL{1001}"}', "parse error: error parsing regexp: invalid repeat count: `{1001}`"),
    ('x{a=~"' + "(" * 2000 + '"}', "parse error: error parsing regexp: "),
]


@scenario
def deep_and_long():
    watched = Watched()
    for what, query, wanted in NESTED:
        check_equal(watched.ask(query)[1], wanted, what)
    for what, query, wanted in NESTED_VECTORS:
        check_equal([r["value"][1] for r in watched.ask(query)], [wanted], what)
    for query, wanted in REFUSED:
        error = watched.ask(query, status=400)
        check(wanted in error, query[:50], "answers", error)
    for pattern in ["\\\\pL{1000}", "x{1000}" * 500, "|".join(f"foo\\\\.{i}" for i in range(9000))]:
        check_equal(watched.ask(f'x{{a=~"{pattern}"}}'), [], pattern[:50])
    replaced = watched.ask('label_replace(vector(5), "a", "b", "c", "\\\\pL{500}|")')
    check_equal([(r["metric"], r["value"][1]) for r in replaced], [({"a": "b"}, "5")], "a large expression of label_replace()")


# Queries of one series at 11,001 steps.
AT_ALL_STEPS = [f"{function}(vector(time())[5m:1s])" for function in (
    "rate", "deriv", "sum_over_time", "stddev_over_time", "max_over_time", "changes")] + [
    "quantile_over_time(0.9, vector(time())[5m:1s])", "predict_linear(vector(time())[5m:1s], 60)",
    "vector(1) + vector(2) ^ vector(3)", "hour()", "topk(1, vector(1))",
]
# Functions over a million samples.
OVER_TIME = ["rate(RANGE)", "resets(RANGE)", "irate(RANGE)", "deriv(RANGE)", "stddev_over_time(RANGE)", "max_over_time(RANGE)",
             "quantile_over_time(0.5, RANGE)", "present_over_time(RANGE)"]


@scenario
def a_million_steps():
    watched = Watched()
    answer = watched.server.get("/api/v1/query_range", {"query": "1", "start": 0, "end": 1000000, "step": 1})
    check_equal((answer.status, answer.json()["error"]),
                (400, "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution "
                 "(?step=XX)"))
    answer = watched.in_short_turns("11,001 steps", lambda: watched.server.get(
        "/api/v1/query_range", {"query": "vector(1)", "start": 0, "end": 11000, "step": 1}))
    check_equal(len(answer.json()["data"]["result"][0]["values"]), 11001)
    for query in AT_ALL_STEPS:
        answer = watched.in_short_turns(query, lambda: watched.server.post(
            "/api/v1/query_range", {"query": query, "start": 0, "end": 11000, "step": 1}, timeout=HOUR_S))
        result = answer.json()["data"]["result"]
        check_equal([len(one["values"]) for one in result], [11001], query)
    for function in OVER_TIME:
        found = watched.ask(function.replace("RANGE", "vector(time())[1000000s:1s]"))
        check_equal(len(found), 1, function)


HELD = int(os.environ.get("FERULA_LIMITS_HELD", "20000"))  # series
TOO_MUCH = re.compile(r"query processing would load too many samples into memory in query execution"
                      r"|query needs too much memory, more than \d+ bytes of --query\.max-bytes, for the selector \{")
# What a process takes beside the queries' own memory: answers, caches of files, pages that the allocator keeps.
SLACK_BYTES = int(os.environ.get("FERULA_LIMITS_SLACK_MIB", "48")) * 2**20


def nasty():
    """Queries that hold much, each in another table: (query, step of a range query or None)."""
    whole = ["m", "sort(m)", "topk(1e9, m)", '{__name__=~".+"}', "m[5m]", "absent(m)", "count(m)", "group by (instance) (m)",
             "absent(nothing_of_all)", "quantile(0.5, m)"]
    summed = [
        "-m", "abs(m)", "m > 5e4", "m > bool 5e4", "m + m", "m + on (id) m", "m * on (g) group_left (side) one",
        "one * on (g) group_right () m", "m + on (instance) group_left () one", "m and m", "m and on (g) one", "m or one",
        "m or on (id) one", "m unless on (g) one", "m unless m", 'label_replace(m, "x", "$1-$1-$1", "id", "(.*)")',
        'label_replace(m, "g", "", "", "")', 'label_join(m, "all", "/", "id", "g", "instance", "id", "g")',
        f'label_replace(m, "x", "{"$1" * 500}", "id", "(.*)")', f'label_join(m, "x", "{"long" * 999}", "id", "g", "id")',
        'count_values("v", m)', 'count_values by (id) ("v", m)', 'count_values("v", m + on (id) m)', "bottomk(1e9, m)",
        "topk by (g) (1, m)", "quantile by (g) (0.5, m)", "sort_desc(m)", "sum by (id) (m)", "sum by (g, id) (m)",
        "sum without (g) (m)", "stddev by (g) (m + 0)", "avg without (id) (m)", "max by (id) (m) + on (id) m", "timestamp(m)",
        'm{id=~".+7"}', 'm{id!~"id-00.*"}', 'm{id=~".*1.*",g!~".*3"}', "max_over_time(m[1m:1s])",
        "quantile_over_time(0.5, m[2m:2s])", "rate(m[5m:10s])", "last_over_time(m[5m])",
        'histogram_quantile(0.9, label_replace(m, "le", "$1", "id", "id-.*(.)"))', "max_over_time(vector(1)[1000000s:1s])",
        "sum_over_time((vector(time()) + 1)[1000000s:1s])", "quantile_over_time(0.3, vector(time())[1000000s:1s])",
        " + ".join(["m"] * 12), " or ".join(["m * 2"] * 8),
    ]
    ranges = ["m", "m + on (id) m", "max_over_time(one[1m:5s])", 'count_values("v", m)', "topk(3, m)"]
    return ([(query, None) for query in whole] + [(f"sum({query})", None) for query in summed] +
            [(f"sum({query})", 2) for query in ranges])


def ask_nasty(server, query, step):
    """Status, and what is the same of equal answers."""
    if step is None:
        answer = server.post("/api/v1/query", {"query": query, "time": NOW_MS / 1000}, timeout=HOUR_S)
    else:
        answer = server.post("/api/v1/query_range", {"query": query, "start": NOW_MS / 1000 - 60, "end": NOW_MS / 1000 + 60,
                                                     "step": step}, timeout=HOUR_S)
    if answer.status != 200:
        return answer.status, answer.json()["error"]
    result = answer.json()["data"]["result"]
    if isinstance(result, list):
        result = sorted(json.dumps(one, sort_keys=True) for one in result)
    return 200, hashlib.sha256("\n".join(map(str, result)).encode()).hexdigest()


class Others:
    """Somebody else's small queries, all the while."""

    def __init__(self, server):
        self.server, self.asked, self.bad, self.ended = server, 0, [], threading.Event()
        self.thread = threading.Thread(target=self.go_on)
        self.thread.start()

    def go_on(self):
        while not self.ended.wait(0.05):
            answer = self.server.get("/api/v1/query", {"query": "1 + 1", "time": NOW_MS / 1000}, timeout=HOUR_S)
            self.asked += 1
            if answer.status != 200 or answer.json()["data"]["result"][1] != "2":
                self.bad.append(answer.text())

    def end(self):
        self.ended.set()
        self.thread.join()
        check(not self.bad and self.asked, "the others' queries", self.asked, *self.bad[:3])


def peak_of(server, forget=False):
    pid = server.popen.pid
    if forget:
        with open(f"/proc/{pid}/clear_refs", "w") as f:
            f.write("5")
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) * 1024


def sweep(server, mib, wanted):
    """Each query is right or refused, and memory stays where the limit says."""
    server.get("/api/v1/query", {"query": "count(m)", "time": NOW_MS / 1000}, timeout=HOUR_S)  # what files keep is loaded
    before, others, refused, right = memory_bytes(server), Others(server), 0, 0
    try:
        for query, step in nasty():
            since = peak_of(server, forget=True)
            status, answer = ask_nasty(server, query, step)
            peak = peak_of(server)
            if status == 200:
                check_equal((status, answer), wanted[query, step], f"{query[:200]} within {mib} MiB")
                right += 1
            elif (status, answer) != wanted[query, step]:
                check(status == 422 and TOO_MUCH.match(answer), query[:200], "within", mib, "MiB:", status, answer[:300])
                refused += 1
            # The allocator may still hold what the query before gave back, in pieces of another size.
            check(peak - since <= mib * 2**20 + SLACK_BYTES and peak - before <= 2 * mib * 2**20 + SLACK_BYTES, query[:200],
                  "within", mib, "MiB took", (peak - since) >> 20, "and all", (peak - before) >> 20)
    finally:
        others.end()
    check(right and (mib > 4 or refused), "right within", mib, "MiB:", right, "refused:", refused)


@scenario
def memory_of_a_query_is_bounded():
    server = ferula(args=["--web.enable-remote-write-receiver", "--query.max-samples=0", "--query.timeout=1h"])
    fill(server, HELD)
    wanted = {case: ask_nasty(server, *case) for case in nasty()}
    plain = list(server.args)
    for mib in (1, 4, 16, 64):  # from files
        server.popen.terminate()
        server.popen.wait()
        server.args = [*plain, f"--query.max-bytes={mib}MiB"]
        server.restart()
        server.wait_ready()
        sweep(server, mib, wanted)
    for mib in (1, 16):  # from memory
        server = ferula(args=["--web.enable-remote-write-receiver", "--query.max-samples=0", "--query.timeout=1h",
                              f"--query.max-bytes={mib}MiB"])
        fill(server, HELD)
        sweep(server, mib, wanted)


if __name__ == "__main__":
    main()
