#!/usr/bin/env python3
"""What a start reads, replays and holds: after SIGKILL the log once and no more memory than before, after a clean end nothing.

Amounts are asserted, not times: bench/compare/restart.py measures those.
"""
import json
import os
import random
import re
import shutil
import struct
import subprocess
import time

from harness import (BUILD, PATIENCE_S, FakeTarget, cases, check, check_equal, counters, ferula, main, remote_write, request, resident, scenario, temp_folder,
                     wait_for)

LOADGEN = os.path.join(BUILD, "tools", "ferula-loadgen")
SERIES, ROUNDS = 50_000, 40
MEMORY_SLACK = int(os.environ.get("FERULA_RESTART_SLACK_MIB") or 8) << 20
STALE = struct.unpack("<d", struct.pack("<Q", 0x7ff0000000000002))[0]
SEED = int(os.environ.get("RESTART_SEED") or random.randrange(1 << 32))


def start(data=None, config="", **options):
    return ferula(config, data, ["--web.enable-remote-write-receiver", *options.pop("args", ())], **options)


def load(server):
    path = os.path.join(temp_folder(), "result.json")
    subprocess.run([LOADGEN, "remote-write", f"--json={path}", "--no-read-back", f"--series={SERIES}", f"--rounds={ROUNDS}", "--duration=1h",
                    "--step=15s", f"--start={int(time.time()) - ROUNDS * 15 - 60}", "--connections=2", f"{server.base}/api/v1/write"],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=PATIENCE_S)
    with open(path) as f:
        result = json.load(f)
    check_equal((result["rejected"], result["failed"], result["broken"]), (0, 0, 0), result["last_error"])
    return result["samples"]


def log_of(data):
    folder = os.path.join(data, "wal")
    return sum(os.stat(os.path.join(folder, name)).st_size for name in os.listdir(folder))


QUERIES = ('sum(count_over_time(node_load1[1h]))', 'count(last_over_time({job=~".+"}[1h]))', 'sum(sum_over_time(node_cpu_seconds_total[1h]))')


def held_of(server):
    return [server.query(q)[()] for q in QUERIES]


def replayed(server):
    return counters(server, "ferula_tsdb_replay_")


def check_walreplay(server):
    state = server.api("status/walreplay")
    check_equal(sorted(state), ["current", "max", "min"])
    check(state["min"] <= state["current"] == state["max"], state)
    return state["max"]


def sample_rounds(rng):
    """(series number, time, value) in requests: most rows whole and like the one before, some with more, fewer or late ones."""
    n, values, now_ms = 90, {}, int(time.time() * 1000) - 3_600_000
    for number in range(300):
        now_ms += 7_000 + rng.randrange(3)
        n += rng.random() < 0.03
        left_out = {rng.randrange(n) for _ in range(3)} if rng.random() < 0.1 else ()
        request = []
        for i in range(n):
            if i not in values or rng.random() < 0.3:
                values[i] = STALE if rng.random() < 0.02 else rng.choice((rng.random(), float(number), -0.0, values.get(i, 1.5)))
            if i not in left_out:
                request.append((i, now_ms, values[i]))
        if rng.random() < 0.05:
            request.append((rng.randrange(n), now_ms - 3_500, 0.25))  # late, at a time that has no other
        yield request


def copy_of(data):
    """Of a killed server's folder, as long as nothing else starts on it."""
    folder = os.path.join(temp_folder(), "data")
    shutil.copytree(data, folder)
    return folder


