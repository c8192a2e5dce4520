#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A strict reader of Prometheus' text format 0.0.4: prometheus.py <FILE.

Stricter than a server, as node_exporter and `promtool check metrics` are: a metric has
HELP, then TYPE, then all its samples, once; no two samples are the same; a counter ends
in _total and does not fall below 0. Prints NAME{LABELS} VALUE of each sample, sorted.
"""
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")
NUMBER = re.compile(r"[+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf|NaN)")


def fail(number, why, line):
    sys.exit(f"line {number}: {why}: {line}")


def main():
    text = sys.stdin.buffer.read().decode("utf-8")
    if text and not text.endswith("\n"):
        sys.exit("the last line has no end")
    done, seen, now, kind, helped, sampled = set(), {}, None, None, None, False
    for number, line in enumerate(text.split("\n")[:-1], 1):
        if match := re.fullmatch(rf"# HELP ({NAME}) (\S.*)", line):
            if match[1] in done or helped == match[1]:
                fail(number, "a second HELP", line)
            if helped is not None and not sampled:
                fail(number, "the one before has no samples", line)
            sampled = False
            helped = match[1]
            if now:
                done.add(now)
        elif match := re.fullmatch(rf"# TYPE ({NAME}) (counter|gauge|histogram|summary|untyped)", line):
            if match[1] != helped or match[1] in done:
                fail(number, "no HELP before", line)
            now, kind = match[1], match[2]
            if (kind == "counter") != now.endswith("_total"):
                fail(number, "a counter ends in _total, and nothing else does", line)
        elif match := SAMPLE.fullmatch(line):
            name, labels, value = match[1], match[2] or "", match[3]
            if name != now:
                fail(number, "a sample of another metric", line)
            if not NUMBER.fullmatch(value) or (kind == "counter" and float(value) < 0):
                fail(number, "no value", line)
            names = [part.split("=")[0] for part in re.findall(LABEL, labels)]
            if len(set(names)) != len(names):
                fail(number, "a label twice", line)
            key = f"{name}{{{','.join(sorted(re.findall(LABEL, labels)))}}}"
            if key in seen:
                fail(number, "a sample twice", line)
            seen[key], sampled = value, True
        else:
            fail(number, "neither HELP, TYPE nor a sample", line)
    if helped is not None and not sampled:
        sys.exit(f"{helped} has no samples")
    for key, value in sorted(seen.items()):
        print(key, value)


main()
