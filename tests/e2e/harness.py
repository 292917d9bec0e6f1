"""What the end-to-end tests share: processes, fake targets, HTTP and remote_write clients, scenarios.

Standard library only. Every process a test starts dies with the test, whatever happens: it is told
by the kernel when its parent is gone. Temporary folders are removed.
"""
import atexit
import ctypes
import gzip
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("FERULA_BUILD", os.path.join(TOP, "build"))
FERULA = os.path.join(BUILD, "tools", "ferula")
NO_URING = os.path.join(BUILD, "tests", "lib", "no_uring")
URING_IS_FORBIDDEN = os.environ.get("FERULA_URING") == "forbidden"  # said by that program to what it runs
REPORTS = os.environ.get("SANITIZER_REPORTS")  # a folder, where sanitizers are at work
KEPT = 256 << 20 if REPORTS else 0  # bytes that sanitizers keep of what was freed
PATIENCE_S = 240  # how long anything is waited for: whatever else the machine does, only a defect takes as long
PEERS = os.path.join(TOP, "build", "peers")
PEER_PROGRAMS = {
    "prometheus": "forky/usr/bin/prometheus",
    "prometheus-2.42": "bookworm/usr/bin/prometheus",
    "promtool": "bookworm/usr/bin/promtool",
    "promtool-3.5": "forky/usr/bin/promtool",
    "vmagent": "forky/usr/bin/vmagent",
    "node_exporter": "forky/usr/bin/prometheus-node-exporter",
}


class Skip(Exception):
    """Raised by a scenario that cannot run here; cases: how many it would have had."""

    cases = 1


def peer(name):
    """The path of another system's program; a scenario that needs one that cannot be had is skipped."""
    path = os.path.join(PEERS, PEER_PROGRAMS[name])
    if not os.path.exists(path):
        raise Skip(f"{name} is not there: tools/dev/peers fetches it")
    return path


def cases(count):
    """Decorates a scenario of that many cases: where it cannot run, so many are skipped."""
    def counted(fn):
        def run(*args):
            try:
                fn(*args)
            except Skip as why:
                why.cases = count
                raise
        run.__name__ = fn.__name__
        return run
    return counted


# ---- scenarios

SCENARIOS = []


def scenario(fn):
    SCENARIOS.append(fn)
    return fn


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def check_equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError(f"{what}\n     got: {shorten(got)}\n  wanted: {shorten(wanted)}")


def shorten(value, n=3000):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= n else text[:n] + f"... ({len(text)} characters)"


class Counts:
    passed = failed = skipped = 0


def fail(name, problem):
    Counts.failed += 1
    print(f"FAILED {name}: {problem}", flush=True)


def skip(name, why):
    Counts.skipped += why.cases
    print(f"skipped {name}{f' ({why.cases} cases)' if why.cases > 1 else ''}: {why}", flush=True)


def run_scenario(name, fn, *args):
    start = time.monotonic()
    try:
        fn(*args)
        Counts.passed += 1
        if "-v" in sys.argv:
            print(f"ok {name} {time.monotonic() - start:.1f} s", flush=True)
    except Skip as why:
        skip(name, why)
    except Exception as problem:  # a scenario that breaks fails, the others go on
        fail(name, problem)
        if not isinstance(problem, AssertionError) or "-v" in sys.argv:
            traceback.print_exc(file=sys.stdout)


def run_and_count(work):
    """Runs work, ends all that it started and exits; the last line counts the cases."""
    start = time.monotonic()
    try:
        work()
    except Skip as why:
        skip("all", why)
    finally:
        for things, stayed in _staying:
            things += stayed
        end_everything("what stayed for all")
    print(f"{time.monotonic() - start:.1f} s")
    print(f"{Counts.passed} passed, {Counts.failed} failed, {Counts.skipped} skipped", flush=True)
    sys.exit(1 if Counts.failed else 0)


