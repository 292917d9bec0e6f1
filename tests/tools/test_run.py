#!/usr/bin/env python3
"""tools/run as a newcomer meets it: it comes up, answers, leaves nothing behind; its errors say what to do."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUN = os.path.join(TOP, "tools/run")
passed = failed = 0


def case(name, good, seen=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print(f"FAILED {name}: {seen}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def processes_with(text):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                line = f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line and int(pid) != os.getpid():
            found.append(line)
    return found


def listeners():
    with open("/proc/net/tcp") as f:
        return {int(l.split()[1].split(":")[1], 16) for l in f.readlines()[1:] if l.split()[3] == "0A"}


def comes_up_and_leaves_nothing(folder):
    port, before = free_port(), listeners()
    process = subprocess.Popen([RUN, "--port", str(port), "--data", folder], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    text, deadline = "", time.monotonic() + 300
    os.set_blocking(process.stdout.fileno(), False)
    while "up is now" not in text and process.poll() is None and time.monotonic() < deadline:
        text += (process.stdout.read() or b"").decode(errors="replace")
        time.sleep(0.05)
    case("prints the address", f"http://127.0.0.1:{port}" in text, text)
    case("prints a first query with its answer", re.search(r'up is now: .*"value":\[[0-9.]+,"1"\]', text), text)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?query=up", timeout=5) as answer:
            case("answers", b'"success"' in answer.read())
    except OSError as e:
        case("answers", False, e)
    taken = subprocess.run([RUN, "--port", str(port), "--data", folder], capture_output=True, text=True)
    case("a taken port is an error that names the option",
         taken.returncode == 1 and "--port" in taken.stderr and f"port {port} is taken" in taken.stderr, taken.stderr)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does on Ctrl-C
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    left = processes_with(folder)
    case("leaves no process", not left, left)
    case("leaves no listener", not (listeners() - before) & {port, 9100} or 9100 in before, listeners() - before)


def without_root_it_names_one_line(folder):
    """A machine without packages and without root, by stand-ins for the two commands that say so."""
    fake = os.path.join(folder, "bin")
    os.makedirs(fake)
    for name, body in (("dpkg-query", "exit 1"), ("id", "echo 1000")):
        path = os.path.join(fake, name)
        with open(path, "w") as f:
            f.write(f"#!/bin/sh\n{body}\n")
        os.chmod(path, 0o755)
    env = {**os.environ, "PATH": fake + ":" + os.environ["PATH"]}
    done = subprocess.run([RUN, "--port", str(free_port()), "--data", folder], capture_output=True, text=True, env=env)
    lines = [l for l in done.stderr.split("\n") if "apt-get install" in l]
    case("without root it ends with 1 and names one apt-get line", done.returncode == 1 and len(lines) == 1, done.stderr)


def main():
    folder = tempfile.mkdtemp(prefix="ferula-run-")
    try:
        comes_up_and_leaves_nothing(os.path.join(folder, "data"))
        without_root_it_names_one_line(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
