#!/usr/bin/env python3
"""Data folders by a second reader (naive_reader.py), which knows their description alone: what the product reads from them
is what stands in them, of folders of every format and of one that a server writes while it is killed.
"""
import os
import random
import shutil
import subprocess
import time

from harness import (BUILD, PATIENCE_S, TOP, WRITE2_HEADERS, check, check_equal, ferula, histogram_message, main, field, peer,
                     remote_write, scenario, snappy_literal, temp_folder, wait_for, write2_request, write2_series,
                     write_sample)
from naive_reader import lines, read_folder

DUMP = os.path.join(BUILD, "tests", "lib", "dump_folder")
DATA = os.path.join(TOP, "tests", "data")
STEP_MS = 15000


def product_reads(folder):
    """What the product finds in a copy of the folder, which it may change."""
    copy = os.path.join(temp_folder(), "copy")
    shutil.copytree(folder, copy, copy_function=shutil.copyfile)
    done = subprocess.run([DUMP, "--bits", copy], capture_output=True, text=True, timeout=PATIENCE_S)
    check_equal((done.returncode, done.stderr), (0, ""), "dump_folder")
    return done.stdout.splitlines()


def compare(folder, what):
    """How many samples both find; what differs fails."""
    naive, product = list(lines(read_folder(folder))), product_reads(folder)
    check_equal([line.split(" ")[0] for line in naive], [line.split(" ")[0] for line in product], f"{what}: series")
    for mine, theirs in zip(naive, product):
        if mine != theirs:
            both = zip(mine.split(" "), theirs.split(" "))
            check(False, what, bytes.fromhex(mine.split(" ")[0]), next((pair for pair in both if pair[0] != pair[1]), "length"))
    return sum(line.count(" ") for line in naive)


@scenario
def folders_of_every_format():
    for name in sorted(os.listdir(DATA)):
        if name.startswith("format-"):
            check(compare(os.path.join(DATA, name), name) > 7000, name)


