#!/usr/bin/env python3
"""Random queries, asked of Ferula and of Prometheus 3.5 over the same samples: equal answers.

    tests/compare/test_compare.py [--data N] [--seed N] [--count N] [--only I] [--metadata N] [--no-proof]

Each query is one case; I of seed N is always the same query. A difference is made smaller and
printed with the command that repeats it. Says what of the language was asked, and fails when
something never was. Then the proof that the generator finds something: Prometheus 2.42, whose ranges
and lookback include the sample at their left edge, in the place of 3.5.
"""
import argparse
import collections
import concurrent.futures
import glob
import os
import random
import re
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import answers  # noqa: E402
import grammar  # noqa: E402
import known  # noqa: E402
import metadata  # noqa: E402
import mutants  # noqa: E402
import parameters  # noqa: E402
import series  # noqa: E402
import shrink  # noqa: E402
from harness import (Counts, Skip, check, check_equal, end_everything, ferula, peer, prometheus, remote_write,  # noqa: E402
                     run_and_count, run_scenario)

SEED, COUNT, FEATURE_COUNT, MUTANTS, METADATA, PARAMETERS = 1, 2000, 500, 800, 300, 1000
ASKED = int(os.environ.get("COMPARE_COUNT") or COUNT)  # fewer where the same was asked already: without io_uring, say
WORKERS = 3
STEPS_MAX = 40
DATA_SEED = 1
FEATURES = "--enable-feature=promql-experimental-functions,promql-delayed-name-removal,promql-duration-expr"
RECEIVE = "--web.enable-remote-write-receiver"
CONFIG = "global: {evaluation_interval: 1m}\n"


# ---- requests

class Case:
    """The query of a number and how it is asked."""

    def __init__(self, seed, index, utf8=True, experimental=False, sources=None):
        r = random.Random(f"{seed}/{'mutants/' if sources else ''}{'features/' if experimental else ''}{index}")
        self.index, self.used = index, {}
        if sources:
            self.query = mutants.Mutants(r, sources).query()
            self.request = odd_request(r, self.query)
            return
        g = grammar.Grammar(r, utf8, experimental)
        self.query, self.used = g.query(), g.used
        self.request = make_request(r, self.query)

    @property
    def ordered(self):
        return self.query.ordered and self.request.path.endswith("query")


def a_time(r):
    """On the edges of samples, just beside them, and anywhere."""
    on = series.START + r.choice([r.randrange(0, series.SECONDS + 400, 15), r.randrange(0, series.SECONDS + 1, 300), 1000, 1200, 1300, 1500])
    return on + r.choice([0, 0, 0, 0.001, -0.001, 7.5, 14.999, r.randrange(15000) / 1000])


def when(r, seconds):
    if r.random() < .9:
        return f"{seconds:.3f}".rstrip("0").rstrip(".")
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(seconds))) + f".{round(seconds % 1 * 1000) % 1000:03d}Z"


def make_request(r, query):
    params = [("query", query.text)]
    if r.random() < .06:
        return answers.Request("GET", r.choice(["/api/v1/format_query", "/api/v1/parse_query"]), params)
    ranged = query.shape not in ("matrix", "string") and r.random() < .5 or query.shape == "matrix" and r.random() < .05
    if ranged:
        start, step = a_time(r), r.choice([15, 15, 30, 60, 60, 300, 7, 61, 0.5, 13.333, 1, 1.5, 0.0625, 2.0009])
        end = start + step * r.randint(0, STEPS_MAX) + r.choice([0, 0, step / 2])
        params += [("start", when(r, start)), ("end", when(r, end)),
                   ("step", r.choice([f"{step:g}", f"{round(step * 1000)}ms" if step < 15 else f"{step}s"]))]
    else:
        params.append(("time", when(r, a_time(r))))
    if r.random() < .06:
        params.append(("lookback_delta", r.choice(["15s", "1m", "14.999", "10m", "1ms", "299", "0.0005"])))
    if r.random() < .06:
        params.append(("stats", r.choice(["true", "all"])))
    if ranged and r.random() < .05:
        params.append(("limit", r.choice(["1", "3", "0", "1000", "10"])))
    return answers.Request(r.choice(["GET", "POST"]), "/api/v1/query_range" if ranged else "/api/v1/query", params)


