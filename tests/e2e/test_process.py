#!/usr/bin/env python3
"""One process among others: its command line, configuration, signals, addresses, and what hostile peers cost it."""
import base64
import gzip
import http.client
import json
import os
import random
import re
import resource
import select
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

from harness import (FERULA, KEPT, NO_URING, PATIENCE_S, URING_IS_FORBIDDEN, Certificates, FakeTarget, Process, Raw, Reply, Skip, check, check_equal,
                     ferula, free_port, main, peer, prometheus, remote_write, request, resident, run_scenario, scenario,
                     snappy_literal, temp_folder, varint, wait_for, write_file, write_series)

LIFECYCLE = "--web.enable-lifecycle"
RECEIVER = "--web.enable-remote-write-receiver"
NOW = int(time.time() * 1000) // 1000 * 1000


def run(*args, program=FERULA, wrap=(), timeout=PATIENCE_S, env=None):
    """A run that should end by itself: (exit code, stdout, stderr)."""
    done = subprocess.run([*wrap, program, *args], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, cwd=temp_folder(), env={**os.environ, **(env or {})})
    return done.returncode, done.stdout, done.stderr


def error_of(log):
    """The value of err= in the line that says why."""
    found = re.findall(r' err=("(?:[^"\\]|\\.)*"|\S+)', log)
    check(found, "no error in", log)
    return json.loads(found[-1]) if found[-1].startswith('"') else found[-1]


def fails(config, *args, folder=None, data=None):
    """Why a server does not start with this configuration; one line says it, once, and the code is 1."""
    folder = folder or temp_folder()
    path = write_file(os.path.join(folder, "prometheus.yml"), config)
    code, out, log = run(f"--config.file={path}", f"--storage.tsdb.path={data or folder + '/data'}",
                         *([] if "listen-address" in str(args) else ["--web.listen-address=127.0.0.1:0"]), *args)
    check_equal((code, out), (1, ""), log)
    text = error_of(log)
    check_equal(sum("err=" in line for line in log.splitlines()), 1, log)
    check_equal(log.count("level=error"), 1, log)
    check(not [line for line in log.splitlines() if not line.startswith("time=")], log)
    return text.replace(folder, "FOLDER")


def metric(server, name):
    found = re.search(rf"^{re.escape(name)} (\S+)$", server.get("/metrics").text(), re.M)
    check(found, "no metric", name)
    return float(found.group(1))


def alive(server):
    """Other clients are served as if nothing were."""
    check_equal(server.get("/-/healthy").status, 200)
    check_equal(server.query("vector(42)"), {(): "42"})


# ---- the command line

UNKNOWN = ["--nonsense", "--no-config.file", "--web.enable-lifecycle=yes", "word", "-x", "--config.file"]
BAD_VALUES = ["--storage.tsdb.retention.time=abc", "--log.level=loud", "--log.format=xml", "--query.max-samples=many",
              "--query.timeout=1x"]


@scenario
def help_teaches():
    code, text, errors = run("--help")
    check_equal((code, errors), (0, ""))
    check(text.startswith("usage: ferula [<flags>]\n"), text[:100])
    check(max(map(len, text.splitlines())) <= 100, "lines fit a terminal")
    check_equal(run("-h"), (0, text, ""))
    # Every flag that status/flags knows and --help shows has its default there and says what it is for.
    shown = dict(re.findall(r"^ {2,6}(?:-\w, )?--(?:\[no-\])?([\w.-]+)[^\n]*?(?:\n {29}|  +)(\S[^\n]*)", text, re.M))
    flags = ferula().api("status/flags")
    missing = set(shown) - set(flags) - {"help", "version"}
    check(not missing, "in --help but not in status/flags:", missing)
    for name in ("config.file", "web.listen-address", "storage.tsdb.path", "query.timeout", "storage.wal-sync", "shards",
                 "io-backend", "web.enable-lifecycle", "config.ignore-unsupported"):
        check(name in shown and len(shown[name]) > 10, name, shown.get(name))
    check_equal(run("--version")[0], 0)


@scenario
def help_knows_the_flags_of_prometheus():
    """Every flag Prometheus shows is accepted, with its default."""
    _, text, errors = run("--help", program=peer("prometheus"))
    names = set(re.findall(r"^ {2,6}(?:-\w, )?--(?:\[no-\])?([\w.-]+)", text + errors, re.M))
    names -= {"help", "version", "help-long", "help-man", "web.local-assets"}  # kingpin's, and Debian's
    check(len(names) > 45, names)
    flags = ferula().api("status/flags")
    check_equal(sorted(names - set(flags)), [])


@scenario
def documentation_is_printed_from_the_rows():
    code, text, errors = run("--write-documentation")
    check_equal((code, errors), (0, ""))
    check(text.startswith("# ferula\n"), text[:50])
    listed = re.findall(r"^\| (?:<code>-\w</code>, )?<code>--(?:\[no-\])?([\w.-]+)</code> \| (.+?) \| (.*)\|$", text, re.M)
    helped = re.findall(r"^ {2,6}(?:-\w, )?--(?:\[no-\])?([\w.-]+)", run("--help")[1], re.M)
    check_equal([name for name, _, _ in listed], helped, "the same rows in the same order")
    check_equal({n: d.strip() for n, _, d in listed}["query.timeout"], "`2m`")
    check(all(len(h) > 8 for _, h, _ in listed), "each says what it is for")


def compare_arguments(argument):
    ours, theirs = run(argument), run(argument, program=peer("prometheus"))
    check_equal(ours[0], theirs[0], "exit code")
    check_equal(ours[2].splitlines()[0], theirs[2].splitlines()[0], "what is said")
    check_equal(ours[1], "", "stdout")


@scenario
def bad_arguments_as_prometheus():
    for argument in UNKNOWN + BAD_VALUES:
        run_scenario(f"argument {argument}", compare_arguments, argument)


# A good value of each flag, as status/flags shows it, by what its kind says of a bad one; a kind without has no bad ones.
FLAGS = {
    "unexpected x!": dict.fromkeys((
        "config.ignore-unsupported", "config.auto-reload", "scrape.adjust-timestamps", "pin", "web.enable-lifecycle", "web.enable-admin-api",
        "web.enable-remote-write-receiver", "web.enable-otlp-receiver", "auto-gomaxprocs", "auto-gomemlimit", "storage.tsdb.no-lockfile",
        "storage.tsdb.wal-compression", "storage.tsdb.allow-overlapping-compaction", "alertmanager.drain-notification-queue-on-shutdown", "agent",
        "storage.agent.wal-compression", "storage.agent.no-lockfile", "storage.agent.checkpoint-from-in-memory-series")),
    'strconv.ParseFloat: parsing "x!": invalid syntax': {
        "query.max-concurrency": "7", "query.max-samples": "777", "server.max-fibers": "777", "shards": "2", "storage.max-series": "777",
        "web.max-connections": "77", "web.max-notifications-subscribers": "7", "web.search.max-limit": "77", "rules.max-concurrent-evals": "7",
        "alertmanager.notification-batch-size": "7", "alertmanager.notification-queue-capacity": "7", "auto-gomemlimit.ratio": "0.5",
        "storage.remote.read-concurrent-limit": "7", "storage.remote.read-max-bytes-in-frame": "777", "storage.remote.read-sample-limit": "777",
        "storage.tsdb.delayed-compaction.max-percent": "7", "storage.tsdb.head-chunks-write-queue-size": "7", "storage.tsdb.samples-per-chunk": "77",
        "storage.agent.checkpoint-batch-size": "7"},
    'not a valid duration string: "x!"': {
        "query.lookback-delta": "7m", "query.timeout": "7s", "web.read-timeout": "7m", "storage.tsdb.retention.time": "1w",
        "storage.tsdb.out-of-order.receiver-default": "7m", "storage.wal-sync-interval": "77ms", "storage.spill-interval": "7m",
        "scrape.timestamp-tolerance": "7ms", "scrape.discovery-reload-interval": "7s", "config.auto-reload-interval": "7s",
        "auto-gomemlimit.refresh-interval": "7s", "rules.alert.for-grace-period": "7m", "rules.alert.for-outage-tolerance": "7h",
        "rules.alert.resend-delay": "7m", "storage.remote.flush-deadline": "7m", "storage.tsdb.block-reload-interval": "7m",
        "storage.tsdb.max-block-duration": "1d", "storage.tsdb.min-block-duration": "1h", "storage.agent.retention.max-time": "7h",
        "storage.agent.retention.min-time": "7h", "storage.agent.wal-truncate-frequency": "7h"},
    "units: invalid x!": {
        "query.max-bytes": "7MiB", "scrape.max-body-size": "7MiB", "web.max-undecoded-bytes": "77MiB", "storage.spill-size": "7MiB", "storage.memory-limit": "7GiB",
        "storage.tsdb.retention.size": "7GiB", "storage.tsdb.wal-segment-size": "77MiB", "storage.tsdb.max-block-chunk-segment-size": "77MiB",
        "storage.agent.wal-segment-size": "77MiB"},
    "got 'x!'": {
        "io-backend": "poll", "debug.turn-watch": "log", "storage.wal-sync": "always", "storage.tsdb.wal-compression-type": "zstd",
        "storage.agent.wal-compression-type": "zstd"},
    "unrecognized log": {"log.level": "warn", "log.format": "logfmt"},
    '"x!" is none of': {"cpu-mask": "c"},
    'parse "x!": missing protocol scheme': {"web.external-url": "http://h/p"},
    "unknown remote write protobuf message x!": {"web.remote-write-receiver.accepted-protobuf-messages": "prometheus.WriteRequest"},
    "x!: no such file or directory": {"config.file": None, "web.config.file": ""},
    "": {"enable-feature": "promql-experimental-functions", "storage.placement-labels": "a,b", "web.console.libraries": "x", "web.console.templates": "x",
           "web.cors.origin": "a.*", "web.page-title": "x", "web.route-prefix": "/p", "web.user-assets": "x", "storage.agent.path": "x",
           "storage.tsdb.delay-compact-file.path": "x", "storage.tsdb.path": None, "web.listen-address": None},
}
OUT_OF_RANGE = ["query.max-samples=-1", "query.max-concurrency=99999999999999999999999", "query.max-bytes=0", "web.max-connections=0",
                "web.max-undecoded-bytes=1KB", "storage.wal-sync-interval=0", "config.auto-reload-interval=0"]
AGENTS = [name for values in FLAGS.values() for name in values if name.startswith("storage.agent.")] + ["agent"]


def refused(argument, *words):
    code, out, log = run(argument, f"--storage.tsdb.path={temp_folder()}/data", *([] if "listen" in argument else ["--web.listen-address=127.0.0.1:0"]))
    check(code in (1, 2, 3) and all(w in log for w in words) and not out, code, log)


def good_flags(defaults):
    """Arguments that give each flag another value than its own, and what status/flags then shows."""
    args, shown = [], {}
    for kind, values in FLAGS.items():
        for name, value in values.items():
            if name in AGENTS or (value is None and not kind.startswith("unexpected")):
                continue
            shown[name] = value if value is not None else "false" if defaults[name] == "true" else "true"
            args.append(f"--{name}={value}" if value is not None else f"--{'no-' if shown[name] == 'false' else ''}{name}")
    return args, shown


