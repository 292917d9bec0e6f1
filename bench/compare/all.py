#!/usr/bin/env python3
"""The figures of the READMEs in one run on a machine that does nothing else: beside other systems, and by parts.

    bench/compare/all.py                        25 minutes; the tables go to standard output and to compare/tables.md
    bench/compare/all.py --folder=/tmp/figures  there instead, raw results as JSON beside them
    bench/compare/all.py --minutes=8            a quicker look: the same, with fewer runs and fewer rungs
    bench/compare/all.py --only=receive --only=sink

What it runs, one after the other, and which README has the table:
  sink         what ferula-loadgen sends into nothing            tools/loadgen/README.md
  parts        what parts cost by themselves                     engine/scrape, engine/remote and engine/tsdb/README.md
  scrape       scraping a recording beside Prometheus            README.md (left out without a recording: scrape.py --help)
  acknowledge  how long acknowledgements take at half the peak   engine/remote/README.md
  queries      16 dashboard queries                              README.md
  receive      remote_write by the shape of requests             engine/remote/README.md
  ladder       10,000 to a million series, three loads           README.md
receive and ladder share what is left of --minutes, one to two, and repeat their runs while they have time. overload.py (ten
minutes more) is not part of it. Progress goes to standard error, all that a part says to <part>.log. Ctrl-C ends
the part at hand, which prints the table of what it has, and all. Exit code: 0, 1 when a part failed: the tables say which.
"""
import argparse
import os
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
RECEIVE_SHARE = 1 / 3  # of the time that it and the ladder have
ALARM_S = 240          # a part that takes so much longer than it may is told to end
PARTS = {  # words, most minutes (None: of what is left)
    "sink": (["sink.py", "--seconds=2"], 2),
    "parts": (["parts.py"], 2),
    "scrape": (["scrape.py", "--seconds=20"], 2),
    "acknowledge": (["acknowledge.py", "--seconds=10"], 3),
    "queries": (["queries.py", "--hours=1", "--rounds=5"], 4),
    "receive": (["receive.py", "--quick"], None),
    "ladder": (["ladder.py", "--quick"], None),
}


def say(text):
    print(text, file=sys.stderr, flush=True)


def log(lines, path):
    """All that a part says goes to a file, what says how far it is to standard error, too."""
    with open(path, "w") as f:
        for line in lines:
            f.write(line)
            f.flush()
            if line.startswith("["):
                say("    " + line.rstrip())


def run_part(name, folder, limit_minutes):
    """What it printed, its exit code, and how long it took."""
    words, own_minutes = PARTS[name]
    command = [os.path.join(HERE, words[0]), *words[1:]]
    if name in ("acknowledge", "receive", "ladder"):
        command.append(f"--json={os.path.join(folder, name)}.json")
    if own_minutes is None:
        command.append(f"--minutes={limit_minutes:.2f}")
    say(f"--- {name}: {' '.join([os.path.basename(command[0]), *command[1:]])}")
    since, is_interrupted = time.monotonic(), False
    with open(os.path.join(folder, f"{name}.out"), "w+") as out:
        part = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True, start_new_session=True)
        threading.Thread(target=log, args=(part.stderr, os.path.join(folder, f"{name}.log")), daemon=True).start()
        while part.poll() is None:
            try:
                part.wait(timeout=(own_minutes or limit_minutes) * 60 + ALARM_S)
            except subprocess.TimeoutExpired:
                say(f"    {name} takes too long: what it has")
                part.send_signal(signal.SIGINT)
            except KeyboardInterrupt:
                is_interrupted = True
                part.send_signal(signal.SIGINT)
        out.seek(0)
        return out.read(), part.returncode, time.monotonic() - since, is_interrupted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=25, help="in all, about (%(default)s)")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; may be repeated")
    parser.add_argument("--folder", default="compare", help="where tables.md, JSON and logs go (%(default)s)")
    wanted = parser.parse_args()
    os.makedirs(wanted.folder, exist_ok=True)
    begin, failed, parts = time.monotonic(), [], [p for p in PARTS if not wanted.only or p in wanted.only]
    with open(os.path.join(wanted.folder, "tables.md"), "w") as tables:
        for i, name in enumerate(parts):
            left = max(wanted.minutes - (time.monotonic() - begin) / 60, 0.5)
            if name == "receive" and "ladder" in parts:
                left *= RECEIVE_SHARE
            out, code, took_s, is_interrupted = run_part(name, wanted.folder, left)
            say(f"    {took_s / 60:.1f} minutes, {len(parts) - i - 1} parts to go, {(time.monotonic() - begin) / 60:.1f} of "
                f"{wanted.minutes:.1f} minutes gone")
            text = f"## {name}: `{' '.join(PARTS[name][0])}`\n\n{out.strip()}\n"
            if code:
                failed.append(name)
                text += f"\nIt ended with {code}: {os.path.join(wanted.folder, name)}.log\n"
            print(text, flush=True)
            tables.write(text + "\n")
            tables.flush()
            if is_interrupted:
                break
    say(f"{(time.monotonic() - begin) / 60:.1f} minutes; the tables are in {os.path.join(wanted.folder, 'tables.md')}"
        + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
