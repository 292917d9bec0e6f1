#!/usr/bin/env python3
"""ferula-promtool beside promtool 3.5: the same words, input and server, and the same answer.

Standard output, standard error and exit code must be equal; what is not is explained in
promtool_differences.json by the case's name. Ours runs by the name promtool, so that errors begin alike.
Of configurations ours also notes on standard error what this version does not run: NOTED says which.
"""
import json
import os
import random
import re
import subprocess
import time
import urllib.parse

from harness import (BUILD, PATIENCE_S, FakeTarget, Reply, check, check_equal, ferula, main, peer, prometheus, remote_write,
                     run_scenario, scenario, temp_folder, write_file)

HERE = os.path.dirname(os.path.abspath(__file__))
T0 = int(time.time()) // 60 * 60 - 600  # samples every 15 s from here for five minutes
with open(os.path.join(HERE, "promtool_differences.json")) as f:
    DIFFERENCES = json.load(f)


class Tools:
    ours = None


def tools():
    """Paths of both programs, each called promtool."""
    theirs = peer("promtool-3.5")
    if not Tools.ours or not os.path.exists(Tools.ours):
        Tools.ours = os.path.join(temp_folder(), "promtool")
        os.symlink(os.path.join(BUILD, "tools", "ferula-promtool"), Tools.ours)
    return Tools.ours, theirs


def ask(program, words, cwd, stdin=b""):
    done = subprocess.run([program, *words], cwd=cwd, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=PATIENCE_S, env={k: v for k, v in os.environ.items() if "proxy" not in k.lower()})
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


# How far from now series and labels look is in the URLs of errors.
TIMES = re.compile(r"(start|end|time)=\d+\.\d+")


NOTE = re.compile(r"^  NOTE: valid for Prometheus, but not checked further: .*\n", re.M)


def shown(answer):
    code, out, err = answer
    err = NOTE.sub("", err)
    err = TIMES.sub(r"\1=NOW", err)
    return f"exit code {code}\n{out}\n--- standard error\n{err}"


def compare(name, words, cwd="/", stdin=b""):
    def run():
        mine, upstream = tools()
        ours, theirs = shown(ask(mine, words, cwd, stdin)), shown(ask(upstream, words, cwd, stdin))
        if name in DIFFERENCES:
            check(ours != theirs, "equal now: take it out of promtool_differences.json\n", ours)
        else:
            check_equal(ours, theirs, " ".join(words))
    run_scenario(name, run)


# ---- the command line

@scenario
def test_words():
    """Words that are refused before anything is done."""
    for words in ("query", "foo", "query foo", "query instant", "query instant http://x", "query instant http://x up extra",
                  "query -o xml instant http://x up", "-o json query instant http://x up", "query instant --nope http://x up",
                  "query instant -z http://x up", "query range --step=15 http://x up", "query range --step=x http://x up",
                  "query range --step=1y http://x up", "query range --header=foo http://x up", "query series http://x",
                  "query labels http://x", "query instant 127.0.0.1:1 up", "query instant --time=1 --time=2 http://x up",
                  "query instant --http.config.file=/nope http://x up", "check ready extra", "check config",
                  "check config /nope", "check config /tmp", "check config --query.lookback-delta=x /dev/null", "promql",
                  "promql format", "promql format up", "promql label-matchers", "--experimental promql format",
                  "--experimental promql label-matchers set up a", "--experimental promql label-matchers set -t x up a b",
                  "query range --start", "--no-experimental promql format up", "query instant ://  up",
                  "query instant http://[::1 up", "query labels http://127.0.0.1:x job",
                  "check ready --http.config.file=/tmp", "check healthy --url=http://[::1",
                  "query range --start=1 --end=1e20 http://127.0.0.1:1 up", "query range --start=NaN --end=10 http://127.0.0.1:1 up",
                  "query range --start=1 --end=Inf http://127.0.0.1:1 up", "query labels --start=1e20 --end=1 http://127.0.0.1:1 job",
                  "query range --start=1 --end=2 --header==b http://127.0.0.1:1 up"):
        compare("words: " + words, words.split())