@scenario
def every_flag_is_tried():
    plain = ferula()
    defaults = plain.api("status/flags")
    plain.stop()
    check_equal(sorted(name for values in FLAGS.values() for name in values), sorted(defaults), "the table has each flag")
    for kind, values in FLAGS.items():
        for name in values if kind else ():
            run_scenario(f"flag --{name}=x!", refused, f"--{name}=x!", kind)
    for argument in OUT_OF_RANGE:
        run_scenario(f"flag --{argument}", refused, f"--{argument}", argument.partition("=")[0])
    run_scenario("flag --web.cors.origin=(", refused, "--web.cors.origin=(", "missing closing )")
    run_scenario("flags of another mode", flags_of_another_mode)
    args, shown = good_flags(defaults)
    config = "scrape_configs: [{job_name: a, scrape_interval: 100ms, static_configs: [{targets: ['127.0.0.1:1']}]}]\n"
    server = ferula(config, args=args, ready=False)
    with open(f"/proc/{server.popen.pid}/cmdline") as line:
        check("--no-pin" in line.read())
    wait_for("it listens", lambda: listening(server.popen.pid))  # which is not logged at this level
    server.host, server.port = "127.0.0.1", listening(server.popen.pid)
    wait_for("ready", lambda: server.get("/p/-/ready").status == 200)
    found = server.get("/p/api/v1/status/flags").json()["data"]
    check_equal({k: found[k] for k in shown}, shown)
    wait_for("scraped", lambda: '"0"]' in server.get("/p/api/v1/query?query=up").text())
    check_equal(server.stop(), 0)


def flags_of_another_mode():
    """Texts and exit code as of prometheus 3.5; the mode itself is not there."""
    code, out, log = run("--agent", "--config.file=x")
    check(code == 1 and "--agent: agent mode is not supported yet" in log, code, log)
    code, out, log = run("--storage.agent.retention.max-time=1h", "--config.file=x", "--storage.agent.path=x")
    check_equal((code, out, log.strip()), (3, "", 'The following flag(s) can only be used in agent mode: '
                                           '["--storage.agent.retention.max-time" "--storage.agent.path"]'))
    code, out, log = run("--agent", "--storage.tsdb.path=x", "--rules.alert.for-outage-tolerance=1h")
    check_equal((code, out, log.strip()), (3, "", 'The following flag(s) can not be used in agent mode: '
                                           '["--storage.tsdb.path" "--rules.alert.for-outage-tolerance"]'))


def listening(pid):
    """A TCP port on which a process listens."""
    sockets = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            sockets.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            pass
    with open(f"/proc/{pid}/net/tcp") as table:
        for line in table.readlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in sockets:
                return int(words[1].split(":")[1], 16)


@scenario
def flags_without_meaning_warn():
    server = ferula(args=["--storage.tsdb.wal-compression", "--web.console.templates=x", "--rules.alert.resend-delay=2m",
                          "--no-auto-gomaxprocs", "--enable-feature=native-histograms,promql-experimental-functions"])
    log = server.log()
    for flag in ("storage.tsdb.wal-compression", "web.console.templates", "rules.alert.resend-delay", "auto-gomaxprocs"):
        check(re.search(rf'level=warn .*"this flag is accepted but has no effect here" flag={re.escape(flag)}\n', log), flag, log)
    check(re.search(r"level=warn .*feature=native-histograms\n", log), log)
    check("feature=promql-experimental-functions" not in log, log)
    check_equal(metric(server, "ferula_config_unsupported"), 0)


# ---- configurations that are wrong

# (name, configuration, what the error ends with, behind "parsing YAML file FILE: ")
BAD_CONFIGS = [
    ("unknown field", "global:\n  scrape_intervall: 1s\n",
     "yaml: unmarshal errors:\n  line 2: field scrape_intervall not found in type config.plain"),
    ("unknown field deep", "scrape_configs:\n- job_name: a\n  relabel_configs:\n  - actoin: keep\n",
     "yaml: unmarshal errors:\n  line 4: field actoin not found in type relabel.plain"),
    ("wrong type", "scrape_configs:\n- job_name: a\n  sample_limit: many\n",
     "yaml: unmarshal errors:\n  line 3: cannot unmarshal !!str `many` into uint"),
    ("two wrong types", "scrape_configs:\n- job_name: a\n  sample_limit: many\n  honor_labels: 3\n",
     "yaml: unmarshal errors:\n  line 3: cannot unmarshal !!str `many` into uint\n"
     "  line 4: cannot unmarshal !!int `3` into bool"),
    ("bad duration", "global:\n\n\n  scrape_interval: soon\n", 'line 4: not a valid duration string: "soon"'),
    ("duplicate job", "scrape_configs:\n- job_name: a\n- job_name: b\n- job_name: a\n",
     'line 4: found multiple scrape configs with job name "a"'),
    ("no job name", "scrape_configs:\n- scrape_interval: 1s\n", "line 2: job_name is empty"),
    ("timeout", "scrape_configs:\n- job_name: a\n  scrape_interval: 1s\n  scrape_timeout: 2s\n",
     'line 2: scrape timeout greater than scrape interval for scrape config with job name "a"'),
    ("malformed", "global:\n  scrape_interval: 1s\n scrape_timeout: 1s\n", "yaml: line 2: did not find expected key"),
    ("tab", "global:\n\tscrape_interval: 1s\n",
     "yaml: line 2: found character that cannot start any token"),
    ("duplicate key", "global: {}\nglobal: {}\n",
     "yaml: unmarshal errors:\n  line 2: field global already set in type config.plain"),
]


def plain_error(text):
    """Without what one says and the other does not: where in the file it stands."""
    return re.sub(r"(?<=: )line \d+: ", "", text.replace("yaml: line", "yaml:line")).replace("yaml:line", "yaml: line")


def compare_bad_config(name, config, wanted):
    text = fails(config)
    check_equal(text, 'couldn\'t load configuration (--config.file="FOLDER/prometheus.yml"): parsing YAML file '
                      f"FOLDER/prometheus.yml: {wanted}")


def compare_bad_config_with_prometheus(name, config, wanted):
    folder = temp_folder()
    path = write_file(os.path.join(folder, "prometheus.yml"), config)
    _, _, log = run(f"--config.file={path}", program=peer("prometheus"))
    theirs = error_of(log).replace(folder, "FOLDER")
    check_equal(plain_error(theirs), plain_error(f"parsing YAML file FOLDER/prometheus.yml: {wanted}"), name)


@scenario
def bad_configurations_name_file_and_line():
    for case in BAD_CONFIGS:
        run_scenario(f"config {case[0]}", compare_bad_config, *case)
        run_scenario(f"config {case[0]} as in Prometheus", compare_bad_config_with_prometheus, *case)


@scenario
def long_errors_of_configurations_come_whole():
    config = "".join(f"unknown_field_{i}: 1\n" for i in range(300))
    lines = "".join(f"\n  line {i + 1}: field unknown_field_{i} not found in type config.plain" for i in range(300))
    check(fails(config).endswith(": yaml: unmarshal errors:" + lines), fails(config)[-300:])
    compare_bad_config_with_prometheus("many unknown fields", config, "yaml: unmarshal errors:" + lines)
    server = ferula(args=[LIFECYCLE])
    server.configure(config)
    check(server.reload().text().endswith(lines + "\n"), server.reload().text()[-300:])
    check_equal(error_of(server.log())[-len(lines):], lines)


@scenario
def missing_configuration():
    folder = temp_folder()
    code, _, log = run(f"--config.file={folder}/none.yml", f"--storage.tsdb.path={folder}/data")
    check_equal((code, error_of(log)), (1, f'couldn\'t load configuration (--config.file="{folder}/none.yml"): '
                                           f"open {folder}/none.yml: no such file or directory"))
    check(not os.path.exists(f"{folder}/data"), "nothing was made")


UNSUPPORTED = """rule_files: ['rules/*.yml']
alerting:
  alertmanagers:
  - static_configs: [{targets: ['localhost:9093']}]
remote_write:
- url: http://localhost:1/write
scrape_configs:
- job_name: k
  kubernetes_sd_configs: [{role: pod}]
- job_name: files
  file_sd_configs: [{files: ['*.json']}]
- job_name: names
  dns_sd_configs: [{names: ['example.org']}]
  static_configs: [{targets: []}]
"""
UNSUPPORTED_LINES = [(1, "rule_files"), (2, "alerting"), (5, "remote_write"), (9, "kubernetes_sd_configs"),
                     (11, "file_sd_configs"), (13, "dns_sd_configs")]
WEB_CONFIG = "basic_auth_users: {admin: '$2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay'}\n"


def check_all_named(text):
    for line, what in UNSUPPORTED_LINES:
        check(re.search(rf"prometheus\.yml: .*line {line}: {what}\b", text), what, text)


@scenario
def what_is_not_built_is_refused_at_start():
    folder = temp_folder()
    web = write_file(os.path.join(folder, "web.yml"), WEB_CONFIG)
    text = fails(UNSUPPORTED, folder=folder)
    check_all_named(text)
    check("not supported by this version (6)" in text, text)
    text = fails(UNSUPPORTED, f"--web.config.file={web}", folder=folder)
    check_all_named(text)
    check("FOLDER/web.yml: line 1: TLS and authentication (--web.config.file)" in text, text)
    text = fails("", f"--web.config.file={web}", folder=folder)
    check("web.yml: line 1:" in text and "(1)" in text, text)
    check("hNf2" not in text, "a secret", text)
    text = fails("", "--web.config.file=/nonexistent/web.yml", folder=folder)
    check("/nonexistent/web.yml" in text, text)


@scenario
def an_empty_web_configuration_is_none():
    web = write_file(os.path.join(temp_folder(), "web.yml"), "\n")
    server = ferula(args=[f"--web.config.file={web}"])
    alive(server)


@scenario
def what_is_not_built_is_refused_at_reload():
    folder = temp_folder()
    web = write_file(os.path.join(folder, "web.yml"), "")
    server = ferula("global: {scrape_interval: 7s}\n", args=[LIFECYCLE, f"--web.config.file={web}"])
    before = server.api("status/config")
    server.configure(UNSUPPORTED)
    answer = server.reload()
    check_equal(answer.status, 500)
    check_all_named(answer.text())
    server.configure("global: {scrape_interval: 7s}\n")
    write_file(web, WEB_CONFIG)
    answer = server.reload()
    check(answer.status == 500 and f"{web}: line 1: " in answer.text(), answer.status, answer.text())
    check_equal(server.api("status/config"), before, "nothing has changed")
    write_file(web, "")
    check_equal(server.reload().status, 200)


