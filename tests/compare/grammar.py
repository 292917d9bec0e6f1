"""Random PromQL as trees of text: every production, function and operator of the stable language.

A tree can be made smaller (shrink.py) without knowing the language: a node may give way to a node of
its kind that stands below it, an optional one to nothing, a list to a shorter one.

A node is exact when its value has the same bits in every correct implementation. Sums over series
depend on the order of the series, sines on the library; where a last digit decides what the answer
is (comparisons, roundings, differences, labels made of values), only exact operands are generated.
For the same reason topk has operands without equal values: which of equal ones is taken, nobody says.
"""
import collections
import re

import series

KINDS = ("vector", "matrix", "scalar", "string")

# ---- the language

EXACT_MATH = "abs ceil floor sqrt sgn deg rad".split()
INEXACT_MATH = "exp ln log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh".split()
LOGARITHMS = {"ln", "log2", "log10"}
STEPWISE = {"ceil", "floor", "sgn"}
CALENDAR = "minute hour day_of_week day_of_month day_of_year days_in_month month year".split()
OVER_TIME = ("rate increase delta irate idelta deriv changes resets avg_over_time sum_over_time min_over_time max_over_time "
             "count_over_time present_over_time last_over_time stddev_over_time stdvar_over_time absent_over_time").split()
HISTOGRAM = "histogram_avg histogram_count histogram_sum histogram_stddev histogram_stdvar".split()
OTHER_CALLS = ("absent clamp clamp_max clamp_min histogram_fraction histogram_quantile label_join label_replace pi "
               "predict_linear quantile_over_time round scalar sort sort_desc time timestamp vector").split()
FUNCTIONS = EXACT_MATH + INEXACT_MATH + CALENDAR + OVER_TIME + HISTOGRAM + OTHER_CALLS
EXPERIMENTAL = "sort_by_label sort_by_label_desc mad_over_time double_exponential_smoothing info ts_of_max_over_time".split()
EXPERIMENTAL_OVER_TIME = "mad_over_time ts_of_max_over_time ts_of_min_over_time ts_of_last_over_time".split()
AGGREGATIONS = "sum avg min max count group stddev stdvar".split()
WITH_PARAMETER = "topk bottomk quantile count_values".split()
ARITHMETIC = ["+", "-", "*", "/", "%", "^", "atan2"]
COMPARISONS = ["==", "!=", "<", "<=", ">", ">="]
SETS = ["and", "or", "unless"]
MATCHERS = ["=", "!=", "=~", "!~"]
GROUPINGS = ["none", "by", "without", "by after", "without after", "empty", "comma"]
MATCHING = ["none", "on", "ignoring", "group_left", "group_right", "group_left with labels", "group_right with labels"]
MODIFIERS = ["none", "offset", "negative offset", "@ time", "@ start()", "@ end()", "offset @", "@ offset"]
SELECTORS = ["name", "name and matchers", "empty braces", "__name__", "regex of names", "quoted name", "keyword name",
             "quoted label", "empty matcher", "trailing comma"]
NUMBERS = ["integer", "fraction", "scientific", "hex", "octal", "Inf", "NaN", "underscores", "duration"]
STRINGS = ["double quotes", "single quotes", "backquotes", "escapes"]
RANGES = ["selector", "subquery with step", "subquery without step"]
SCALARS = ["number", "unary", "call", "parentheses", "arithmetic", "comparison"]
SHAPES = ["vector", "scalar", "string", "matrix", "broken text"]
DURATIONS = ["+", "-", "*", "/", "%", "^", "parentheses", "minus"]  # behind a flag
BEHIND_FLAGS = EXPERIMENTAL_OVER_TIME + "sort_by_label sort_by_label_desc double_exponential_smoothing limit_ratio limitk info".split()
EXTRAS = ["unary minus", "unary plus", "parentheses", "bool", "comment", "new line", "mixed case", "wrong argument",
          "argument missing", "argument too many", "experimental function", "unknown function", "scalar on the left",
          "scalar on the right", "bad regex"]
LANGUAGE = {
    "function": FUNCTIONS, "aggregation": AGGREGATIONS + WITH_PARAMETER, "operator": ARITHMETIC + COMPARISONS + SETS,
    "matcher": MATCHERS, "grouping": GROUPINGS, "matching": MATCHING, "modifier": MODIFIERS, "selector": SELECTORS,
    "number": NUMBERS, "string": STRINGS, "range": RANGES, "scalar": SCALARS, "shape": SHAPES, "extra": EXTRAS,
}
FEATURES = {"behind a flag": BEHIND_FLAGS, "duration": DURATIONS}  # asked only where both have the flags