def main():
    """Runs all scenarios whose names contain one of the arguments."""
    wanted = [a for a in sys.argv[1:] if not a.startswith("-")]

    def run_scenarios():
        for fn in SCENARIOS:
            if not wanted or any(w in fn.__name__ for w in wanted):
                run_scenario(fn.__name__, fn)
                end_everything(fn.__name__)
    run_and_count(run_scenarios)


# ---- what must be gone at the end

_processes, _folders, _servers = [], [], []
_staying = []  # (list, what was in it) of what several scenarios share


def all_stays():
    """What was started up to now is ended only at the end of the program."""
    for things in (_processes, _folders, _servers):
        _staying.append((things, list(things)))
        things.clear()
_libc = ctypes.CDLL(None)


def end_everything(of="what went before"):
    """A process that died of a signal, and what a sanitizer reports, is a failure of what ran."""
    for process in [p for p in _processes if (p.popen.poll() or 0) < 0]:
        fail(of, f"{process.name} died of signal {-process.popen.returncode}; its log ends:\n{process.log()[-3000:]}")
    if REPORTS:  # leaks are looked for at a clean end
        ours = [p for p in _processes if p.running() and any(word.startswith(BUILD) for word in p.command)]
        for process in ours:
            process.signal(signal.SIGTERM)
        for process in ours:
            try:
                process.wait()
            except AssertionError as late:
                fail(of, late)
    for process in list(_processes):
        process.kill()
    for server in list(_servers):
        server.close()
    for folder in _folders:
        shutil.rmtree(folder, ignore_errors=True)
    _folders.clear()
    for name in sorted(os.listdir(REPORTS)) if REPORTS else ():
        path = os.path.join(REPORTS, name)
        with open(path, errors="replace") as report:
            fail(of, report.read()[:5000])
        os.remove(path)


atexit.register(end_everything)
for _number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(_number, lambda number, frame: sys.exit(128 + number))


def temp_folder(prefix="ferula-e2e-"):
    folder = tempfile.mkdtemp(prefix=prefix)
    _folders.append(folder)
    return folder


def write_file(path, content):
    mode = "wb" if isinstance(content, bytes) else "w"
    with open(path, mode) as f:
        f.write(content)
    return path


def wait_for(what, condition, timeout=PATIENCE_S, interval=0.02):
    """What condition returns once it is true; connection errors mean not yet."""
    end = time.monotonic() + timeout
    last = None
    while time.monotonic() < end:
        try:
            value = condition()
            if value:
                return value
        except (OSError, http.client.HTTPException, AssertionError, KeyError, IndexError) as problem:
            last = problem
        time.sleep(interval)
    raise AssertionError(f"not within {timeout} s: {what}" + (f" ({last})" if last else ""))


