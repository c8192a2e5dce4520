# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Guest instructions of a hop in a chain of dependent reads."""

import json

import bench
import windows

NAMES = {"pread": "pread()", "io_uring": "io_uring, program", "loop": "loop_step, block layer",
         "loop-nvme": "loop_step, NVMe command", "hook": "hook at the completion"}


# Going to sleep, waking up, interrupts and timers: how much of it there is depends
# on how long the disk takes, which emulated has nothing to do with a disk.
WAITING = ("scheduling", "other kernel")


def work(parts):
    return sum(n for name, n in parts.items() if name not in WAITING)


def reduce(raw):
    symbols = windows.Symbols(bench.read(raw.path("kallsyms")))
    found = list(windows.read_windows(raw.path("windows")))
    runs = [json.loads(line) for line in bench.read(raw.path("chains.jsonl")).splitlines()]
    rows = []
    for (how, hops), windows_of in bench.groups(runs, "how", "hops").items():
        rounds = []
        for run in windows_of:
            parts = dict.fromkeys(windows.NAMES, 0)
            for name, (n, _) in windows.by_function(found[run["window"]], symbols).items():
                parts[windows.part_of(name, "")] += n / hops
            rounds.append({k: round(v, 1) for k, v in parts.items()})
        middle = sorted(rounds, key=work)[len(rounds) // 2]
        waits = sorted(sum(r.values()) - work(r) for r in rounds)
        rows.append({"how": how, "hops": hops, "work": round(work(middle), 1), "parts": middle,
                     "work_spread": round(bench.spread([work(r) for r in rounds]), 4),
                     "wait": round(waits[len(waits) // 2], 1), "waits": [round(w, 1) for w in waits]})
    return {"rows": rows}


def table(data):
    first = data["rows"][0]["work"]
    text = bench.text_table(
        ["instructions of a hop", "work", "/ pread()", "rounds within", "waiting, median", "least", "most"],
        [[NAMES[r["how"]], r["work"], r["work"] / first, "%.1f %%" % (100 * r["work_spread"]), r["wait"],
          r["waits"][0], r["waits"][-1]] for r in data["rows"]])
    parts = [p for p in windows.NAMES if p not in WAITING and any(r["parts"][p] >= 1 for r in data["rows"])]
    return text + "\n" + bench.text_table(
        ["where the work is"] + [r["how"] for r in data["rows"]],
        [[p] + [r["parts"][p] for r in data["rows"]] for p in parts])


def plot(data):
    parts = [p for p in windows.NAMES if p not in WAITING]
    return bench.bars("A hop of a chain of reads", "guest instructions, waiting apart", parts,
                      [("completion to completion", [(NAMES[r["how"]], [r["parts"][p] for p in parts])
                                                     for r in data["rows"]])])


def says(data):
    at = {r["how"]: r for r in data["rows"]}
    lines = ["Against the loop through the block layer a hop takes %.2f of the work as NVMe command." % (
        at["loop-nvme"]["work"] / at["loop"]["work"])]
    if "hook" in at:
        lines.append(
            "The hook takes %.2f of the work of the loop with NVMe commands, %s instructions less. That is the most "
            "that a program at the completion could save, since this one decides nothing; and it does not save the "
            "change of threads: the command goes out from a kernel worker." % (
                at["hook"]["work"] / at["loop-nvme"]["work"],
                bench.number(at["loop-nvme"]["work"] - at["hook"]["work"])))
    return lines
