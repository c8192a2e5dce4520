# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What each promise about crashes costs a write: instructions, member I/Os, bytes, latency."""

import bench
import counters
import windows

SHOWN = [("instructions", "instructions"), ("reads", "reads"), ("writes", "writes"), ("written_kib", "KiB written"),
         ("late_reads", "late: reads"), ("late_writes", "writes"), ("mean_us", "mean us"), ("p50_us", "p50 us"),
         ("p99_us", "p99 us")]
WORKLOADS = ("randwrite-4k", "write-64k", "write-stripe")


def reduce(raw):
    found = list(windows.read_windows(raw.path("windows")))
    rows = []
    for (workload, depth, competitor), runs in bench.groups(raw.runs, "workload", "depth", "competitor").items():
        row = {"workload": workload, "depth": depth, "competitor": competitor, "bytes": runs[0]["bytes"]}
        for run in runs:
            row.update(late(raw, run) if run["late"] else prompt(raw, run, found[run["window"]]))
        rows.append(row)
    return {"rows": rows, "members": len(raw.machine["members"]) // 2}


def member_io(raw, run):
    n = int(raw.of(run, "requests"))
    disks = {m.rsplit("/", 1)[-1] for m in raw.machine["members"]}
    before, after = (counters.disk_fields(raw.of(run, "diskstats." + w), disks) for w in ("before", "after"))
    return [(b - a) / n for a, b in zip(before, after)]


def prompt(raw, run, window):
    n = run["requests"]
    reads, read, writes, written, _ = member_io(raw, run)
    return {"instructions": round(sum(count for _, count, _ in window) / n, 1),
            "string_bytes": round(sum(moved for _, _, moved in window) / n, 1),
            "reads": round(reads, 3), "writes": round(writes, 3),
            "read_kib": round(read / 1024, 2), "written_kib": round(written / 1024, 2)}


def late(raw, run):
    reads, _, writes, _, _ = member_io(raw, run)
    times = sorted(int(line) / 1000 for line in raw.of(run, "times").split())
    return {"late_reads": round(reads, 3), "late_writes": round(writes, 3),
            "mean_us": round(bench.mean(times), 1), "p50_us": round(times[len(times) // 2], 1),
            "p99_us": round(times[len(times) * 99 // 100], 1)}


def of(data, workload, depth):
    return [r for r in data["rows"] if (r["workload"], r["depth"]) == (workload, depth)]


def places(data):
    found = {(r["workload"], r["depth"]) for r in data["rows"]}
    return sorted(found, key=lambda p: (WORKLOADS.index(p[0]), p[1]))


def table(data):
    lines = []
    for workload, depth in places(data):
        lines.append(["%s, depth %d" % (workload, depth)] + [""] * len(SHOWN))
        for r in of(data, workload, depth):
            lines.append(["  " + r["competitor"]] + [r.get(key) for key, _ in SHOWN])
    return bench.text_table(["per write"] + [name for _, name in SHOWN], lines)


def plot(data):
    panels = [("%s, depth %d" % p, [(r["competitor"], [r["reads"], r["writes"]]) for r in of(data, *p)])
              for p in places(data)]
    return bench.bars("Member I/Os a write", "members that take no time", ["reads", "writes"], panels)


def instructions(data, workload, depth, competitor):
    return next((r["instructions"] for r in of(data, workload, depth) if r["competitor"] == competitor), None)


def says(data):
    lines = []
    for workload, depth in places(data):
        at = {r["competitor"]: r for r in of(data, workload, depth)}
        if "bpf-ppl" not in at or depth not in (1, 32):
            continue
        r = at["bpf-ppl"]
        lines.append("%s, depth %d: with its log ringraid takes %.2f of its instructions without, %.2f of md's with "
                     "a log; %.2f member I/Os (%.2f where members take their time), md %.2f." % (
                         workload, depth, r["instructions"] / at["bpf-resync"]["instructions"],
                         r["instructions"] / at["md-ppl"]["instructions"], r["reads"] + r["writes"],
                         r["late_reads"] + r["late_writes"], at["md-ppl"]["reads"] + at["md-ppl"]["writes"]))
    if not lines:
        lines.append("ringraid's own log is not in it: the one measured writes none.")
    return lines
