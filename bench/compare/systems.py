"""The systems that are compared, each started alone in a folder of its own, and what they cost.

Flags are those a user would choose who reads the manual, the same purpose for each; what differs from the defaults:
  all             retention long enough for the samples of the ladder, listening on 127.0.0.1
  ferula          --web.enable-remote-write-receiver, as Prometheus needs it
  prometheus      --web.enable-remote-write-receiver
  victoria        -search.latencyOffset=0s, so that queries see what is there, as the others'; its caches stay on
Nobody is limited in cores or memory, GOMAXPROCS and shards are what each finds, and write-ahead logs are as by default:
Prometheus's is written without fsync, Ferula's (interval) with one now and then, VictoriaMetrics has none.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "e2e"))
from harness import BUILD, FERULA, PEERS, Process, Skip, end_everything, free_port, temp_folder, wait_for, write_file  # noqa: E402,F401

LOADGEN = os.path.join(BUILD, "tools", "ferula-loadgen")
DAYS = 60  # retention; the ladder's samples begin within it


def say(text):
    print(text, file=sys.stderr, flush=True)


def fetch(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


def run_loadgen(*args, niceness=0, cores=()):
    """The JSON of a run of ferula-loadgen, which shows its progress. cores: where it may run; none: anywhere."""
    path = os.path.join(temp_folder(), "result.json")
    where = ["taskset", "-c", ",".join(map(str, sorted(cores)))] if cores else []
    done = subprocess.run([*where, "nice", f"-n{niceness}", LOADGEN, *args[:1], f"--json={path}", *args[1:]], stdout=subprocess.PIPE, text=True)
    if not os.path.exists(path):
        raise SystemExit(f"ferula-loadgen {' '.join(args)} ended with {done.returncode}")
    with open(path) as f:
        return json.load(f)


def load_of(system, *flags, settles=True):
    """remote_write into a system, and what it cost: CPU is user and system of the whole process until it is idle again."""
    before = system.cpu_s()
    got = run_loadgen("remote-write", "--no-read-back", *flags, f"{system.base}/api/v1/write")
    if settles:
        system.settle()
    cpu = system.cpu_s() - before
    return {"samples": got["samples"], "cpu_s": round(cpu, 4), "samples_per_cpu_s": got["samples"] / cpu,
            "samples_per_s": got["samples_per_second"], "ack_p99_s": got["ack_p99_seconds"],
            "errors": got["rejected"] + got["failed"] + got["broken"], "last_error": got["last_error"]}


def write_results(path, **what):
    """Raw results, with what is needed to read them."""
    with open(path, "w") as f:
        json.dump({"date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(), "load_average": os.getloadavg()[1], **what}, f,
                  indent=1)
        f.write("\n")


class System(Process):
    """One server. config: of scrapes, a path."""
    program = ready_path = ""
    write_headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
                     "X-Prometheus-Remote-Write-Version": "0.1.0"}

    def __init__(self, config=None, args=()):
        self.home = temp_folder("ferula-compare-")
        self.port = free_port()
        self.scrapes = config is not None
        self.config = config or write_file(os.path.join(self.home, "none.yml"), "scrape_configs: []\n")
        self.data = os.path.join(self.home, "data")
        self.args = list(args)
        self.start()

    def start(self):
        """How long it took until it was ready."""
        since = time.monotonic()
        super().__init__(self.name, [self.program, *self.flags(), *self.args], cwd=self.home)
        return self.wait_ready(since)

    def restart(self):
        """SIGKILL, and on the same data again."""
        self.kill()
        return self.start()

    @classmethod
    def is_there(cls):
        return os.path.exists(cls.program)

    @classmethod
    def version(cls):
        done = subprocess.run([cls.program, "--version"], capture_output=True, text=True)
        return re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr).group(0)

    def wait_ready(self, since, limit_s=600):
        while time.monotonic() - since < limit_s:
            if not self.running():
                raise SystemExit(f"{self.name} ended with {self.popen.returncode}:\n{self.log()[-2000:]}")
            try:
                self.get(self.ready_path)
                return time.monotonic() - since
            except OSError:
                time.sleep(0.01)
        raise SystemExit(f"{self.name} does not get ready within {limit_s} s:\n{self.log()[-2000:]}")

    @property
    def base(self):
        return f"http://127.0.0.1:{self.port}"

    def get(self, path, params=None, timeout=120):
        data = urllib.parse.urlencode(params).encode() if params else None
        with urllib.request.urlopen(f"{self.base}{path}", data, timeout=timeout) as answer:
            return answer.read()

    def write(self, body):
        request = urllib.request.Request(f"{self.base}/api/v1/write", body, self.write_headers)
        urllib.request.urlopen(request, timeout=120).read()

    def cpu_s(self):
        """User and system, of all threads there are and were: the process's own clock, which counts ns and not ticks."""
        return time.clock_gettime(~self.popen.pid << 3 | 2)  # clock_getcpuclockid(3)

    def _status(self, key):
        with open(f"/proc/{self.popen.pid}/status") as f:
            return int(re.search(rf"^{key}:\s+(\d+) kB", f.read(), re.M).group(1)) * 1024

    def free_cores(self):
        """Those that none of its threads is pinned to."""
        cores = os.sched_getaffinity(0)
        for task in os.listdir(f"/proc/{self.popen.pid}/task"):
            own = os.sched_getaffinity(int(task))
            cores -= own if len(own) == 1 else set()
        return cores

    def rss(self):
        return self._status("VmRSS")

    def rss_max(self):
        return self._status("VmHWM")

    def disk(self):
        """Bytes that its folder takes on the disk."""
        total = 0
        for root, _, files in os.walk(self.data):
            for name in files:
                try:
                    total += os.stat(os.path.join(root, name)).st_blocks * 512
                except OSError:
                    pass  # merged away meanwhile
        return total

    def disk_at_rest(self):
        """The same after it was told to end."""
        self.stop(timeout=600)
        return self.disk()

    def settle(self, limit_s=30):
        """Until what is still to be done for the load is done: less than a tenth of a core for a second."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            before = self.cpu_s()
            time.sleep(1)
            if self.cpu_s() - before < 0.1:
                return

    def end(self):
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)


class Ferula(System):
    name, program, ready_path = "ferula", FERULA, "/-/ready"

    def flags(self):
        return [f"--config.file={self.config}", f"--storage.tsdb.path={self.data}", f"--storage.tsdb.retention.time={DAYS}d",
                "--web.enable-remote-write-receiver", f"--web.listen-address=127.0.0.1:{self.port}"]


class Prometheus(Ferula):
    name, program = "prometheus", os.path.join(PEERS, "forky/usr/bin/prometheus")


class Victoria(System):
    name, program, ready_path = "victoria-metrics", os.path.join(PEERS, "forky/usr/bin/victoria-metrics"), "/health"

    @classmethod
    def version(cls):  # Debian's does not say it itself
        with open(os.path.join(PEERS, "forky", ".victoria-metrics")) as f:
            return re.match(r"[\d.]+\d", f.read()).group(0)

    def flags(self):
        scrape = [f"-promscrape.config={self.config}"] if self.scrapes else []
        return [f"-storageDataPath={self.data}", f"-httpListenAddr=127.0.0.1:{self.port}", f"-retentionPeriod={DAYS}d",
                "-search.latencyOffset=0s", *scrape]


SYSTEMS = [Ferula, Prometheus, Victoria]


def present():
    """Those that are here; says which are not."""
    for s in SYSTEMS:
        if not s.is_there():
            say(f"{s.name} is not there ({os.path.relpath(s.program, TOP)}): it is left out"
                + ("" if s is Ferula else "; tools/dev/peers fetches it"))
    return [s for s in SYSTEMS if s.is_there()]


def run_to_end(main):
    """Ends with main()'s exit code, and leaves no process behind."""
    try:
        sys.exit(main())
    finally:
        end_everything()