@scenario
def test_help():
    """Every command explains itself, with the words and flags that promtool's help has."""
    mine, upstream = tools()
    commands = ("", "check", "check config", "check healthy", "check ready", "check metrics", "query", "query instant",
                "query range", "query series", "query labels", "promql format", "promql label-matchers",
                "promql label-matchers set", "promql label-matchers delete")
    for command in commands:
        def run():
            code, out, err = ask(mine, [*command.split(), "--help"], "/")
            check_equal((code, err), (0, ""))
            check_equal(ask(mine, ["help", *command.split()], "/"), (code, out, err))
            _, theirs, _ = ask(upstream, [*command.split(), "--help"], "/")
            for flag in re.findall(r"(--(?:\[no-\])?[a-z.-]+)", theirs.split("Flags:")[1].split("\n\n")[0]):
                # promtool's own texts name flags of its help.
                check(flag in out or flag in ("--help-long", "--help-man", "--lint"), flag, "is not in", out)
            if command.count(" ") and command != "promql label-matchers":
                check("Example" in out, out)
        run_scenario("help: " + command, run)
    for words in (["--version"], ["query", "instant", "--version"]):
        code, out, err = ask(mine, words, "/")
        check_equal((code, err), (0, ""))
        check(re.match(r"ferula-promtool \d+\.\d+\.\d+ \(in place of promtool \d", out), out)


# ---- queries

NATIVE = '{"count":"60","sum":"33897.5","buckets":[[0,"-1.5","2.25","2"],[1,"2.25","1000000","3"],[3,"-2","2.25","2.5"]]}'
ANSWERS = {  # by query: a body, or (status, body)
    "vector": '{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","b":"1<","a":'
              '"x\\"\\n\\u00e9\\u2028\\t"},"value":[1435781451.781,"1"]},{"metric":{"a":"1"},"value":[1435781451,"NaN"]},'
              '{"metric":{},"value":[0.001,"1e-7"]},{"metric":{"__name__":"x.y","l.z":"1"},"value":[-1.5,"+Inf"]},'
              '{"metric":{"__name__":"x.y"},"value":[1435781451.5,"12345678901234567890123"]}]},"warnings":["w1"]}',
    "empty": '{"status":"success","data":{"resultType":"vector","result":[]}}',
    "empty matrix": '{"status":"success","data":{"resultType":"matrix","result":[]}}',
    "matrix": '{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","b":"1"},"values":'
              '[[1435781451.781,"1"],[1435781452.781,"2"]]},{"metric":{},"values":[[1,"-0"]]},{"metric":{"a":"2"},"values":'
              '[[1,"1"]]},{"metric":{"a":"10"},"values":[[1,"2"]]},{"metric":{"b":"1"},"values":[[1,"3"]]}]}}',
    "scalar": '{"status":"success","data":{"resultType":"scalar","result":[1435781451.781,"1"]}}',
    "string": '{"status":"success","data":{"resultType":"string","result":[1435781451.781,"a\\"<b"]}}',
    "histogram": '{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"h"},"histogram":'
                 '[1435781451.781,%s]}]}}' % NATIVE,
    "histograms": '{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"h"},"values":[[1,"2"]],'
                  '"histograms":[[2,%s],[3,{"count":"0.5","sum":"NaN"}]]}]}}' % NATIVE,
    "unknown type": '{"status":"success","data":{"resultType":"none","result":[]}}',
    "bad data": (400, '{"status":"error","errorType":"bad_data","error":"oh\\nno"}'),
    "execution": (422, '{"status":"error","errorType":"execution","error":"x"}'),
    "500": (500, "boom\n"), "500 empty": (500, ""), "404": (404, "404 page not found\n"), "304": (304, ""),
    "503": (503, '{"status":"error","errorType":"timeout","error":"x"}'),
    "401": (401, "Unauthorized\n"),
    "error with 200": '{"status":"error","errorType":"bad_data","error":"x"}',
    "success with 400": (400, '{"status":"success"}'),
    "cut off": '{"status":', "not JSON": "hello", "not JSON with 400": (400, "nope"), "no data": '{"status":"success"}',
    "no POST": lambda r: (405, "") if r.method == "POST" else (200, ANSWERS["scalar"]),
    "no POST 501": lambda r: (501, "") if r.method == "POST" else (200, ANSWERS["scalar"]),
}


def canned(request):
    form = urllib.parse.parse_qs(request.body.decode() or request.query)
    answer = ANSWERS.get(form.get("query", [""])[0])
    if "/series" in request.path:
        answer = ('{"status":"success","data":[{"__name__":"up","job":"a\\"<"},{"x.y":"1","__name__":"z"},{}],'
                  '"warnings":["w1"]}')
    elif request.path.endswith("/values"):
        answer = '{"status":"success","data":["a","b<","c d",""],"warnings":["w1","w2"],"infos":["i1"]}'
    elif request.path.endswith("/-/healthy"):
        answer = "Prometheus Server is Healthy.\n"
    elif request.path.endswith("/-/ready"):
        answer = (503, "Service Unavailable") if "/bad/" in request.path else "Ready.\n"
    if callable(answer):
        answer = answer(request)
    status, body = answer if isinstance(answer, tuple) else (200, answer or "what")
    return Reply(body, status, content_type="application/json")