def free_port(host="127.0.0.1"):
    """One that nobody gets from the system before it is used, or between two uses: below those that it gives."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        end = int(f.read().split()[0])
    for port in random.SystemRandom().sample(range(end // 2, end), 100) if end > 4096 else [0]:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as s:
            try:
                s.bind((host, port))
                return s.getsockname()[1]
            except OSError as why:
                problem = why
    raise problem


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Process:
    """A program, its output in a file."""

    def __init__(self, name, command, env=None, cwd=None):
        self.name, self.command = name, [str(c) for c in command]
        self.folder = temp_folder()
        self.log_path = os.path.join(self.folder, f"{name}.log")
        with open(self.log_path, "wb") as log:
            self.popen = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                          preexec_fn=_die_with_parent, env={**os.environ, **(env or {})}, cwd=cwd)
        _processes.append(self)

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def running(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, timeout=PATIENCE_S):
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end within {timeout} s; its log ends:\n{self.log()[-2000:]}")

    def stop(self, timeout=PATIENCE_S):
        """SIGTERM; the exit code."""
        if self.running():
            self.signal(signal.SIGTERM)
        code = self.wait(timeout)
        if self in _processes:
            _processes.remove(self)
        return code

    def kill(self):
        if self.running():
            self.popen.kill()
        self.popen.wait()
        if self in _processes:
            _processes.remove(self)

    def wait_log(self, pattern, timeout=PATIENCE_S):
        def look():
            found = re.search(pattern, self.log())
            if not found and not self.running():
                raise RuntimeError(f"{self.name} ended with {self.popen.returncode}:\n{self.log()[-2000:]}")
            return found
        return wait_for(f"{self.name} logs {pattern!r}", look, timeout)


class Server(Process):
    """Ferula or a Prometheus, with a data folder and a configuration file."""

    def __init__(self, name, program, config, data, args=(), wrap=(), ready=True, listen="127.0.0.1:0", env=None):
        self.home = temp_folder()
        self.config_path = os.path.join(self.home, "prometheus.yml")
        self.data = data or os.path.join(self.home, "data")
        self.program, self.args, self.wrap, self.listen, self.env = program, list(args), list(wrap), listen, env
        write_file(self.config_path, config)
        self.start(name, ready)

    def start(self, name, ready=True):
        listen = [f"--web.listen-address={self.listen}"] if self.listen else []
        super().__init__(name, [*self.wrap, self.program, f"--config.file={self.config_path}",
                                f"--storage.tsdb.path={self.data}", *listen, *self.args], env=self.env)
        if ready:
            self.wait_ready()

    def restart(self):
        """The same again, on its data folder; the process must have ended."""
        self.start(self.name)

    def wait_ready(self, timeout=PATIENCE_S):
        address = self.wait_log(r'msg="Listening on".*address="?(\S+?)"?(?:\s|$)', timeout).group(1)
        host, _, port = address.rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)
        wait_for(f"{self.name} is ready", lambda: self.get("/-/ready").status == 200, timeout)

    @property
    def base(self):
        return f"http://{'[' + self.host + ']' if ':' in self.host else self.host}:{self.port}"

    def request(self, method, path, body=None, headers=None, timeout=PATIENCE_S):
        return request(self.host, self.port, method, path, body, headers, timeout)

    def get(self, path, params=None, headers=None, timeout=PATIENCE_S):
        if params:
            path += "?" + urllib.parse.urlencode(params, doseq=True)
        return self.request("GET", path, None, headers, timeout)

    def post(self, path, params=None, headers=None, timeout=PATIENCE_S):
        body = urllib.parse.urlencode(params or {}, doseq=True)
        headers = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self.request("POST", path, body, headers, timeout)

    def api(self, path, params=None):
        """The data of a successful answer."""
        answer = self.get("/api/v1/" + path, params)
        value = answer.json()
        check(value.get("status") == "success", self.name, path, params, answer.status, value)
        return value["data"]

    def query(self, text, at=None):
        """Instant vector as {labels as a sorted tuple: value text}."""
        params = {"query": text}
        if at is not None:
            params["time"] = repr(at)
        return {key_of(r["metric"]): r["value"][1] for r in self.api("query", params)["result"]}

    def samples(self, selector, at=None, window="1h"):
        """Raw samples of a selector: {labels: [(time, value text), ...]}."""
        params = {"query": f"{selector}[{window}]"}
        if at is not None:
            params["time"] = repr(at)
        return {key_of(r["metric"]): [tuple(v) for v in r["values"]] for r in self.api("query", params)["result"]}

    def configure(self, config):
        write_file(self.config_path, config)

    def reload(self):
        return self.request("POST", "/-/reload")


def connections_to(port):
    """How many are open to a port of 127.0.0.1."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return sum(remote == f"0100007F:{port:04X}" and state == "01" for _, _, remote, state, *_ in rows)


def counters(server, pattern):
    """{name and labels: value} of the server's own metrics that begin as the pattern says, zeros left out."""
    found = re.findall(rf"^((?:{pattern})\S*(?:{{.*}})?) (\d\S*)$", server.get("/metrics").text(), re.M)
    return {name: int(float(v)) for name, v in found if float(v)}