# ---- words

VALUES = {
    "job": ["j0", "j1", "j2"], "instance": ["h0:80", "h1:80"], "code": ["200", "404", "500"], "method": ["get", "post"],
    "le": ["0.1", "1", "+Inf"], "kind": ["k1", "all", "holes", "twice", "no-inf"], "version": ["v1", "v2"], "every": ["300s", "60s"],
    "l": ["plain", 'a"b', "a\\b", "line\nbreak", "<é&>", "日本"], "by": ["0", "1"], "on": ["x"], "bool": ["true"], "l00": ["v0", "v1"],
    "nothing": ["x"],
}
REGEXES = {"job": ["j[01]", "j0|j2", "j.*", "(?i)J1", "^j0$", "j\\d", ""], "instance": ["h0.*", ".+:80", "h(0|1):80"],
           "code": ["2..", "[45]..", "200|404", "\\d+"], "le": ["0\\..*", ".*Inf", "1|2.5"], "kind": ["k1.?", "[a-h].*", ".*-.*"],
           "l": [".*", "[^a].*", "a.b", "\\p{Han}+", "(?s).*k"]}
BAD_REGEXES = ["(", "a{2,1}", "[z-a]", "*", "(?P<n", "\\8", "a**", "(?z)", "x{1001}"]
OFFSETS = ["15s", "1m", "90s", "1m30s", "5m", "1ms", "7s500ms", "20m", "1h", "30", "0.5", "0x1e", "1e1"]
WINDOWS = ["15s", "1m", "90s", "2m", "5m", "5m", "7m30s", "20m", "1h", "14s999ms", "15001ms", "30s", "60", "299.5", "1e2"]
STEPS = ["15s", "30s", "1m", "7s", "45", "2m", "13s500ms"]
LABELS = ["job", "instance", "code", "method", "le", "kind", "version", "nothing", "by", "__name__"]
# Tokens that are put where they may not belong.
TOKENS = ["(", ")", "{", "}", "[", "]", ",", "=", "==", "=~", "!", "!~", "+", "-", "*", "/", "%", "^", "@", ":", "\"", "'", "by", "on",
          "bool", "offset", "group_left", "without", "and", "sum", "rate", "foo", "1", "5m", "'x'", "0x", "1e", ".", "#", ";", "$", "&", "?",
          "1.5h", "5m5m", "1y1", "\\", "é", "and on", "ignoring", "[5m]", "[5m:]", "offset 5m", "@ start()", "inf", "unless", "NaN", "~",
          "'\\q'", "\"\\xff\"", "''", "`", "sum by", "{}", "__name__", "00", "08", "1_", "0b1", "1..2", "9999999999999999999", "1e400", "[0s]",
          "[-5m]", "offset -0s", "start()", "@ -1", "@ NaN", "@ 1e400", "@ (1)", "count_values", "topk", "quantile", "histogram_quantile"]


ODD = re.compile("odd|mix|__name__")  # names of series with denormal numbers


class Node:
    """A piece of text with pieces inside; glue stands between them, bare in its place when it is left out."""

    __slots__ = ("kind", "parts", "glue", "bare", "exact")

    def __init__(self, kind, *parts, exact=True, glue="", bare=None):
        self.kind, self.parts, self.exact, self.glue, self.bare = kind, list(parts), exact, glue, bare

    def text(self):
        return self.glue.join(p if isinstance(p, str) else p.text() for p in self.parts)

    def below(self):
        """All nodes under this one, those that stand higher first."""
        level = [p for p in self.parts if isinstance(p, Node)]
        while level:
            yield from level
            level = [p for n in level for p in n.parts if isinstance(p, Node)]


class Query:
    def __init__(self, tree, shape, ordered=False):
        self.tree, self.shape, self.ordered = tree, shape, ordered

    @property
    def text(self):
        return self.tree.text()


def all_exact(*nodes):
    return all(n.exact for n in nodes)


