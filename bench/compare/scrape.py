#!/usr/bin/env python3
"""Ferula beside Prometheus, scraping the same targets in the same run.

Both scrape N targets, served by build/bench/replay from a recording of a node_exporter, for some time.
Printed for each: CPU seconds per million scraped samples (user and system, of the whole process),
resident memory at the end, bytes on disk, and how long a restart on that data takes until it is ready
(after SIGKILL). The last lines are a table for the README.
"""
import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read()


def ready(port, since, limit_s=120):
    while time.monotonic() - since < limit_s:
        try:
            if b"Ready" in get(port, "/-/ready"):
                return time.monotonic() - since
        except OSError:
            pass
        time.sleep(0.005)
    raise SystemExit(f"port {port} did not get ready in {limit_s} s")


class Server:
    def __init__(self, name, command, folder, port):
        self.name, self.command, self.folder, self.port = name, command, folder, port
        self.process = None

    def start(self):
        since = time.monotonic()
        self.process = subprocess.Popen(self.command, cwd=self.folder, stdout=subprocess.DEVNULL,
                                        stderr=open(os.path.join(self.folder, "log"), "ab"))
        return ready(self.port, since)

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident(self):
        with open(f"/proc/{self.process.pid}/statm") as statm:
            return int(statm.read().split()[1]) * PAGE

    def samples(self):
        answer = json.loads(get(self.port, "/api/v1/query?query=sum(sum_over_time(scrape_samples_scraped%5B1h%5D))"))
        result = answer["data"]["result"]
        return float(result[0]["value"][1]) if result else 0.0

    def disk(self):
        total = 0
        for root, _, files in os.walk(self.folder):
            total += sum(os.stat(os.path.join(root, f)).st_blocks * 512 for f in files)
        return total

    def kill(self, how=signal.SIGKILL):
        if self.process:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None


def version(command):
    done = subprocess.run([command, "--version"], capture_output=True, text=True)
    words = (done.stdout + done.stderr).split("\n")[0].split()
    return words[2] if words[:2] == ["prometheus,", "version"] else words[1]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--targets", type=int, default=50)
    options.add_argument("--interval", default="1s")
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument("--build", default=os.path.join(TOP, "build"))
    options.add_argument("--prometheus", default=os.path.join(TOP, "build/peers/forky/usr/bin/prometheus"))
    options.add_argument("--recording", default=os.environ.get("FERULA_CAPTURE") or next(
        (p for p in (os.path.join(TOP, up, "shared/data/node_exporter-1s.capture.xz") for up in ("..", "../.."))
         if os.path.exists(p)), None), help="a recording as tests/lib/capture.h describes it")
    wanted = options.parse_args()
    if not wanted.recording:
        options.error("there is no recording: name one with --recording")
    work = tempfile.mkdtemp(prefix="ferula-bench-")
    replay_port = free_port()
    replay = subprocess.Popen([os.path.join(wanted.build, "bench/replay"), str(replay_port)],
                              env={**os.environ, "FERULA_CAPTURE": wanted.recording}, stdout=subprocess.PIPE)
    servers = []
    try:
        replay.stdout.readline()
        addresses = [f"127.0.0.{i + 1}:{replay_port}" for i in range(wanted.targets)]
        for name, program in (("prometheus", wanted.prometheus),
                              ("ferula", os.path.join(wanted.build, "tools/ferula"))):
            if not os.path.exists(program):
                print(f"{name} is not there: {program}", file=sys.stderr)
                continue
            folder, port = os.path.join(work, name), free_port()
            os.makedirs(folder)
            with open(os.path.join(folder, "config.yml"), "w") as f:
                json.dump({"global": {"scrape_interval": wanted.interval},
                           "scrape_configs": [{"job_name": "node", "static_configs": [{"targets": addresses}]}]}, f)
            servers.append(Server(f"{name} {version(program)}", [
                program, "--config.file=config.yml", "--storage.tsdb.path=data",
                f"--web.listen-address=127.0.0.1:{port}"], folder, port))
        rows = []
        first = [s.start() for s in servers]
        time.sleep(wanted.seconds)
        for server, start_s in zip(servers, first):
            cpu, resident, samples = server.cpu_seconds(), server.resident(), server.samples()
            disk = server.disk()
            server.kill()
            again_s = server.start()
            rows.append({"server": server.name, "samples": samples, "cpu_s_per_million": cpu / samples * 1e6,
                         "resident_mib": resident / 2**20, "disk_mib": disk / 2**20,
                         "start_s": start_s, "restart_after_sigkill_s": again_s})
            server.kill()
        for row in rows:
            print(json.dumps(row))
        print(f"\n{wanted.targets} targets, every {wanted.interval}, {wanted.seconds} s:\n")
        print("| server | samples | CPU s per million samples | resident MiB | first start s | restart after SIGKILL s |")
        print("|---|---|---|---|---|---|")
        for r in rows:
            print(f"| {r['server']} | {r['samples']:.0f} | {r['cpu_s_per_million']:.2f} | {r['resident_mib']:.0f} | "
                  f"{r['start_s']:.2f} | {r['restart_after_sigkill_s']:.2f} |")
    finally:
        for server in servers:
            server.kill()
        replay.kill()
        replay.wait()
        shutil.rmtree(work, ignore_errors=True)


main()
