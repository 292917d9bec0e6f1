#!/usr/bin/env python3
"""tools/run as a newcomer meets it: it comes up, answers, leaves nothing behind; its errors say what to do."""
import os
import re
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
from harness import (TOP, FakeTarget, Process, Reply, check, check_equal, free_port, main, request, run_scenario, scenario,  # noqa: E402
                     temp_folder, wait_for, write_file)

RUN = os.path.join(TOP, "tools/run")


def processes_of_session(session):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat, open(f"/proc/{pid}/cmdline") as line:
                state, _, _, of_session = stat.read().rpartition(")")[2].split()[:4]
                if int(of_session) == session and state != "Z":  # who ended is gone, though nobody asked after him
                    found.append(line.read().replace("\0", " "))
        except OSError:
            pass
    return found


def a_taken_port(port):
    done = subprocess.run([RUN, "--port", str(port)], capture_output=True, text=True)
    check(done.returncode == 1 and "--port" in done.stderr
          and re.search(rf"port {port} is taken by process \d+ \(ferula\)", done.stderr), done)


def stranger_on_9100():
    """Something else that has the node_exporter's port, unless somebody has it already."""
    try:
        return FakeTarget(lambda r: Reply("something else\n"), port=9100)
    except OSError:
        return None


@scenario
def comes_up_and_leaves_nothing():
    stranger = stranger_on_9100()
    port, data = free_port(), os.path.join(temp_folder(), "data")
    run = Process("run", ["setsid", RUN, "--port", port, "--data", data])
    wait_for("the first query", lambda: "up is now" in run.log() or not run.running(), 900)
    check(f"http://127.0.0.1:{port}" in run.log(), "the address is printed", run.log())
    check(re.search(r'up is now: .*"value":\[[0-9.]+,"1"\]', run.log()), "the first query is answered", run.log())
    node = int(re.search(r"  node +http://127.0.0.1:(\d+)/metrics", run.log()).group(1))
    check(node != 9100 or not stranger, "the node_exporter has a port of its own", run.log())
    check(b"node_cpu_seconds_total" in request("127.0.0.1", node, "GET", "/metrics").body, "it answers there")
    check(b'"success"' in request("127.0.0.1", port, "GET", "/api/v1/query?query=up").body, "queries are answered")
    run_scenario("a taken port is an error that names the option", a_taken_port, port)
    session = run.popen.pid
    check(len(processes_of_session(session)) > 1, "its processes are seen", run.log())
    os.killpg(session, signal.SIGINT)  # as a terminal does on Ctrl-C
    run.wait()
    wait_for("no process is left", lambda: not processes_of_session(session))
    try:
        request("127.0.0.1", port, "GET", "/")
    except ConnectionRefusedError:
        return
    check(False, "somebody listens")


@scenario
def without_root_it_names_one_line():
    """A machine without packages and without root, by stand-ins for the two commands that say so."""
    fake = temp_folder()
    for name, body in (("dpkg-query", "exit 1"), ("id", "echo 1000")):
        os.chmod(write_file(os.path.join(fake, name), f"#!/bin/sh\n{body}\n"), 0o755)
    done = subprocess.run([RUN, "--port", str(free_port()), "--data", fake], capture_output=True, text=True,
                          env={**os.environ, "PATH": fake + ":" + os.environ["PATH"]})
    lines = [line for line in done.stderr.split("\n") if "apt-get install" in line]
    check(done.returncode == 1 and len(lines) == 1, done)


if __name__ == "__main__":
    main()