def odd_request(r, query):
    """Of times that nobody asks for, too: none at all, before 1970, at the ends of what can be said."""
    if r.random() < .15:
        return answers.Request(r.choice(["GET", "POST"]), r.choice(["/api/v1/format_query", "/api/v1/parse_query"]), [("query", query.text)])
    params, ranged = [("query", query.text), ("timeout", "5s")], r.random() < .5
    if ranged and r.random() < .3:
        start = r.choice([a_time(r), 0, -3600, -62135596800, 253402300799, 1e10, -1e10, series.START, 9e15, -9e15])
        span = r.choice([0, 0, 1, 60, 3600, 86400, 165000, 659985, -1, -0.001, 0.001, 11000, 10999.999, 1e6])
        step = r.choice(["15", "60", "1m", "0.001", "1h30m", "1", "300s", "86400", "1e3", "0.0005", "1e9", "59.999", "292y", "1ms", "0.1234567"])
        written = lambda t: r.choice([repr(float(t)), f"{t:.3f}", f"{t:.9f}", f"{t:e}"])  # noqa: E731
        params += [("start", written(start)), ("end", written(start + span)), ("step", step)]
    elif ranged:
        start, step = a_time(r), r.choice([15, 60, 300, 7, 0.5, 13.333, 1, 2.0009, 3600])
        params += [("start", when(r, start)), ("end", when(r, start + step * r.choice([0, 0.5, 1, 2.9999, 7, 20, 40]))), ("step", f"{step:g}")]
    else:
        params.append(("time", when(r, a_time(r)) if r.random() < .9 else r.choice(["0", "-1.5", "-62135596800", "253402300799", "1e10", "9e15", "-9e15", "1700001000.0004999"])))
    if r.random() < .1:
        params.append(("lookback_delta", r.choice(["15s", "1m", "14.999", "10m", "1ms", "1y", "299", "0.0009999"])))
    if r.random() < .15:
        params.append(("stats", r.choice(["true", "all"])))
    if ranged and r.random() < .05:
        params.append(("limit", r.choice(["1", "3", "0", "1000"])))
    return answers.Request(r.choice(["GET", "POST"]), "/api/v1/query_range" if ranged else "/api/v1/query", params)


# ---- asking both

class Pair:
    """Connections of one thread to two servers."""

    def __init__(self, theirs, ours):
        self.theirs, self.ours = (answers.Server(s.host, s.port) for s in (theirs, ours))

    def difference(self, request, exact=True, ordered=False):
        return answers.difference(self.theirs.ask(request), self.ours.ask(request), exact, ordered)


class Run:
    def __init__(self, theirs, ours, entries):
        self.servers, self.entries, self.local, self.lock = (theirs, ours), entries, threading.local(), threading.Lock()

    def pair(self):
        if not hasattr(self.local, "pair"):
            self.local.pair = Pair(*self.servers)
        return self.local.pair

    def smaller(self, case, kind, accept=lambda found: True, asks=shrink.ASKS_MAX):
        """(text, request, difference) of a smaller query with a difference of this kind."""
        last = {}

        def still(tree, request):
            asked = request.having(query=tree.text())
            found = self.pair().difference(asked, tree.exact and case.query.tree.exact, case.ordered)
            if found and found.kind == kind and not found.ours.startswith("unsupported: ") and accept(found):
                last.update(found=found, request=asked)
                return True
            return False
        tree = shrink.copy(case.query.tree)
        if not still(tree, case.request):
            return None
        shrink.Shrinker(still, asks).shrink(tree, case.request)
        return last["request"].get("query"), last["request"], last["found"]

    def one(self, case):
        """None, or the difference in words."""
        q = case.query
        found = self.pair().difference(case.request, q.tree.exact, case.ordered)
        waits = found and re.match(r"unsupported: ([\w ]*)", found.ours)
        if waits:
            raise Skip(waits[1])
        if not found or known.explain(self.entries, q.text, found) or mutants.is_chance(q, found):
            return None
        small = self.smaller(case, found.kind) or (q.text, case.request, found)
        if known.explain(self.entries, small[0], small[2], minimal=True):
            return None
        return f"{small[0]}\n  {small[1]}\n  {small[2]}\n  as it was asked: {q.text!r}"


