# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What `timed` of guest.sh recorded: fio's JSON, reduced to ratios."""

import json
import statistics

import bench


def one(raw, run):
    job = json.loads(raw.of(run, "fio.json"))["jobs"][0]
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
        at = {r["competitor"]: r for r in rows if r["workload"] == row["workload"]}
        for base in ("md-tuned", "user", "linear", "raw"):
            if base in at:
                row["to_" + base] = round(row["iops"] / at[base]["iops"], 3)
    return {"rows": rows}


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
                          r.get("to_raw"), r["p50"], r["p99"], r["p999"], "%.0f %%" % (100 * r["spread"])])
    return bench.text_table(["IOPS as a ratio; latency", "/ md-tuned", "/ user", "/ linear", "/ raw", "p50 us",
                             "p99 us", "p99.9 us", "rounds within"], lines)


def plot(data, title):
    panels = [(w, [(r["competitor"], [r.get("to_md-tuned", r.get("to_linear"))]) for r in of(data, w)])
              for w in workloads(data)]
    return bench.bars(title, "as a ratio to tuned md", ["IOPS"], panels)


def says(data):
    lines = []
    if functional(data):
        lines.append("More virtual CPUs than the host has: **functional only**.")
    for w in workloads(data):
        at = {r["competitor"]: r for r in of(data, w)}
        if "bpf" in at and "md-tuned" in at:
            lines.append("%s: ringraid does %.2f of tuned md's IOPS, %.2f of its own engine's in user space."
                         % (w, at["bpf"]["to_md-tuned"], at["bpf"]["to_user"]))
    return lines
