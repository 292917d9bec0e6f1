#!/usr/bin/env python3
"""Random queries, answered by Prometheus, as a script that ferula-promtool must pass.

    tests/promql/against_prometheus.py PROGRAM [SEED] [COUNT]

PROGRAM is ferula-promtool. Needs the peers prometheus 3.5 and promtool (tools/dev/peers); skipped
without them. COUNT queries are asked, fewer when they take longer than a bound. Prints the script's
failures and its count; when there are failures the script stays, in the folder that they name.

Left out of the grammar, because answers differ with reason: topk and bottomk over what Prometheus
holds in a map's random order, and over several names (3.14 merges what 3.5 refuses, where removed
names leave equal labels at different steps), count_values of computed numbers (its pow and sin are
not glibc's in the last digit), comparisons that filter below a join and names over subqueries (3.14
is stricter than 3.5).
"""
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
from harness import Skip, peer, prometheus, temp_folder  # noqa: E402

STEP, POINTS = 15, 240
ASKING_S_MAX = 40
AGGREGATIONS = "sum avg min max count group stddev stdvar".split()
OVER_TIME = ("rate increase delta irate idelta avg_over_time sum_over_time min_over_time max_over_time "
             "count_over_time present_over_time stddev_over_time stdvar_over_time changes resets deriv").split()
MATH = "abs ceil floor sqrt sgn minute hour day_of_week timestamp round".split()
MODIFIERS = [""] * 6 + [" offset 1m", " offset -2m", " @ 1800", " @ end()", " @ start() offset 30s"]
MATCHING = ["", "on (job, instance, cpu)", "ignoring (cpu)", "on (job) group_left ()",
            "on (job, instance) group_left (version)", "on (job, instance) group_right (cpu)"]


def make_series(r):
    series = {}
    for target in range(6):
        where = (("instance", f"h{target // 3}"), ("job", f"j{target % 3}"))
        for cpu in "01":
            v, counter = r.choice([0, r.random() * 1000]), []
            for _ in range(POINTS):
                v = v + r.randint(0, 50) if r.random() > .02 else r.randint(0, 3)
                counter.append(v if r.random() > .05 else None)
            labels = (("cpu", cpu),) + where
            series["x_total", labels] = counter
            series["y", labels] = [r.choice([r.uniform(-100, 100), r.randint(-5, 5), None]) for _ in range(POINTS)]
        series["info", where + (("version", f"v{target % 4}"),)] = [1] * POINTS
    series["lone", ()] = [i * 0.5 for i in range(POINTS)]
    series["odd", (("job", "j0"),)] = [r.choice([math.nan, math.inf, -math.inf, 1, -1, 0]) for _ in range(POINTS)]
    return series


class Grammar:
    def __init__(self, r):
        self.r = r

    def labels(self):
        return ",".join(self.r.sample(["job", "instance", "cpu", "version"], self.r.randint(0, 3)))

    def grouping(self):
        return self.r.choice(["", f" by ({self.labels()})", f" without ({self.labels()})"])

    def selector(self):
        name = self.r.choice(["x_total", "x_total", "y", "y", "info", "lone", "odd", "nothing", '{__name__=~"x.*|y"}'])
        matchers = ["", "", '{job="j0"}', '{job=~"j[12]",cpu="0"}', '{cpu!="1"}', '{instance!~"h0"}', '{version=""}']
        return name if name[0] == "{" else name + self.r.choice(matchers)

    def window(self, depth):
        if depth > 0 and self.r.random() < .15:
            return f"({self.vector(depth - 1)})[{self.r.choice(['5m:', '10m:30s', '5m:1m'])}]" + self.r.choice(MODIFIERS)
        return f"{self.selector()}[{self.r.choice(['1m', '5m', '90s', '17m', '15s', '40m'])}]" + self.r.choice(MODIFIERS)

    def scalar(self, depth):
        roll = self.r.random()
        if depth <= 0 or roll < .5:
            return self.r.choice(["0", "1", "2", "-1", "0.5", "NaN", "Inf", "100", "1e3"])
        if roll < .65:
            return f"scalar({self.vector(depth - 1)})"
        if roll < .8:
            return self.r.choice(["time()", "pi()"])
        return f"({self.scalar(depth - 1)} {self.r.choice(['+', '-', '*', '/', '%'])} {self.scalar(depth - 1)})"

    def plain(self):  # in Prometheus's own order, of one name
        plain = "{"
        while "{__name__" in plain or plain == "{":
            plain = self.r.choice([self.selector() + self.r.choice(MODIFIERS),
                                   f"{self.r.choice(OVER_TIME)}({self.window(0)})"])
        return plain

    def vector(self, depth):
        r, roll = self.r, self.r.random()
        if depth <= 0 or roll < .15:
            return self.selector() + r.choice(MODIFIERS)
        below = depth - 1
        if roll < .42:
            return f"{r.choice(OVER_TIME)}({self.window(below)})"
        if roll < .60:
            return f"{r.choice(AGGREGATIONS)}{self.grouping()} ({self.vector(below)})"
        if roll < .66:
            return f"{r.choice(['topk', 'bottomk', 'quantile'])}{self.grouping()} ({r.choice(['1', '2', '0.5'])}, {self.plain()})"
        if roll < .68:
            return f'count_values{self.grouping()} ("v", {self.selector()})'
        if roll < .78:
            return r.choice([f"{f}(%s)" for f in MATH] + [
                "clamp(%s, -1, 5)", "clamp_min(%s, 2)", "-(%s)", "absent(%s)", 'label_join(%s, "new", "-", "job", "cpu")',
                'label_replace(%s, "job", "$1-x", "job", "j(.*)")']) % self.vector(below)
        if roll < .86:
            sides = [self.vector(below), self.scalar(below)]
            r.shuffle(sides)
            operator = r.choice(["+", "-", "*", "/", "%", "==", "!=", ">", "<", ">=", "> bool", "== bool"])
            return f"({sides[0]}) {operator} ({sides[1]})"
        if roll < .92:
            matching = r.choice(["", "on (job)", "ignoring (cpu)", "on ()"])
            return f"({self.vector(below)}) {r.choice(['and', 'or', 'unless'])} {matching} ({self.vector(below)})"
        return f"({self.vector(below)}) {r.choice(['+', '-', '*', '/', '>= bool'])} {r.choice(MATCHING)} ({self.vector(below)})"