@scenario
def test_canned_answers():
    """Whatever a server may answer."""
    url = f"http://{FakeTarget(canned).address}"
    for query in ANSWERS:
        compare(f"canned: {query}", ["query", "instant", url, query])
        compare(f"canned as JSON: {query}", ["query", "instant", "-o", "json", url, query])
    for words in ("query range --start=1 --end=5.5 --step=1m URL/pre/ matrix",
                  "query range --end=2015-07-01T20:11:30.781Z --header=a=b --header=X-Foo=1,2 URL matrix",
                  "query range --start=10 --end=5 URL matrix", "query range --start=x URL matrix",
                  "query range --end=1970-01-01 URL matrix", "query instant --time=foo URL scalar",
                  "query series --match=up --match={a=\"b\"} URL", "query series -o json --match=up --start=1 --end=2 URL",
                  "query series --match=up --start=x URL", "query series --match=up --end=x URL",
                  "query labels URL job", "query labels -o json --match=up URL job", "check healthy --url=URL",
                  "check ready --url=URL/bad", "check ready --url=URL/pre", "check healthy --url=URL/"):
        compare("canned: " + words, words.replace("URL", url).split())


@scenario
def test_requests():
    """What is sent: parameters, headers, credentials."""
    target = FakeTarget(canned)
    folder, url = temp_folder(), f"http://{target.address}"
    write_file(f"{folder}/password", " secret\n")
    write_file(f"{folder}/basic.yml", "basic_auth: {username: u, password_file: password}\n")
    write_file(f"{folder}/bearer.yml", "bearer_token: abc\nhttp_headers: {X-Scope: {values: [a, b]}}\n")
    write_file(f"{folder}/proxy.yml", f"proxy_url: http://{target.address}\n")
    cases = ((f"query instant --time=1.5 {url} scalar", ), (f"query instant --time=2015-07-01T20:10:30+02:00 {url} scalar", ),
             (f"query range --start=1 --end=100000 {url} matrix", ), (f"query range --start=1 --end=2 --step=90s {url} matrix", ),
             (f"query range --start=1 --end=2 --step=1.5m --header=X-Foo=1,2 {url} matrix", ),
             (f"query series --match=up --match={{a=~'b.*'}} --start=1 --end=2 {url}/pre/", ),
             (f"query labels --start=1 --end=2 --match=up {url} job", ), (f"query instant --time=1 {url} no|POST", ),
             (f"query instant --time=1 http://u:p%40x@{target.address} scalar", ),
             (f"query instant --time=1 --http.config.file={folder}/basic.yml {url} scalar", ),
             (f"query instant --time=1 --http.config.file={folder}/bearer.yml {url} scalar", ),
             (f"query instant --time=1 --http.config.file={folder}/proxy.yml http://other.invalid/pre scalar", ))
    for case in cases:
        def run():
            seen = []
            for program in tools():
                target.requests.clear()
                answer = ask(program, [w.replace("|", " ") for w in case[0].split()], "/")
                check_equal(answer[0], 0, answer)
                seen.append([(r.method, r.path, sorted(urllib.parse.parse_qsl(r.query)),
                              sorted(urllib.parse.parse_qsl(r.body.decode())), r.headers.get_all("Authorization"),
                              r.headers.get_all("X-Foo"), r.headers.get_all("X-Scope"), r.headers.get_all("Content-Type"))
                             for r in target.requests])
            check_equal(seen[0], seen[1])
        run_scenario("request: " + case[0].replace(url, "URL").replace(folder, ""), run)


