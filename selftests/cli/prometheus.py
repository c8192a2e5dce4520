#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A strict reader of Prometheus' text format 0.0.4: prometheus.py <FILE.

Stricter than a server, as node_exporter and `promtool check metrics` are: a metric has
HELP, then TYPE, then all its samples, once; no two samples are the same; a counter ends
in _total and does not fall below 0; a histogram has for each of its label sets buckets
that grow with `le` up to +Inf, which is its count, and a sum. Prints NAME{LABELS} VALUE of each sample, sorted.
"""
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")
NUMBER = re.compile(r"[+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf|NaN)")


def fail(number, why, line):
    sys.exit(f"line {number}: {why}: {line}")


def check_histogram(name, samples):
    """@samples: {(part, labels without le): [(le, value)]}, in the order of the text."""
    for (part, labels), of_part in samples.items():
        if part != "_bucket":
            if ("_bucket", labels) not in samples:
                sys.exit(f"{name}{part}{{{labels}}} has no buckets")
            continue
        bounds = [float(le.replace("Inf", "inf")) for le, _ in of_part]
        counts = [value for _, value in of_part]
        if bounds != sorted(set(bounds)) or bounds[-1] != float("inf"):
            sys.exit(f"{name}{{{labels}}}: bounds do not grow to +Inf")
        if counts != sorted(counts):
            sys.exit(f"{name}{{{labels}}}: counts fall")
        whole = samples.get(("_count", labels))
        if not whole or whole[0][1] != counts[-1] or ("_sum", labels) not in samples:
            sys.exit(f"{name}{{{labels}}}: no sum, or not the count of +Inf")


def main():
    text = sys.stdin.buffer.read().decode("utf-8")
    if text and not text.endswith("\n"):
        sys.exit("the last line has no end")
    done, seen, now, kind, helped, sampled = set(), {}, None, None, None, False
    histograms = {}
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
            part = name.removeprefix(now or "") if kind == "histogram" else ""
            if now is None or name != now + part:
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
            if kind == "histogram":
                if part not in ("_bucket", "_sum", "_count") or ("le" in names) != (part == "_bucket"):
                    fail(number, "no part of a histogram", line)
                of = dict(one.split("=", 1) for one in re.findall(LABEL, labels))
                le = of.pop("le", '""').strip('"')
                histograms.setdefault(now, {}).setdefault((part, str(sorted(of.items()))), []).append(
                    (le, float(value)))
        else:
            fail(number, "neither HELP, TYPE nor a sample", line)
    if helped is not None and not sampled:
        sys.exit(f"{helped} has no samples")
    for name, samples in histograms.items():
        check_histogram(name, samples)
    for key, value in sorted(seen.items()):
        print(key, value)


main()
