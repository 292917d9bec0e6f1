"""Requests, and whether two answers to one are the same.

Bodies are equal byte for byte, or equal once the series of a result, the warnings and the infos are
in order; only where the order of additions may decide the last digit (see grammar.py) may numbers
differ, by one part in 10^12. Timings are left out.
"""
import http.client
import json
import math
import re
import urllib.parse

from harness import PATIENCE_S

TOLERANCE = 1e-12
PEAK_APART = 16
SHOWN_MAX = 10  # annotations of a kind that an answer shows


class Number(str):
    """A JSON number as it was written."""


class Server:
    """One connection that stays; a new one when it breaks."""

    def __init__(self, host, port):
        self.host, self.port, self.connection = host, port, None

    def ask(self, request):
        body = urllib.parse.urlencode(request.params)
        path, headers = request.path, {}
        if request.method == "GET":
            path, body = f"{path}?{body}", None
        else:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
        for again in (True, False):
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE_S)
            try:
                self.connection.request(request.method, path, body, headers)
                response = self.connection.getresponse()
                return response.status, response.read().decode(errors="backslashreplace")
            except TimeoutError:
                self.connection.close()
                self.connection = None
                return 0, "silence"
            except (http.client.HTTPException, OSError):
                self.connection.close()
                self.connection = None
                if not again:
                    raise


class Request:
    def __init__(self, method, path, params):
        self.method, self.path, self.params = method, path, params  # [(name, value)]

    def having(self, **changed):
        """The same with other parameters; None: without it."""
        params = [(k, changed[k]) if k in changed else (k, v) for k, v in self.params]
        params += [(k, v) for k, v in changed.items() if k not in dict(self.params)]
        return Request(self.method, self.path, [(k, v) for k, v in params if v is not None])

    def get(self, name):
        return dict(self.params).get(name)

    def __str__(self):
        return f"{self.method} {self.path}?{urllib.parse.urlencode(self.params)}"


class Difference:
    """What differs first; for a person, and for known.py and shrink.py to recognise it."""

    def __init__(self, kind, theirs, ours, detail=""):
        self.kind, self.theirs, self.ours, self.detail = kind, theirs, ours, detail

    def __str__(self):
        return f"{self.kind}{': ' if self.detail else ''}{self.detail}"


def parse(text):
    try:
        return json.loads(text, parse_float=Number, parse_int=Number)
    except ValueError:
        return None


def in_order(notes):
    """Of more than are shown, which are shown is chance."""
    return sorted(notes) if len(notes) <= SHOWN_MAX else [str(len(notes)), notes[-1]]


def masked(error):
    """Which of several groups with equal series is named, and which two of those, depends on the order of storage."""
    return re.sub(r"^(found duplicate series for the match group) .* (on the (?:left|right) hand-side of the operation): \[.*\];",
                  r"\1 {...} \2: [...];", error, flags=re.S)


def difference(theirs, ours, exact=True, ordered=False):
    """theirs, ours: (status, text). None when they are the same."""
    if theirs == ours or theirs[0] == 0:
        return None
    made = compare(theirs, ours, exact, ordered)
    return Difference(made[0], plain(theirs[1]), plain(ours[1]), made[1]) if made else None


def plain(text):
    """A body without JSON's escapes; an error's text where it is one."""
    value = parse(text)
    if isinstance(value, dict) and "error" in value:
        return value["error"]
    return text if value is None else json.dumps(value, ensure_ascii=False)


def compare(theirs, ours, exact, ordered):
    a, b = parse(theirs[1]), parse(ours[1])
    if a is None or b is None or not isinstance(a, dict) or not isinstance(b, dict):
        return "body", f"{theirs} and {ours}"
    if theirs[0] != ours[0] or a.get("errorType") != b.get("errorType"):
        return "status", f"{theirs[0]} {a.get('errorType')} {a.get('error', '')!r} and {ours[0]} {b.get('errorType')} {b.get('error', '')!r}"
    if a.get("error") != b.get("error") and masked(a.get("error", "")) != masked(b.get("error", "")):
        return "error", f"\n  theirs {a.get('error')}\n  ours   {b.get('error')}"
    for notes in ("warnings", "infos"):
        x, y = in_order(a.get(notes, [])), in_order(b.get(notes, []))
        if x != y:
            return notes, f"\n  only theirs {[n for n in x if n not in y]}\n  only ours   {[n for n in y if n not in x]}"
    if list(a) != list(b):
        return "keys", f"{list(a)} and {list(b)}"
    made, near = compare_data(a.get("data"), b.get("data"), exact, ordered)
    if not made and not near and not loose(a, b) and len(theirs[1]) != len(ours[1]):
        return "spelling", "equal values are written differently"
    return made


