# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Guest instructions per request, by part and by function."""

import re

import bench
import windows

TOP = 30
PROFILED = ("randread-4k", "randwrite-4k", "write-stripe")


def reduce(raw):
    symbols = windows.Symbols(bench.read(raw.path("kallsyms")), bench.read(raw.path("daemon")))
    found = list(windows.read_windows(raw.path("windows")))
    rows = []
    for (workload, competitor), runs in bench.groups(raw.runs, "workload", "competitor").items():
        n = runs[0]["requests"]
        rounds = []
        for run in runs:
            rounds.append(windows.by_function(found[run["window"]], symbols.with_run(raw.of(run, "symbols"))))
        functions = {}
        for one in rounds:
            for name, (instructions, moved) in one.items():
                entry = functions.setdefault(name, [0, 0])
                entry[0] += instructions / n / len(rounds)
                entry[1] += moved / n / len(rounds)
        parts = dict.fromkeys(windows.NAMES, 0)
        for name, (instructions, _) in functions.items():
            parts[windows.part_of(name, competitor)] += instructions
        paths = dict.fromkeys((name for name, _ in windows.PATHS), 0)
        for name, (instructions, _) in functions.items():
            if windows.path_of(name):
                paths[windows.path_of(name)] += instructions
        totals = [sum(e[0] for e in one.values()) / n for one in rounds]
        top = sorted(functions.items(), key=lambda e: -e[1][0])[:TOP]
        rows.append({
            "workload": workload, "competitor": competitor,
            "bytes": runs[0]["bytes"], "depth": runs[0]["depth"], "requests": n,
            "instructions": round(bench.mean(totals), 1), "rounds": [round(t, 1) for t in totals],
            "spread": round(bench.spread(totals), 5),
            "string_bytes": round(sum(e[1] for e in functions.values()), 1),
            "parts": {k: round(v, 1) for k, v in parts.items()},
            "paths": {k: round(v, 1) for k, v in paths.items() if v},
            "functions": [[name, round(e[0], 1), round(e[1], 1)] for name, e in top],
        })
    return {"rows": rows}


def of(data, workload):
    return [r for r in data["rows"] if r["workload"] == workload]


def workloads(data):
    return list(dict.fromkeys(r["workload"] for r in data["rows"]))


def table(data):
    lines = []
    for w in workloads(data):
        rows = of(data, w)
        raw = next((r["instructions"] for r in rows if r["competitor"] == "raw"), None)
        md = next((r["instructions"] for r in rows if r["competitor"] == "md-tuned"), None)
        lines.append([w] + [""] * 5)
        for r in rows:
            lines.append(["  " + r["competitor"], r["instructions"], r["string_bytes"],
                          r["instructions"] - raw if raw else None,
                          r["instructions"] / md if md else None, "%.2f %%" % (100 * r["spread"])])
    return bench.text_table(["per request", "instructions", "string bytes", "above raw", "/ md-tuned",
                             "repeats within"], lines)


def details(data):
    """Where they go: parts by competitor, then the first functions of some."""
    text = ""
    for w in workloads(data):
        rows = of(data, w)
        lines = [[p] + [r["parts"][p] for r in rows] for p in windows.NAMES]
        text += bench.text_table([w] + [r["competitor"] for r in rows], lines) + "\n"
    text += engine_paths(data)
    for w in PROFILED:
        rows = [r for r in of(data, w) if r["competitor"] in ("bpf", "user", "md-tuned")]
        text += "%s: the functions that take most\n" % w
        text += "".join("        %-38s" % r["competitor"] for r in rows).rstrip() + "\n"
        for i in range(16):
            cells = [r["functions"][i] for r in rows if i < len(r["functions"])]
            text += "".join("%6s  %-38s" % (bench.number(n), short(name)) for name, n, _ in cells).rstrip() + "\n"
        text += "\n"
    return text


def engine_paths(data):
    """What the BPF program does on the way in and on the way out."""
    rows = [r for r in data["rows"] if r["competitor"] == "bpf" and r.get("paths")]
    names = [name for name, _ in windows.PATHS]
    if not rows:
        return ""
    text = ("The BPF program by path: from a request to its SQEs (submission), from completions to\n"
            "the answer (completion), row locks, XOR, and the turn that reads CQEs and writes SQEs.\n")
    return text + bench.text_table(["engine in BPF"] + names,
                                   [[r["workload"]] + [r["paths"].get(n, 0) for n in names] for r in rows]) + "\n"


def short(name):
    """Without what the compiler and the BPF loader add."""
    return re.sub(r"bpf_prog_[0-9a-f]+_|\.isra\.0|\.part\.0|\.constprop\.0", "", name)


def plot(data):
    panels = [(w, [(r["competitor"], [r["parts"][p] for p in windows.NAMES]) for r in of(data, w)])
              for w in workloads(data)]
    return bench.bars("Guest instructions per request", "string copies apart", windows.NAMES, panels)


def says(data):
    worst = max(r["spread"] for r in data["rows"])
    lines = ["The rounds lie at most %.2f %% apart (goal: 2 %%)." % (100 * worst)]
    for w in workloads(data):
        at = {r["competitor"]: r["instructions"] for r in of(data, w)}
        if "bpf" in at and "md-tuned" in at:
            lines.append("%s: ringraid takes %.2f of the instructions of tuned md, %.2f of those of its own "
                         "engine in user space." % (w, at["bpf"] / at["md-tuned"], at["bpf"] / at["user"]))
    return lines
