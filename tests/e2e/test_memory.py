"""The memory limit: a series bomb against a small one. Old series have no gap, the offender is named, nobody dies.

The second scenario does the same within a control group of the kernel, with the limit that follows from it.
"""
import os
import re
import threading
import time

from harness import (REPORTS, FakeTarget, Reply, Skip, check, check_equal, end_everything, ferula, main, remote_write, resident, scenario,
                     wait_for)

MIB = 1 << 20
LIMIT = 200 * MIB
OLD, OLD_SERIES, BURST = 10, 200, 10000
BATCH = 5000
LONG = "x" * 100


class Farm:
    """Old targets, each page with its own number, and one that has new series with each."""

    def __init__(self):
        self.bombs = False
        self.target = FakeTarget()
        for i in range(OLD):
            self.target.on(f"/old{i}", self.old)
        self.target.on("/bomb", self.bomb)

    @staticmethod
    def old(request):
        return Reply("".join(f'old{{n="{n}"}} {request.number}\n' for n in range(OLD_SERIES)))

    def bomb(self, request):
        first = request.number * BURST
        born = "".join(f'bomb{{id="{LONG}{i}"}} 1\n' for i in range(first, first + BURST)) if self.bombs else ""
        return Reply(f"steady {request.number}\n" + born)

    def config(self):
        jobs = "".join(f"""
  - job_name: old{i}
    metrics_path: /old{i}
    static_configs: [{{targets: ["{self.target.address}"]}}]""" for i in range(OLD))
        return f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:{jobs}
  - job_name: bomb
    metrics_path: /bomb
    static_configs: [{{targets: ["{self.target.address}"]}}]"""


def gauge(server, name):
    for line in server.get("/metrics").text().splitlines():
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no {name}")


def values(server, selector):
    return {labels: [int(float(v)) for _, v in points] for labels, points in server.samples(selector).items()}


def has_no_gap(server, selector, wanted):
    """Series of numbers: each follows the one before. Where a page did not come in time stands its failure."""
    found = values(server, selector)
    check_equal(len(found), wanted, selector)
    for labels, numbers in found.items():
        for a, b in zip(numbers, numbers[1:]):
            check(b == a + 1, "a gap behind", a, "at", b, "in", labels, numbers)


def bomb_by_writes(server, number, seconds, least):
    """New series until one is refused; the old one goes on in each request. How many answers were 429."""
    refused, end, sent = 0, time.monotonic() + seconds, 0
    while refused < least:
        check(time.monotonic() < end, "nothing was refused:", gauge(server, "ferula_memory_used_bytes"))
        now = int(time.time() * 1000)
        old = ({"__name__": "written_old", "job": "sender", "instance": "old"}, [(now, float(number[0]))])
        born = [({"__name__": "written_bomb", "job": "sender", "instance": "bomb", "id": f"{LONG}{number[0]}-{i}"}, [(now, 1.0)])
                for i in range(BATCH)]
        answer = remote_write(server, [old, *born])
        check(answer.status in (204, 429), answer.status, answer.text())
        number[0] += 1
        sent += BATCH
        if answer.status == 429:
            refused += 1
            check("memory is short, new series are refused" in answer.text(), answer.text())
            check("--storage.memory-limit" in answer.text(), answer.text())
            check(int(answer.headers.get("Retry-After", "0")) > 0, answer.headers)
        time.sleep(0.02)
    return sent


def survive(server, farm, limit):
    peak, over = [0], threading.Event()

    def look():
        while not over.wait(0.02):
            try:
                peak[0] = max(peak[0], resident(server))
            except (OSError, ValueError, AttributeError):
                return
    watcher = threading.Thread(target=look)
    wait_for("old series", lambda: all(farm.target.count(f"/old{i}") >= 3 for i in range(OLD)))
    before = gauge(server, "prometheus_tsdb_head_series")
    check_equal(gauge(server, "ferula_memory_limit_bytes"), limit // 100 * 80 if limit != LIMIT else limit)
    watcher.start()
    farm.bombs = True
    number = [1]
    try:
        sent = bomb_by_writes(server, number, 240, 3)
        wait_for("the target's series are left out", lambda: any(
            "new series left out" in t["lastError"] for t in server.api("targets")["activeTargets"] if t["labels"]["job"] == "bomb"))
        bomb = next(t for t in server.api("targets")["activeTargets"] if t["labels"]["job"] == "bomb")
        check_equal(bomb["health"], "up")
        check("--storage.memory-limit" in bomb["lastError"], bomb["lastError"])
        # Who it is: in status/tsdb, by metrics and in the log.
        refused = server.api("status/tsdb")["refusedSeries"]
        check_equal({row["name"] for row in refused["metric"]}, {"bomb", "written_bomb"})
        check_equal({row["name"] for row in refused["target"]},
                    {'job="sender", instance="bomb"', f'job="bomb", instance="{farm.target.address}"'})
        metrics = server.get("/metrics").text()
        check(re.search(r'ferula_tsdb_target_series_refused\{target="job=\\"sender\\", instance=\\"bomb\\""\} [1-9]', metrics), metrics[-5000:])
        check(re.search(r'ferula_tsdb_series_refused_total\{reason="memory"\} [1-9]', metrics), metrics[-5000:])
        for step in ("caches", "queries", "offenders"):
            check(re.search(rf'ferula_memory_steps_total\{{step="{step}"\}} [1-9]', metrics), step, metrics[-5000:])
        server.wait_log(r'msg="memory is short" step=offenders')
        server.wait_log(r'msg="new series refused" series=\d+ target="job=\\"(sender|bomb)\\".* metric=(written_)?bomb')
        # A query that needs much is refused, one that needs little is answered.
        answer = server.post("/api/v1/query", {"query": '{__name__=~"bomb|written_bomb"}'})
        check_equal(answer.status, 503, answer.text()[:500])
        check("query refused: memory is short" in answer.text(), answer.text())
        check_equal(server.query('count(old{job="old0"})'), {(): str(OLD_SERIES)})
        # What there is goes on, and is whole. New series of who made few are taken until all are refused.
        was = farm.target.count("/old0")
        wait_for("more scrapes", lambda: farm.target.count("/old0") > was + 2)
        bomb_by_writes(server, number, 240, 2)
    finally:
        over.set()
        watcher.join()
    for i in range(OLD):
        has_no_gap(server, f'old{{job="old{i}"}}', OLD_SERIES)
    has_no_gap(server, "written_old", 1)
    has_no_gap(server, "steady", 1)
    made = gauge(server, "prometheus_tsdb_head_series_created_total")
    check(made > 10 * before, f"the bomb was too small: {before} before, {made} in the end")
    print(f"limit {limit // MIB} MiB, at most {peak[0] // MIB} resident; {before:.0f} series, then {made:.0f} made, "
          f"{sent} more offered by writes")
    return peak[0]


@scenario
def a_series_bomb_meets_the_limit():
    if REPORTS:
        raise Skip("sanitizers need more memory")
    farm = Farm()
    server = ferula(farm.config(), args=[f"--storage.memory-limit={LIMIT // MIB}MB", "--web.enable-remote-write-receiver",
                                         "--shards=2"])
    peak = survive(server, farm, LIMIT)
    check(peak < LIMIT, "resident:", peak)
    recovers(server, farm)


def recovers(server, farm):
    """When the bomb ends its series leave, and new ones are taken again, without a restart."""
    farm.bombs = False
    later = [1]

    def taken():  # data time goes on by minutes, so that what is not written any more leaves
        later[0] += 1
        now = int(time.time() * 1000) + min(later[0], 9) * 60000
        remote_write(server, [({"__name__": "pace", "job": "pace", "instance": f"{i}"}, [(now, later[0])]) for i in range(16)])
        return remote_write(server, [({"__name__": "newcomer", "job": "n", "instance": str(later[0])}, [(now, 1.0)])]).status == 204
    wait_for("new series are taken", taken, interval=0.5)


def cgroup(limit):
    """A new control group with that limit; skipped where none can be had."""
    name = f"ferula-test-{os.getpid()}"
    for top, control in (("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")):
        with open("/proc/self/cgroup") as f:
            rows = [line.rstrip("\n").split(":", 2) for line in f]
        own = next((path for _, names, path in rows if names == "" and control == "memory.max"
                    or "memory" in names.split(",") and control != "memory.max"), None)
        for base in (top + (own or ""), top):
            folder = os.path.join(base, name)
            try:
                os.mkdir(folder)
            except OSError:
                continue
            try:
                with open(os.path.join(folder, control), "r+") as f:
                    f.write(str(limit))
                return folder
            except OSError:
                os.rmdir(folder)
    raise Skip("no control group with a memory limit can be made here")


@scenario
def a_series_bomb_within_a_cgroup():
    if REPORTS:
        raise Skip("sanitizers need more memory")
    limit = 256 * MIB
    folder = cgroup(limit)
    farm = Farm()
    try:
        server = ferula(farm.config(), args=["--web.enable-remote-write-receiver", "--shards=2"],
                        wrap=["/bin/sh", "-c", f'echo $$ > {folder}/cgroup.procs && exec "$@"', "sh"])
        survive(server, farm, limit)
        check(server.running(), server.log()[-2000:])
        server.stop()
    finally:
        end_everything()
        wait_for("the group is empty", lambda: not open(os.path.join(folder, "cgroup.procs")).read())
        os.rmdir(folder)


main()