def loose(a, b):
    """Whether texts of equal answers may have different lengths."""
    return "error" in a or any(len(a.get(n, [])) > SHOWN_MAX for n in ("warnings", "infos")) or \
        isinstance(a.get("data"), dict) and "stats" in a["data"]


def compare_data(a, b, exact, ordered):
    """(what differs or None, whether something is only near)."""
    if not isinstance(a, dict) or not isinstance(b, dict) or "resultType" not in a:
        a, b = without_new(a), without_new(b)
        return (None, True) if a == b else (("data", f"\n  theirs {json.dumps(a)[:1500]}\n  ours   {json.dumps(b)[:1500]}"), False)
    if list(a) != list(b) or a["resultType"] != b["resultType"]:
        return ("type", f"{list(a)} {a['resultType']} and {list(b)} {b['resultType']}"), False
    if "stats" in a and not same_samples(a["stats"]["samples"], b["stats"]["samples"]):
        return ("stats", f"{a['stats']['samples']} and {b['stats']['samples']}"), False
    if a["resultType"] in ("scalar", "string"):
        rows_a, rows_b = [("", [a["result"]])], [("", [b["result"]])]
    else:
        rows_a, rows_b = rows(a["result"], ordered), rows(b["result"], ordered)
    if [k for k, _ in rows_a] != [k for k, _ in rows_b]:
        keys_a, keys_b = [k for k, _ in rows_a], [k for k, _ in rows_b]
        return ("series", f"\n  only theirs {[k for k in keys_a if k not in keys_b][:5]}\n  only ours   "
                          f"{[k for k in keys_b if k not in keys_a][:5]}, {len(keys_a)} and {len(keys_b)}"), False
    near = False
    for (key, x), (_, y) in zip(rows_a, rows_b):
        if x == y:
            continue
        if [p[0] for p in x] != [p[0] for p in y]:
            only = [p for p in x if p[0] not in [q[0] for q in y]], [q for q in y if q[0] not in [p[0] for p in x]]
            return ("times", f"{key}\n  only theirs {only[0][:5]}\n  only ours   {only[1][:5]}"), False
        apart = [(p, q) for p, q in zip(x, y) if p[1] != q[1] and (exact or not close(p[1], q[1]))]
        if apart:
            return ("values", f"{key}\n  theirs {[p for p, _ in apart[:4]]}\n  ours   {[q for _, q in apart[:4]]}"), False
        near = True
    return None, near


def same_samples(a, b):
    """samplesRead is new in 3.14; how many were held at most depends on the order of the series."""
    apart = abs(int(a["peakSamples"]) - int(b["peakSamples"]))
    return a["totalQueryableSamples"] == b["totalQueryableSamples"] and apart <= max(PEAK_APART, int(a["peakSamples"]) // 2)


NEW_FIELDS = {"anchored": (False,), "smoothed": (False,), "offsetExpr": (None,), "rangeExpr": (None,), "stepExpr": (None,),
              "fillValues": ({"lhs": None, "rhs": None},)}


def without_new(value):
    """A tree of parse_query without the fields that 3.14 added, where they say nothing."""
    if isinstance(value, dict):
        return {k: without_new(v) for k, v in value.items() if k not in NEW_FIELDS or v not in NEW_FIELDS[k]}
    return [without_new(v) for v in value] if isinstance(value, list) else value


def rows(result, ordered):
    out = [(json.dumps(r["metric"], ensure_ascii=False), r["values"] if "values" in r else [r["value"]]) for r in result]
    return out if ordered else sorted(out, key=lambda row: row[0])


def close(a, b):
    x, y = float(a), float(b)
    if x == y:
        return True  # zeros of different sign: which one min and max keep depends on the order
    if math.isnan(x) or math.isinf(x) or math.isnan(y) or math.isinf(y):
        return False
    return abs(x - y) <= TOLERANCE * max(abs(x), abs(y))
