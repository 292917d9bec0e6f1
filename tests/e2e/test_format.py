#!/usr/bin/env python3
"""Data folders by a second reader (naive_reader.py), which knows their description alone: what the product reads from them
is what stands in them, of folders of every format and of one that a server writes while it is killed.
"""
import json
import os
import random
import re
import shutil
import subprocess
import time

from harness import (BUILD, PATIENCE_S, TOP, WRITE2_HEADERS, check, check_equal, ferula, histogram_message, main, field, peer,
                     remote_write, scenario, snappy_literal, temp_folder, wait_for, write2_request, write2_series,
                     write_sample)
from naive_reader import BlockFile, lines, read_folder

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
    base = int(time.time()) // 7200 * 7200_000 - 7200_000 + 1000  # within one block of theirs
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
    server = ferula(args=["--web.enable-remote-write-receiver", "--storage.wal-sync=always", "--shards=1"])
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
    rows = [[line.split() for line in tool("tsdb", "list", folder, program=program)[0].splitlines()]
            for folder, program in ((server.data, PROMTOOL), (blocks, theirs))]
    check_equal([row[1:5] + row[-2:-1] for row in rows[0]], [row[1:5] + row[-2:-1] for row in rows[1]], "list")
    human = [re.split("  +", tool("tsdb", "list", "-r", folder, program=program)[0].splitlines()[1])
             for folder, program in ((server.data, PROMTOOL), (blocks, theirs))]
    check_equal(human[0][1:5], human[1][1:5], "list -r")
    listed = json.loads(tool("tsdb", "list", "-o", "json", server.data)[0])
    check_equal([(f["samples"], f["series"]) for f in listed["files"]], [(200, 10)], listed)
    for words in ((), ("--limit=2", ), ("--match=up", ), ("--match={job=\"a\"}", "--limit=3")):
        ours, upstream = (sections(tool("tsdb", "analyze", *words, folder, program=program)[0])
                          for folder, program in ((server.data, PROMTOOL), (blocks, theirs)))
        if "--limit" in " ".join(words):  # which of equal ones are shown is not said
            ours, upstream = ([[line.split()[0] for line in part] for part in a] for a in (ours, upstream))
        check_equal(ours, upstream, f"analyze {words}")
    analyzed = json.loads(tool("tsdb", "analyze", "-o", "json", server.data, listed["files"][0]["id"])[0])
    check_equal((analyzed["series"], analyzed["metricCardinalities"][0]["value"]), (10, 5), analyzed)
    check_equal(tool("tsdb", "analyze", server.data, "nosuch", code=1)[1], "block nosuch not found\n")
    check_equal(tool("tsdb", "list", home + "/none", code=1), tool("tsdb", "list", home + "/none", code=1, program=theirs))


def sections(text):
    """What is printed, without the block's name; items that cost the same are in no order."""
    parts = text.replace("\n\n\n", "\n\n").strip().split("\n\n")
    return [parts[0].split("\n")[1:]] + [sorted(part.split("\n")) for part in parts[1:]]


def files_below(folder):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 16]))


def fsck(folder, code):
    return json.loads(tool("tsdb", "fsck", "-o", "json", folder, code=code)[0])