@scenario
def test_unreachable():
    """Servers that are not there, and what cannot be a server."""
    folder = temp_folder()
    write_file(f"{folder}/ok.yml", "basic_auth: {username: u, password: p}\n")
    write_file(f"{folder}/unknown.yml", "foo: 1\n")
    write_file(f"{folder}/two.yml", "basic_auth: {username: u}\nbearer_token: x\n")
    write_file(f"{folder}/missing.yml", "basic_auth: {username: u, password_file: nope}\n")
    for words in ("query instant http://127.0.0.1:1 up", "query range http://127.0.0.1:1 up",
                  "query series --match=up http://127.0.0.1:1", "query labels http://127.0.0.1:1 job",
                  "query labels http://127.0.0.1:1 a.b", "query instant //127.0.0.1:1 up", "query instant localhost:1 up",
                  "query instant http://127.0.0.1:1/pre/ up", "query instant http://u:p@127.0.0.1:1 up",
                  "check healthy --url=http://127.0.0.1:1", "check ready --url=http://127.0.0.1:1/pre",
                  "query instant --http.config.file=unknown.yml http://127.0.0.1:1 up",
                  "query instant --http.config.file=two.yml http://127.0.0.1:1 up",
                  "query instant --http.config.file=missing.yml http://127.0.0.1:1 up",
                  "query instant --http.config.file=ok.yml http://u:p@127.0.0.1:1 up",
                  "check ready --http.config.file=ok.yml --url=http://127.0.0.1:1"):
        compare("unreachable: " + words, words.split(), folder)


# Each with every value in place of V: what a flag or a URL may be given.
SWEEPS = {
    ("query instant V up", "check ready --url=V"): (
        "http://", "http:///x", "http://x:99999", "http://[::1]:x", "http://[x]", "http://[::1]", "http://%zz",
        "http://x/%zz", "HTTP://127.0.0.1:1", "ftp://127.0.0.1:1", "/", "", "?a", "#x", "http://127.0.0.1:1?x=y", "http://127.0.0.1:1#f",
        "http://127.0.0.1:1/a?b=c", "http://u:p:q@127.0.0.1:1", "http://@127.0.0.1:1", "http://u:%zz@x", "http://a^b@127.0.0.1:1",
        "http://127.0.0.1:1/a b", "http://127.0.0.1:1/%20", "http://127.0.0.1:1//a/../b//", "http://127.0.0.1:1/\u00e9", "mailto:x", "http:x",
        "http:/x", "127.0.0.1:9090", "1http://x", "http://\x7f", "http://x\n", "unix:///x", "a:b", "http://127.0.0.1:1;x"),
    ("query range --start=1 --end=9 --step=V URL matrix", "check config --query.lookback-delta=V /dev/null"): (
        "", "0", "-0", "+5s", "-1s", "1h30m", "1d12h", "1y", "1.5h", ".5s", "5.s", "1e3s", "1us", "1\u00b5s", "1ns", "100", "s1", "1s1", "1S",
        "2562047h47m16.854775807s", "2562047h47m16.854775808s", "9999999h", "0.00000000000000000001s", "18446744073709551616ns"),
    ("query instant --time=V URL scalar", "query range --start=5 --end=V URL matrix", "query range --start=V --end=9 URL matrix",
     "query labels --start=10 --end=V http://127.0.0.1:1 x"): (
        "NaN", "Inf", "-Inf", "1e20", "1e18", "", "-1", "1.0005", "0x10", "1_0", "1970-01-01T00:00:00", "2015-07-01t20:10:30z", " 1",
        "9223372037", "-62135596801"),
    ("query range --start=1 --end=9 --header=V URL matrix",): (
        "a", "=b", "a=", "a==b", "a:b=c", "A b=c", "a=\x01", "b-c=\n", "a=\t\u00e9", "\u00e4=b", "Host=x", "Content-Length=5",
        "Transfer-Encoding=x", "Trailer=x", "\"a\"=b", "X\x01=1", "User-Agent=z"),
}


@scenario
def test_sweeps():
    url = f"http://{FakeTarget(canned).address}"
    for commands, values in SWEEPS.items():
        for command in commands:
            def run():
                mine, upstream = tools()
                for value in values:
                    words = [w.replace("URL", url).replace("V", value) for w in command.split()]
                    check_equal(shown(ask(mine, words, "/")), shown(ask(upstream, words, "/")), words)
            run_scenario(f"sweep: {command}", run)


