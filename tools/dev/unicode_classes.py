#!/usr/bin/env python3
"""Prints the table of engine/base/regex_unicode.c from Unicode's files: unicode_classes.py FOLDER

FOLDER holds Scripts.txt and extracted/DerivedGeneralCategory.txt, as Debian's package unicode-data has
them in /usr/share/unicode.
"""
import collections
import os
import re
import sys

LINE = re.compile(r"([0-9A-F]+)(?:\.\.([0-9A-F]+))?\s*;\s*(\w+)")
WIDTH = 92
# What the RE2 of Debian 12 has not: scripts of Unicode 15 and later, what is not assigned.
NEWER = ("Beria_Erfe Garay Gurung_Khema Kawi Kirat_Rai Nag_Mundari Ol_Onal Sidetic Sunuwar Tai_Yo Todhri Tolong_Siki "
         "Tulu_Tigalari Cn").split()


def read(path, classes):
    for line in open(path, encoding="utf-8"):
        found = LINE.match(line)
        if found:
            low, high = int(found[1], 16), int(found[2] or found[1], 16)
            classes[found[3]].append((low, high))


def runs(ranges):
    """Gaps and lengths in hexadecimal, a length of one left out."""
    joined = []
    for low, high in sorted(ranges):
        if joined and joined[-1][1] == low - 1:
            joined[-1][1] = high
        else:
            joined.append([low, high])
    out, end = [], 0
    for low, high in joined:
        out.append(f"{low - end:x}" + (f":{high - low + 1:x}" if high > low else ""))
        end = high + 1
    return " ".join(out)


def main(folder):
    classes = collections.defaultdict(list)
    read(os.path.join(folder, "extracted", "DerivedGeneralCategory.txt"), classes)
    read(os.path.join(folder, "Scripts.txt"), classes)
    for name in sorted(classes):
        if name == "Unknown":
            continue
        text, lines = runs(classes[name]), []
        while text:
            cut = len(text) if len(text) <= WIDTH else text.rindex(" ", 0, WIDTH) + 1
            lines.append(f'"{text[:cut]}"')
            text = text[cut:]
        start = f"    {{STR(\"{name}\"), {'true' if name in NEWER else 'false'},"
        print(start + (" " if len(start + lines[0]) < WIDTH + 5 else "\n     ") + "\n     ".join(lines) + "},")


main(*sys.argv[1:])