@scenario
def damage_is_named_and_put_aside():
    """One chunk of samples, a footer, a log segment: each is named with its offset, costs what it holds and no more, and
    repair leaves the rest, in quarantine what was damaged."""
    rng, base = random.Random(3), int(time.time() * 1000) - 3600_000
    server = ferula(args=["--web.enable-remote-write-receiver", "--storage.wal-sync=always", "--shards=1"])
    for at in range(0, 60, 20):
        check_equal(remote_write(server, [({"__name__": f"m{i % 3}", "job": "a", "instance": str(i)},
                                           [(base + k * 15000, rng.random()) for k in range(at, at + 20)])
                                          for i in range(600)]).status, 204, "written")
    server.stop()
    folder = server.data
    check_equal(fsck(folder, 0)["samples"], 36000, "samples")
    whole = tool("tsdb", "dump", folder)[0].splitlines()
    name = os.path.join(folder, "blocks", os.listdir(os.path.join(folder, "blocks"))[0])
    chunks = BlockFile(name).sections[7].chunks
    check(len(chunks) > 4, len(chunks))
    first, items, chunk = chunks[2]
    offset = int(chunk.where.rpartition(" ")[2])
    flip(name, offset + 100)
    found = fsck(folder, 3)["findings"]
    check_equal([(f["file"], f["offset"], f["what"], f["lost"]) for f in found],
                [(name, offset, "wrong checksum", f"samples of {items} series in this file")], "fsck")
    out, said = tool("tsdb", "dump", folder, code=1)
    check_equal(said, f"{name}: offset {offset}: wrong checksum\n", "dump says what it could not read")
    server.restart()  # what the chunk does not hold is answered, what it holds is an error that names it
    answers = [server.get("/api/v1/query", {"query": f'm{m}{{instance="{i}"}}[2h]', "time": base / 1000 + 3600}).json()
               for m in range(3) for i in range(m, 600, 3)]
    bad = [a for a in answers if a["status"] != "success"]
    check_equal(len(bad), items, "series that are not answered")
    check(all(f"{name}: offset {offset}: wrong checksum" in a["error"] for a in bad), bad[0])
    check_equal(sum(len(a["data"]["result"][0]["values"]) for a in answers if a["status"] == "success"), 60 * (600 - items), "rest")
    said = tool("tsdb", "repair", folder, code=1)[1]
    check(f"data folder {folder} is in use by process {server.popen.pid}: " in said, said)
    server.kill()
    before = {path: open(path, "rb").read() for path in files_below(folder)}
    planned = json.loads(tool("tsdb", "repair", "--dry-run", "-o", "json", folder, code=3)[0])["actions"]
    check_equal({path: open(path, "rb").read() for path in files_below(folder)}, before, "--dry-run writes nothing")
    check_equal([(a["action"], a["seriesKept"], a["samplesKept"]) for a in planned], [("salvage", 600 - items, 60 * (600 - items))],
                planned)
    done = json.loads(tool("tsdb", "repair", "-o", "json", folder, code=3)[0])["actions"]
    check_equal(done, planned, "as planned")
    with open(done[0]["to"], "rb") as file:
        check_equal(file.read(), before[name], "in quarantine")
    with open(done[0]["to"] + ".txt") as file:
        check(f"offset {offset}: wrong checksum" in file.read(), "the note")
    check_equal((fsck(folder, 0)["series"], fsck(folder, 0)["damages"]), (600 - items, 0), "after repair")
    rest = tool("tsdb", "dump", folder)[0].splitlines()
    check_equal((len(rest), set(rest) <= set(whole)), (60 * (600 - items), True), "what is left")
    check(compare(folder, "a repaired folder") == len(rest))
    name = os.path.join(folder, "blocks", os.listdir(os.path.join(folder, "blocks"))[0])
    flip(name, os.path.getsize(name) - 30)
    check("wrong checksum of the footer" in fsck(folder, 3)["findings"][0]["what"], fsck(folder, 3))
    check_equal([a["action"] for a in json.loads(tool("tsdb", "repair", "-o", "json", folder, code=3)[0])["actions"]], ["quarantine"])
    check_equal(tool("tsdb", "dump", folder), ("", ""), "nothing is left")
    check_equal(tool("tsdb", "repair", folder)[0], f"{folder}: 0 things done\n")


@scenario
def earlier_formats_are_written_anew():
    for name in sorted(n for n in os.listdir(DATA) if n.startswith("format-")):
        folder = os.path.join(temp_folder(), "copy")
        shutil.copytree(os.path.join(DATA, name), folder, copy_function=shutil.copyfile)
        before, files = tool("tsdb", "dump", folder)[0], len(os.listdir(os.path.join(folder, "blocks")))
        check_equal(fsck(folder, 0)["files"], files, name)
        planned = json.loads(tool("tsdb", "upgrade", "--dry-run", "-o", "json", folder)[0])["actions"]
        check_equal(json.loads(tool("tsdb", "upgrade", "-o", "json", folder)[0])["actions"], planned, name)
        versions = {f["version"] for f in json.loads(tool("tsdb", "list", "-o", "json", folder)[0])["files"]}
        check_equal((len(versions), len(planned)), (1, files if name in ("format-1", "format-2") else 0), name)
        check_equal(tool("tsdb", "dump", folder)[0], before, name)
        check_equal(fsck(folder, 0)["damages"], 0, name)


def check_snapshot(server):
    """A snapshot is a folder that all commands read, while the server runs that has the other one."""
    name = server.post("/api/v1/admin/tsdb/snapshot").json()["data"]["name"]
    folder = os.path.join(server.data, "snapshots", name)
    found = fsck(folder, 0)
    check_equal((found["findings"], len(tool("tsdb", "dump", folder)[0].splitlines())), ([], found["samples"]), "snapshot")
    check_equal(len(json.loads(tool("tsdb", "list", "-o", "json", folder)[0])["files"]), found["files"], "snapshot")
    check_equal(fsck(server.data, 0)["damages"], 0, "beside a server")


@scenario
def what_a_server_writes():
    seed = int(os.environ.get("FORMAT_SEED") or random.randrange(1 << 32))
    print(f"FORMAT_SEED={seed}")
    rng = random.Random(seed)
    base_ms = int(time.time() * 1000) - 400 * STEP_MS
    server = ferula(args=["--web.enable-remote-write-receiver", "--storage.spill-interval=1s", "--web.enable-admin-api"])
    for at in range(0, 300, 100):
        had = files_of(server)
        send_floats(server, at, 100, base_ms, rng)
        send_forms(server, at, 100, base_ms, rng)
        wait_for("another file", lambda: files_of(server) != had)
    check_snapshot(server)
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