CLIENTS = {  # of --http.config.file
    "no client": "oauth2: {}\nfoo: 1", "list": "[a]", "string": "a", "empty": "", "twice": "follow_redirects: true\nfollow_redirects: true",
    "missing CA": "tls_config: {ca_file: nope}", "bad CA": "tls_config: {ca_file: password}", "inline CA": "tls_config: {ca: nonsense}",
    "empty CA": "tls_config: {ca_file: nothing}", "two CAs": "tls_config: {ca: x, ca_file: y}",
    "missing certificate": "tls_config: {cert_file: nope, key_file: nope}", "missing key": "tls_config: {cert_file: password, key_file: nope}",
    "certificate alone": "tls_config: {cert_file: nope}", "bad certificate": "tls_config: {cert_file: password, key_file: password}",
    "TLS 99": "tls_config: {min_version: TLS99}", "basic by authorization": "authorization: {type: Basic, credentials: x}",
    "other type": "authorization: {type: Foo, credentials_file: password}", "missing credentials": "authorization: {credentials_file: nope}",
    "missing bearer token": "bearer_token_file: nope", "two passwords": "basic_auth: {username: u, password: p, password_file: x}",
    "files of basic": "basic_auth: {username_file: password, password_file: password}", "missing user": "basic_auth: {username_file: nope}",
    "empty basic": "basic_auth: {}", "reserved header": "http_headers: {Authorization: {values: [a]}}",
    "missing header": "http_headers: {X: {files: [nope]}}", "three headers": "http_headers: {X: {files: [password], secrets: [a], values: [b]}}",
    "header of two words": "http_headers: {'a b': {values: [a]}}", "not a boolean": "follow_redirects: x", "tab": "\ta: b",
    "proxy that is none": "proxy_url: '::'", "no_proxy alone": "no_proxy: example.com", "headers without a proxy": "proxy_connect_header: {a: [b]}",
    "past the proxy": "proxy_url: 'http://127.0.0.1:1'\nno_proxy: 127.0.0.1", "this machine": "proxy_url: 'http://127.0.0.1:1'\nno_proxy: a.b",
    "no proxy here": "proxy_from_environment: true", "headers": "proxy_url: 'http://127.0.0.1:1'\nproxy_connect_header: {a: [b]}",
    "two proxies": "proxy_from_environment: true\nproxy_url: 'http://x'",
}


@scenario
def test_http_config_files():
    folder, url = temp_folder(), f"http://{FakeTarget(canned).address}"
    write_file(f"{folder}/password", "secret\n")
    write_file(f"{folder}/nothing", "")
    for name, text in CLIENTS.items():
        write_file(f"{folder}/c.yml", text + "\n")
        for command in ("query instant --time=1 --http.config.file=c.yml URL scalar", "check ready --http.config.file=c.yml --url=URL"):
            compare(f"client: {name}: {command}", command.replace("URL", url).split(), folder)
    compare("client: no file", ["query", "instant", "--http.config.file=", url, "scalar"], folder)


@scenario
def test_live_servers():
    """Real servers with the same samples: ours and, where it can be had, Prometheus."""
    series = [({"__name__": "http_requests_total", "job": job, "instance": f"host-{i}", "code": code},
               [((T0 + 15 * k) * 1000, float(k * (i + 1) * int(code))) for k in range(21)])
              for job in ("api", "db") for i in range(3) for code in ("200", "500")]
    series.append(({"__name__": "odd", "l": "a\"b\\c\n<é&>"}, [(T0 * 1000, 1.5), ((T0 + 15) * 1000, float("nan"))]))
    args = ["--web.enable-remote-write-receiver"]
    for server in (ferula(args=args), prometheus(args=args)):
        check_equal(remote_write(server, series).status, 204)
        at = f"--time={T0 + 200}"
        span = f"--start={T0} --end={T0 + 300}"
        for words in (f"query instant {at} URL sort(http_requests_total)", f"query instant -o json {at} URL sort(http_requests_total)",
                      f"query range {span} --step=1m URL rate(http_requests_total[1m])", f"query instant {at} URL 1+1",
                      f"query range -o json {span} URL sum(http_requests_total)", f"query instant {at} URL odd[5m]",
                      f"query instant {at} URL nothing", f"query instant {at} URL sum(", f"query range {span} --step=1ms URL up[",
                      f"query instant {at} URL http_requests_total{{job=~\"(\"}}", f"query series {span} --match=odd URL",
                      f"query series {span} --match={{job=\"api\",code=\"200\"}} URL", f"query series {span} --match={{ URL",
                      f"query labels {span} URL job", f"query labels -o json {span} --match=odd URL l",
                      f"query labels {span} URL nothing", f"query instant {at} URL http_requests_total+on(job)http_requests_total",
                      "check healthy --url=URL", "check ready --url=URL", "query instant URL/nope up"):
            compare(f"{server.name}: {words.replace(str(T0), 'T0').replace(str(T0 + 300), 'T0+300').replace(str(T0 + 200), 'T0+200')}",
                    words.replace("URL", server.base).split())


# ---- configurations