def values_of(kind, at, rng):
    """A value of a series at its at-th time: numbers as exporters make them, and what is easily lost."""
    odd = [0x8000000000000000, 0x7FF8000000000001, 0x7FF8DEAD0000BEEF, 0x7FF0000000000000, 0x7FF0000000000002, 1, 0]
    return [lambda: at * 17.0, lambda: 4242.5, lambda: rng.randrange(100000) / 1000, lambda: rng.randrange(1 << 40) * 4096.0,
            lambda: rng.randrange(10 ** 6) * 0.001, lambda: rng.randrange(10 ** 9) / 1000 / 1000, rng.random,
            lambda: rng.getrandbits(64) & 0xBFFFFFFFFFFFFFFF, lambda: rng.choice(odd), lambda: float(at // 30),
            lambda: 20.0 + rng.randrange(7), lambda: 1.0 - (at % 13 == 12), lambda: 1.7e9 + at * 15.25,
            lambda: odd[4] if at % 9 == 8 else float(at * at)][kind % 14]()


def send_floats(server, first, rounds, base_ms, rng):
    for at in range(first, first + rounds):
        body = []
        for target in range(3):
            for kind in range(28):
                if (kind + target + at) % 11 == 0 and kind > 20:
                    continue  # not all series have all times
                labels = {"__name__": f"kind_{kind}", "instance": f"10.0.0.{target}:9100", "job": "node",
                          **({"path": "/x" * (kind - 20)} if kind > 20 else {})}
                t = base_ms + at * STEP_MS + target * 1234 + (rng.randrange(40) if kind == 13 else 0)
                body.append((labels, [(t, values_of(kind, at, rng))]))
        check_equal(remote_write(server, body).status // 100, 2, "written")


def send_forms(server, first, rounds, base_ms, rng):
    """Histograms, and start timestamps."""
    symbols = [b"", b"__name__", b"sizes", b"counts", b"job", b"forms", b"custom"]
    for at in range(first, first + rounds):
        t = base_ms + at * STEP_MS
        start = base_ms - 1000 + at // 20 * 20 * STEP_MS
        counts = [rng.randrange(50) for _ in range(4)]
        body = write2_request(
            symbols,
            write2_series([1, 2, 4, 5], field(3, histogram_message(
                t, sum(counts), 2, [counts[0]] + [b - a for a, b in zip(counts, counts[1:])], ((-1, 2), (at // 50 + 1, 2)),
                rng.random(), start=start))),
            write2_series([1, 3, 4, 5], write_sample(t, float(at), start)))
        answer = server.request("POST", "/api/v1/write", snappy_literal(body), WRITE2_HEADERS)
        check_equal(answer.status // 100, 2, answer.text())


def files_of(server):
    return sorted(os.listdir(os.path.join(server.data, "blocks")))


PROMTOOL = os.path.join(BUILD, "tools", "ferula-promtool")


def tool(*words, code=0, program=PROMTOOL):
    """What a command prints; on standard error, too."""
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=PATIENCE_S)
    check_equal(done.returncode, code, f"exit code of {' '.join(words)}: {done.stderr}")
    return done.stdout, done.stderr


def text_of(labels, value, ms):
    pairs = ",".join(f'{k}="{v}"' for k, v in labels.items() if k != "__name__")
    return f"{labels['__name__']}{{{pairs}}} {value!r} {ms / 1000:.3f}\n"


@scenario
def dumps_beside_promtool():
    """The same samples in a block of Prometheus and in our folder: the same lines, also while the server runs."""
    base = int(time.time() * 1000) - 3600_000
    values = [0.0, -0.0, 1.0, 1e6, 123456789.5, 1e-7, 1e21, -2.5e300, 5e-324, 0.1, 1 / 3, float("nan"), float("inf"), float("-inf")]
    series = [({"__name__": name, "Zone": "b", "instance": f"{i}", "path": "/é x", **({"job": "a"} if i % 2 else {})},
               [(base + i * 7 + k * 15000, values[(i + k) % len(values)]) for k in range(20)])
              for name in ("up", "requests_total") for i in range(5)]
    home = temp_folder()
    with open(os.path.join(home, "in.om"), "w") as f:
        for name in ("requests_total", "up"):
            f.write(f"# TYPE {name} unknown\n")
            f.writelines(text_of(labels, v, ms) for labels, samples in series if labels["__name__"] == name for ms, v in samples)
        f.write("# EOF\n")
    theirs, blocks = peer("promtool-3.5"), os.path.join(home, "blocks")
    tool("tsdb", "create-blocks-from", "openmetrics", os.path.join(home, "in.om"), blocks, program=theirs)
    os.mkdir(os.path.join(blocks, "wal"))
    server = ferula(args=["--web.enable-remote-write-receiver", "--storage.wal-sync=always"])
    check_equal(remote_write(server, series).status, 204, "written")
    cases = [("dump", ), ("dump-openmetrics", ), ("dump", "--match=up"), ("dump", "--match={job=\"a\"}", "--match=up{instance=\"0\"}"),
             ("dump", f"--min-time={base + 15000}", f"--max-time={base + 45000}"), ("dump", "--match={job=\"x\"}"),
             ("dump-openmetrics", "--match={instance=~\"1|3\"}", f"--max-time={base + 30007}")]
    wanted = [tool("tsdb", *words, blocks, program=theirs)[0] for words in cases]
    wait_for("the dump has all", lambda: tool("tsdb", "dump", server.data)[0] == wanted[0], interval=0.2)
    _, said = tool("tsdb", "dump", server.data)
    check(f"{server.data} is open in process {server.popen.pid}: " in said, said)
    server.kill()
    before = {name: os.stat(name).st_mtime_ns for name in files_below(server.data)}
    for words, want in zip(cases, wanted):
        check_equal(tool("tsdb", *words, server.data), (want, ""), words)
    check_equal({name: os.stat(name).st_mtime_ns for name in files_below(server.data)}, before, "nothing was written")
    server.restart()
    server.stop()
    for words, want in zip(cases, wanted):
        check_equal(tool("tsdb", *words, server.data), (want, ""), words)


def files_below(folder):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)


@scenario
def what_a_server_writes():
    seed = int(os.environ.get("FORMAT_SEED") or random.randrange(1 << 32))
    print(f"FORMAT_SEED={seed}")
    rng = random.Random(seed)
    base_ms = int(time.time() * 1000) - 400 * STEP_MS
    server = ferula(args=["--web.enable-remote-write-receiver", "--storage.spill-interval=1s", "--storage.wal-sync=always"])
    for at in range(0, 300, 100):
        had = files_of(server)
        send_floats(server, at, 100, base_ms, rng)
        send_forms(server, at, 100, base_ms, rng)
        wait_for("another file", lambda: files_of(server) != had)
    server.kill()
    in_files = compare(server.data, "after it was killed")
    server.args.remove("--storage.spill-interval=1s")
    server.restart()
    send_floats(server, 300, 40, base_ms, rng)
    send_forms(server, 300, 40, base_ms, rng)
    server.kill()
    with_log = compare(server.data, "with rows in the log alone")
    check(with_log > in_files > 20000, in_files, with_log)
    server.restart()
    server.stop()
    check_equal(compare(server.data, "after a clean end"), with_log, "samples")


if __name__ == "__main__":
    main()