@scenario
def snapshots():
    """A folder of hard links that another server opens, with all that was acknowledged; made while samples come."""
    admin, path = "--web.enable-admin-api", "/api/v1/admin/tsdb/snapshot"
    server = ferula(args=[admin, RECEIVER, "--shards=2"])
    ask = lambda query="": server.request("POST", path + query)
    theirs = prometheus(args=[admin])
    for query in "?skip_head=x", "?skip_head=TRUE", "?skip_head=":
        got, wanted = ask(query), theirs.request("POST", path + query)
        if wanted.status == 200:
            name = re.compile(r"\d{8}T\d{6}Z-[0-7][0-9a-f]{15}")
            check_equal((got.status, name.sub("NAME", got.text())), (200, name.sub("NAME", wanted.text())), query)
        else:
            check_equal((got.status, got.text()), (wanted.status, wanted.text()), query)
    check_equal(ferula().request("POST", path).json()["errorType"], "unavailable", "without the flag")
    now, stop, sent = int(time.time()) * 1000, threading.Event(), []

    def send():
        for k in range(1 << 30):
            if stop.is_set():
                return
            series = [({"__name__": "taken", "n": str(n)}, [(now + k, float(k))]) for n in range(20)]
            if remote_write(server, series).status == 204:
                sent.append(k)
    sender = threading.Thread(target=send)
    sender.start()
    wait_for("samples", lambda: len(sent) > 20)
    before = len(sent)
    empty, full = (ask(query).json()["data"]["name"] for query in ("?skip_head=1", ""))
    stop.set()
    sender.join()
    folder = os.path.join(server.data, "snapshots")
    check_equal([n for n in os.listdir(folder) if n.endswith(".tmp")], [])
    check_equal({os.stat(os.path.join(folder, full, "blocks", n)).st_nlink for n in os.listdir(os.path.join(folder, full, "blocks"))} - {2, 3, 4}, set())
    os.makedirs(os.path.join(folder, "half.tmp", "blocks"))
    write_file(os.path.join(folder, "half.tmp", "blocks", "x"), "x")
    server.kill()
    for name, least in (empty, 0), (full, before):
        copy = ferula(data=os.path.join(folder, name), args=["--shards=3"])
        found = copy.samples("taken", now / 1000 + 3600, "2h")
        check_equal(len(found), 20 if least else 0, name)
        for key, values in found.items():
            check(least <= len(values) <= len(sent), key, len(values), least, len(sent))
        copy.kill()
    server.restart()
    check_equal({len(v) for v in server.samples("taken", now / 1000 + 3600, "2h").values()}, {len(sent)}, "the server itself has all")
    check(not os.path.exists(os.path.join(folder, "half.tmp")), "what did not get ready is removed")


@scenario
def what_grew():
    """status/tsdb names the metric, the label and the target whose series came of late; those that a restart brings back did not."""
    server = ferula(args=[RECEIVER, "--shards=3"])
    now = int(time.time()) * 1000
    series = lambda job, metric, n, of=lambda k: {}: [
        ({"__name__": metric, "instance": f"{job}:{k % 2}", "job": job, **of(k)}, [(now, 1.0)]) for k in range(n)]
    ask = lambda **params: server.api("status/tsdb", {"limit": 5, **params})
    lists = lambda growth: {name: {row["name"]: row["value"] for row in rows} for name, rows in growth.items() if name.startswith(("s", "l")) and name != "since"}
    old = series("old", "m", 40, lambda k: {"k": str(k)})
    check_equal(remote_write(server, old).status, 204)
    before = ask(growth="1h")["growth"]
    check_equal(before["numSeries"], 40)
    check(abs(now - before["since"]) < 3700000, before["since"], now)
    check_equal(lists(before)["seriesCountByTarget"], {'{instance="old:0", job="old"}': 20, '{instance="old:1", job="old"}': 20})
    server.kill()
    server.restart()
    check_equal(len(server.samples("m", now / 1000 + 60, "1h")), 40)
    check_equal(ask(growth="5m")["growth"]["numSeries"], 0, "they were there before")
    check_equal(remote_write(server, old + series("new", "m", 2) + series("new", "bomb", 100, lambda k: {"k": str(k), "id": f"id-{k}"})).status, 204)
    check_equal(lists(ask(growth="20m")["growth"]), {
        "seriesCountByMetricName": {"bomb": 100, "m": 2},
        "labelValueCountByLabelName": {"id": 100, "k": 60, "instance": 2, "__name__": 1, "job": 1},
        "seriesCountByLabelValuePair": {"job=new": 102, "__name__=bomb": 100, "instance=new:0": 51, "instance=new:1": 51, "__name__=m": 2},
        "seriesCountByTarget": {'{instance="new:0", job="new"}': 51, '{instance="new:1", job="new"}': 51}})
    check("growth" not in ask(), "Prometheus's page has no such part")
    for wrong in "x", "0s", "61m", "-1h":
        check_equal(server.get("/api/v1/status/tsdb", {"growth": wrong}).status, 400, wrong)


@scenario
def retention_by_size():
    """Files go, the oldest first, until what is left is no more than the limit; the configuration's block overrides the flag."""
    hour, r = 3600_000, random.Random(7)
    now = int(time.time()) * 1000
    server = ferula(args=[LIFECYCLE, "--web.enable-remote-write-receiver", "--storage.tsdb.retention.size=1GB", "--storage.spill-interval=1s"])

    def held():
        return metric(server, "prometheus_tsdb_storage_blocks_bytes")

    def limit(text):
        server.configure(f"storage: {{tsdb: {{retention: {{{text}}}}}}}\n")
        check_equal(server.reload().status, 200)
    check_equal(server.api("status/runtimeinfo")["storageRetention"], "1GiB")
    for back in range(5, -1, -1):
        series = [({"__name__": "noise", "n": str(n)}, [(now - 2 * back * hour + k, r.random()) for k in range(100)]) for n in range(50)]
        check_equal(remote_write(server, series).status, 204)
        wait_for("a file", lambda: metric(server, "prometheus_tsdb_blocks_loaded") >= 6 - back)
    before = held()
    check(before > 200_000, before)
    limit("size: 150KB")
    check_equal(server.api("status/runtimeinfo")["storageRetention"], "150KiB")
    wait_for("files to go", lambda: held() <= 150 * 1024)
    check(held() > 50_000, "no more than need be", held())
    deleted = metric(server, "prometheus_tsdb_size_retentions_total")
    check(deleted >= 2 and metric(server, "prometheus_tsdb_time_retentions_total") == 0, deleted)
    check_equal(len(server.samples("noise", now / 1000 + 1, "30m")), 50, "the newest stay")
    check_equal(server.samples("noise", (now - 10 * hour) / 1000 + 1, "30m"), {}, "the oldest are gone")
    limit("time: 3h, percentage: 99.5")
    check_equal(server.api("status/runtimeinfo")["storageRetention"], "3h or 99.5%")
    wait_for("files to go", lambda: metric(server, "prometheus_tsdb_time_retentions_total") >= 1)
    check_equal(len(server.samples("noise", now / 1000 + 1, "30m")), 50)
    limit("percentage: 0.0000001")
    wait_for("all files to go", lambda: held() == 0)
    alive(server)


@scenario
def ignore_unsupported_warns_and_counts():
    web = write_file(os.path.join(temp_folder(), "web.yml"), WEB_CONFIG)
    server = ferula(UNSUPPORTED, args=["--config.ignore-unsupported", LIFECYCLE, f"--web.config.file={web}"])
    log = server.log()
    for line, what in UNSUPPORTED_LINES:
        check(re.search(rf"level=warn .*prometheus\.yml: line {line}: {what} is not supported", log), what, log)
    check(re.search(r"level=warn .*web\.yml: line 1: TLS and authentication", log), log)
    check_equal(metric(server, "ferula_config_unsupported"), len(UNSUPPORTED_LINES) + 1)
    server.configure("")
    check_equal(server.reload().status, 200)
    check_equal(metric(server, "ferula_config_unsupported"), 1)
    alive(server)


# ---- what another process has


@scenario
def a_taken_port_names_its_holder():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = fails("", f"--web.listen-address=127.0.0.1:{port}")
        check_equal(text, f"listen tcp 127.0.0.1:{port}: the port is taken by process {os.getpid()} "
                          f"({open('/proc/self/comm').read().strip()}); choose another with --web.listen-address")
    server = ferula()
    text = fails("", f"--web.listen-address=127.0.0.1:{free_port()}", f"--web.listen-address=127.0.0.1:{server.port}")
    check(f"is taken by process {server.popen.pid} (ferula)" in text, text)
    alive(server)


@scenario
def a_held_data_folder_names_its_holder():
    server = ferula()
    text = fails("", data=server.data)
    check(server.data in text and str(server.popen.pid) in text, text)
    alive(server)
    server.kill()  # no cleaning up: the lock goes with the process
    check_equal(ferula(data=server.data).stop(), 0)


@scenario
def bad_addresses_are_named():
    for address in ("127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x"):
        text = fails("", f"--web.listen-address={address}")
        check(f'--web.listen-address: "{address}" is not host:port' in text, text)
    text = fails("", "--web.listen-address=192.0.2.1:0")
    check_equal(text, "listen tcp 192.0.2.1:0: bind: cannot assign requested address")


@scenario
def a_data_folder_that_cannot_be_made():
    blocked = write_file(os.path.join(temp_folder(), "file"), "")
    text = fails("", data=f"{blocked}/data")
    check(f"mkdir {blocked}" in text and "not a directory" in text, text)


# ---- signals


@scenario
def hangup_reloads_all_or_nothing():
    server = ferula("global: {scrape_interval: 7s}\n")
    server.configure("global: {scrape_interval: 8s}\n")
    server.signal(signal.SIGHUP)
    wait_for("reloaded", lambda: "scrape_interval: 8s" in server.api("status/config")["yaml"])
    server.configure("global: {scrape_interval: 9s}\nrule_files: [a.yml]\n")
    server.signal(signal.SIGHUP)
    line = server.wait_log(r'level=error .*msg="Error reloading config" err=(.*)').group(0)
    check("line 2: rule_files" in line and server.config_path in line, line)
    check("scrape_interval: 8s" in server.api("status/config")["yaml"], "the old one stays")
    check_equal(metric(server, "prometheus_config_last_reload_successful"), 0)
    server.configure("global: {scrape_interval: 9s}\n")
    server.signal(signal.SIGHUP)
    wait_for("reloaded", lambda: "scrape_interval: 9s" in server.api("status/config")["yaml"])
    wait_for("counted", lambda: metric(server, "prometheus_config_last_reload_successful") == 1)


def reload_answers(make):
    server, out = make("global: {scrape_interval: 7s}\n", args=[LIFECYCLE]), []
    for config in ("global: {scrape_interval: 8s}\n", "global: {scrape_interval: 1x}\n", "global: [\n",
                   "scrape_configs: [{job_name: ''}]\n", "global: {scrape_interval: 9s}\n"):
        server.configure(config)
        for method in ("POST", "PUT", "GET"):
            answer = server.request(method, "/-/reload")
            text = plain_error(answer.text().replace(server.config_path, "FILE"))
            out.append((method, answer.status, text, answer.headers.get("Content-Type")))
    out.append(server.api("status/runtimeinfo")["reloadConfigSuccess"])
    server.stop()
    return out


@scenario
def reload_answers_as_prometheus():
    check_equal(reload_answers(ferula), reload_answers(prometheus))


@scenario
def many_reloads_at_once():
    server = ferula("", args=[LIFECYCLE])
    statuses = []

    def reloader():
        for _ in range(20):
            statuses.append(server.reload().status)
    threads = [threading.Thread(target=reloader) for _ in range(4)]
    for t in threads:
        t.start()
    for _ in range(20):
        server.signal(signal.SIGHUP)
    for t in threads:
        t.join()
    check_equal(len(statuses), 80)
    check_equal(set(statuses), {200}, "one after the other")
    server.configure("global: {scrape_interval: 9s}\n")
    wait_for("the last one counts", lambda: server.reload().status == 200)
    check("scrape_interval: 9s" in server.api("status/config")["yaml"])