CONFIGS = {
    "one job": "scrape_configs: [{job_name: a, static_configs: [{targets: ['x:1']}]}]",
    "empty": "",
    "long interval": "scrape_configs: [{job_name: a, scrape_interval: 5m}, {job_name: b, scrape_interval: 10m}]",
    "no host name": "scrape_configs: [{job_name: a, static_configs: [{targets: ['x/1']}]}]",
    "no address": "scrape_configs: [{job_name: a, static_configs: [{targets: ['x:1', 'y:1']}, {targets: ['x:1', '']}]}]",
    "credentials missing": "scrape_configs: [{job_name: a, authorization: {credentials_file: nope}}]",
    "certificate without key": "scrape_configs: [{job_name: a, tls_config: {cert_file: nope}}]",
    "certificate missing": "scrape_configs: [{job_name: a, tls_config: {cert_file: nope, key_file: nope}}]",
    "key missing": "scrape_configs: [{job_name: a, tls_config: {cert_file: one.yml, key_file: nope}}]",
    "CA missing": "scrape_configs: [{job_name: a, tls_config: {ca_file: nope}}]",
    "rule file missing": "rule_files: [nope.yml]",
    "rule pattern without files": "rule_files: ['nope*.yml']",
    "rule pattern with two stars": "rule_files: ['a*/b*.yml']",
    "rule file": "rule_files: ['*.rules']",
    "discovery": "scrape_configs: [{job_name: a, dns_sd_configs: [{names: ['x']}]}]",
    "alerting": "alerting: {alertmanagers: [{static_configs: [{targets: ['x:1']}]}]}",
    "remote write": "remote_write: [{url: 'http://x/'}]",
    "scrape config file": "scrape_config_files: ['more*.yaml']",
    "scrape config file, bad": "scrape_config_files: ['bad*.yaml']",
    "not YAML": "scrape_configs: [{job_name: a,",
    "unknown field": "foo: 1\nglobal: {bar: 2}",
    "wrong type": "global: {scrape_interval: [1]}",
    "bad duration": "global: {scrape_interval: 1x}",
    "timeout above interval": "scrape_configs: [{job_name: a, scrape_interval: 1s, scrape_timeout: 2s}]",
    "two jobs of one name": "scrape_configs: [{job_name: a}, {job_name: a}]",
    "no job name": "scrape_configs: [{scrape_interval: 1s}]",
    "bad regex": "scrape_configs: [{job_name: a, relabel_configs: [{regex: '(', target_label: b}]}]",
    "relabelled away": "scrape_configs: [{job_name: a, static_configs: [{targets: ['x:1']}], "
                       "relabel_configs: [{target_label: __address__, replacement: ''}]}]",
}
NOTED = {"rule file missing", "rule pattern without files", "rule file", "discovery", "alerting", "remote write"}
CONFIG_FLAGS = ("", "--syntax-only", "--lint=all --lint-fatal")


@scenario
def test_check_config():
    folder = temp_folder()
    files = {}
    for at, (name, text) in enumerate(CONFIGS.items()):
        files[name] = f"{at}.yml" if at else "one.yml"
        write_file(f"{folder}/{files[name]}", text + "\n")
    write_file(f"{folder}/a.rules", "groups: [{name: a, rules: [{record: x, expr: up}]}]\n")
    write_file(f"{folder}/more.yaml", "scrape_configs: [{job_name: b}]\n")
    write_file(f"{folder}/bad.yaml", "scrape_configs: [{job_name: b, foo: 1}]\n")
    for name, path in files.items():
        for flags in CONFIG_FLAGS:
            compare(f"config: {name}{' ' if flags else ''}{flags}", ["check", "config", *flags.split(), path], folder)
        def is_noted():
            check_equal(bool(NOTE.search(ask(tools()[0], ["check", "config", "--syntax-only", path], folder)[2])), name in NOTED)
        run_scenario(f"config: {name} is noted", is_noted)
    long = files["long interval"]
    for words in (["--agent", files["alerting"]], ["--agent", files["rule file"]], ["--agent", "one.yml"],
                  ["one.yml", files["not YAML"], "one.yml"], ["--lint=foo", "one.yml"], ["--lint=all,none", "one.yml"],
                  ["--lint=too-long-scrape-interval", long], ["--lint=none", "--lint-fatal", long],
                  ["--lint=all", "--query.lookback-delta=10m", long], ["--lint=all", "--query.lookback-delta=10m1s", long],
                  ["--lint=all", "--query.lookback-delta=0s", "--lint-fatal", long], ["one.yml", "nope.yml"],
                  ["--lint=all", "--lint-fatal", long, files["not YAML"]]):
        compare("config: " + " ".join(words), ["check", "config", *words], folder)


