"""Makes a query that shows a difference smaller, as long as it shows the same kind of it."""
import calendar
import time

from grammar import KINDS, Node

ASKS_MAX = 400
PLAIN = {"vector": ["lone", "temp"], "matrix": ["lone[5m]"], "scalar": ["1"], "string": ['"x"']}


class Shrinker:
    def __init__(self, still, asks_max=ASKS_MAX):
        self.still, self.left = still, asks_max  # still(tree, request) -> whether it shows the difference

    def holds(self, tree, request):
        if self.left <= 0:
            return False
        self.left -= 1
        return self.still(tree, request)

    def shrink(self, tree, request):
        while self.left > 0:
            smaller = self.smaller_request(tree, request) or self.smaller_tree(tree, request)
            if smaller is None:
                break
            tree, request = smaller
        return tree, request

    def smaller_request(self, tree, request):
        for name, _ in request.params:
            if name in ("limit", "lookback_delta", "stats", "timeout"):
                fewer = request.having(**{name: None})
                if self.holds(tree, fewer):
                    return tree, fewer
        if request.get("start") is None or request.get("start") == request.get("end"):
            return None
        try:
            start, end, step = (seconds(request.get(k)) for k in ("start", "end", "step"))
        except ValueError:  # an odd one
            return None
        count = int((end - start) / step)
        for low, high in ((0, count // 2), (count // 2 + 1, count), (0, count - 1), (1, count)):
            if low <= high and (low, high) != (0, count):
                fewer = request.having(start=f"{start + low * step:.3f}", end=f"{start + high * step:.3f}")
                if self.holds(tree, fewer):
                    return tree, fewer
        return None

    def smaller_tree(self, tree, request):
        for node in [tree, *tree.below()]:
            for parts in changes(node):
                before, node.parts = node.parts, parts
                if self.holds(tree, request):
                    return tree, request
                node.parts = before
        return None


def seconds(text):
    """Of a time or a duration as test_compare.py writes them."""
    if "T" in text:
        return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) + float(text[19:-1])
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text.rstrip("s"))


def changes(node):
    """Other contents for a node, each with less text."""
    if node.kind == "opt":
        if node.parts != [node.bare]:
            yield [node.bare]
    elif node.kind == "list":
        half = len(node.parts) // 2
        if half > 1:
            yield node.parts[:half]
            yield node.parts[half:]
        for at in range(len(node.parts)):
            yield node.parts[:at] + node.parts[at + 1:]
    elif node.kind in KINDS:
        size = len(node.text())
        for plain in PLAIN[node.kind]:
            if len(plain) < size:
                yield [plain]
        for below in node.below():
            alike = below.kind == node.kind or {below.kind, node.kind} <= {"vector", "scalar"}
            if alike and below.exact >= node.exact and len(below.text()) < size:
                yield [below]


def copy(node):
    """A tree of its own: parts of a generated one may stand in it twice."""
    return Node(node.kind, *[p if isinstance(p, str) else copy(p) for p in node.parts], exact=node.exact, glue=node.glue, bare=node.bare)
