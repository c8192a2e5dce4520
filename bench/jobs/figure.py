# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Rates of the array's work on itself, and of clients beside it."""

import json
import statistics

import bench

ALONE = ("resync", "check", "rebuild")
ZEROES = "zeroes"
BUSY = ("check-busy", "rebuild-busy")


def rate(raw, run):
    kib, microseconds = map(int, raw.of(run, "done").split())
    return kib / 1024 / (microseconds / 1e6)


def reduce(raw):
    rows = []
    for (workload, competitor), runs in bench.groups(raw.runs, "workload", "competitor").items():
        rates = [rate(raw, run) for run in runs]
        row = {"workload": workload, "competitor": competitor, "mib_per_s": round(bench.mean(rates), 2),
               "rounds": [round(r, 2) for r in rates], "spread": round(bench.spread(rates), 3)}
        if workload in BUSY:
            iops = [json.loads(raw.of(run, "fio.json"))["jobs"][0]["write"]["iops"] for run in runs]
            row["iops"] = round(bench.mean(iops), 1)
            row["iops_rounds"] = [round(i, 1) for i in iops]
            row["iops_spread"] = round(bench.spread(iops), 3)
        rows.append(row)
    return {"rows": rows}


def row(data, workload, competitor):
    return next((r for r in data["rows"] if (r["workload"], r["competitor"]) == (workload, competitor)), None)


def competitors(data):
    return [c for c in bench.COMPETITORS if any(r["competitor"] == c for r in data["rows"])]


def ratios_by_round(data, workload, other, key="mib_per_s"):
    """Of what was measured a minute or two apart; whatever else the host does changes from round to round."""
    rounds = {"mib_per_s": "rounds", "iops": "iops_rounds"}[key]
    ours, theirs = row(data, workload, "bpf"), row(data, workload, other)
    return [o / t for o, t in zip(ours[rounds], theirs[rounds]) if t]


def ratio(data, workload, other, key="mib_per_s"):
    return statistics.median(ratios_by_round(data, workload, other, key))


def ratios(data, workload, key="mib_per_s"):
    return [ratio(data, workload, other, key) for other in ("md", "md-tuned")]


def table(data):
    who = competitors(data)
    lines = []
    for workload in ALONE + BUSY:
        for key, unit in (("mib_per_s", "MiB/s"),) + ((("iops", "clients' IOPS"),) if workload in BUSY else ()):
            cells = [(row(data, workload, c) or {}).get(key) for c in who]
            lines.append(["%s, %s" % (workload, unit)] + cells + ratios(data, workload, key))
    zeroes = row(data, ZEROES, "raw")
    lines.append([ZEROES + ", MiB/s"] + [zeroes["mib_per_s"] if c == "raw" else None for c in who] + [None, None])
    return bench.text_table(["emulated"] + who + ["bpf to md", "to md-tuned"], lines)


def plot(data):
    panels = []
    for workload in ALONE + BUSY:
        key = "iops" if workload in BUSY else "mib_per_s"
        panels.append((workload + (", IOPS" if workload in BUSY else ", MiB/s"),
                       [(c, [row(data, workload, c)[key]]) for c in competitors(data) if row(data, workload, c)]))
    return bench.bars("Rebuild, resync, check", "emulated", ["ringraid is bpf"], panels)


def in_rounds(data, workload, key="mib_per_s"):
    parts = []
    for other, name in (("md", "md"), ("md-tuned", "tuned md")):
        values = ratios_by_round(data, workload, other, key)
        parts.append("%.2f times %s (rounds: %s)" % (statistics.median(values), name, ", ".join("%.2f" % v for v in values)))
    return " and ".join(parts)


def says(data):
    lines = ["A ratio is the median of the rounds', each of which has all competitors within minutes: the host did "
             "other things as well, and the rates themselves are up to %.0f times apart."
             % max(max(r["rounds"]) / min(r["rounds"]) for r in data["rows"] if r["workload"] in ALONE)]
    for workload in ALONE:
        lines.append("%s: %s." % (workload, in_rounds(data, workload)))
    for workload in BUSY:
        lines.append("%s: the job has %s. Its clients' IOPS are %s."
                     % (workload, in_rounds(data, workload), in_rounds(data, workload, "iops")))
    zeroing = row(data, ZEROES, "raw")["rounds"]
    for workload in ALONE:
        values = [z / r for z, r in zip(zeroing, row(data, workload, "bpf")["rounds"])]
        lines.append("A disk zeroes itself at %.2f times the rate of ringraid's %s (rounds: %s)."
                     % (statistics.median(values), workload, ", ".join("%.2f" % v for v in values)))
    return lines