def refusals(server):
    """(of requests, of samples) that remote_write's receiver refused: {reason: how many}."""
    found = counters(server, "ferula_receiver_(?:requests|samples)_refused_total")
    return tuple({re.search('"(.*)"', k).group(1): n for k, n in found.items() if f"_{what}_" in k} for what in ("requests", "samples"))


def resident(server):
    """The most memory it ever had, in bytes."""
    with open(f"/proc/{server.popen.pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) << 10


def servers_running():
    return [p for p in _processes if isinstance(p, Server) and p.running()]


def key_of(metric):
    return tuple(sorted(metric.items()))


def ferula(config="", data=None, args=(), **options):
    extra = os.environ.get("FERULA_ARGS", "").split()
    server = Server("ferula", FERULA, config, data, [*args, *extra], **options)
    if URING_IS_FORBIDDEN and "shards started" in server.log():
        check("io_backend=poll" in server.log(), "where io_uring is forbidden poll is used:", server.log())
    return server


def prometheus(config="", data=None, args=(), version="prometheus", **options):
    lifecycle = [] if "--web.enable-lifecycle" in args else ["--web.enable-lifecycle"]
    return Server(version, peer(version), config, data, [*lifecycle, *args], **options)


# ---- HTTP

class Answer:
    def __init__(self, status, headers, body, reason=""):
        self.status, self.headers, self.body, self.reason = status, headers, body, reason

    def text(self):
        return self.body.decode(errors="replace")

    def json(self):
        return json.loads(self.body)


def request(host, port, method, path, body=None, headers=None, timeout=PATIENCE_S):
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read(), response.reason)
    finally:
        connection.close()