def start_pair(version="prometheus", utf8=True, data=DATA_SEED, args=()):
    theirs = prometheus(CONFIG, args=[RECEIVE, *args], version=version)
    ours = ferula(CONFIG, args=[RECEIVE, *args])
    for part in series.slices(series.of(data, utf8)):
        for server in (theirs, ours):
            answer = remote_write(server, part)
            check(answer.status == 204, server.name, "refused samples:", answer.status, answer.text())
    return theirs, ours


def compare(options, entries, features=False):
    """Queries of the grammar, and mutants."""
    run = Run(*start_pair(data=options.data, args=[FEATURES] if features else []), entries)
    sources = mutants.sources(features)
    if options.only is not None:
        compare_some(options, run, [options.only], features, sources if options.mutant else None)
        return
    used = compare_some(options, run, range(options.feature_count if features else options.count), features)
    compare_some(options, run, range(options.mutants // 4 if features else options.mutants), features, sources)
    if features:  # which format what needs a flag, too
        known.check_formats(entries, run.servers[1])
        show_coverage(used, grammar.FEATURES, options.feature_count >= FEATURE_COUNT)
        return
    metadata.compare(run.pair(), options.seed, options.metadata, entries)
    parameters.compare(run.pair(), options.seed, options.parameters, entries)
    show_coverage(used, grammar.LANGUAGE, options.count >= COUNT)
    run_scenario("every function is asked or has a script", check_functions, run.servers[1])


def compare_some(options, run, indices, features, sources=None):
    """What of the language was asked: {(table, item): how often}."""
    used, sizes = {}, {"with data": 0, "empty": 0, "refused": 0}
    again = f"tests/compare/test_compare.py --data {options.data} --seed {options.seed}{' --features' if features else ''}{' --mutant' if sources else ''}"

    def one(index):
        case = Case(options.seed, index, experimental=features, sources=sources)
        status, text = run.pair().theirs.ask(case.request)
        size = "refused" if status != 200 else "empty" if '"result":[]' in text else "with data"
        with run.lock:
            sizes[size] += 1
            for key, n in case.used.items():
                used[key] = used.get(key, 0) + n
        try:
            return index, run.one(case), None
        except Skip as why:
            return index, None, str(why)

    printed, waiting = 0, collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for index, problem, waits in pool.map(one, indices):
            if waits:
                waiting[waits] += 1
                Counts.skipped += 1
            elif problem is None:
                Counts.passed += 1
            else:
                Counts.failed += 1
                printed += 1
                if printed <= options.show:
                    print(f"FAILED {'mutant' if sources else 'query'} {index}: {problem}\n  again: {again} --only {index}\n", flush=True)
    for what, count in waiting.items():
        print(f"skipped {count} queries that wait for: {what}")
    print(f"{'mutants' if sources else 'queries'}: {sizes}")
    return used


def show_coverage(used, language, all_of_it):
    for table, items in language.items():
        print(f"asked, {table}: " + ", ".join(f"{i} {used.get((table, i), 0)}" for i in items))
    if all_of_it:
        never = [f"{table} {i}" for table, items in language.items() for i in items if not used.get((table, i))]
        run_scenario("the whole language was asked", lambda: check(not never, "never asked:", ", ".join(never)))


def check_functions(ours):
    """What 3.5 has not, this folder cannot ask: it stands in the scripts of tests/promql."""
    scripts = "".join(open(path).read() for path in glob.glob(os.path.join(os.path.dirname(HERE), "promql", "*.test")))
    asked = {*grammar.FUNCTIONS, *grammar.BEHIND_FLAGS}
    waits = {"start_timestamp"}  # as waiting.txt there says
    known_here = set(ours.api("features")["promql_functions"]) - waits
    check_equal(sorted(name for name in known_here if name not in asked and not re.search(rf"\b{name}\(", scripts)), [])


# ---- the proof

EDGE = re.compile(r"(?:\w+ ?\()?([a-z_:0-9]+)(?:\[(\d+)(ms|s|m|h)?\])?\)?")
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, None: 1}


def edge_of(request):
    """(request for the samples that a smallest query looks at, the time of their left edge as it is written), or None."""
    parts = EDGE.fullmatch(request.get("query"))
    if not parts or request.get("start") != request.get("end"):
        return None
    window = int(parts[2]) * UNITS[parts[3]] if parts[2] else 300
    at = shrink.seconds(request.get("time") or request.get("start"))
    edge = f"{at - window:.3f}"
    raw = answers.Request("GET", "/api/v1/query", [("query", f"{parts[1]}[{round(window * 1000)}ms]"), ("time", f"{at:.3f}")])
    return raw, edge[:-4] if edge.endswith(".000") else edge


def proof(options):
    """Prometheus 2.42 takes the sample at t - range into the range, 3.5 and Ferula do not."""
    run = Run(*start_pair("prometheus-2.42", utf8=False), [])
    for index in range(COUNT):
        case = Case(options.seed, index, utf8=False)
        if case.query.shape == "broken text" or not all(s.running() for s in run.servers):
            continue
        found = run.pair().difference(case.request, case.query.tree.exact)
        if found is None or found.kind not in ("values", "times", "series"):
            continue
        small = run.smaller(case, found.kind, asks=150)
        text = left_edge(run.pair(), small[1]) if small else None
        if text:
            print(f"the closed left edge of Prometheus 2.42 is found by query {index}: {text}")
            return
    check(False, f"not found within {COUNT} queries")


def left_edge(pair, request):
    """In words, if the query's difference is that the other counts a sample at the edge; else None."""
    edge = edge_of(request)
    if edge is None:
        return None
    raw, at = edge
    theirs, ours = (answers.parse(s.ask(raw)[1]) for s in (pair.theirs, pair.ours))
    if theirs.get("status") != "success" or ours.get("status") != "success":
        return None
    more = {str(t) for row in theirs["data"]["result"] for t, _ in row["values"]} - \
           {str(t) for row in ours["data"]["result"] for t, _ in row["values"]}
    return f"{request.get('query')}: {raw.get('query')} at {raw.get('time')} has the sample at {at}" if more == {at} else None


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, default=SEED)
    options.add_argument("--count", type=int, default=ASKED, help="fewer than 2000: without the proof")
    options.add_argument("--metadata", type=int, default=METADATA)
    options.add_argument("--parameters", type=int, default=min(ASKED, PARAMETERS))
    options.add_argument("--data", type=int, default=DATA_SEED, help="seed of the samples")
    options.add_argument("--only", type=int)
    options.add_argument("--feature-count", type=int, default=min(ASKED, FEATURE_COUNT), help="how many with feature flags")
    options.add_argument("--mutants", type=int, default=min(ASKED, MUTANTS), help="how many of mutants.py; with feature flags a quarter")
    options.add_argument("--mutant", action="store_true", help="--only is the number of a mutant")
    options.add_argument("--features", action="store_true", help="only those with feature flags")
    options.add_argument("--show", type=int, default=25, help="how many differences to print")
    options.add_argument("--no-proof", action="store_true")
    options.add_argument("--serve", action="store_true", help="only start both with the samples, until interrupted")
    options = options.parse_args()
    run_and_count(lambda: compare_all(options))


def compare_all(options):
    try:
        peer("prometheus")
    except Skip as why:
        why.cases = options.count + options.feature_count + options.mutants + options.mutants // 4 + options.metadata + options.parameters
        raise
    if options.serve:
        print(*(s.base for s in start_pair(data=options.data)), flush=True)
        signal.pause()
    for features in ([True] if options.features else [False] if options.only is not None else [False, True]):
        compare(options, known.load(), features)
        end_everything("features" if features else "queries")
    if options.only is None and not options.no_proof and not options.features and options.count >= COUNT:
        run_scenario("the generator finds the closed left edge", proof, options)


if __name__ == "__main__":
    main()
