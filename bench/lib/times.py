# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What `timed` of guest.sh recorded: fio's JSON, reduced to ratios."""

import json
import statistics

import bench


BASES = ("md-tuned", "user", "linear", "raw")
UNSURE = 0.3  # ratios that lie further apart say nothing


def one(raw, run):
    text = raw.of(run, "fio.json")
    # fio's notes come before; all jobs are one group.
    job = json.loads(text[text.index("{"):])["jobs"][0]
    sides = [job[k] for k in ("read", "write") if job[k]["total_ios"]]
    main = max(sides, key=lambda s: s["total_ios"])
    percentiles = main["clat_ns"].get("percentile", {})
    found = {"iops": sum(s["iops"] for s in sides), "mib_s": sum(s["bw_bytes"] for s in sides) / (1 << 20)}
    for name, key in (("p50", "50.000000"), ("p99", "99.000000"), ("p999", "99.900000")):
        found[name] = percentiles.get(key, 0) / 1000
    return found


def reduce(raw):
    rows = []
    for (workload, competitor), runs in bench.groups(raw.runs, "workload", "competitor").items():
        rounds = [one(raw, run) for run in runs]
        row = {"workload": workload, "competitor": competitor,
               "iops_rounds": [round(r["iops"], 1) for r in rounds]}
        for key in rounds[0]:
            row[key] = round(statistics.median(r[key] for r in rounds), 2)
        row["spread"] = round(bench.spread(r["iops"] for r in rounds), 3)
        rows.append(row)
    for row in rows:
        add_ratios(row, {r["competitor"]: r for r in rows if r["workload"] == row["workload"]})
    return {"rows": rows}


def add_ratios(row, at):
    """The median of the rounds' own ratios: what disturbs a round disturbs both."""
    for base in BASES:
        if base in at:
            rounds = [a / b for a, b in zip(row["iops_rounds"], at[base]["iops_rounds"])]
            row["to_" + base] = round(statistics.median(rounds), 3)
            row["spread_to_" + base] = round(bench.spread(rounds), 3)


def of(data, workload):
    return [r for r in data["rows"] if r["workload"] == workload]


def workloads(data):
    return list(dict.fromkeys(r["workload"] for r in data["rows"]))


def functional(data):
    """More virtual CPUs than the host has: a ratio shows that it works, and no more."""
    return data["machine"]["cpus"] > data["host_cpus"]


def table(data):
    lines = []
    for w in workloads(data):
        lines.append([w + (" (functional only)" if functional(data) else "")] + [""] * 8)
        for r in of(data, w):
            lines.append(["  " + r["competitor"], r.get("to_md-tuned"), r.get("to_user"), r.get("to_linear"),
                          r.get("to_raw"), r["p50"], r["p99"], r["p999"],
                          "%.0f %%" % (100 * r.get("spread_to_md-tuned", r["spread"]))])
    return bench.text_table(["IOPS as a ratio; latency", "/ md-tuned", "/ user", "/ linear", "/ raw", "p50 us",
                             "p99 us", "p99.9 us", "rounds within"], lines)


def plot(data, title):
    panels = [(w, [(r["competitor"], [r.get("to_md-tuned", r.get("to_linear"))]) for r in of(data, w)])
              for w in workloads(data)]
    unit = "as a ratio to tuned md" + (", functional only" if functional(data) else "")
    return bench.bars(title, unit, ["IOPS"], panels)


def verdict(row, base):
    apart = row["spread_to_" + base]
    if apart > UNSURE:
        return "no verdict (the rounds' ratios lie %.0f %% apart)" % (100 * apart)
    return "%.2f" % row["to_" + base]


def says(data):
    lines = []
    if functional(data):
        lines.append("More virtual CPUs than the host has: **functional only**.")
    for w in workloads(data):
        at = {r["competitor"]: r for r in of(data, w)}
        if "bpf" not in at or "md-tuned" not in at:
            continue
        lines.append("%s: ringraid's IOPS to tuned md's: %s; to its own engine's in user space: %s."
                     % (w, verdict(at["bpf"], "md-tuned"), verdict(at["bpf"], "user")))
    return lines
