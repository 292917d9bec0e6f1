#!/usr/bin/env python3
"""Checks the rules of the code style that a machine can check; prints file:line: rule."""
import os
import re
import subprocess
import sys

LINE_MAX, FUNCTION_MAX, HEADER_MAX = 100, 70, 150
# floor to roof: a folder includes only itself and what stands before it
FLOORS = ["engine/base", "simd", "io", "protocol", "engine/model", "engine/config", "engine/shard", "engine/http",
          "engine/tsdb", "engine/promql", "engine/template", "engine/remote", "engine/discovery", "engine/scrape",
          "engine/rules", "engine/notify", "engine/push", "engine/alert", "engine/server",
          "tools", "tests", "bench"]
BANNED = {  # word -> what to use
    "strcpy": "a slice", "strcat": "a slice", "sprintf": "snprintf", "strtok": "a slice", "gets": "io",
    "atoi": "parse_*", "atof": "parse_*", "alloca": "an arena", "setjmp": "err", "rand": "a seeded generator",
    "FIXME": "the tracker", "XXX": "the tracker", "TODO": "the tracker",
}
ONLY = {  # pattern -> folders that may have it
    r"#include <(immintrin|x86intrin|arm_neon)\.h>|\b__m(128|256|512)|\b_mm(256|512)?_": ("simd/",),
    r"#include <(liburing|sys/(socket|epoll|mman|eventfd)|netinet/\w+)\.h>": ("io/", "tests/", "tools/"),
    r"\b(malloc|calloc|realloc|free)\(": ("engine/base/", "io/", "tests/", "bench/", "tools/"),
    r"\b(clock_gettime|gettimeofday|getrandom|pthread_create)\(": ("io/", "tests/", "bench/"),
}
found = []


def say(path, line, rule):
    found.append(f"{path}:{line}: {rule}")


def floor(path):
    return max((f for f in FLOORS if path.startswith(f + "/")), key=len, default=None)


def bare(line):  # without strings and comments
    return re.sub(r"//.*", "", re.sub(r'"(\\.|[^"\\])*"', '""', line))


def check_lines(path, lines):
    for at, line in enumerate(lines, 1):
        if len(line) > LINE_MAX:
            say(path, at, f"longer than {LINE_MAX} columns")
        if line != line.rstrip() or "\t" in line:
            say(path, at, "tab or trailing space")
        if line.startswith("#if 0"):
            say(path, at, "dead code: git keeps it")
        for word in re.findall(r"\w+", bare(line) + (line if "//" in line else "")):
            if word in BANNED and (word.isupper() or f"{word}(" in bare(line)):
                say(path, at, f"{word}: use {BANNED[word]}")
        for pattern, folders in ONLY.items():
            if re.search(pattern, bare(line)) and not path.startswith(folders):
                say(path, at, f"only in {', '.join(folders)}: {line.strip()}")


def check_functions(path, lines):
    start = None
    for at, line in enumerate(lines, 1):
        if line == "{":
            start = at
        if line == "}" and start:
            if at - start - 1 > FUNCTION_MAX:
                say(path, start, f"function of {at - start - 1} lines; {FUNCTION_MAX} at most")
            start = None


def check_header(path, lines):
    guard = re.sub(r"\W", "_", path).upper()
    if not lines or not lines[0].startswith("// "):
        say(path, 1, "a header opens with what it is for")
    if f"#ifndef {guard}" not in lines:
        say(path, 1, f"guard is {guard}")
    if len(lines) > HEADER_MAX:
        say(path, 1, f"header of {len(lines)} lines; {HEADER_MAX} at most")


def check_includes(path, lines):
    names = [(at, m[1]) for at, l in enumerate(lines, 1) if (m := re.match(r'#include "([^"]+)"', l))]
    own = path[:-1] + "h"
    if path.endswith(".c") and os.path.exists(own) and (not names or names[0][1] != own):
        say(path, 1, f'includes "{own}" first')
    for at, name in names:
        here, there = floor(path), floor(name)
        if there is None:
            say(path, at, f'"{name}": written from the repository root')
        elif here and FLOORS.index(there) > FLOORS.index(here):
            say(path, at, f"{here} may not use {there}")


def main(root):
    os.chdir(root)
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True)
    paths = [p for p in listed.stdout.split("\n") if p.endswith((".c", ".h")) and not p.startswith("subprojects/")]
    built = "".join(open(p).read() for p in listed.stdout.split("\n") if p.endswith("meson.build"))
    for path in paths:
        lines = open(path).read().split("\n")[:-1]
        check_lines(path, lines)
        check_functions(path, lines)
        check_includes(path, lines)
        if path.endswith(".h"):
            check_header(path, lines)
        elif not any(part in built for part in (os.path.basename(path), os.path.basename(path)[:-2].split("_")[-1])):
            say(path, 1, "no meson.build names it")
    print("\n".join(found))
    print(f"{len(paths)} files, {len(found)} broken rules")
    return bool(found)


sys.exit(main(sys.argv[1]))
