"""Random questions for labels, their values and series, asked of both."""
import json

import answers
import grammar
import known
import series

LABELS = ["job", "instance", "code", "le", "__name__", "l", "kind", "nothing", "U__label_2e_x", "label.x", "by", "U__a_20_b", "a-b", "l05"]


def make_request(r):
    g = grammar.Grammar(r)
    params = []
    for _ in range(r.choice([0, 1, 1, 1, 2, 3])):
        matchers = f"{{{g.matchers(1).text()}}}"
        params.append(("match[]", r.choice([g.selector().text(), g.selector().text(), matchers, g.broken(matchers).text()])))
    if r.random() < .7:
        # All of it or nothing: which part of the time makes a difference, Prometheus decides by blocks and chunks.
        start = r.choice([series.START - 300, series.START - 300, series.START - 0.5, 1e9])
        params += [("start", f"{start:.3f}"), ("end", f"{start + r.choice([7200, 10000]):.3f}")]
    if r.random() < .3:
        params.append(("limit", r.choice(["0", "1", "2", "5", "1000"])))
    path = r.choice(["series", "labels", f"label/{r.choice(LABELS)}/values"])
    return answers.Request("GET" if path.endswith("values") else r.choice(["GET", "POST"]), f"/api/v1/{path}", params)


def sorted_data(answer):
    """Series come in the order of storage."""
    value = answers.parse(answer[1])
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        value["data"].sort(key=json.dumps)
        return answer[0], json.dumps(value)
    return answer


def differs(pair, request):
    theirs, ours = sorted_data(pair.theirs.ask(request)), sorted_data(pair.ours.ask(request))
    found = answers.difference(theirs, ours)
    if not found or found.kind != "data" or not request.get("limit"):
        return found
    # Which of them a limit keeps is chance: as many, and of those there are.
    a, b = answers.parse(theirs[1])["data"], answers.parse(ours[1])["data"]
    whole = answers.parse(pair.theirs.ask(request.having(limit=None))[1])["data"]
    return None if len(a) == len(b) and all(row in whole for row in b) else found


def compare(pair, seed, count, entries):
    known.compare("metadata", pair, seed, count, entries, make_request, differs)
