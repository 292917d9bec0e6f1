#!/usr/bin/env python3
"""Scripts in the test language that must fail: what cannot be read, and what is not as it says.

    tests/promql/test_refusals.py PROGRAM

PROGRAM is run as `PROGRAM test promql FILE`. Each case is a script over `a 1 2 3`, the line of its
failure, and a text that must stand in what is said. An `expect` line that is taken for less than it
says would make all other scripts worth less.
"""
import os
import subprocess
import sys
import tempfile

LOAD = "load 1m\n  a 1 2 3\n  b{x=\"1\"} 4\n\n"  # the script's own lines begin with the fifth
FORM = "line 6: invalid expect statement, must match `expect <type> <match_type> <string>` format"
TWICE = "invalid expect lines, multiple expect %s lines are not allowed"
BOTH = "invalid expect lines, %s and no_%s cannot be used together"
CASES = [
    # Lines that contradict each other, or that say nothing.
    ("eval range from 0 to 2m step 1m a\n expect ordered\n a 1 2 3", 5, "expected ordered result, but query returned a matrix"),
    *[(f"eval instant at 0 a\n expect {kind}\n expect {kind}\n a 1", 5, TWICE % kind)
      for kind in ("fail", "ordered", "no_warn", "no_info")],
    *[(f"eval instant at 0 a\n expect {kind}\n expect no_{kind}\n a 1", 5, BOTH % (kind, kind)) for kind in ("warn", "info")],
    *[(f"eval instant at 0 a\n {line}\n a 1", 5, FORM)
      for line in ("expect nothing", "expect warn text without a kind", "expect fail msg:", "expect fail regex:", "expect fail msgs: x",
                   "expect range vector from 0 to", "expect string not quoted")],
    ("eval instant at 0 a\n expect fail regex: (", 5, "line 6: invalid regex (: error parsing regexp: missing closing ): `(`"),
    ("eval instant at 0 a\n expect warn regex: a**\n a 1", 5, "invalid regex a**: error parsing regexp: invalid nested repetition operator: `**`"),
    ("eval instant at 0 a\n a 1 2", 5, "line 6: expecting multiple values in instant evaluation not allowed"),
    ("eval instant at 0 a\n a 1\n a{ 1", 5, "line 7: "),
    ("eval instant at 0 a\n a one", 5, "line 6: "),
    # Commands.
    ("eval_foo instant at 0 a", 5, "unknown command: eval_foo"),
    ("evaluate instant at 0 a", 5, "unknown command: evaluate"),
    ("eval sometimes at 0 a", 5, "cannot read this eval command"),
    ("eval instant at never a", 5, "cannot read this eval command"),
    ("eval range from 1m to 0 step 1m a", 5, "cannot read this eval command"),
    ("eval range from 0 to 1m step 0 a", 5, "cannot read this eval command"),
    ("load\n  c 1", 5, "not a duration: "),
    ("load x\n  c 1", 5, "not a duration: x"),
    ("load 1m\n  c{ 1", 6, ""),
    ("load 1m\n  c 1+", 6, ""),
    # Answers that are others.
    ("eval instant at 0 a\n a 2", 5, "want 2, got 1"),
    ("eval instant at 0 a\n a 1\n c 1", 5, 'c"} is missing'),
    ("eval instant at 0 a", 5, 'unexpected {__name__="a"} = 1'),
    ("eval instant at 1h a\n a 3", 5, 'a"} is missing'),
    ("eval range from 0 to 2m step 1m a\n a 1 2", 5, "unexpected 3 at 120000 ms"),
    ("eval range from 0 to 2m step 1m b\n b{x=\"1\"} 4 4 4 4", 5, "want 4 at 180000 ms, got nothing from there on"),
    ("eval range from 0 to 2m step 1m a\n a _ 2 3", 5, "want 2 at 60000 ms, got 1 at 0 ms"),
    ("eval instant at 1m a[2m]\n expect range vector from 0 to 1m step 1m\n a 1 3", 5, "want 3, got 2"),
    ("eval instant at 1m a[2m]\n expect range vector from 1m to 2m step 1m\n a 1 2", 5, "want 1 at 60000 ms, got 1 at 0 ms"),
    ("eval instant at 0 sort({__name__=~\"a|b\"})\n expect ordered\n b{x=\"1\"} 4\n a 1", 5, "stands at place 1, want it at 2"),
    ("eval instant at 0 3\n 4", 5, "want the scalar 4, got 3"),
    ("eval instant at 0 3\n {} 3", 5, "want a vector, got the scalar 3"),
    ("eval instant at 0 a\n 1", 5, "want the scalar 1, got a vector"),
    ("eval instant at 0 \"x\"\n expect string \"y\"", 5, 'want the string "y", got the string x'),
    ("eval instant at 0 a\n expect string \"y\"", 5, 'want the string "y", got a vector'),
    ("eval instant at 0 \"x\"\n {} 3", 5, "got the string x"),
    # Errors and notes that are others.
    ("eval instant at 0 a\n expect fail", 5, "want an error, got an answer"),
    ("eval_fail instant at 0 a", 5, "want an error, got an answer"),
    ("eval instant at 0 a(\n expect fail msg: foo", 5, "want an error like: foo; got: "),
    ("eval instant at 0 a(\n expect fail regex: ^foo", 5, "want an error like: ^foo; got: "),
    ("eval instant at 0 a(\n a 1", 5, "parse error: "),
    ("eval instant at 0 a\n expect warn\n a 1", 5, "no warning like: "),
    ("eval_info instant at 0 a\n a 1", 5, "no info like: "),
    ("eval instant at 1m rate(a[2m])\n expect no_info\n {} 0.016666666666", 5, "unexpected annotation: PromQL info: metric might not be a counter"),
    ("eval instant at 1m rate(a[2m])\n expect info msg: foo\n {} 0.016666666666", 5, "unexpected annotation: "),
    ("eval instant at 1m quantile(2, a)\n expect no_warn\n {} Inf", 5, "unexpected annotation: PromQL warning: quantile value should be"),
    ("eval instant at 1m quantile(2, a)\n expect warn regex: ^foo\n {} Inf", 5, "unexpected annotation: "),
]


def problem(program, script, line, text):
    with tempfile.NamedTemporaryFile("w", suffix=".test") as f:
        f.write(LOAD + script + "\n\neval instant at 0 b\n  b{x=\"1\"} 4\n")  # what follows is read again
        f.flush()
        done = subprocess.run([program, "test", "promql", f.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        said = done.stdout.strip().split("\n")
        if len(said) == 2 and said[0].startswith(f"{f.name}:{line}: ") and text in said[0] and \
           said[1] == "1 passed, 1 failed" and done.returncode == 1:
            return None
        return f"wanted {line}: {text!r}, exit {done.returncode}:\n" + done.stdout


def main(program):
    problems = [(script, problem(program, script, line, text)) for script, line, text in CASES]
    failed = [(script, what) for script, what in problems if what]
    for script, what in failed:
        print(f"FAILED {script!r}: {what}")
    print(f"{len(CASES) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
