"""known.txt: differences that a change of Prometheus after 3.5 explains.

The file is a script in Prometheus's test language whose cases hold what the change makes of a query,
computed by hand; ferula-promtool runs it. Before its cases an entry says in comments what it explains:

    # known: NAME
    # since: the release and what changed
    # query: a regular expression that is found in the query
    # kind: the kind of difference (answers.py)
    # theirs: a regular expression that is found in the answer of Prometheus 3.5
    # ours: one that is found in our answer
    # minimal: yes, if all that is to hold for the query made smaller (shrink.py), not as it was asked
    # format: QUERY => what format_query makes of it: in the place of cases, for how expressions are written
"""
import os
import random
import re

from harness import check, check_equal, run_scenario

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "known.txt")
FIELDS = ("known", "since", "query", "kind", "theirs", "ours", "minimal", "format")


class Entry:
    def __init__(self, name):
        self.name, self.fields, self.cases, self.met = name, {}, 0, 0

    def explains(self, query, difference, minimal):
        f = self.fields
        if bool(f.get("minimal")) and not minimal:
            return False
        return (re.search(f.get("query", ""), query, re.S) is not None and re.fullmatch(f["kind"], difference.kind) is not None
                and re.search(f.get("theirs", ""), difference.theirs, re.S) is not None
                and re.search(f.get("ours", ""), difference.ours, re.S) is not None)


def load(path=PATH):
    entries = []
    for number, line in enumerate(open(path), 1):
        field = re.match(r"# (\w+): ?(.*)\n", line)
        if field and field[1] == "known":
            entries.append(Entry(field[2]))
        elif field and field[1] in FIELDS:
            entries[-1].fields[field[1]] = field[2]
        elif line.startswith("eval") and entries:
            entries[-1].cases += 1
    for e in entries:
        missing = [f for f in ("since", "kind") if f not in e.fields]
        if missing or not (e.cases or "format" in e.fields):
            raise ValueError(f"{path}: {e.name} has no {', '.join(missing) or 'case'}")
    return entries


def check_formats(entries, server):
    """That our answers are what the entries say."""
    for e in entries:
        if "format" in e.fields:
            query, wanted = e.fields["format"].split(" => ")
            run_scenario(f"known: {e.name}", lambda: check_equal(server.api("format_query", {"query": query}), wanted))


def explain(entries, query, difference, minimal=False):
    for e in entries:
        if e.explains(query, difference, minimal):
            e.met += 1
            return e
    return None


def compare(name, pair, seed, count, entries, make_request, differs):
    """Random requests, a scenario each: what differs(pair, request) finds must be explained."""
    def one(request):
        found = differs(pair, request)
        check(not found or explain(entries, str(request), found), f"{request}\n  {found}")
    for index in range(count):
        run_scenario(f"{name} {index}", one, make_request(random.Random(f"{seed}/{name}/{index}")))
