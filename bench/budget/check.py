# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""check.py RAW BUDGET: what a request costs, against what it may cost.

Prints the table as it is now, in the form of the budget file, and one line for
each count that has grown by more than 5 %; those fail the check. Nanoseconds are
of one machine, so they are printed and not compared.
"""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import bench  # noqa: E402
import counters  # noqa: E402
import windows  # noqa: E402

COLUMNS = ["instructions", "member_ios", "member_bytes", "syscalls", "switches"]
# Once a second the daemon looks around; a count far below one means nothing.
SLACK = {"syscalls": 0.05, "switches": 0.05, "instructions": 0, "member_ios": 0.01, "member_bytes": 64}
GROWTH = 1.05


def measure(raw):
    found = {}
    counts = list(windows.read_windows(raw.path("windows")))
    for run in raw.runs:
        kind = found.setdefault(run["workload"], {})
        if "window" in run:
            kind["instructions"] = sum(n for _, n, _ in counts[run["window"]]) / run["requests"]
            continue
        c = counters.per_request(raw, run)
        kind.update(member_ios=c["member_reads"] + c["member_writes"], member_bytes=c["member_bytes"],
                    syscalls=c["daemon_syscalls"], switches=c["daemon_switches"])
    return found


def budget_of(path):
    rows = (line.split() for line in bench.read(path).splitlines() if not line.startswith("#"))
    return {r[0]: dict(zip(COLUMNS, map(float, r[1:]))) for r in rows if r}


ENGINE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "benchmarks", "engine.json")


def nanoseconds():
    """Comments for the budget file: what the engine figure said last, in BPF."""
    text = bench.read(ENGINE)
    if not text:
        return []
    lines = ["#", "# ns of the engine in BPF, five members, from docs/benchmarks/engine.json; not compared:",
             "# kind            with XOR  XOR apart"]
    lines += ["# %-15s %9s %10s" % (r["kind"], bench.number(r["ns"]["bpf"]), bench.number(r["ns"]["bpf_no_xor"]))
              for r in json.loads(text)["requests"]]
    return lines


def show(x):
    return "%.0f" % x if x >= 1000 else "%.2f" % x


def main():
    raw, path = sys.argv[1:3]
    budget, found, bad = budget_of(path), measure(bench.Raw(raw)), 0
    print("# kind              " + " ".join(c.rjust(13) for c in COLUMNS))
    for kind, row in found.items():
        print(kind.ljust(20) + " ".join(show(row[c]).rjust(13) for c in COLUMNS))
    for line in nanoseconds():
        print(line)
    for kind in set(budget) ^ set(found):
        print("FAIL: %s is %s" % (kind, "not measured" if kind in budget else "not in the budget"))
        bad = 1
    for kind in budget.keys() & found.keys():
        for c in COLUMNS:
            limit = budget[kind][c] * GROWTH + SLACK[c]
            if found[kind][c] > limit:
                print("FAIL: %s: %s is %.2f, the budget has %.2f" % (kind, c, found[kind][c], budget[kind][c]))
                bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