class Raw:
    """A socket that speaks bytes."""

    def __init__(self, server, timeout=PATIENCE_S):
        self.socket = socket.create_connection((server.host, server.port), timeout)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def answer(self, method="GET"):
        """Reads one answer; None: the connection was closed."""
        line = self.file.readline()
        if not line:
            return None
        status = int(line.split()[1])
        headers = http.client.parse_headers(self.file)
        if headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while n := int(self.file.readline(), 16):
                body += self.file.read(n)
                self.file.readline()
            self.file.readline()
        elif method == "HEAD" or status in (204, 304) or 100 <= status < 200:
            body = b""
        elif headers.get("Content-Length") is not None:
            body = self.file.read(int(headers["Content-Length"]))
        else:
            body = self.file.read()
        return Answer(status, headers, body)

    def closed(self, timeout=PATIENCE_S):
        """Whether the server closes within the time."""
        self.socket.settimeout(timeout)
        try:
            return self.file.read(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def close(self):
        self.file.close()
        self.socket.close()


# ---- fake targets

class Request:
    def __init__(self, method, target, headers, connection, number, on_connection, body=b""):
        self.method, self.headers, self.body = method, headers, body
        self.path, _, self.query = target.partition("?")
        self.connection = connection  # number of the connection
        self.number = number  # of requests to this path, from 1
        self.on_connection = on_connection  # of requests on this connection, from 1


class Reply:
    """What a fake target answers: bytes behind a head, or just bytes."""

    def __init__(self, body=b"", status=200, headers=None, content_type="text/plain; version=0.0.4", reason="",
                 delay=0.0, raw=None, close=False, chunked=False, length=None, pause=0.0):
        self.body = body.encode() if isinstance(body, str) else body
        self.status, self.reason, self.content_type = status, reason, content_type
        self.headers = dict(headers or {})
        self.delay = delay  # before the head
        self.raw = raw  # instead of all that
        self.close = close  # the connection, without having said so
        self.chunked, self.length = chunked, length
        self.pause = pause  # between the head and the body

    def head(self):
        reason = self.reason or http.client.responses.get(self.status, "")
        lines = [f"HTTP/1.1 {self.status} {reason}"]
        if self.content_type is not None:
            lines.append(f"Content-Type: {self.content_type}")
        lines += [f"{k}: {v}" for k, v in self.headers.items()]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
        else:
            lines.append(f"Content-Length: {len(self.body) if self.length is None else self.length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class FakeTarget:
    """An HTTP server whose answers are functions: handler(Request) -> Reply, str or bytes."""

    def __init__(self, handler=None, tls=None, host="127.0.0.1", port=0):
        self.handlers = {}
        self.default = handler
        self.tls = tls
        self.requests = []  # all Requests, in their order
        self.counts, self.connections = {}, 0
        self.lock = threading.Lock()
        self.open = set()
        self.listener = socket.create_server((host, port), backlog=256,
                                             family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        _servers.append(self)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def on(self, path, handler):
        self.handlers[path] = handler if callable(handler) else lambda request: handler

    def count(self, path):
        return self.counts.get(path, 0)

    def answer(self, request):
        """The handler of another FakeTarget that should answer as this one."""
        return self.handlers.get(request.path, self.default)(request)

    def close(self):
        self.listener.close()
        with self.lock:
            for s in list(self.open):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        if self in _servers:
            _servers.remove(self)

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                number = self.connections
            threading.Thread(target=self._serve, args=(s, number), daemon=True).start()

    def _serve(self, s, number):
        try:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.settimeout(PATIENCE_S)
            if self.tls:
                s = self.tls.wrap_socket(s, server_side=True)
            with self.lock:
                self.open.add(s)
            file = s.makefile("rb")
            served = 0
            while line := file.readline():
                method, target, _ = line.decode("latin-1").split(" ", 2)
                headers = http.client.parse_headers(file)
                body = file.read(int(headers.get("Content-Length") or 0))
                served += 1
                if not self._answer(s, method, target, headers, number, served, body):
                    break
        except (OSError, ValueError, ssl.SSLError, http.client.HTTPException):
            pass
        finally:
            with self.lock:
                self.open.discard(s)
            s.close()

    def _answer(self, s, method, target, headers, connection, served, body):
        with self.lock:
            path = target.partition("?")[0]
            self.counts[path] = self.counts.get(path, 0) + 1
            request = Request(method, target, headers, connection, self.counts[path], served, body)
            self.requests.append(request)
        handler = self.handlers.get(request.path, self.default)
        reply = handler(request) if handler else Reply("404 page not found\n", 404)
        if not isinstance(reply, Reply):
            reply = Reply(reply)
        time.sleep(reply.delay)
        if reply.raw is not None:
            s.sendall(reply.raw)
            return not reply.close
        s.sendall(reply.head() + (b"" if reply.pause or reply.chunked else reply.body))
        if reply.pause:
            time.sleep(reply.pause)
            s.sendall(reply.body)
        if reply.chunked:
            for at in range(0, len(reply.body), 1000):
                part = reply.body[at:at + 1000]
                s.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            s.sendall(b"0\r\n\r\n")
        return not reply.close


def gzipped(body, members=1):
    data = body.encode() if isinstance(body, str) else body
    step = -(-len(data) // members)
    return b"".join(gzip.compress(data[i:i + step]) for i in range(0, len(data), step))


# ---- certificates

class Certificates:
    """A CA and what it signed, made by the openssl program in a temporary folder."""

    def __init__(self):
        if not shutil.which("openssl"):
            raise Skip("no openssl program")
        self.folder = temp_folder()
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                  "-subj", "/CN=ferula test CA", "-keyout", "ca.key", "-out", "ca.pem")

    def _run(self, *args):
        done = subprocess.run(["openssl", *args], cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"openssl {args[0]}: {done.stderr}")

    def path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, name, subject="/CN=test", names="DNS:localhost,IP:127.0.0.1"):
        self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                  "-keyout", f"{name}.key", "-out", f"{name}.csr")
        write_file(self.path(f"{name}.ext"), f"subjectAltName={names}\n" if names else "basicConstraints=CA:FALSE\n")
        self._run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                  "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")

    def server_context(self, name, client_ca=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(f"{name}.pem"), self.path(f"{name}.key"))
        if client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.path("ca.pem"))
        return context