class Grammar:
    def __init__(self, r, utf8=True, experimental=False):
        self.r, self.utf8, self.experimental, self.used = r, utf8, experimental, collections.Counter()

    def use(self, table, item):
        assert item in {**LANGUAGE, **FEATURES}[table], (table, item)
        self.used[table, item] += 1
        return item

    def pick(self, table, items=None):
        return self.use(table, self.r.choice(items or {**LANGUAGE, **FEATURES}[table]))

    def often(self, p):
        return self.r.random() < p

    # ---- words

    def space(self, must=True):
        if self.often(.97):
            return " " if must else ""
        if self.often(.5):
            self.use("extra", "comment")
            text = self.r.choice([" # a remark\n", "#\n", " # ) é ' \" \n\t"])
        else:
            self.use("extra", "new line")
            text = self.r.choice(["\n", " \n  ", "\t", "\r\n", "   "])
        return Node("opt", text, bare=" " if must else "")

    def word(self, text):
        if self.often(.95):
            return text
        self.use("extra", "mixed case")
        return Node("opt", self.r.choice([text.upper(), text.title(), "".join(
            c.upper() if self.often(.5) else c for c in text)]), bare=text)

    def string(self, value):
        kind = self.pick("string")
        if kind == "backquotes" and "`" not in value:
            return f"`{value}`"
        quote = "'" if kind == "single quotes" else '"'
        text = value.replace("\\", "\\\\").replace("\n", "\\n").replace(quote, "\\" + quote)
        if kind == "escapes" and value.isalnum() and value.isascii():
            at = self.r.randrange(len(value))
            code = ord(value[at])
            text = value[:at] + self.r.choice([f"\\x{code:02x}", f"\\u{code:04x}", f"\\U{code:08X}", f"\\{code:03o}"]) + value[at + 1:]
        return quote + text + quote

    def number(self):
        kind = self.pick("number")
        choices = {
            "integer": ["0", "1", "2", "3", "5", "10", "100", "1000", "4"], "fraction": ["0.5", "1.5", ".25", "0.9", "5.", "0.95", "2.75"],
            "scientific": ["1e3", "2.5e-1", "1E+2", "1e-9", "1e21", "1.7e308"], "hex": ["0x1F", "0XA", "0x0"], "octal": ["017", "010"],
            "Inf": ["Inf", "inf", "+Inf", "INF"], "NaN": ["NaN", "nan", "NAN"], "underscores": ["1_000", "0x1_F", "1_0.5"],
            "duration": ["1m", "90s", "1h30m", "500ms", "1d", "1w", "1y"],
        }[kind]
        return Node("scalar", self.r.choice(choices))

    def labels(self, at_most=3):
        names = self.r.sample(LABELS, self.r.randint(0, at_most))
        if self.often(.1):
            names.append(self.quoted("label.x") if self.utf8 and self.often(.5) else self.quoted("job"))
        parts = Node("list", *names, glue=self.r.choice([",", ", "]))
        if names and self.often(.05):
            self.use("grouping", "comma")
            return Node("plain", "(", parts, Node("opt", ",", bare=""), ")")
        if not names:
            self.use("grouping", "empty")
        return Node("plain", "(", parts, ")")

    def quoted(self, name):
        if not self.utf8:
            return name if name.isidentifier() else "job"
        return self.string(name)

    # ---- selectors

    def matcher(self):
        label = self.r.choice(list(VALUES))
        op = self.pick("matcher")
        shown = label
        if self.utf8 and self.often(.08):
            self.use("selector", "quoted label")
            shown = self.string(label) if self.often(.5) else self.string("label.x")
        if op in ("=", "!="):
            value = self.r.choice(VALUES[label]) if self.often(.85) else ""
        elif self.often(.01):
            self.use("extra", "bad regex")
            value = self.r.choice(BAD_REGEXES)
        else:
            value = self.r.choice(REGEXES.get(label, [".*", ".+", "", "x|y", "[^x]*"]))
        if value == "":
            self.use("selector", "empty matcher")
        return f"{shown}{self.r.choice(['', ' ']) if self.often(.1) else ''}{op}{self.string(value)}"

    def matchers(self, low=0):
        items = [self.matcher() for _ in range(self.r.choice([low, 1, 1, 2, 3]))]
        node = Node("list", *items, glue=self.r.choice([",", ", "]))
        if items and self.often(.06):
            self.use("selector", "trailing comma")
            return Node("plain", node, Node("opt", ",", bare=""))
        return node

    def name(self):
        pools = [series.COUNTERS] * 4 + [series.GAUGES] * 4 + [series.DISTINCT] * 2 + [series.BUCKETS, series.OTHERS, series.OTHERS]
        return self.r.choice(self.r.choice(pools)) if self.often(.97) else "nothing"

    def selector(self, names=None):
        """Only of one of the names, when they are given: then without a matcher that could hide it."""
        if names:
            self.use("selector", "name")
            return Node("plain", self.r.choice(names))
        kind = self.r.choices(["name", "name and matchers", "empty braces", "__name__", "regex of names", "quoted name", "keyword name"],
                              [40, 40, 2, 4, 3, 4, 4])[0]
        if kind == "quoted name" and not self.utf8:
            kind = "name"
        self.use("selector", kind)
        if kind == "name":
            return Node("plain", self.name())
        if kind == "name and matchers":
            return Node("plain", self.name(), self.space(False), "{", self.matchers(), "}")
        if kind == "empty braces":
            return Node("plain", self.name(), Node("opt", "{}", bare=""))
        if kind == "__name__":
            return Node("plain", "{", f"__name__={self.string(self.name())}", Node("opt", ",", self.matchers(1), bare=""), "}")
        if kind == "regex of names":
            wanted = self.r.choice(["req_.*", "temp|off_temp", "l.*_bucket", ".*temp", "single|gone|lone", "job:.+"])
            return Node("plain", "{", f"__name__=~{self.string(wanted)}", Node("opt", ",", self.matchers(1), bare=""), "}")
        if kind == "keyword name":
            return Node("plain", self.r.choice(series.KEYWORDS), Node("opt", "{", self.matchers(), "}", bare=""))
        name = self.string(self.r.choice(series.QUOTED + ["temp", "nothing at all"]))
        return Node("plain", "{", name, Node("opt", ",", self.matchers(1), bare=""), "}")

    def at(self):
        when = series.START + self.r.choice([0, 300, 1200, 1207.5, 3300, 3301, -100, 7200, 1500.001, 600])
        return f"@ {self.r.choice([repr(when), f'{when:.3f}', f'{when:e}'])}"

    def offset(self, sign=""):
        by = f"({self.computed()})" if self.experimental and self.often(.3) else self.r.choice(OFFSETS)
        return Node("plain", self.word("offset"), self.space(), sign, by)

    def modifier(self):
        kind = self.use("modifier", self.r.choices(MODIFIERS, [60, 10, 6, 4, 3, 3, 2, 2])[0])
        if kind == "none":
            return ""
        parts = {"offset": [self.offset], "negative offset": [lambda: self.offset("-")], "@ time": [self.at],
                 "@ start()": [lambda: "@ start()"], "@ end()": [lambda: "@ end()"], "offset @": [self.offset, self.at],
                 "@ offset": [self.at, lambda: self.offset(self.r.choice(["", "-"]))]}[kind]
        return Node("opt", *[p for make in parts for p in (self.space(), make())], bare="")

    def window(self, of=WINDOWS):
        return self.computed() if self.experimental and self.often(.3) else self.r.choice(of)

    def computed(self, depth=2):
        """A duration that is computed: mostly of some minutes, sometimes nothing or refused."""
        if depth == 0 or self.often(.2):
            return self.r.choice(WINDOWS)
        kind = self.pick("duration", ["+", *DURATIONS])
        if kind == "parentheses":
            return f"({self.computed(depth - 1)})"
        if kind == "minus":
            return f"-{self.computed(depth - 1)}" if self.often(.2) else f"-(-{self.computed(0)})"
        left, right = self.computed(depth - 1), self.computed(depth - 1)
        if kind in "*/%^":
            right = self.r.choice(["2", "3", "0.5", "1.5", "1", "0", "7"])
            left = f"({left})" if self.often(.5) else left
        return left + self.r.choice([kind, f" {kind} "]) + right

    def instant(self, names=None):
        return Node("vector", self.selector(names), self.modifier())

    def matrix(self, depth, exact=False, names=None):
        kind = "selector" if depth <= 0 or names or self.often(.8) else self.r.choice(RANGES[1:])
        self.use("range", kind)
        if kind == "selector":
            return Node("matrix", self.selector(names), "[", self.window(), "]", self.modifier())
        inner = self.vector(depth - 1, exact)
        step = self.window(STEPS) if kind == "subquery with step" else ""
        colon = self.r.choice([":", " : "]) if self.often(.1) else ":"
        # Where its first step is the query's, Prometheus looks past an @ inside by what stands outside.
        modifier = "" if "@" in inner.text() else self.modifier()
        return Node("matrix", Node("plain", "(", inner, ")"), "[", self.window(), colon, step, "]", modifier, exact=inner.exact)

    # ---- scalars

    def scalar(self, depth, exact=False):
        kinds = ["number"] * 5 + (["unary", "call", "parentheses", "arithmetic", "comparison"] if depth > 0 else [])
        kind = self.pick("scalar", kinds)
        if kind == "number":
            return self.number()
        if kind == "unary":
            return Node("scalar", self.r.choice("-+"), self.number())
        if kind == "call":
            name = self.pick("function", ["time", "pi", "scalar"])
            if name != "scalar":
                return Node("scalar", name, "()")
            inner = self.vector(depth - 1, exact)
            return Node("scalar", "scalar(", inner, ")", exact=inner.exact)
        if kind == "parentheses":
            inner = self.scalar(depth - 1, exact)
            return Node("scalar", "(", inner, ")", exact=inner.exact)
        if kind == "arithmetic":
            op = self.arithmetic(exact)
            sides = [self.scalar(depth - 1, exact or op in "+-%") for _ in "ab"]
            return Node("scalar", sides[0], self.space(), op, self.space(), sides[1],
                        exact=all_exact(*sides) and op not in ("^", "atan2"))
        op = self.pick("operator", COMPARISONS)
        self.use("extra", "bool")
        bool_ = Node("opt", self.word("bool"), " ", bare="") if self.often(.05) else Node("plain", self.word("bool"), " ")
        return Node("scalar", self.scalar(depth - 1, True), self.space(), op, " ", bool_, self.scalar(depth - 1, True))

    def arithmetic(self, exact):
        return self.pick("operator", [o for o in ARITHMETIC if not exact or o not in ("^", "atan2")])

    # ---- vectors

    def vector(self, depth, exact=False):
        if depth <= 0 or self.often(.12):
            return self.instant()
        below = depth - 1
        if self.experimental and self.often(.15):
            return self.behind_a_flag(below, exact)
        make = self.r.choices([self.over_time, self.aggregation, self.with_parameter, self.math, self.labelled, self.histogram,
                               self.with_scalar, self.join, self.set_operation, self.wrapped, self.other, self.strange],
                              [24, 17, 7, 10, 5, 5, 9, 11, 6, 6, 6, 2])[0]
        return make(below, exact)

    def call(self, name, *args, exact=True):
        parts = [name if name in EXPERIMENTAL or name not in FUNCTIONS else self.use("function", name), "("]
        for i, arg in enumerate(args):
            if i:
                parts += [",", self.space()]
            parts.append(self.argument(arg))
        return Node("vector", *parts, ")", exact=exact)

    def argument(self, arg):
        if self.often(.997) or not isinstance(arg, Node):
            return arg
        self.use("extra", "wrong argument")
        return self.r.choice([self.number(), Node("string", self.string("x")), self.instant(), self.matrix(0)])

    def over_time(self, depth, exact):
        name = self.r.choice(OVER_TIME + ["rate", "increase", "quantile_over_time", "predict_linear"])
        window = self.matrix(depth, exact or name != "count_over_time")
        if name == "quantile_over_time":
            return self.call(name, self.scalar(0), window)
        if name == "predict_linear":
            return self.call(name, window, self.scalar(depth), exact=False)
        return self.call(name, window, exact=window.exact)

    def grouping(self):
        kind = self.pick("grouping", ["none", "by", "without", "by", "by after", "without after"])
        clause = Node("opt", self.space(), self.word(kind.split()[0]), self.space(False), self.labels(), self.space(False), bare="") \
            if kind != "none" else ""
        return (clause, "") if "after" not in kind else ("", clause)

    def aggregation(self, depth, exact):
        name = self.pick("aggregation", [a for a in AGGREGATIONS if not exact or a in ("min", "max", "count", "group")])
        inner = self.vector(depth, exact or name not in ("min", "max", "count", "group"))
        if name.startswith("std") and "time" in inner.text():
            name = "max"  # of large numbers close together the deviation has few digits
        before, after = self.grouping()
        keeps = name in ("count", "group")  # of zeros of either sign min and max keep the first
        return Node("vector", self.word(name), before, "(", self.argument(inner), ")", after, exact=keeps)

    def with_parameter(self, depth, exact):
        name = self.pick("aggregation", WITH_PARAMETER)
        before, after = self.grouping()
        if name in ("topk", "bottomk"):
            inner = self.without_equals()
            parameter = Node("scalar", self.r.choice(["1", "2", "3", "5", "1e3", "2.7", "-1", "0", "NaN", "Inf", "0x2"])) \
                if self.often(.9) else self.scalar(1, True)
        elif name == "quantile":
            inner, parameter = self.vector(depth, True), self.scalar(depth if self.often(.3) else 0, True)
        else:
            inner = self.vector(min(depth, 1), True)
            parameter = self.text("v", "job", "value", "label.x", "", "1x", "__name__")
        return Node("vector", self.word(name), before, "(", self.argument(parameter), ",", self.space(), self.argument(inner), ")", after)

    def without_equals(self):
        """No two values of a time are equal."""
        roll = self.r.random()
        if roll < .5:
            return self.instant(series.DISTINCT)
        window = self.matrix(0, True, series.DISTINCT)
        if roll < .7:
            return self.call(self.r.choice(["avg_over_time", "sum_over_time"]), window)
        return Node("vector", self.instant(series.DISTINCT), " * ", self.r.choice(["2", "-0.5", "1e3", "0x1F"]))

    def math(self, depth, exact):
        name = self.r.choice(EXACT_MATH + (INEXACT_MATH if not exact else []) + CALENDAR + ["round", "clamp", "clamp_min", "clamp_max"])
        if name in CALENDAR and self.often(.3):
            return self.call(name)
        inner = self.vector(depth, exact or name in STEPWISE or name in CALENDAR or name in INEXACT_MATH or name == "round")
        if name in LOGARITHMS and ODD.search(inner.text()):
            name = "sqrt"  # Go's logarithms are wrong for denormal numbers on x86
        if name == "round":
            return self.call(name, *[inner] + ([self.scalar(depth, True)] if self.often(.5) else []))
        if name.startswith("clamp"):
            bounds = [self.scalar(0) for _ in range(2 if name == "clamp" else 1)]
            return self.call(name, inner, *bounds, exact=inner.exact)
        return self.call(name, inner, exact=inner.exact and name not in INEXACT_MATH)

    def text(self, *values):
        text = self.string(self.r.choice(values))
        return Node("string", Node("opt", f"({text})", bare=text) if self.often(.05) else text)

    def labelled(self, depth, exact):
        inner = self.vector(depth, exact)
        if self.often(.5):
            sources = [self.text("job", "instance", "code", "nothing", "__name__", "label.x") for _ in range(self.r.randint(0, 3))]
            return self.call("label_join", inner, self.text("new", "job", "__name__", "", "label.x", "a b"), self.text("-", "", ", "),
                             *sources, exact=inner.exact)
        regex = self.text("(.*)", "j(.*)", "(h)(?P<n>.).*", "", "x", "(.*):80", "[^j]*") if self.often(.93) else self.text(*BAD_REGEXES)
        return self.call("label_replace", inner, self.text("new", "job", "instance", "__name__", "", "label.x"),
                         self.text("$1", "${1}-x", "$0", "", "$n", "${n}${1}", "$$1", "const", "$9", "$1x"),
                         self.text("job", "instance", "nothing", "__name__", "code"), regex, exact=inner.exact)

    def histogram(self, depth, exact):
        name = self.r.choice(HISTOGRAM + ["histogram_quantile"] * 6 + ["histogram_fraction"] * 4)
        if name in HISTOGRAM:
            return self.call(name, self.vector(depth))
        bucket = Node("plain", self.r.choice(series.BUCKETS), Node("opt", "{", self.matchers(), "}", bare="") if self.often(.3) else "")
        window = Node("matrix", bucket, "[", self.r.choice(WINDOWS), "]", self.modifier())
        inner = self.r.choice([Node("vector", bucket, self.modifier()), self.call("rate", window), self.call("increase", window),
                               Node("vector", "sum by (", Node("list", "le", "job", "kind", glue=", "), ") (", bucket, ")")])
        if self.often(.1):
            inner = self.vector(depth, True)
        if name == "histogram_quantile":
            return self.call(name, self.scalar(0), inner, exact=False)
        return self.call(name, self.scalar(0), self.scalar(0), inner, exact=False)

    def bool_(self):
        if self.often(.6):
            return ""
        self.use("extra", "bool")
        return Node("opt", self.word("bool"), " ", bare="")

    def with_scalar(self, depth, exact):
        compares = self.often(.45)
        op = self.pick("operator", COMPARISONS) if compares else self.arithmetic(exact)
        need = exact or compares or op in "+-%^"
        vector, scalar = self.vector(depth, need), self.scalar(depth, need)
        left = self.often(.4)
        self.use("extra", "scalar on the left" if left else "scalar on the right")
        sides = [scalar, vector] if left else [vector, scalar]
        result = all_exact(*sides) and op not in ("^", "atan2")
        return self.binary(sides, op, self.bool_() if compares else "", result)

    def binary(self, sides, op, modifiers, exact):
        if op == "^" and ODD.search(sides[0].text() + sides[1].text()):
            op = "*"  # Go's powers go by its logarithms
        texts = "".join([op, *(s.text().lower() for s in sides)])
        # The tree says what is exact: where that matters, parentheses make the text mean the tree.
        if self.often(.7) or not exact or "^" in texts or "atan2" in texts:
            sides = [Node(s.kind, "(", s, ")", exact=s.exact) for s in sides]
        word = self.word(op) if op.isalpha() else op
        return Node("vector", sides[0], self.space(), word, " ", modifiers, sides[1], exact=exact)

    def matching(self, sensible):
        kind = self.pick("matching")
        if kind == "none":
            return ""
        labels = Node("plain", "(", Node("list", *self.r.choice(sensible), glue=", "), ")") if self.often(.8) else self.labels()
        if kind in ("on", "ignoring"):
            word = kind if self.often(.8) else "on"
            return Node("opt", self.word(word), self.space(False), labels, " ", bare="")
        include = self.labels(1) if "with labels" in kind else self.r.choice(["", Node("opt", "()", bare="")])
        return Node("opt", self.word(self.r.choice(["on", "on", "ignoring"])), self.space(False), labels, self.space(),
                    self.word(kind.split()[0]), self.space(False), include, " ", bare="")

    def join(self, depth, exact):
        compares = self.often(.3)
        op = self.pick("operator", COMPARISONS) if compares else self.arithmetic(exact)
        need = exact or compares or op in "+-%^"
        left = self.vector(depth, need)
        roll = self.r.random()
        if roll < .35:  # the same series: they match
            right = Node("vector", *left.parts, exact=left.exact)
        elif roll < .6:
            right = Node("vector", self.r.choice(["info", "temp", "off_total", "wild", "lat_count"]), self.modifier())
        else:
            right = self.vector(depth, need)
        modifiers = [self.bool_() if compares else "", self.matching([["job", "instance"], ["instance"], ["job"], [], ["job", "instance", "code"]])]
        return self.binary([left, right], op, Node("plain", *modifiers), all_exact(left, right) and op not in ("^", "atan2"))

    def set_operation(self, depth, exact):
        left, right = self.vector(depth, exact), self.vector(depth, exact)
        matching = ""
        if self.often(.5):
            kind = self.use("matching", self.r.choice(["on", "ignoring"]))
            matching = Node("opt", self.word(kind), " ", self.labels(), " ", bare="")
        return self.binary([left, right], self.pick("operator", SETS), matching, all_exact(left, right))

    def wrapped(self, depth, exact):
        inner = self.vector(depth, exact)
        kind = self.use("extra", self.r.choice(["parentheses", "unary minus", "unary plus"]))
        if kind == "parentheses":
            return Node("vector", "(", self.space(False), inner, ")", exact=inner.exact)
        return Node("vector", "-" if kind == "unary minus" else "+", inner if self.often(.5) else Node("vector", "(", inner, ")"), exact=inner.exact)

    def other(self, depth, exact):
        name = self.r.choice(["absent", "vector", "timestamp", "sort", "sort_desc", "absent", "timestamp"])
        if name == "vector":
            inner = self.scalar(depth, exact)
        else:
            inner = self.vector(depth if self.often(.5) else 0, exact)
        return self.call(name, inner, exact=name not in ("vector", "sort", "sort_desc") or inner.exact)

    def strange(self, depth, exact):
        """What the parser or the engine refuses."""
        inner = self.vector(depth, exact)
        kind = self.use("extra", self.r.choice(["argument missing", "argument too many", "experimental function", "unknown function"]))
        if kind == "argument missing":
            return Node("vector", self.r.choice(FUNCTIONS + AGGREGATIONS), "()")
        if kind == "argument too many":
            return Node("vector", self.r.choice(FUNCTIONS + AGGREGATIONS), "(", inner, ", ", self.number(), ", ", self.number(), ")")
        if kind == "unknown function":
            return Node("vector", self.r.choice(["RATE", "foo", "holt_winters", "Abs", "histogram_quantile_", "sum_over"]), "(", inner, ")")
        return self.call(self.r.choice(EXPERIMENTAL), inner)

    def behind_a_flag(self, depth, exact):
        """Functions that 3.5 has behind promql-experimental-functions."""
        name = self.pick("behind a flag")
        if name in EXPERIMENTAL_OVER_TIME:
            return self.call(name, self.matrix(depth, True))
        if name == "double_exponential_smoothing":
            factors = [Node("scalar", self.r.choice(["0.5", "0.1", "0.9", "1", "0", "NaN"])) for _ in "ab"]
            return self.call(name, self.matrix(depth, True), *factors)
        if name == "info":
            about = self.r.choice(['{__name__="info"}', '{version=~".+", __name__="info"}', '{os="linux"}', '{__name__=~"inf.*", version!="v1"}', "{}", ""])
            inner = self.vector(depth, exact)
            return self.call(name, inner, *([Node("plain", about)] if about else []), exact=inner.exact)
        inner = self.vector(depth, exact)
        if name == "limitk":  # which of them, the order of storage decides: how many
            before, after = self.grouping()
            return Node("vector", "count(", self.word(name), before, "(", self.r.choice(["1", "2", "0", "-1", "1e3"]), ", ", inner, ")", after, ")")
        if name == "limit_ratio":  # of all or nothing: what between, a hash decides that depends on how Prometheus was built
            before, after = self.grouping()
            ratio = Node("scalar", self.r.choice(["1", "0", "-1", "1.2", "-2", "NaN"]))
            return Node("vector", self.word(name), before, "(", ratio, ", ", inner, ")", after, exact=inner.exact)
        labels = [self.text("job", "instance", "le", "code", "__name__", "nothing") for _ in range(self.r.randint(1, 3))]
        return self.call(name, inner, *labels, exact=inner.exact)

    # ---- queries

    def query(self):
        shape = self.use("shape", self.r.choices(SHAPES, [78, 4, 1, 7, 10])[0])
        depth = self.r.choice([0, 1, 1, 2, 2, 3, 3, 4, 5])
        if shape == "scalar":
            return Query(self.scalar(depth), shape)
        if shape == "string":
            return Query(Node("string", self.string(self.r.choice(["x", "", "a\nb", "<é&>"]))), shape)
        if shape == "matrix":
            return Query(self.matrix(depth), shape)
        if shape == "broken text":
            whole = self.vector(depth)
            return Query(self.broken(whole.text(), whole.exact), shape)
        if self.often(.04):
            name = self.r.choice(["sort", "sort_desc", "topk", "bottomk"])
            return Query(self.call(name, self.without_equals()) if name[:4] == "sort" else
                         Node("vector", self.use("aggregation", name), "(3, ", self.without_equals(), ")"), shape, True)
        return Query(self.vector(depth), shape)

    def broken(self, text, exact=True):
        """Some tokens of a query lost, doubled, exchanged or foreign."""
        tokens = [t for t in _tokens(text)]
        for _ in range(self.r.choice([1, 1, 1, 2, 3])):
            at = self.r.randrange(len(tokens)) if tokens else 0
            roll = self.r.randrange(6)
            if roll == 0:
                del tokens[at:at + 1]
            elif roll == 1:
                tokens[at:at] = tokens[at:at + 1]
            elif roll == 2:
                tokens[at:at + 2] = tokens[at:at + 2][::-1]
            elif roll == 3:
                tokens[at:at] = [" ", self.r.choice(TOKENS), " "]
            elif roll == 4:
                tokens[at:at + 1] = [self.r.choice(TOKENS)]
            else:
                tokens = tokens[:at]
        return Node("list", *tokens, exact=exact)


def _tokens(text):
    """Roughly as the lexer cuts; which pieces does not matter."""
    out, word = [], ""
    for c in text:
        if c.isalnum() or c in "_.":
            word += c
            continue
        out += [word] if word else []
        out.append(c)
        word = ""
    return out + ([word] if word else [])