def number(v):
    return "_" if v is None else "NaN" if v != v else "+Inf" if v == math.inf else "-Inf" if v == -math.inf else repr(v)


def write_openmetrics(path, series):
    with open(path, "w") as f:
        for name in sorted({key[0] for key in series}):
            f.write(f"# TYPE {name} unknown\n")
            for (own, labels), values in series.items():
                text = ",".join(f'{k}="{v}"' for k, v in labels)
                f.writelines(f"{name}{{{text}}} {number(v)} {i * STEP}\n"
                             for i, v in enumerate(values) if own == name and v is not None)
        f.write("# EOF\n")


def start(series):
    peer("prometheus")
    folder, promtool = temp_folder(), peer("promtool")
    write_openmetrics(f"{folder}/in.om", series)
    subprocess.run([promtool, "tsdb", "create-blocks-from", "openmetrics", f"{folder}/in.om", f"{folder}/data"],
                   check=True, stdout=subprocess.DEVNULL)
    return prometheus("global: {evaluation_interval: 1m}\n", f"{folder}/data", [
        "--storage.tsdb.retention.time=100y",
        "--enable-feature=promql-experimental-functions,promql-delayed-name-removal"])


def expectations(answer, start_s, end_s, step_s):
    if answer["status"] != "success":
        if answer["error"].startswith("found duplicate series"):  # which one depends on a random order
            return ["expect fail regex:^found duplicate series for the match group"]
        return ["expect fail msg:" + answer["error"]]
    lines = []
    for kind in ("warning", "info"):
        notes, word = answer.get(kind + "s", []), kind[:4]
        if len(notes) < 10:  # the API shows ten
            lines += [f"expect {word} msg:{note}" for note in notes] or [f"expect no_{word}"]
    for series in answer["data"]["result"]:
        values = {round(t): v for t, v in series["values"]}
        labels = ", ".join(f"{k}={json.dumps(v)}" for k, v in series["metric"].items())
        lines.append(f"{{{labels}}} " + " ".join(values.get(t, "_") for t in range(start_s, end_s + 1, step_s)))
    return lines


def write_script(f, server, r, series, count):
    f.write(f"load {STEP}s\n")
    for (name, labels), values in series.items():
        text = ",".join(f'{k}="{v}"' for k, v in labels)
        f.write(f"  {name}{{{text}}} {' '.join(map(number, values))}\n")
    grammar, until = Grammar(r), time.monotonic() + ASKING_S_MAX
    for _ in range(count):
        if time.monotonic() > until:
            break
        times = r.choice([(0, 3600, 60), (600, 1800, 45), (300, 3900, 300), (1807, 1807, 60), (3700, 3700, 60)])
        query = grammar.vector(r.randint(1, 4))
        answer = server.get("/api/v1/query_range", {"query": query, "start": times[0], "end": times[1],
                                                    "step": times[2]}).json()
        f.write("\neval range from %ds to %ds step %ds %s\n" % (times + (query,)))
        f.writelines(f"  {line}\n" for line in expectations(answer, *times))


def main(program, seed=1, count=10000):
    r = random.Random(int(seed))
    series = make_series(r)
    try:
        server = start(series)
    except Skip as why:
        print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
        return 0
    folder = tempfile.mkdtemp(prefix="promql-")
    with open(f"{folder}/random.test", "w") as f:
        write_script(f, server, r, series, int(count))
    server.stop()
    failed = subprocess.run([program, "test", "promql", f"{folder}/random.test"]).returncode
    if not failed:
        shutil.rmtree(folder)
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