# ---- metrics

METRICS = {
    "good": "# HELP a_total x\n# TYPE a_total counter\na_total 1\n",
    "nothing": "",
    "no newline at the end": "a 1",
    "no help": "# TYPE a_total counter\na_total 1\n",
    "empty help": "# HELP a\na 1\n",
    "every suffix": "".join(f"# HELP {n} x\n# TYPE {n} {t}\n{n} 1\n" for t in ("counter", "gauge", "untyped") for n in
                            (f"{t[0]}_a_total", f"{t[0]}_b_bucket", f"{t[0]}_c_count", f"{t[0]}_d_sum", f"{t[0]}_e")),
    "histogram": "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n"
                 "h_bucket{le=\"1\",a=\"b\"} 1\nh_bucket{a=\"b\",le=\"+Inf\"} 2\nh_sum{a=\"b\"} 1\nh_count{a=\"b\"} 2\n",
    "summary": "# HELP s x\n# TYPE s summary\ns{quantile=\"0.5\"} 1\ns{quantile=\"0.9\"} 2\ns_sum 1\ns_count 2\n",
    "le and quantile": "# HELP a x\n# TYPE a gauge\na{le=\"1\",quantile=\"1\"} 1\n# HELP b x\nb{le=\"1\"} 1\n",
    "bad le": "# TYPE h histogram\nh_bucket{le=\"x\"} 1\n", "bad quantile": "# TYPE s summary\ns{quantile=\"x\"} 1\n",
    "types in names": "".join(f"# HELP {n} x\n{n} 1\n" for n in ("a_gauge", "a_gauge_histogram_b", "a_Counter", "summary", "a_untyped")),
    "units": "".join(f"# HELP {n} x\n{n} 1\n" for n in
                     ("a_milliseconds", "seconds", "a_bits_b", "kilometers", "thermometers", "a_kibibytes_total", "x_days",
                      "a_ms", "a_s_b", "b_KB", "a_minutes_total", "a_Celsius", "a_fahrenheit", "kelvins")),
    "camel case": "# HELP aB x\naB{cD=\"1\",e_F=\"\"} 1\naB{cD=\"2\"} 2\n", "colon": "# HELP a:b x\na:b 1\n",
    "twice": "# HELP a x\na 1\na 1\na{b=\"c\"} 1\na{b=\"c\"} 2\na{b=\"d\"} 2\n",
    "twice in another order": "# HELP a x\na{b=\"1\",c=\"1\"} 1\na{c=\"1\",b=\"1\"} 1\n",
    "second help": "# HELP a x\n# HELP a y\n", "second type": "# TYPE a gauge\n# TYPE a gauge\n",
    "late type": "a 1\n# TYPE a gauge\n", "unknown type": "# TYPE a foo\n", "type in capitals": "# HELP a x\n# TYPE a GAUGE\na 1\n",
    "comments": "#\n# \n#x\n# foo bar\n# HELP\n# HELP \n# HELP a\n# TYPE a\n# TYPE a \n  \n\t# HELP b x\nb 1\n",
    "bad name in a comment": "# HELP 1a x\n", "bad name": "1a 1\n", "value missing": "a\n", "bad value": "a x\n",
    "value in hexadecimal": "a 0x1p-2\n", "value with an underscore": "a 1_0\n", "infinite": "# HELP a x\na +Inf\n",
    "timestamp": "# HELP a x\na 1 123\na{b=\"c\"} 1 -5\n", "bad timestamp": "a 1 1.5\n", "blank at the end": "a 1 \n",
    "words behind the timestamp": "a 1 2 x\n", "blank behind the timestamp": "a 1 2 \n",
    "label value not quoted": "a{b=c} 1\n", "no equals sign": "a{b} 1\n", "no label name": "a{=\"c\"} 1\n",
    "comma at the end": "# HELP a x\na{b=\"c\",} 1\n", "two commas": "a{b=\"c\",,} 1\n", "label twice": "a{b=\"1\",b=\"2\"} 1\n",
    "__name__ as a label": "a{__name__=\"b\"} 1\n", "bad escape": "a{b=\"\\x\"} 1\n", "escapes": "# HELP a \\\\ \\n\na{b=\"\\\\\\\"\\n\"} 1\n",
    "bad escape in help": "# HELP a \\x\na 1\n", "newline in a value": "a{b=\"c\nd\"} 1\n", "not UTF-8": b"a{b=\"\xff\"} 1\n",
    "garbage behind a label": "a{b=\"c\"x} 1\n", "quotes at odd places": "a{b=\"c\" \t, d=\"e\" } 1\n\"x\ny\" 1\n",
    "blanks": "# HELP a x\n  a  { b = \"c\" , d=\"e\" }\t1\t5\n", "name in quotes": "# HELP \"a.b\" x\n{\"a.b\",c=\"d\"} 1\n{\"a.b\"} 2\n",
    "carriage return": "a 1\r\n", "byte order mark": "\ufeffa 1\n",
}