def write_some(server, start, n, series=50):
    """n times of samples for a number of series; their values tell series and time."""
    rows = [({"__name__": "w", "job": "j", "i": str(i)}, [(start + k * 1000, float(i * 100000 + k)) for k in range(n)])
            for i in range(series)]
    answer = remote_write(server, rows)
    check_equal((answer.status, answer.text()), (204, ""))


def held(server):
    return {int(dict(k)["i"]): [float(v) for _, v in s]
            for k, s in server.samples('w{job="j"}', at=NOW / 1000 + 600, window="4h").items()}


@scenario
def termination_drains_and_seals():
    server = ferula(args=[RECEIVER])
    write_some(server, NOW - 300_000, 200)
    # A request whose body is still coming is answered; what waits for the next one is closed.
    body = urllib.parse.urlencode({"query": "count(w)", "time": NOW / 1000}).encode()
    idle, busy = Raw(server), Raw(server)
    idle.send("GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
    check_equal(idle.answer().status, 200)
    busy.send(f"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
              f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n")
    check_equal(busy.answer().status, 100, "the request is taken up")
    busy.send(body[:5])
    server.signal(signal.SIGTERM)
    server.wait_log("stopping")
    check(idle.closed(), "an idle connection is closed")
    busy.send(body[5:])
    answer = busy.answer()
    check(answer and answer.status in (200, 503), answer and answer.status)
    check_equal(answer.headers.get("Connection"), "close")
    check_equal(server.wait(), 0, "exit code")
    check("See you next time!" in server.log(), server.log())
    check_equal(replayed(server.data), 0, "records that the next start has to replay")
    server.restart()
    check_equal(len(held(server)), 50)
    check(all(len(v) == 200 for v in held(server).values()), "all samples are there")


def replayed(data):
    """Bytes of WAL segments that hold records."""
    total = 0
    for folder, _, names in os.walk(data):
        if "wal" in os.path.basename(folder):
            total += sum(os.path.getsize(os.path.join(folder, n)) for n in names)
    return total


@scenario
def a_second_signal_corrupts_nothing():
    server = ferula(args=[RECEIVER])
    rng = random.Random(11)
    data, n = server.data, 0
    for signals in ([signal.SIGTERM, signal.SIGTERM], [signal.SIGINT, signal.SIGTERM, signal.SIGINT],
                    [signal.SIGTERM, signal.SIGHUP, signal.SIGTERM], [signal.SIGHUP, signal.SIGTERM, signal.SIGHUP],
                    [signal.SIGTERM] * 20):
        write_some(server, NOW - 1000_000 + n * 1000, 40)
        n += 40
        for number in signals:
            if server.running():
                server.signal(number)
            time.sleep(rng.random() * 0.01)
        check_equal(server.wait(), 0, f"exit code after {signals}")
        server = ferula(data=data, args=[RECEIVER])
        found = held(server)
        check_equal(len(found), 50)
        check(all(len(v) == n for v in found.values()), f"{n} samples each", {i: len(v) for i, v in found.items()})
        check(not re.search(r"corrupt", server.log(), re.I), server.log())
        check_equal(metric(server, "prometheus_tsdb_wal_corruptions_total"), 0)


@scenario
def a_signal_while_starting():
    rng = random.Random(12)
    first = ferula(args=[RECEIVER])
    write_some(first, NOW - 300_000, 100)
    first.kill()
    for i in range(16):
        server = ferula(data=first.data, ready=False)
        for number in rng.choice([[signal.SIGTERM], [signal.SIGHUP, signal.SIGTERM], [signal.SIGINT, signal.SIGTERM]]):
            time.sleep(rng.random() * 0.04)
            if server.running():
                server.signal(number)
        code = server.wait()
        # Before it has said anything it may be ended as any program is.
        check(code == 0 or (code in (-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP) and not server.log()), code, server.log())
        server.kill()
    found = held(ferula(data=first.data))
    check_equal((len(found), {len(v) for v in found.values()}), (50, {100}))


# ---- addresses, backends, logs, limits


@scenario
def several_addresses():
    server = ferula(args=["--web.listen-address=127.0.0.1:0", "--web.listen-address=localhost:0"])
    wait_for("three", lambda: server.log().count('msg="Listening on"') == 3)
    found = re.findall(r'msg="Listening on" address="?([^\s"]+)', server.log())
    check_equal(len(set(found)), 3)
    for address in found:
        host, _, port = address.rpartition(":")
        check_equal(request(host, int(port), "GET", "/-/ready").status, 200, address)


@scenario
def ipv6_addresses():
    try:
        port = free_port("::1")
    except OSError as why:
        raise Skip(f"no IPv6 here: {why}")
    target = FakeTarget(lambda r: Reply("a 1\n"), host="::1")
    config = ("scrape_configs: [{job_name: j, scrape_interval: 200ms, static_configs: [{targets: ['[::1]:%d']}]}]\n"
              % target.port)
    server = ferula(config, listen=f"[::1]:{port}", args=["--web.listen-address=127.0.0.1:0"])
    check_equal((server.host, server.port), ("::1", port))
    wait_for("scraped", lambda: server.query("a"))
    check_equal([dict(k)["instance"] for k in server.query("a")], [f"[::1]:{target.port}"])
    taken = fails("", f"--web.listen-address=[::1]:{port}")
    check(f"listen tcp [::1]:{port}: the port is taken by process {server.popen.pid} (ferula)" in taken, taken)


def backend_of(server):
    named = server.wait_log(r"msg=started io=(\w+)").group(1)
    found = re.findall(r'^ferula_io_backend_info\{backend="(\w+)"\} 1$', server.get("/metrics").text(), re.M)
    check_equal(found, [named], "metric and log")
    return named


def work_with(server):
    write_some(server, NOW - 100_000, 50)
    wait_for("scraped", lambda: server.query("up == 1"))
    check_equal(len(held(server)), 50)


def backend_config():
    target = FakeTarget(lambda r: Reply("a 1\n"))
    return f"scrape_configs: [{{job_name: s, scrape_interval: 200ms, static_configs: [{{targets: ['{target.address}']}}]}}]\n"


@scenario
def poll_can_be_forced():
    server = ferula(backend_config(), args=[RECEIVER, "--io-backend=poll"])
    check_equal(backend_of(server), "poll")
    work_with(server)


@scenario
def io_uring_can_be_forced():
    if subprocess.run([FERULA, "--io-backend=io_uring", "--config.file=/nonexistent"], capture_output=True,
                      text=True).stderr.find("io_backend=io_uring") < 0:
        raise Skip("no io_uring here")
    server = ferula(backend_config(), args=[RECEIVER, "--io-backend=io_uring"])
    check_equal(backend_of(server), "io_uring")
    work_with(server)


@scenario
def poll_is_chosen_where_io_uring_is_forbidden():
    """As Docker's default seccomp profile forbids it."""
    server = ferula(backend_config(), args=[RECEIVER], wrap=[NO_URING])
    check_equal(backend_of(server), "poll")
    check(re.search(r"level=warn .*io_uring|level=info .*io_uring.*poll", server.log()) or "io_backend=poll" in server.log(),
          server.log())
    work_with(server)
    code, _, log = run("--io-backend=io_uring", f"--storage.tsdb.path={temp_folder()}/d", wrap=[NO_URING])
    check_equal(code, 1, log)
    check("io_uring" in log and "not permitted" in log, log)


@scenario
def this_suite_runs_with_the_backend_it_says():
    """Where io_uring is forbidden, every scenario above and below runs with poll."""
    check(backend_of(ferula()) in (["poll"] if URING_IS_FORBIDDEN else ["io_uring", "poll"]))


@scenario
def log_levels():
    target = FakeTarget(lambda r: Reply("a 1\n", 500))
    config = f"scrape_configs: [{{job_name: s, scrape_interval: 200ms, static_configs: [{{targets: ['{target.address}']}}]}}]\n"
    logs = {}
    for level in ("debug", "info", "warn", "error"):
        port = free_port()
        server = ferula(config, args=[f"--log.level={level}", LIFECYCLE, "--enable-feature=no-such-thing"],
                        listen=f"127.0.0.1:{port}", ready=False)
        server.host, server.port = "127.0.0.1", port
        wait_for("ready", lambda: server.get("/-/ready").status == 200)
        server.configure("global: 1\n")
        server.reload()
        server.stop()
        logs[level] = set(re.findall(r"^time=\S+ level=(\w+) ", server.log(), re.M))
    check_equal({k: sorted(v - {"debug"}) for k, v in logs.items()},
                {"debug": ["error", "info", "warn"], "info": ["error", "info", "warn"], "warn": ["error", "warn"], "error": ["error"]})


@scenario
def logs_as_json():
    server = ferula("scrape_configs: []\n", args=["--log.format=json", "--log.level=debug", LIFECYCLE],
                    listen=f"127.0.0.1:{free_port()}", ready=False)
    server.host, server.port = "127.0.0.1", int(server.listen.rpartition(":")[2])
    wait_for("ready", lambda: server.get("/-/ready").status == 200)
    server.configure('global: {scrape_interval: "a\\n\\t\\x01\u00e4"}\n')
    check_equal(server.reload().status, 500)
    check_equal(server.stop(), 0)
    lines = [json.loads(line) for line in server.log().splitlines()]
    check(len(lines) > 5, server.log())
    for line in lines:
        check({"time", "level", "component", "msg"} <= set(line), line)
        check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]), line)
    check([x for x in lines if x["msg"] == "Error reloading config" and "a\n\t\x01\u00e4" in
           x["err"].encode().decode("unicode_escape", "replace") or "\\x01" in x.get("err", "")], lines)