@scenario
@cases(3)
def test_rows():
    """Rows of every kind come back bit for bit, with any number of shards."""
    rng = random.Random(SEED)
    wanted, server = {}, start(args=("--shards=2",))
    for sent in sample_rounds(rng):
        answer = remote_write(server, [({"__name__": "m", "i": str(i), "instance": "x", "job": "j"}, [(ms, v)]) for i, ms, v in sent])
        check_equal(answer.status, 204, answer.text())
        for i, ms, v in sent:
            if v == v:
                wanted.setdefault(str(i), {})[ms] = struct.pack("<d", v)
    server.kill()
    for shards in (1, 2, 3):
        again = start(copy_of(os.path.join(server.home, "data")), args=(f"--shards={shards}",))
        found = {r["metric"]["i"]: {round(t * 1000): struct.pack("<d", float(v)) for t, v in r["values"]} for r in again.api("query", {"query": "m[2h]"})["result"]}
        check_equal(found, wanted, f"{shards} shards, RESTART_SEED={SEED}")
        again.kill()


def killed_while_reading(data, shards, wanted):
    for delay in (0.05, 0.1):
        early = start(data, args=(f"--shards={shards}",), ready=False)
        time.sleep(delay)
        early.kill()
    server = start(data, args=(f"--shards={shards}",))
    check_equal(held_of(server), wanted)
    server.kill()


@scenario
@cases(4)
def test_amounts():
    """After SIGKILL, also of the start after it: each byte of the log once, no more memory. After a clean end: nothing."""
    server = start(args=("--shards=2",))
    data = os.path.join(server.home, "data")
    samples = load(server)
    records = counters(server, "ferula_tsdb_wal_")["ferula_tsdb_wal_records_total"]
    wanted, most = held_of(server), resident(server)
    server.kill()
    held = log_of(data)
    for shards in (1, 2, 3):
        killed_while_reading(copy_of(data), shards, wanted)
        copy = copy_of(data)
        server = start(copy, args=(f"--shards={shards}",))
        got = replayed(server)
        check(most + MEMORY_SLACK >= resident(server), f"{shards} shards: memory", resident(server), most)
        check_equal(got["ferula_tsdb_replay_samples"], samples)
        check(got["ferula_tsdb_replay_bytes"] <= held, "each byte of the log is read once:", got, held)
        check(got["ferula_tsdb_replay_rows"] <= records, got, records)
        check(check_walreplay(server) >= held >> 20, held)
        check("logs of earlier runs read" in server.log() and "segment of an earlier run" in server.log(), server.log())
        check_equal(held_of(server), wanted)
        if shards < 3:
            server.kill()
    server.stop()
    check_equal(log_of(copy), 0)
    server = start(copy)
    check_equal((replayed(server), check_walreplay(server)), ({}, 0))
    check("logs of earlier runs read" not in server.log(), server.log())
    check_equal(held_of(server), wanted)
    server.stop()


@scenario
def test_scrapes_while_reading():
    """Targets are asked without waiting for the log, and what the first answer said is kept; nobody is told less than all."""
    server = start(args=("--shards=2",))
    data = os.path.join(server.home, "data")
    load(server)
    wanted = held_of(server)[0]
    server.kill()
    served = []
    target = FakeTarget(lambda request: served.append(1) or f"served {len(served)}\n")
    config = ("global: {scrape_interval: 100ms, scrape_timeout: 100ms}\n"
              f"scrape_configs: [{{job_name: t, static_configs: [{{targets: ['{target.address}']}}]}}]\n")
    server = start(data, config, ready=False)
    server.wait_log("Listening on")
    counted = 0
    port = int(re.search(r"Listening on.*:(\d+)", server.log()).group(1))
    while not counted:
        answer = request("127.0.0.1", port, "GET", "/api/v1/query?query=" + QUERIES[0])
        check(answer.status in (200, 503), answer.status, answer.text())
        counted = answer.status == 200 and answer.json()["data"]["result"][0]["value"][1]
    check_equal(counted, wanted)
    server.wait_ready()
    wait_for("three scrapes", lambda: len(served) > 3)
    kept = [v for values in server.samples("served").values() for _, v in values]
    check_equal(kept[:3], ["1", "2", "3"])
    server.stop()


if __name__ == "__main__":
    main()