@scenario
def test_check_metrics():
    for name, text in METRICS.items():
        data = text if isinstance(text, bytes) else text.encode()
        compare(f"metrics: {name}", ["check", "metrics"], stdin=data)
    for name in ("good", "histogram", "summary", "twice", "bad value"):
        compare(f"metrics: {name} --extended", ["check", "metrics", "--extended"], stdin=METRICS[name].encode())
    many = "".join(f"# HELP m{n} x\n# TYPE m{n} gauge\n" + "".join(f"m{n}{{l=\"{k}\"}} 1\n" for k in range(n)) for n in (1, 20, 300))
    compare("metrics: many --extended", ["check", "metrics", "--extended"], stdin=many.encode())


def mutated(random_, text):
    """The text with a few bytes taken out, put in or doubled."""
    data = bytearray(text)
    for _ in range(random_.randrange(4)):
        at = random_.randrange(len(data) + 1)
        what = random_.randrange(4)
        if what == 0:
            del data[at:at + random_.randrange(1, 5)]
        elif what == 1:
            data[at:at] = random_.choice([b"\"", b"\\", b"{", b"}", b",", b"=", b"\n", b" ", b"#", b"_count", b"a", b"1", b"\xc3"])
        elif what == 2:
            data[at:at + 1] = bytes([random_.randrange(256)])
        else:
            line = data.rfind(b"\n", 0, at) + 1
            data[at:at] = data[line:at]
    return bytes(data)


@scenario
def test_mutated_metrics():
    """Random changes to good and bad input; promtool itself panics on some, which says nothing."""
    mine, upstream = tools()
    seed = int(os.environ.get("FERULA_SEED", "1"))
    random_ = random.Random(seed)
    texts = [t if isinstance(t, bytes) else t.encode() for t in METRICS.values()]
    asked = 0
    while asked < 150:
        data = mutated(random_, random_.choice(texts) + random_.choice(texts))
        theirs = ask(upstream, ["check", "metrics"], "/", data)
        if "panic: " in theirs[2] or b"{" in re.findall(rb"^[ \t]*(.)", data, re.M):
            continue  # a line without a name in front takes over what the line before left
        asked += 1
        check_equal(shown(ask(mine, ["check", "metrics"], "/", data)), shown(theirs), f"seed {seed}: {data!r}")


# ---- PromQL

QUERIES = ("up", "sum(rate(x[5m]))by(job)", "a + on(b) group_left(c) d", "sum(", "x{a=\"b\",c!~\"d.*\"} / ignoring(e) y{a=\"1\"}",
           "histogram_quantile(0.9, sum by (le, job) (rate(http_request_duration_seconds_bucket{job=\"api\",code=~\"5..\"}[5m])))",
           "{__name__=\"x\",a=\"b\"}", "{\"x.y\",a=\"b\"}", "max_over_time(rate(x[5m])[1h:1m] offset 1d)", "1", "\"a\"",
           "x{job=\"b\"} @ end() offset -5m", "topk(5, x) unless y or z", "-x^2", "sort_by_label(x, \"a\")")


@scenario
def test_promql():
    for query in QUERIES:
        compare(f"format: {query}", ["--experimental", "promql", "format", query])
        for kind in ("=", "!~"):
            compare(f"set job{kind}v: {query}", ["promql", "--experimental", "label-matchers", "set", "-t", kind, query, "job", "v\"w"])
        for name in ("a", "job", "__name__"):
            compare(f"delete {name}: {query}", ["promql", "label-matchers", "delete", "--experimental", query, name])
    compare("format with a feature", ["--experimental", "--enable-feature=promql-experimental-functions", "promql", "format",
                                      "sort_by_label(x, \"a\")"])
    compare("format with an unknown feature", ["--experimental", "--enable-feature=foo", "promql", "format", "up"])


if __name__ == "__main__":
    main()
