#!/usr/bin/env python3
"""Runs programs as an old processor would: without AVX, an instruction that leaked into common code dies.

    tests/simd/old_cpu.py AVX2_ON_PURPOSE -- PROGRAM ARG... -- PROGRAM ARG...

Each program must end with 0 under qemu's Nehalem (SSE4.2, no AVX). The first one runs an AVX2
instruction and must be killed for it: otherwise the others' success would say nothing.
"""
import itertools
import shutil
import signal
import subprocess
import sys

QEMU = "qemu-x86_64"
ILLEGAL = (-signal.SIGILL, 128 + signal.SIGILL)
TIMEOUT_S = 300


def run(command):
    done = subprocess.run([QEMU, "-cpu", "Nehalem", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=TIMEOUT_S)
    return done.returncode, done.stdout


def main(args):
    (leak,), *programs = [list(g) for is_mark, g in itertools.groupby(args, lambda a: a == "--") if not is_mark]
    if not shutil.which(QEMU):
        print(f"skipped: no {QEMU} (package qemu-user)\n0 passed, 0 failed, {len(programs) + 1} skipped")
        return 0
    passed = failed = 0
    for command, wanted in [([leak], ILLEGAL), *((p, (0,)) for p in programs)]:
        code, text = run(command)
        if code in wanted:
            passed += 1
        else:
            failed += 1
            print(f"FAILED {' '.join(command)}: exit {code}, not {wanted[0]}\n{text[-2000:]}")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


sys.exit(main(sys.argv[1:]))