# ---- remote_write

def varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, data):
    """A length-delimited field."""
    data = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(data)) + data


def float_bits(value):
    """value: a float, or an int of 64 bits for values with a payload."""
    return struct.pack("<Q", value) if isinstance(value, int) else struct.pack("<d", value)


def write_series(labels, samples, extra=b""):
    """labels: dict or list of pairs; samples: (ms, value)."""
    pairs = labels.items() if isinstance(labels, dict) else labels
    out = b"".join(field(1, field(1, n) + field(2, v)) for n, v in pairs)
    for ms, value in samples:
        out += field(2, b"\x09" + float_bits(value) + b"\x10" + varint(ms))
    return field(1, out + extra)


def snappy_literal(data):
    """A valid snappy block that only has literals."""
    out = bytearray(varint(len(data)))
    for at in range(0, len(data), 65536):
        part = data[at:at + 65536]
        n = len(part) - 1
        if n < 60:
            out.append(n << 2)
        elif n < 256:
            out += bytes((60 << 2, n))
        else:
            out += bytes((61 << 2, n & 0xff, n >> 8))
        out += part
    return bytes(out)


def zigzag(n):
    return varint((n << 1) ^ (n >> 63))


def packed(numbers, encode=varint):
    return b"".join(encode(n) for n in numbers)


def write_sample(ms, value, start=None):
    """Field 2 of a series of 2.0."""
    return field(2, b"\x09" + float_bits(value) + b"\x10" + varint(ms) + (b"\x18" + varint(start) if start is not None else b""))


def histogram_message(ms, count=1, schema=0, deltas=(1,), spans=((0, 1),), total=1.0, custom=(), hint=0, start=None, extra=b""):
    """An integer histogram, of either message."""
    out = b"\x08" + varint(count) + b"\x19" + float_bits(total) + b"\x20" + zigzag(schema) + extra
    for offset, length in spans:
        out += field(11, b"\x08" + zigzag(offset) + b"\x10" + varint(length))
    out += field(12, packed(deltas, zigzag))
    if hint:
        out += b"\x70" + varint(hint)
    out += b"\x78" + varint(ms)
    if custom:
        out += field(16, packed(custom, float_bits))
    return out + (b"\x88\x01" + varint(start) if start is not None else b"")


def write2_series(refs, *parts):
    return field(5, (field(1, packed(refs)) if refs is not None else b"") + b"".join(parts))


def write2_request(symbols, *series):
    """A Request of 2.0, not compressed."""
    return b"".join(field(4, s) for s in symbols) + b"".join(series)


def zstd_raw(data):
    """A valid zstd frame of raw blocks that says its size."""
    out = b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data))
    blocks = [data[i:i + 100_000] for i in range(0, len(data), 100_000)] or [b""]
    for i, block in enumerate(blocks):
        out += struct.pack("<I", (i + 1 == len(blocks)) | len(block) << 3)[:3] + block
    return out


WRITE2_HEADERS = {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request", "Content-Encoding": "snappy",
                  "X-Prometheus-Remote-Write-Version": "2.0.0", "User-Agent": "ferula-e2e"}
WRITE_HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
                 "X-Prometheus-Remote-Write-Version": "0.1.0", "User-Agent": "ferula-e2e"}


def remote_write(server, series, headers=None, timeout=PATIENCE_S):
    """series: list of (labels, samples), or a finished body. The answer."""
    body = series if isinstance(series, bytes) else snappy_literal(b"".join(write_series(*s) for s in series))
    return server.request("POST", "/api/v1/write", body, {**WRITE_HEADERS, **(headers or {})}, timeout)