@scenario
def open_files_are_raised_to_the_hard_limit():
    hard = min(4000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    server = ferula(wrap=["sh", "-c", f'ulimit -Sn 64 && ulimit -Hn {hard} && exec "$@"', "sh"])
    check_equal(metric(server, "process_max_fds"), hard)
    connections = [Raw(server) for _ in range(150)]
    for c in connections:
        c.send("GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
    check_equal({c.answer().status for c in connections}, {200})


# ---- secrets

SECRET = "hunter-two"
SECRET_CONFIGS = {
    "both ways": "scrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: SECRET}\n  authorization: {credentials: SECRET}\n",
    "password is a map": "scrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: {x: SECRET}}\n",
    "password is a list": "scrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: [SECRET]}\n",
    "two passwords": "scrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: SECRET, password_file: /x}\n",
    "basic type": "scrape_configs:\n- job_name: a\n  authorization: {type: Basic, credentials: SECRET}\n",
    "two bearers": "scrape_configs:\n- job_name: a\n  bearer_token: SECRET\n  authorization: {credentials: SECRET}\n",
    "proxy": "scrape_configs:\n- job_name: a\n  proxy_url: http://u:SECRET@proxy:1/\n",
    "oauth2": "scrape_configs:\n- job_name: a\n  oauth2: {client_id: c, client_secret: SECRET, token_url: 'http://x'}\n",
    "remote write": "remote_write:\n- url: http://u:SECRET@x/write\n  basic_auth: {username: u, password: SECRET}\n",
    "sd": "scrape_configs:\n- job_name: a\n  consul_sd_configs: [{server: x, token: SECRET}]\n",
    "tls key": "scrape_configs:\n- job_name: a\n  tls_config: {key: SECRET, key_file: /x}\n",
    "header": "scrape_configs:\n- job_name: a\n  http_headers: {X: {secrets: {x: SECRET}}}\n",
    "reserved header": "scrape_configs:\n- job_name: a\n  http_headers: {Authorization: {secrets: [SECRET]}}\n",
}


def check_secret_config(config):
    text = fails(config.replace("SECRET", SECRET))
    check(SECRET not in text, text)


@scenario
def secrets_are_not_in_errors():
    for name, config in SECRET_CONFIGS.items():
        run_scenario(f"secret: {name}", check_secret_config, config)


class Secrets:
    """Makes secrets, each another, and finds them wherever they should not be."""

    def __init__(self):
        self.made, self.folder = {}, temp_folder()

    def make(self, where):
        text = f"s3cret-{len(self.made)}-{random.SystemRandom().randrange(1 << 60):x}"
        self.made[text] = where
        return text

    def file(self, where):
        return write_file(os.path.join(self.folder, f"file-{len(self.made)}"), self.make(where) + "\n")

    def check_none(self, what, text):
        """Neither as they are, nor as they are sent."""
        for secret, where in self.made.items():
            for form in (secret, base64.b64encode(f"u:{secret}".encode()).decode()):
                check(form not in text, "the secret of", where, "is in", what, text[max(0, text.find(form) - 200):][:400])


def jobs_with_secrets(secrets, address, certs):
    """{name: (options, address of the target)}"""
    make, file = secrets.make, secrets.file
    away, refused = f"{address}/away", "127.0.0.1:1"
    return {
        "basic": (f"basic_auth: {{username: u, password: {make('basic_auth')}}}", address),
        "basic_refused": (f"basic_auth: {{username: u, password: {make('basic_auth, refused')}}}", refused),
        "basic_file": (f"basic_auth: {{username: u, password_file: {file('password_file')}}}", address),
        "credentials": (f"authorization: {{credentials: {make('authorization')}}}", address),
        "credentials_file": (f"authorization: {{type: Own, credentials_file: {file('credentials_file')}}}", address),
        "token": (f"bearer_token: {make('bearer_token')}", address),
        "token_file": (f"bearer_token_file: {file('bearer_token_file')}", address),
        "header": (f"http_headers: {{X-Key: {{secrets: [{make('http_headers')}, {make('second of http_headers')}]}}}}", address),
        "header_file": (f"http_headers: {{X-Key: {{files: [{file('files of http_headers')}]}}}}", address),
        "control": (f'authorization: {{credentials: "{make("authorization with a newline")}\\nx"}}', address),
        "proxy": (f"proxy_url: http://u:{make('proxy_url')}@{address}", "target.invalid:80"),
        "proxy_refused": (f"proxy_url: http://u:{make('proxy_url, refused')}@{refused}", "target.invalid:80"),
        "proxy_header": (f"proxy_url: http://{refused}\n  proxy_connect_header: {{X-Key: [{make('proxy_connect_header')}]}}", "target.invalid:80"),
        "redirected": (f"authorization: {{credentials: {make('authorization, redirected')}}}\n  metrics_path: /redirect", address),
        "tls": (f"scheme: https\n  authorization: {{credentials: {make('authorization, over TLS')}}}\n"
                f"  tls_config: {{ca_file: {certs.path('ca.pem')}, cert_file: {certs.path('one.pem')}, key_file: {certs.path('one.key')}}}", address),
    }


def unsupported_with_secrets(secrets):
    """What this version passes over has secrets all the same."""
    make = secrets.make
    return (f"remote_write:\n- url: http://u:{make('url of remote_write')}@x/write\n  headers: {{X-Key: {make('headers of remote_write')}}}\n"
            f"- url: http://x/write\n  authorization: {{credentials: {make('authorization of remote_write')}}}\n"
            f"- url: http://x/write\n  sigv4: {{access_key: a, secret_key: {make('sigv4')}}}\n"
            f"remote_read:\n- url: http://u:{make('url of remote_read')}@x/read\n"
            f"alerting: {{alertmanagers: [{{basic_auth: {{username: u, password: {make('alertmanagers')}}}, static_configs: [{{targets: ['x:1']}}]}}]}}\n"
            "scrape_configs:\n- job_name: sd\n  consul_sd_configs:\n"
            f"  - {{server: x, token: {make('consul')}, basic_auth: {{username: u, password: {make('basic_auth of consul')}}}}}\n"
            f"- job_name: oauth\n  oauth2: {{client_id: c, client_secret: {make('oauth2')}, token_url: 'http://x', scopes: [a]}}\n")


@scenario
def secrets_are_nowhere():
    """Each in a place of its own: sent to whom it is for, and found in nothing else that this program says or writes."""
    secrets, certs = Secrets(), Certificates()
    certs.issue("one")
    with open(certs.path("one.key")) as key:
        secrets.made[key.read().splitlines()[2]] = "key_file"
    target = FakeTarget(lambda r: Reply("a 1\n", 401 if r.number % 2 else 200))
    target.on("/redirect", lambda r: Reply("", 302, headers={"Location": f"http://u:{secrets.make('a redirect')}@127.0.0.1:1/x"}
                                           if r.number <= 2 else {"Location": "http://u:%zz@a b/"}))
    jobs = jobs_with_secrets(secrets, target.address, certs)
    web = write_file(os.path.join(secrets.folder, "web.yml"), f"basic_auth_users: {{admin: $2b$12${secrets.make('web.config.file')}}}\n")
    folder = temp_folder()
    config = (f"global: {{query_log_file: {folder}/queries.log, scrape_failure_log_file: {folder}/failures.log}}\n" + unsupported_with_secrets(secrets))
    for name, (options, address) in jobs.items():
        config += (f"- job_name: {name}\n  scrape_interval: 300ms\n  {options}\n"
                   f"  static_configs: [{{targets: ['{address}']}}]\n")
    args = ["--log.level=debug", LIFECYCLE, RECEIVER, "--config.ignore-unsupported", f"--web.config.file={web}", "--debug.turn-watch=log"]
    server = ferula(config, args=args, wrap=["sh", "-c", 'ulimit -c 0 && exec "$@"', "sh"])  # all of the memory is no secret's place
    wait_for("all scraped", lambda: len(server.query("up")) == len(jobs) and target.count("/redirect") > 4)
    sent = str([str(r.headers) for r in target.requests])
    for where in ("authorization", "bearer_token", "http_headers", "credentials_file", "bearer_token_file", "files of http_headers"):
        check(next(s for s, w in secrets.made.items() if w == where) in sent, "sent to the target:", where)
    server.get("/api/v1/query", {"query": "up"}, {"Authorization": "Bearer " + secrets.make("a client's header"), "Cookie": secrets.make("a cookie")})
    server.request("GET", "/api/v1/query?query=", headers={"Authorization": "Bearer " + secrets.make("a client's header, refused")})
    check_equal(server.reload().status, 200)
    server.configure(config + f"- job_name: basic\n  bearer_token: {secrets.make('a second job')}\n")
    secrets.check_none("the answer of a reload", server.reload().text())
    server.configure(config + f"- job_name: x\n  authorization: {{credentials: [{secrets.make('a list')}]}}\n  bearer_token: [1\n")
    secrets.check_none("the answer of a reload", server.reload().text())
    for path in ("/", "/metrics", "/federate?match[]={__name__=~'.%2B'}", "/version", *("/api/v1/" + p for p in (
            "status/config", "status/flags", "status/runtimeinfo", "status/buildinfo", "status/tsdb", "status/walreplay", "targets", "scrape_pools",
            "targets/metadata", "metadata", "series?match[]={__name__=~'.%2B'}", "labels", "label/instance/values", "rules", "alerts", "alertmanagers",
            "notifications", "features", "query?query={__name__=~'.%2B'}", *(f"scrape_pools/config?scrapePool={name}" for name in jobs),
            *(f"targets/relabel_steps?scrapePool={name}%26labels={{}}" for name in jobs)))):
        secrets.check_none(path, server.get(path).text())
    server.signal(signal.SIGQUIT)  # a crash: whatever is said of it, or left behind
    server.popen.wait()
    server.kill()
    secrets.check_none("the log", server.log())
    for place in (server.data, folder, server.folder):
        for root, _, names in os.walk(place):
            for name in names:
                with open(os.path.join(root, name), "rb") as f:
                    secrets.check_none(f"the file {name}", f.read().decode("latin-1"))
    check(os.path.getsize(f"{folder}/queries.log") and os.path.getsize(f"{folder}/failures.log"), "the logs have lines")


# ---- peers that are slow, greedy or broken


def many_labels(server):
    """Enough label values that their answer does not fit into any socket's buffer."""
    for part in range(4):
        rows = [({"__name__": "big", "job": "j", "v": f"{part}-{i}-" + "x" * 500}, [(NOW, 1.0)]) for i in range(5000)]
        check_equal(remote_write(server, rows).status, 204)


@scenario
def slow_clients_cost_nobody_else():
    server = ferula(args=[RECEIVER])
    many_labels(server)
    stop, problems, answers = threading.Event(), [], []

    def drip(data):
        """Sends a byte at a time."""
        try:
            raw = Raw(server)
            raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in data:
                raw.send(bytes([byte]))
                if stop.wait(0.002):
                    break
            answers.append(raw.answer().status)
        except Exception as why:
            problems.append(why)

    def sip():
        """Reads a byte at a time."""
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect((server.host, server.port))
        s.sendall(b"GET /api/v1/label/v/values HTTP/1.1\r\nHost: x\r\n\r\n")
        got = 0
        while not stop.wait(0.005):
            got += len(s.recv(1))
        answers.append("sip" if got else None)
        s.close()
    request_bytes = b"GET /api/v1/query?query=vector(1) HTTP/1.1\r\nHost: x\r\nX-Long: " + b"y" * 300 + b"\r\n\r\n"
    threads = ([threading.Thread(target=drip, args=(request_bytes,)) for _ in range(30)] +
               [threading.Thread(target=sip) for _ in range(30)])
    for t in threads:
        t.start()
    start = time.monotonic()
    for _ in range(100):
        alive(server)
        check_equal(remote_write(server, [({"__name__": "meanwhile"}, [(NOW, 1.0)])]).status, 204)
    spent = time.monotonic() - start
    for t in threads[:30]:
        t.join(PATIENCE_S)
    stop.set()
    for t in threads[30:]:
        t.join(PATIENCE_S)
    check_equal(problems, [])
    check_equal(answers.count(200), 30, "slow senders are answered")
    check_equal(answers.count("sip"), 30, "slow readers are served")
    check(spent < PATIENCE_S / 2, f"300 other requests took {spent:.1f} s")


@scenario
def a_request_that_never_ends():
    """Ended by --web.read-timeout, whatever was there of it."""
    server = ferula(args=["--web.read-timeout=3s", RECEIVER])
    alive(server)
    files = len(os.listdir(f"/proc/{server.popen.pid}/fd"))
    heads = {"nothing": b"", "half a line": b"GET /-/hea", "half a head": b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n",
             "half a body": b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                            b"Content-Length: 1000\r\n\r\nquery=1",
             "half a chunk": b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nabc"}
    open_ones = {name: Raw(server) for name in heads}
    for name, raw in open_ones.items():
        if heads[name]:
            raw.send(heads[name])
    endless = Raw(server)  # one that goes on and on
    endless.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
    def ended():
        try:
            endless.send(b"X: y\r\n")
        except OSError:
            return True
    wait_for("a head that goes on is ended", ended, interval=0.05)
    for name, raw in open_ones.items():
        try:
            rest = raw.file.read()
        except ConnectionError:
            rest = b""
        check(rest == b"" or rest.startswith(b"HTTP/1.1 4"), name, rest)
    alive(server)
    wait_for("no connection is left", lambda: len(os.listdir(f"/proc/{server.popen.pid}/fd")) <= files + 1)


@scenario
def refused_heads_end_at_once():
    """Who waits for the end of the connection gets it with the answer, though what may still come is read for 0.5 s."""
    server = ferula()
    for head, more in ((b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 0), (b"garbage\r\n\r\n", 0),
                       (b"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 8000000\r\n\r\n", 4000000)):
        def in_time():
            raw, begin = Raw(server), time.monotonic()
            raw.send(head + b"x" * more)
            check_equal(raw.answer().status, 400)
            check_equal(raw.file.read(), b"")
            return time.monotonic() - begin < 0.4
        wait_for(f"{head[:20]} ends in less time than is lingered for", in_time)


@scenario
def pipelined_requests():
    server = ferula()
    raw = Raw(server)
    raw.send("".join(f"GET /api/v1/query?query=vector({i}) HTTP/1.1\r\nHost: x\r\n\r\n" for i in range(300)))
    for i in range(300):
        answer = raw.answer()
        check_equal((answer.status, answer.json()["data"]["result"][0]["value"][1]), (200, str(i)))
    # With bodies, of both kinds, and cut at any place.
    one = "POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    stream = "".join(one + f"Content-Length: {len(q)}\r\n\r\n{q}" + one +
                     f"Transfer-Encoding: chunked\r\n\r\n4\r\n{q[:4]}\r\n{len(q) - 4:x};x=y\r\n{q[4:]}\r\n0\r\nT: r\r\n\r\n"
                     for q in (f"query=vector({i})" for i in range(50))).encode()
    rng, at = random.Random(5), 0
    while at < len(stream):
        n = rng.randint(1, 200)
        raw.send(stream[at:at + n])
        at += n
    for i in range(100):
        check_equal(raw.answer().json()["data"]["result"][0]["value"][1], str(i // 2))


@scenario
def pipelined_behind_a_long_query():
    """Requests that come while one is worked on are kept, in their order."""
    server = slow_server()
    raw = Raw(server)
    raw.send(f"GET /api/v1/query_range?{slow_query(100)} HTTP/1.1\r\nHost: x\r\n\r\n")
    time.sleep(0.2)
    for i in range(20):
        raw.send(f"GET /api/v1/query?query=vector({i}) HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.01)
    check_equal(raw.answer().status, 200)
    for i in range(20):
        check_equal(raw.answer().json()["data"]["result"][0]["value"][1], str(i))


def any_readable(connections, found):
    ready = select.select([c.socket for c in connections], [], [], 0.05)[0]
    found += [c for c in connections if c.socket in ready]
    return found


@scenario
def limits_hold_for_all_shards():
    """Not a share of each shard, rounded up: exactly as many connections and queries as are allowed."""
    for shards in (1, 2, 3):
        server = ferula(args=[f"--shards={shards}", "--web.max-connections=4", "--query.max-concurrency=1", "--query.timeout=1h"])
        request = "GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
        busy = [Raw(server) for _ in range(4)]
        for raw in busy:
            raw.send(request)
            check_equal(raw.answer().status, 200)
        waiting = [Raw(server) for _ in range(3)]  # where the system keeps who was not let in yet
        for raw in waiting:
            raw.send(request)
        found, _, _ = select.select([raw.socket for raw in waiting], [], [], 0.3)
        check_equal(found, [], f"one more is one too many, {shards} shards")
        while waiting:
            busy.pop(0).close()  # lets one in, who stays
            found = []
            wait_for("somebody to be let in", lambda: any_readable(waiting, found), interval=0)
            check_equal(len(found), 1, f"{shards} shards")
            check_equal(found[0].answer().status, 200)
            waiting.remove(found[0])
            busy.append(found[0])
        for raw in busy:
            raw.close()
        check("ferula_http_connections_full_total 0" not in server.get("/metrics").text())

        # Of three queries of a while one runs at a time, on whatever shard; the others wait for their turn.
        def ask(answers, name):
            query = "max_over_time(quantile_over_time(0.5, vector(1)[1h:1s])[20m:1s])"
            answers[name] = server.post("/api/v1/query", {"query": query}, timeout=10 * PATIENCE_S)
            check_equal(answers[name].status, 200)
        answers, threads = {}, []
        for i in range(3):
            threads.append(threading.Thread(target=ask, args=(answers, i), daemon=True))
            threads[-1].start()
        most = 0
        while any(t.is_alive() for t in threads):
            most = max(most, open(os.path.join(server.data, "queries.active"), "rb").read().count(b"timestamp_sec"))
            time.sleep(0.01)
        check("prometheus_engine_queries_concurrent_max 1" in server.get("/metrics").text())
        check_equal((len(answers), most), (3, 1), answers)
        server.stop()


@scenario
def placement_labels_are_the_folders():
    server = ferula(args=["--storage.placement-labels=zone,rack"])
    data = server.data
    server.stop()
    for labels in ("rack,zone", None):  # none given: the folder's
        server = ferula(data=data, args=[f"--storage.placement-labels={labels}"] if labels else [])
        server.stop()
    text = fails("", "--storage.placement-labels=zone", data=data)
    check_equal(text, f'--storage.placement-labels=zone, but {data} was made with "zone,rack", which is fixed: leave the flag '
                      "out, give it these labels, or name another folder with --storage.tsdb.path")
    text = fails("", "--storage.placement-labels=cluster,prometheus,prometheus_replica,replica,__replica__", data=data)
    check('was made with "zone,rack"' in text, text)


@scenario
def a_lost_catalogue_is_named():
    server = ferula(args=[RECEIVER])
    data = server.data
    check_equal(remote_write(server, [({"__name__": "a", "job": "j", "instance": "i"}, [(NOW, 1.0)])]).status, 204)
    server.kill()
    os.unlink(os.path.join(data, "catalogue"))
    check(os.path.exists(os.path.join(data, "queries.active")), "which a Prometheus has, too")
    text = fails("", data=data)
    check(text.startswith(f"{data} holds data of Ferula (") and 'the file "catalogue"' in text and "put it back" in text, text)


@scenario
def series_of_a_window():
    """Those that have samples in it, as in Prometheus; also of files, and of memory that lies about it."""
    minute = 60_000
    answers = []
    for make in (ferula, prometheus):
        server = make(args=[RECEIVER])
        for names, first, last in ((("early", "gap", "whole"), -110, -100), (("whole",), -100, -50), (("late", "whole"), -50, -1), (("gap",), -1, 0)):
            rows = [({"__name__": name, "job": "j"}, [(NOW + m * minute, 1.0) for m in range(first, last)]) for name in names]
            check_equal(remote_write(server, rows).status // 100, 2)
        found = []
        for again in range(2):
            for start, end in ((-111, -105), (-110, -110), (-111, -110.5), (-100.5, -52), (-40, -30), (-1, 0), (0, 60), (-111, 0)):
                params = {"match[]": '{job="j"}', "start": (NOW + start * minute) / 1000, "end": (NOW + end * minute) / 1000}
                names = sorted(labels["__name__"] for labels in server.api("series", params))
                found.append((start, end, names))
            server.stop()
            server.restart()
        answers.append(found)
        server.stop()
    for ours, theirs in zip(*answers):
        # Prometheus answers by chunks, of which "gap" has one that spans the gap.
        theirs[2][:] = [n for n in theirs[2] if n != "gap"]
        check_equal((ours[0], ours[1], [n for n in ours[2] if n != "gap"]), theirs)
        check_equal("gap" in ours[2], ours[0] in (-111, -110) and ours[1] != -110.5 or ours[0] == -1, ours)


@scenario
def long_errors_come_whole():
    """Messages that quote what was sent are as long as Prometheus's."""
    long = "x" * 3000
    labels = [{"__name__": name, "job": "j", "side": side, "text": long} for name, side in (("a", "1"), ("a", "2"), ("b", "1"))]
    answers = []
    for make in (ferula, prometheus):
        server = make(args=[RECEIVER])
        check_equal(remote_write(server, [(l, [(NOW, 1.0)]) for l in labels]).status // 100, 2)
        found = []
        for path, params in (("query", {"query": "b + on(job) a", "time": NOW / 1000}),
                             ("query", {"query": f"sum(up) {long}"}), ("format_query", {"query": f'up{{a="b"}} {long}'}),
                             ("query_range", {"query": f"up {long}", "start": 1, "end": 2, "step": 1}),
                             ("query", {"query": f"{long}(up)"}), ("query", {"query": f'up{{a=~"{long}("}}'}),
                             ("query", {"query": 'up{a=~"' + "(" * 1700 + ")" * 1700 + '"}'}), ("series", {"match[]": f"up {long}"}), ("labels", {"match[]": f"up {long}"})):
            answer = server.post(f"/api/v1/{path}", params)
            # Which of two series that match the same is named first is a matter of their order in storage.
            found.append((path, answer.status, len(answer.text()) if "duplicate" in answer.text() else answer.text()))
        answers.append(found)
        server.stop()
    for ours, theirs in zip(*answers):
        check_equal(ours, theirs)
    whole = sum((text if isinstance(text, int) else len(text)) > 3000 for _, _, text in answers[0])
    check_equal(whole, len(answers[0]))


class SmallDisk:
    """A file system of a few megabytes, which a test fills and empties."""
    def __init__(self):
        self.path = temp_folder()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", self.path], capture_output=True).returncode:
            raise Skip("no file system may be mounted here")

    def fill(self):
        with open(os.path.join(self.path, "filling"), "wb", buffering=0) as f:
            try:
                while f.write(b"x" * 65536):
                    pass
            except OSError:
                pass

    def empty(self):
        os.unlink(os.path.join(self.path, "filling"))

    def close(self):
        subprocess.run(["umount", "-l", self.path], capture_output=True)


@scenario
def a_full_disk():
    """It does not start without room, and says what to do; running, it refuses with 503 and resumes by itself."""
    disk = SmallDisk()
    try:
        disk.fill()
        text = fails("", data=os.path.join(disk.path, "data"))
        check(text.startswith("the disk is full, and starting needs some room on it: free some, or name another folder with "
                              "--storage.tsdb.path: ") and text.endswith("no space left on device"), text)
        disk.empty()
        server = ferula(data=os.path.join(disk.path, "data"), args=[RECEIVER, "--shards=1"])
        kept, t = {}, [NOW - 3600_000]

        def send():
            t[0] += 1000
            rows = [({"__name__": "full", "job": "j", "n": str(i)}, [(t[0], float((t[0] * (i + 7919)) % 1_000_003) / 7)]) for i in range(20000)]
            answer = remote_write(server, rows)
            if answer.status == 204:
                kept[t[0]] = rows[0][1][0][1]
            return answer
        check_equal(send().status, 204)
        disk.fill()
        answer = wait_for("a refusal", lambda: (lambda a: a if a.status != 204 else None)(send()))
        check_equal(answer.status, 503, answer.text())
        check("no space left on device" in answer.text(), answer.text())
        check_equal(server.query("count(full)", t[0] / 1000)[()], "20000", "what is there is answered")
        disk.empty()
        wait_for("it resumes", lambda: send().status == 204, interval=0.2)
        for again in range(2):
            found = dict(server.samples('full{n="0"}', t[0] / 1000, "2h")[(("__name__", "full"), ("job", "j"), ("n", "0"))])
            for at, value in kept.items():
                check_equal(float(found[at / 1000]), value, f"acknowledged: {at}")
            server.kill()
            server.restart()
        server.stop()
    finally:
        disk.close()


@scenario
def multipart_forms():
    """As Prometheus 3.5 reads them: everywhere but where it asks for the whole form before."""
    body = "".join(f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in (
        ("query", "vector(7)"), ("match[]", "up"), ("start", "1"), ("end", "2"), ("step", "1"))) + "--b--\r\n"
    answers = []
    for make in (ferula, prometheus):
        server = make()
        found = []
        for path in ("query?time=3", "query?query=vector(8)&time=3", "query_range", "series", "series?match[]=x", "labels",
                     "label/a/values", "format_query", "query_exemplars"):
            for content in (body, body[:-8], ""):
                answer = server.request("POST", f"/api/v1/{path}", content.encode(), {"Content-Type": "multipart/form-data; boundary=b"})
                found.append((path, len(content), answer.status, answer.text()))
        answers.append(found)
        server.stop()
    for ours, theirs in zip(*answers):
        check_equal(ours, theirs)


@scenario
def huge_heads():
    server = ferula()
    # A megabyte and four kilobytes, as in Prometheus, is the most.
    for bytes_of_it in (100_000, 1 << 20, (1 << 20) + 4000):
        for head in (b"GET /-/healthy?" + b"a" * bytes_of_it + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                     b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nX: " + b"y" * bytes_of_it + b"\r\n\r\n",
                     b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * (bytes_of_it // 6) + b"\r\n"):
            raw = Raw(server)
            raw.send(head)
            check_equal(raw.answer().status, 200, bytes_of_it)
    check_equal(server.get("/api/v1/query", {"query": "vector(1" + " " * 100_000 + ")"}).status, 200)
    for head in (b"GET /" + b"a" * ((1 << 20) + 4096) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * (2 << 20) + b"\r\n\r\n",
                 b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200_000 + b"\r\n"):
        raw = Raw(server)
        try:
            raw.send(head)
        except ConnectionError:
            pass  # it may have been refused before all of it was sent
        answer = raw.answer()
        check_equal((answer.status, answer.text()), (431, "431 Request Header Fields Too Large"))
        check(raw.closed(), "and the connection is closed")
        alive(server)


@scenario
def bodies_larger_than_the_limit():
    server = ferula(args=[RECEIVER])
    answer = server.request("POST", "/api/v1/query", b"query=" + b"1" * (11 << 20),
                            {"Content-Type": "application/x-www-form-urlencoded"})
    check_equal((answer.status, answer.json()["error"]),
                (400, 'invalid parameter "query": unknown position: parse error: no expression found in input'))
    answer = server.request("POST", "/api/v1/series", b"match[]=" + b"1" * (11 << 20),
                            {"Content-Type": "application/x-www-form-urlencoded"})
    check_equal((answer.status, answer.json()["error"]), (400, "error parsing form values: http: POST too large"))
    answer = server.request("POST", "/api/v1/query", b"query=vector(1)" + b"+" * (9 << 20),
                            {"Content-Type": "application/x-www-form-urlencoded"})
    check_equal(answer.status, 200)
    answer = remote_write(server, b"\x00" * (33 << 20))
    check_equal((answer.status, answer.text()), (413, "http: request body too large\n"))
    # In chunks nobody says the size beforehand.
    raw = Raw(server)
    raw.send("POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n"
             "Transfer-Encoding: chunked\r\n\r\n")
    try:
        for _ in range(40):
            raw.send(b"100000\r\n" + b"\x00" * (1 << 20) + b"\r\n")
    except ConnectionError:
        pass
    try:
        check_equal(raw.answer().status, 413)
    except ConnectionError:
        pass  # closed while we still sent
    alive(server)


@scenario
def undecoded_bodies_are_bounded():
    """Beyond --web.max-undecoded-bytes the answer is 503 before the body is read."""
    server = ferula(args=[RECEIVER, "--web.max-undecoded-bytes=8MB", "--shards=1"])
    holders = []
    for _ in range(2):
        raw = Raw(server)
        raw.send(f"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: {4 << 20}\r\n\r\n")
        raw.send(b"x")
        holders.append(raw)
    refused = lambda: remote_write(server, b"\x00" * 1000)
    answer = wait_for("refused", lambda: (a := refused()).status == 503 and a)
    check_equal((answer.headers["Retry-After"], answer.headers["Connection"]), ("1", "close"))
    check(metric(server, "ferula_http_bodies_refused_total") >= 1)
    alive(server)
    for raw in holders:
        raw.close()
    wait_for("taken again", lambda: refused().status == 400)


@scenario
def chunked_bodies():
    server = ferula()
    for size in (1, 3, 1000):
        connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE_S)
        body = b"query=vector(7)&time=1000"
        connection.request("POST", "/api/v1/query", iter([body[i:i + size] for i in range(0, len(body), size)]),
                           {"Content-Type": "application/x-www-form-urlencoded"}, encode_chunked=True)
        check_equal(json.loads(connection.getresponse().read())["data"]["result"][0]["value"], [1000, "7"])
        connection.close()
    for bad in (b"zz\r\nabc\r\n0\r\n\r\n", b"ffffffffffffffffff\r\n", b"5\r\nabcdefgh\r\n0\r\n\r\n", b"-1\r\nabc\r\n"):
        raw = Raw(server)
        raw.send(b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                 b"Transfer-Encoding: chunked\r\n\r\n" + bad)
        check_equal(raw.answer().status, 400)
        check(raw.closed(), "nobody knows where the next request starts")
    alive(server)


@scenario
def answers_in_gzip():
    server = ferula(args=[RECEIVER])
    many_labels(server)
    path = "/api/v1/label/v/values"
    plain = server.get(path)
    packed = server.get(path, headers={"Accept-Encoding": "gzip"})
    check_equal(packed.headers["Content-Encoding"], "gzip")
    check_equal(plain.headers.get("Content-Encoding"), None)
    check(len(packed.body) * 10 < len(plain.body), len(packed.body), len(plain.body))
    check(gzip.decompress(packed.body) == plain.body, "the same bytes")


# Requests that no handler answers, and bytes that are none. Each is all that its connection sends.
HEALTHY = "/-/healthy HTTP/1.1\r\nHost: x\r\n"
HELLO = b"\x16\x03\x01\x00\xc4\x01\x00\x00\xc0\x03\x03" + bytes(range(32, 64)) + bytes(160)  # of TLS
ODD_REQUESTS = [
    *("GET " + HEALTHY + expect + "\r\n" for expect in (
        "Expect: something-else\r\n", "Expect: 100-continue\r\n", "Expect: 100-Continue, more\r\n", "Expect:\r\n",
        "Expect: 100-continue\r\nExpect: else\r\n", "Expect: else\r\nExpect: 100-continue\r\n", "Expect: 100-continues\r\n")),
    "GET /-/healthy HTTP/1.0\r\nExpect: else\r\n\r\n", "POST " + HEALTHY + "Expect: else\r\nContent-Length: 3\r\n\r\nabc",
    *(f"{method} * HTTP/1.1\r\nHost: x\r\n{more}" for method, more in (
        ("OPTIONS", "\r\n"), ("OPTIONS", "Connection: close\r\n\r\n"), ("OPTIONS", "Origin: http://a\r\n\r\n"),
        ("OPTIONS", "Content-Length: 3\r\n\r\nabc"), ("OPTIONS", "Content-Length: 5000\r\n\r\n" + "a" * 5000), ("OPTIONS", "Expect: x\r\n\r\n"),
        ("GET", "\r\n"), ("POST", "Content-Length: 3\r\n\r\nabc"), ("CONNECT", "\r\n"))), "OPTIONS * HTTP/1.0\r\n\r\n",
    *(f"CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n" for target in (
        "a:80", "a", ":80", "[::1]:80", "a:b:c", "a:%zz", "/-/healthy", "/api/v1/query?query=1", "/nothing")), "CONNECT a:80 HTTP/1.1\r\n\r\n",
    *(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n" for target in (
        "/%zz", "/%", "healthy", "http://other/-/healthy", "http://other:x/-/healthy", "http://a b/", "/-/hea lthy", "/-/healthy#a", "/-/healthy?%zz")),
    "GET /-/healthy\r\n\r\n", "GET /-/healthy HTTP/0.9\r\nHost: x\r\n\r\n", "GET /-/healthy HTTP/2.0\r\nHost: x\r\n\r\n",
    "GET /-/healthy HTTP/1.1\r\n\r\n", "GET /-/healthy HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET /-/healthy HTTP/1.1\r\nHost: a b\r\n\r\n",
    "G(T " + HEALTHY + "\r\n", "get " + HEALTHY + "\r\n", "GET " + HEALTHY + "X\r\n\r\n", "GET " + HEALTHY + "X: \0\r\n\r\n",
    "GET " + HEALTHY + "X: y\r\n z\r\n\r\n", "GET /-/healthy HTTP/1.1\nHost: x\n\n", "GET " + HEALTHY + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "POST " + HEALTHY + "Transfer-Encoding: gzip\r\n\r\n", "POST " + HEALTHY + "Content-Length: x\r\n\r\n",
    "POST " + HEALTHY + "Content-Length: +3\r\n\r\nabc", "POST " + HEALTHY + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    HELLO, HELLO + b"\r\n\r\n", b"\x80\x2e\x01\x03\x01" + bytes(41), b"\0\n",
    "GET", "GET / HTTP/1.1", "GET " + HEALTHY,
]


def odd_answer(server, data):
    """Status, headers and body. Versions are not compared: here it is always 1.1."""
    raw = Raw(server)
    raw.send(data)
    raw.socket.shutdown(socket.SHUT_WR)
    try:
        head, _, body = raw.file.read().decode().partition("\r\n\r\n")
    finally:
        raw.close()
    status, *headers = head.split("\r\n")
    kept = sorted(h for h in headers if not h.startswith(("Date: ", "Vary: Accept-Encoding")))
    closes = "Connection: close" in kept or " HTTP/1.0\r\n" in str(data)  # nobody has to say so there
    return status.partition(" ")[2], [h for h in kept if h != "Connection: close"], closes, body


@scenario
def odd_requests_as_prometheus():
    ours, theirs = ferula(), prometheus()
    for data in ODD_REQUESTS:
        run_scenario(f"request {data[:70]!r}", lambda: check_equal(odd_answer(ours, data), odd_answer(theirs, data)))
    alive(ours)


# ---- hostile input


def snappy_bomb(size):
    """A small block that unpacks to size bytes of the letter A."""
    out = bytearray(varint(size) + b"\x00A")
    left = size - 1
    while left:
        n = min(64, left)
        out += bytes(((n - 1) << 2 | 2, 1, 0))  # a copy of n bytes from one byte before
        left -= n
    return bytes(out)


@scenario
def decompression_bomb_in_remote_write():
    server = ferula(args=[RECEIVER])
    alive(server)
    before = resident(server)
    claims = {"claimed 4 GiB": varint((4 << 30) - 1) + b"\x00A", "claimed too much": varint(1 << 62) + b"\x00A",
              "1 GiB in 50 MB": None, "33 MiB": snappy_bomb((32 << 20) + 1)}
    for name, body in claims.items():
        if body is None:
            continue
        for _ in range(5):
            answer = remote_write(server, body)
            check_equal((answer.status, answer.headers["Content-Type"]), (400, "text/plain; charset=utf-8"), name)
            check("snappy" in answer.text(), name, answer.text())
    check(resident(server) - before < (100 << 20) + KEPT, "memory is not taken", resident(server) - before)
    # Just under the limit it is unpacked, and is no protobuf.
    check_equal(remote_write(server, snappy_bomb(16 << 20)).status, 400)
    # Many empty series in few bytes: each costs something, all of them not much.
    empties = snappy_literal(b"\x0a\x00" * 2_000_000)
    check(remote_write(server, empties).status in (204, 400))
    alive(server)
    check(resident(server) - before < (600 << 20) + KEPT, resident(server) - before)


def gzip_bomb(size):
    import zlib
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block, out = b"# " + b"x" * (1 << 20) + b"\n", []
    for _ in range(size >> 20):
        out.append(packer.compress(block))
    return b"".join(out) + packer.flush()


@scenario
def decompression_bomb_in_a_scrape():
    bomb = gzip_bomb(1 << 30)
    check(len(bomb) < 2 << 20, len(bomb))
    target = FakeTarget()
    target.on("/limited", Reply(bomb, headers={"Content-Encoding": "gzip"}))
    target.on("/unlimited", Reply(bomb, headers={"Content-Encoding": "gzip"}))
    target.on("/good", Reply("good 1\n"))
    config = "scrape_configs:\n"
    for name, more in (("limited", "scrape_interval: 1s, body_size_limit: 10MB"), ("unlimited", "scrape_interval: 4s"),
                       ("good", "scrape_interval: 1s, sample_limit: 5")):
        config += (f"- {{job_name: {name}, metrics_path: /{name}, {more},\n"
                   f"   static_configs: [{{targets: ['{target.address}']}}]}}\n")
    server = ferula(config)
    before = resident(server)
    errors = {"limited": "body size limit exceeded", "good": "",
              "unlimited": f"body size limit exceeded: more than {256 << 20} bytes (--scrape.max-body-size)"}

    def scraped():
        targets = {t["scrapePool"]: t for t in server.api("targets")["activeTargets"]}
        return all(target.count(f"/{name}") >= 3 and targets[name]["health"] == ("down" if text else "up") and
                   targets[name]["lastError"] == text for name, text in errors.items())
    wait_for("all scraped three times and told why", scraped)
    check(metric(server, "prometheus_target_scrapes_exceeded_body_size_limit_total") >= 1)
    # What a bomb becomes is counted before room is made for it.
    check(resident(server) - before < (100 << 20) + KEPT, "memory is not taken", before, resident(server))
    alive(server)


@scenario
def scrapes_of_random_bytes():
    rng = random.Random(3)
    texts = [b'a{b="c"} 1 2 3\n', b'a{b="c\n', b"a 1\n\xff\xff", b'a{b="\xff\xfe"} 1\n', b"{} 1\n", b"a 1" + b"0" * 100_000 + b"\n"]

    def random_bytes(r):
        if r.number % 3 == 0:
            return Reply(texts[rng.randrange(len(texts))])
        # Not beginning with a NUL, which Prometheus takes for the end.
        return Reply(b"{" + rng.randbytes(rng.randrange(1, 200_000)), content_type=rng.choice(
            ["text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0", "text/plain; version=1.0.0"]))

    def random_gzip(r):
        return Reply(b"\x1f\x8b\x08" + rng.randbytes(2000), headers={"Content-Encoding": "gzip"})

    def random_http(r):
        return Reply(raw=rng.randbytes(3000), close=True)
    target = FakeTarget()
    for path, handler in (("/bytes", random_bytes), ("/gzip", random_gzip), ("/http", random_http)):
        target.on(path, handler)
    target.on("/good", lambda r: f"good {r.number}\n")
    config = "scrape_configs:\n"
    for name in ("bytes", "gzip", "http", "good"):
        config += (f"- job_name: {name}\n  metrics_path: /{name}\n  scrape_interval: {'1s' if name == 'good' else '50ms'}\n"
                   f"  static_configs: [{{targets: ['{target.address}']}}]\n")
    server = ferula(config)
    wait_for("many scrapes", lambda: min(target.count("/" + n) for n in ("bytes", "gzip", "http")) >= 40 and target.count("/good") >= 4)

    def as_they_are(t):
        good = t["scrapePool"] == "good"
        return t["health"] == ("up" if good else "down") and bool(t["lastError"]) != good
    wait_for("one target is up, the others down", lambda: all(map(as_they_are, server.api("targets")["activeTargets"])))
    late = [t for t, v in server.samples('scrape_duration_seconds{job="good"}').popitem()[1] if float(v) > 0.8]  # on a busy machine
    for labels, samples in server.samples("up").items():
        wanted = "1" if dict(labels)["job"] == "good" else "0"
        check_equal({v for t, v in samples if t not in late}, {wanted}, labels)
    values = [float(v) for _, v in list(server.samples("good").values())[0]]
    check(len(values) >= 3 and values == sorted(values), values)
    check_equal(sorted({dict(k)["job"] for k in server.query("{__name__=~'.+',__name__!~'up|scrape_.*'}")}), ["good"])


@scenario
def long_errors_are_whole():
    line = 'broken{a="' + "v" * 700 + '"} not-a-number'
    target = FakeTarget(lambda r: Reply(line + "\n"))
    server = ferula(f"scrape_configs: [{{job_name: j, scrape_interval: 200ms, static_configs: [{{targets: ['{target.address}']}}]}}]\n")
    found = wait_for("an error", lambda: server.api("targets")["activeTargets"][0]["lastError"])
    check(found.endswith('"'), found)
    check("v" * 700 in found, len(found), found)


# ---- queries that cost too much


@scenario
def queries_that_explode():
    target = FakeTarget(lambda r: f"good {r.number}\n")
    config = f"scrape_configs: [{{job_name: j, scrape_interval: 1s, static_configs: [{{targets: ['{target.address}']}}]}}]\n"
    server = ferula(config, args=[RECEIVER, "--query.max-samples=5000", "--query.max-bytes=64MB"])
    write_some(server, NOW - 300_000, 200)
    at = NOW / 1000
    many = "query processing would load too many samples into memory in query execution"
    cases = [({"query": "w[1h]", "time": at}, 422, "execution", many),
             ({"query": "w", "start": at - 250, "end": at, "step": 1}, 422, "execution", many),
             ({"query": "vector(1)", "time": at, "timeout": "0"}, 400, "bad_data", None),
             ({"query": "w * on() w", "time": at}, 422, "execution", None),
             ({"query": "w", "start": at - 20000, "end": at, "step": 1}, 400, "bad_data",
              "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"),
             ({"query": "(" * 100_000 + "1" + ")" * 100_000}, None, None, None),  # of any depth, or refused
             ({"query": "-" * 200_000 + "1"}, None, None, None),
             ({"query": "(" * 100_000}, 400, "bad_data", None),
             ({"query": 'w{i=~"' + "(a|b)*" * 5000 + '"}', "time": at}, None, None, None),
             ({"query": 'label_replace(w, "x", "' + "$1" * 10000 + '", "i", "(.*)")', "time": at}, None, None, None)]
    scrapes = target.count("/metrics")
    for params, status, kind, text in cases:
        answer = server.post("/api/v1/query_range" if "step" in params else "/api/v1/query", params)
        name = params["query"][:50]
        if status:
            check_equal(answer.status, status, name + " " + answer.text()[:300])
            check_equal(answer.json()["errorType"], kind, name)
        if text:
            check_equal(answer.json()["error"], text, name)
        alive(server)
    wait_for("scrapes go on", lambda: target.count("/metrics") > scrapes + 3)
    wait_for("and succeed", lambda: set(server.query("up").values()) == {"1"})  # on a busy machine not each of them
    check_equal(len(server.query("w{i='7'}", at)), 1)


def slow_server():
    server = ferula(args=[RECEIVER, "--query.max-samples=100000000000", "--query.timeout=1h"])
    for part in range(8):
        rows = [({"__name__": "s", "job": f"j{i % 7}", "i": f"{part}-{i}"}, [(NOW - 600_000 + k * 1000, float(k * i)) for k in range(600)])
                for i in range(100)]
        check_equal(remote_write(server, rows).status, 204)
    return server


def slow_query(steps=11000, timeout="1h"):
    """Takes long: most of the data, over and over, at each step."""
    return urllib.parse.urlencode({"query": "sum(quantile_over_time(0.5, s[10m]) + stddev_over_time(s[9m]))", "start": NOW / 1000 - steps * 0.03,
                                   "end": NOW / 1000, "step": 0.03, "timeout": timeout})


def running(server):
    return metric(server, "prometheus_engine_queries")


@scenario
def a_query_that_takes_too_long():
    server = slow_server()
    start = time.monotonic()
    answer = server.get(f"/api/v1/query_range?{slow_query(timeout='300ms')}")
    spent = time.monotonic() - start
    check_equal((answer.status, answer.json()["errorType"], answer.json()["error"]),
                (503, "timeout", "query timed out in expression evaluation"))
    check(spent < 60, f"after {spent:.1f} s")
    check_equal(running(server), 0)
    alive(server)


@scenario
def a_client_that_leaves_cancels_its_query():
    server = slow_server()
    times = []
    for _ in range(5):
        raws = [Raw(server) for _ in range(3)]
        for raw in raws:
            raw.send(f"GET /api/v1/query_range?{slow_query()} HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for("the queries run", lambda: running(server) == 3)
        time.sleep(0.3)
        check_equal(running(server), 3, "they take long")
        start = time.monotonic()
        for raw in raws:
            raw.close()
        wait_for("the queries are gone", lambda: running(server) == 0, interval=0.005)
        times.append(time.monotonic() - start)
    # Asking for the number takes its time, too, where others use the machine.
    check(min(times) < 20, "seconds until the queries were gone", times)
    alive(server)


@scenario
def queries_do_not_hold_up_others():
    server = slow_server()
    stop, done = threading.Event(), []

    def ask():
        while not stop.is_set():
            done.append(server.get(f"/api/v1/query_range?{slow_query(timeout='1s')}").status)
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for t in threads:
        t.start()
    wait_for("they run", lambda: running(server) >= 2)
    for _ in range(30):
        alive(server)
        check_equal(remote_write(server, [({"__name__": "meanwhile"}, [(NOW, 1.0)])]).status, 204)
    stop.set()
    for t in threads:
        t.join(PATIENCE_S)
    check(done and set(done) <= {503}, done)


if __name__ == "__main__":
    main()
