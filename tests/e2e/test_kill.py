#!/usr/bin/env python3
"""kill -9 at random moments under load: what was shown by a query or acknowledged to a sender is there afterwards, bit
for bit, and nothing appears that was never sent.

Scrapes, remote_write over several connections and queries go on all the time. The moments come from a seed that is
printed; KILL_SEED=n runs with that one again.
"""
import http.client
import os
import random
import struct
import threading
import time

from harness import (PATIENCE_S, WRITE_HEADERS, Counts, FakeTarget, check, check_equal, ferula, main, run_scenario, scenario,
                     snappy_literal, wait_for, write_series)

KILLS = int(os.environ.get("KILLS") or 20)
ALWAYS_FROM = KILLS * 2 // 3  # the later ones with --storage.wal-sync=always
TARGETS, SERIES = 2, 400
SENDERS, SENDER_SERIES = 4, 60


def bits(value):
    return struct.pack("<d", value)


class Ledger:
    """What was sent, and what must be there."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent = {}  # series -> {time: value}, of senders; of scrapes the server chooses the times
        self.must = {}  # series -> {time: value}
        self.served = {}  # target -> number of its last scrape
        self.shown = 0  # samples in answers

    def send(self, series, samples):
        with self.lock:
            self.sent.setdefault(series, {}).update(samples)

    def keep(self, found, is_shown=False):
        """found was acknowledged, or shown by a query."""
        with self.lock:
            self.shown += sum(map(len, found.values())) if is_shown else 0
            for series, samples in found.items():
                self.must.setdefault(series, {}).update(samples)

    def problems(self, held, since_ms):
        """What held lacks of what is not older than since_ms, or has too much, in words."""
        out = []
        with self.lock:
            for series, samples in self.must.items():
                have = held.get(series, {})
                for t, v in samples.items():
                    if t < since_ms:
                        continue
                    if t not in have:
                        out.append(f"lost: {series} at {t}: {v!r}")
                    elif bits(have[t]) != bits(v):
                        out.append(f"changed: {series} at {t}: {v!r} became {have[t]!r}")
            for series, samples in held.items():
                out += [f"never sent: {series} at {t}: {v!r}" for t, v in samples.items()
                        if not self.was_sent(series, t, v)]
        return out

    def was_sent(self, series, t, v):
        if series[0] == "scraped":
            _, target, i = series
            return any(bits(v) == bits(value_of(n, i)) for n in (round((v * 7 - i) / 1009),)
                       if 1 <= n <= self.served.get(target, 0))
        sent = self.sent.get(series, {})
        return t in sent and bits(sent[t]) == bits(v)


def value_of(number, i):
    """Of series i in a scrape, told apart from all others, with a long fraction."""
    return (number * 1009 + i) / 7


class Exporter(FakeTarget):
    def __init__(self, ledger, name):
        super().__init__(self.serve)
        self.ledger, self.name = ledger, name

    def serve(self, r):
        with self.ledger.lock:
            self.ledger.served[self.name] = self.ledger.served.get(self.name, 0) + 1
            n = self.ledger.served[self.name]
        return "".join(f'scraped{{i="{i}"}} {value_of(n, i)!r}\n' for i in range(SERIES))


class Sender:
    """One connection; what is not acknowledged is sent again after the restart, unchanged."""

    def __init__(self, ledger, number, rng):
        self.ledger, self.number, self.rng = ledger, number, rng
        self.last_ms, self.open_request = 0, None
        self.acknowledged = 0

    def next_request(self):
        self.last_ms = max(self.last_ms + 2, int(time.time() * 1000))
        rows = {}
        for i in range(SENDER_SERIES):
            if self.rng.random() < 0.1:
                continue  # not each series in each request
            samples = {ms: self.value() for ms in (self.last_ms - 1, self.last_ms)}
            rows[("sent", str(self.number), i)] = samples
        return rows

    def value(self):
        """Any bits that are a finite number; often a plain counter."""
        if self.rng.random() < 0.5:
            return float(self.last_ms % 100000)
        v = struct.unpack("<d", self.rng.randbytes(8))[0]
        return v if v == v and abs(v) != float("inf") else -0.0

    def run(self, server, stop):
        connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE_S)
        while not stop.is_set():
            rows = self.open_request or self.next_request()
            self.open_request = rows
            for series, samples in rows.items():
                self.ledger.send(series, samples)
            body = snappy_literal(b"".join(write_series({"__name__": "sent", "sender": s, "i": str(i), "job": "j"}, v.items())
                                           for (_, s, i), v in rows.items()))
            try:
                connection.request("POST", "/api/v1/write", body, WRITE_HEADERS)
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException):
                break  # killed: nobody knows what became of it
            check_equal((answer.status, text), (204, b""), "a sender's answer")
            self.ledger.keep(rows)
            self.acknowledged += 1
            self.open_request = None
            stop.wait(self.rng.random() * 0.01)
        connection.close()


def samples_of(data):
    """{series: {ms: value}} of a matrix."""
    out = {}
    for r in data["result"]:
        labels = r["metric"]
        series = (("scraped", labels["job"], int(labels["i"])) if labels["__name__"] == "scraped" else
                  ("sent", labels["sender"], int(labels["i"])))
        out[series] = {round(t * 1000): float(v) for t, v in r["values"]}
    return out


def ask(ledger, server, rng, stop):
    """Queries all the time; what an answer shows must stay."""
    while not stop.is_set():
        which = "|".join(str(rng.randrange(SERIES)) for _ in range(8))
        try:
            text = f'{{__name__=~"scraped|sent",i=~"{which}"}}[5s]'
            answer = server.get("/api/v1/query", {"query": text})
            if answer.status == 200:
                ledger.keep(samples_of(answer.json()["data"]), True)
        except (OSError, http.client.HTTPException, ValueError):
            return  # killed


class Run:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.ledger = Ledger()
        self.exporters = [Exporter(self.ledger, f"t{k}") for k in range(TARGETS)]
        self.senders = [Sender(self.ledger, k, random.Random(self.rng.random())) for k in range(SENDERS)]
        self.config = "scrape_configs:\n" + "".join(
            f"- job_name: {e.name}\n  scrape_interval: 150ms\n  static_configs: [{{targets: ['{e.address}']}}]\n"
            for e in self.exporters)
        self.data = None
        self.begin_ms = int(time.time() * 1000)

    def start(self, number, **options):
        sync = "always" if number >= ALWAYS_FROM else "interval"
        # A short interval makes files while samples come: kills hit them, too.
        spill = self.rng.choice(["1s", "2s", "15m"])
        server = ferula(self.config, data=self.data, **options, args=[
            "--web.enable-remote-write-receiver", f"--storage.wal-sync={sync}", f"--storage.spill-interval={spill}"])
        self.data = self.data or os.path.join(server.home, "data")
        return server

    def held(self, server, since_ms):
        window = int(time.time() * 1000) - since_ms + 60_000
        answer = server.get("/api/v1/query", {"query": f'{{__name__=~"scraped|sent"}}[{window}ms]',
                                              "time": repr(time.time() + 30)})
        check_equal(answer.status, 200, answer.text()[:300])
        return samples_of(answer.json()["data"])

    def load(self, server, seconds):
        """Senders and queries at work, until the server is killed under them."""
        stop, failures = threading.Event(), []

        def guarded(fn, *args):
            try:
                fn(*args)
            except Exception as why:
                failures.append(why)
        before = sum(s.acknowledged for s in self.senders), sum(self.ledger.served.values()), self.ledger.shown
        threads = [threading.Thread(target=guarded, args=(s.run, server, stop)) for s in self.senders]
        threads += [threading.Thread(target=guarded, args=(ask, self.ledger, server, random.Random(self.rng.random()), stop))
                    for _ in range(2)]
        for t in threads:
            t.start()
        try:
            wait_for("load", lambda: failures or sum(s.acknowledged for s in self.senders) > before[0] + 10 and
                     sum(self.ledger.served.values()) > before[1] + 1 and self.ledger.shown > before[2])
            time.sleep(seconds)
            running = server.running()
        finally:
            server.kill()
            stop.set()
            for t in threads:
                t.join(PATIENCE_S)
        check_equal(failures, [])
        check(running and server.popen.returncode == -9, "it ran until it was killed", server.popen.returncode)

    def kill_and_look(self, number):
        """One kill, the restart, and whether all of it is there; everything since the first one from time to time."""
        since_ms = int(time.time() * 1000)
        self.load(self.server, self.rng.random() * 1.2)
        if self.rng.random() < 0.3:  # and once more while it starts, perhaps in the middle of its replay
            early = self.start(number + 1, ready=False)
            time.sleep(self.rng.random() * 0.15)
            early.kill()
        self.server = self.start(number + 1)
        if number % 7 == 6 or number == KILLS - 1:
            since_ms = self.begin_ms
        held = self.held(self.server, since_ms)
        problems = self.ledger.problems(held, since_ms)
        check(not problems, f"{len(problems)} problems:", "\n".join(problems[:10]))
        return held

    def whole(self):
        must = sum(map(len, self.ledger.must.values()))
        print(f"{KILLS} kills, {must} samples had to be there, {sum(s.acknowledged for s in self.senders)} requests were "
              f"acknowledged, {self.ledger.shown} samples shown, {sum(self.ledger.served.values())} scrapes", flush=True)
        for kind in ("scraped", "sent"):
            check(any(s[0] == kind for s in self.ledger.must), kind, "samples were among them")


def check_the_checker(run, held):
    """One sample withheld, changed by a bit, or made up is reported, and nothing else."""
    check_equal(run.ledger.problems(held, run.begin_ms), [])
    rng = random.Random(1)
    few = [s for kind in ("scraped", "sent") for s in sorted(run.ledger.must) if s[0] == kind][::29]
    run.ledger.must, held = ({s: of[s] for s in few} for of in (run.ledger.must, held))
    for kind in ("scraped", "sent"):
        series = rng.choice([s for s in run.ledger.must if s[0] == kind])
        t = rng.choice(list(run.ledger.must[series]))
        for what, value in (("lost", None), ("changed", struct.unpack("<d", struct.pack("<Q", struct.unpack(
                "<Q", bits(held[series][t]))[0] ^ 1))[0])):
            bad = {**held, series: dict(held[series])}
            if value is None:
                del bad[series][t]
            else:
                bad[series][t] = value
            found = run.ledger.problems(bad, run.begin_ms)
            check(found and all(f"{series} at {t}:" in f for f in found) and found[0].startswith(what), what, found)
        bad = {**held, series: {**held[series], 12345: 0.1}}
        found = run.ledger.problems(bad, run.begin_ms)
        check_equal(found, [f"never sent: {series} at 12345: 0.1"])
    bad = {**held, ("sent", "0", 99999): {run.begin_ms: 1.0}}
    check_equal(len(run.ledger.problems(bad, run.begin_ms)), 1, "a series that was never sent")


@scenario
def killed_at_random_moments():
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"KILL_SEED={seed}", flush=True)
    run = Run(seed)
    run.server = run.start(0)
    results = []
    for number in range(KILLS):
        failed = Counts.failed
        run_scenario(f"kill {number + 1} of KILL_SEED={seed}", lambda: results.append(run.kill_and_look(number)))
        if Counts.failed > failed:
            return  # what follows would only repeat it
    run.whole()
    run_scenario("the checker sees one wrong sample", check_the_checker, run, results[-1])
    check_equal(run.server.stop(), 0, "exit code")
    run.server = run.start(KILLS)
    check_equal(run.ledger.problems(run.held(run.server, run.begin_ms), run.begin_ms), [], "after a clean end")


if __name__ == "__main__":
    main()
