# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Nanoseconds and instructions of the engine per request, and XOR by itself."""

import json

import bench
import windows

HOSTS = ["bpf", "bpf_no_xor", "native"]
NAMES = {"bpf": "bpf", "bpf_no_xor": "bpf, no XOR", "native": "C"}
TARGETS = {"read_4k": 100, "write_4k_rmw": 250}


def best(rows, field, pick):
    """Of the repetitions the one that was disturbed least, by name."""
    found = {}
    for r in rows:
        if r.get("run_type") != "iteration" or field not in r:
            continue
        name = r["name"].split("/repeats:")[0]
        found[name] = pick(found.get(name, r[field]), r[field])
    return found


def counted(raw):
    """{(host, kind): instructions of the engine per request}"""
    symbols = windows.Symbols(bench.read(raw.path("kallsyms")), bench.read(raw.path("program")))
    found = list(windows.read_windows(raw.path("windows")))
    counts = {}
    for line in bench.read(raw.path("counts.jsonl")).splitlines():
        run = json.loads(line)
        with_run = symbols.with_run(bench.read(raw.path("symbols-%d" % run["window"])))
        end = "[daemon]" if run["host"] == "native" else "[bpf]"
        functions = windows.by_function(found[run["window"]], with_run)
        counts[run["host"], run["kind"]] = round(
            sum(n for name, (n, _) in functions.items() if name.endswith(end) or name == end.strip("[]")) / run["requests"], 1)
    return counts


def reduce(raw):
    counts = counted(raw)
    rows = json.loads(bench.read(raw.path("engine.json")))["benchmarks"]
    requests = best(rows, "per_request", min)
    rates = best(rows, "source_bytes", max)
    starts, finishes = best(rows, "start_ns", min), best(rows, "finish_ns", min)
    kinds = list(dict.fromkeys(n.split("/")[1] for n in requests if n.startswith("bpf/")))
    return {
        "requests": [{"kind": k, "ns": {h: round(requests["%s/%s" % (h, k)] * 1e9, 1) for h in HOSTS},
                      "instructions": {h: counts[h, k] for h in HOSTS}} for k in kinds],
        "split": [{"kind": n.split("/")[1], "start": round(ns, 1), "finish": round(finishes[n], 1)}
                  for n, ns in starts.items()],
        "locks": {k: round(requests["lock/%s/real_time" % k] * 1e9, 1) for k in ("other_rows", "same_rows")},
        "latency": [{"turn": int(n.split("/")[1]), "bpf": round(ns * 1e9, 1),
                     "native": round(requests[n.replace("bpf", "native")] * 1e9, 1)}
                    for n, ns in requests.items() if n.startswith("latency_bpf/")],
        "xor": [{"how": n.split("/")[0], "sources": int(n.split("/")[1]), "bytes": int(n.split("/")[2]),
                 "gb_s": round(r / 1e9, 1)} for n, r in rates.items()],
    }


def rate(data, how, sources, size):
    return next((x["gb_s"] for x in data["xor"]
                 if (x["how"], x["sources"], x["bytes"]) == (how, sources, size)), None)


def table(data):
    text = bench.text_table(["ns per request"] + [NAMES[h] for h in HOSTS],
                            [[r["kind"]] + [r["ns"][h] for h in HOSTS] for r in data["requests"]])
    text += "\n" + bench.text_table(["instructions per request"] + [NAMES[h] for h in HOSTS],
                                    [[r["kind"]] + [r["instructions"][h] for h in HOSTS]
                                     for r in data["requests"] if "instructions" in r])
    text += "\n" + bench.text_table(["apart, bpf, no XOR", "submission", "completion"],
                                    [[s["kind"], s["start"], s["finish"]] for s in data.get("split", [])])
    text += "\n" + bench.text_table(
        ["two queues, bpf, no XOR"] + list(data["locks"]), [["write_4k_rmw, ns"] + list(data["locks"].values())])
    if "latency" in data:
        text += "\n" + bench.text_table(
            ["timing a request, ns", NAMES["bpf"], NAMES["native"]],
            [["%d in a turn" % one["turn"] if one["turn"] else "off", one["bpf"], one["native"]]
             for one in data["latency"]])
    sizes = sorted({x["bytes"] for x in data["xor"]})
    rows = []
    for size in sizes:
        for sources in sorted({x["sources"] for x in data["xor"] if x["how"] == "xor_bpf"}):
            rows.append(["%d x %d KiB" % (sources, size // 1024)] +
                        [rate(data, how, sources, size) for how in ("xor_bpf", "xor_native", "xor_avx2")])
        rows.append(["memcpy %d KiB" % (size // 1024), None, rate(data, "memcpy", 1, size), None])
    return text + "\n" + bench.text_table(["XOR, GB/s of source", "bpf", "C", "AVX2"], rows)


def plot(data):
    return bench.bars("The engine by itself", "ns per request", ["ns"],
                      [(r["kind"], [(NAMES[h], [r["ns"][h]]) for h in HOSTS]) for r in data["requests"]])


def says(data):
    lines = []
    for r in data["requests"]:
        if r["kind"] in TARGETS:
            ns, limit = r["ns"]["bpf_no_xor"], TARGETS[r["kind"]]
            lines.append("%s: %s ns in BPF, XOR apart; the target is at most %d: %s" % (
                r["kind"], bench.number(ns), limit, "met" if ns <= limit else "missed by %d %%" % (100 * ns / limit - 100)))
    return lines
