# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Guest instructions of a hop in a chain of dependent reads, and of a look-up."""

import json
import re

import bench
import windows

NAMES = {"pread": "pread()", "io_uring": "io_uring, program", "loop": "loop_step, block layer",
         "loop-nvme": "loop_step, NVMe command", "hook": "hook at the completion",
         "hook-now": "hook, sent by the interrupt"}


# Going to sleep, waking up, interrupts and timers: how much of it there is depends
# on how long the disk takes, which emulated has nothing to do with a disk.
WAITING = ("scheduling", "other kernel")


def work(parts):
    return sum(n for name, n in parts.items() if name not in WAITING)


LOOKUPS = {"pread": "pread()", "io_uring": "io_uring, a submit a hop", "batched": "io_uring, batched",
           "user": "the loop in user space", "kernel": "the loop", "nvme": "the loop, NVMe commands",
           "hook": "driver, a worker sends", "hook-now": "driver, the interrupt sends"}

# What the loop has to be at depth 6 and batch 16: system calls of a look-up, and
# instructions and wake-ups of io_uring's with one submit a hop.
GOAL = {"depth": 6, "batch": 16, "calls": 0.1, "ratio": 0.7}
# "BPF for Storage": throughput of the driver's hook at depth 10.
PAPER = {"pread": 2.5, "io_uring": 2.7}


def lines(raw, name):
    return [json.loads(line) for line in bench.read(raw.path(name)).splitlines()]


def reduce_lookups(raw, found, symbols):
    rows = []
    for run in lines(raw, "lookups.jsonl"):
        parts = dict.fromkeys(windows.NAMES, 0)
        program = {}
        text = bench.read(raw.path(run["symbols"]))
        for name, (n, _) in windows.by_function(found[run["window"]], symbols.with_run(text)).items():
            parts[windows.part_of(name, "")] += n / run["lookups"]
            if name.endswith("[bpf]"):
                name = re.sub(r"bpf_prog_[0-9a-f]+_(\w+) \[bpf\]", r"\1", name)
                program[name] = program.get(name, 0) + round(n / run["lookups"])
        row = {k: run[k] for k in ("how", "depth", "batch", "device_us")}
        row.update({k: round(run[k] / run["lookups"], 4) for k in ("calls", "switches", "wakeups")})
        row["ns"] = round(run["ns"] / run["lookups"])
        row["instructions"] = round(sum(parts.values()))
        row["work"] = round(work(parts))
        row["parts"] = {k: round(v) for k, v in parts.items()}
        row["program"] = program
        rows.append(row)
    return rows


def reduce(raw):
    symbols = windows.Symbols("\n".join(bench.read(raw.path(name)) for name in ("kallsyms", "kallsyms-bpf")))
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
    return {"rows": rows, "lookups": reduce_lookups(raw, found, symbols), "steps": lines(raw, "steps.jsonl")}


def table(data):
    first = data["rows"][0]["work"]
    text = bench.text_table(
        ["instructions of a hop", "work", "/ pread()", "rounds within", "waiting, median", "least", "most"],
        [[NAMES[r["how"]], r["work"], r["work"] / first, "%.1f %%" % (100 * r["work_spread"]), r["wait"],
          r["waits"][0], r["waits"][-1]] for r in data["rows"]])
    parts = [p for p in windows.NAMES if p not in WAITING and any(r["parts"][p] >= 1 for r in data["rows"])]
    text += "\n" + bench.text_table(
        ["where the work is"] + [r["how"] for r in data["rows"]],
        [[p] + [r["parts"][p] for r in data["rows"]] for p in parts])
    return text + "\n" + lookup_tables(data) + "\n" + bench.text_table(
        ["a step, natively", "block", "ns"], [[s["step"], s["bytes"], s["ns"]] for s in data["steps"]])


FAST, SLOW, NVME = 10, 100, 0  # of the device, in us; the emulated disk takes as long as it takes


def at(data, how, depth, batch, us=FAST):
    return next((r for r in data["lookups"]
                 if (r["how"], r["depth"], r["batch"], r["device_us"]) == (how, depth, batch, us)), None)


def where(data):
    """The parts of one look-up, for each way, where the goal is."""
    rows = [r for h in LOOKUPS for r in [at(data, h, GOAL["depth"], GOAL["batch"])] if r]
    names = {"engine": "the BPF program", "daemon": "program and library", "members": "null_blk"}
    parts = sorted((p for p in windows.NAMES if any(r["parts"][p] >= 20 for r in rows)),
                   key=lambda p: -rows[-1]["parts"][p])
    return bench.text_table(["where they go, depth %d" % GOAL["depth"]] + [LOOKUPS[r["how"]] for r in rows],
                            [[names.get(p, p)] + [r["parts"][p] for r in rows] for p in parts])


def lookup_tables(data):
    """What a look-up takes at the batch of the goal, and the loop beside the others at all of them."""
    hows = [h for h in LOOKUPS if any((r["how"], r["device_us"]) == (h, FAST) for r in data["lookups"])]
    depths = sorted({r["depth"] for r in data["lookups"] if r["device_us"] == FAST})
    batches = sorted({r["batch"] for r in data["lookups"] if r["device_us"] == FAST})
    text = ""
    for key, name in (("instructions", "instructions"), ("calls", "system calls"), ("switches", "context switches"),
                      ("wakeups", "wake-ups")):
        text += bench.text_table(
            ["%s of a look-up, batches of %d" % (name, GOAL["batch"])] + ["depth %d" % d for d in depths],
            [[LOOKUPS[h]] + [at(data, h, d, GOAL["batch"])[key] for d in depths] for h in hows]) + "\n"
    text += where(data) + "\n"
    text += bench.text_table(
        ["device of %d us, depth %d, batches of %d" % (SLOW, GOAL["depth"], GOAL["batch"]), "instructions", "wake-ups",
         "switches", "us a look-up"],
        [[LOOKUPS[h]] + [r["instructions"], r["wakeups"], r["switches"], r["ns"] / 1000]
         for h in hows for r in [at(data, h, GOAL["depth"], GOAL["batch"], SLOW)]]) + "\n"
    for key, name in (("instructions", "instructions"), ("ns", "time")):
        for other in ("pread", "io_uring", "batched"):
            text += bench.text_table(
                ["%s: %s / the loop" % (name, LOOKUPS[other])] + ["depth %d" % d for d in depths],
                [["batches of %d" % b] + [at(data, other, d, b)[key] / at(data, "kernel", d, b)[key] for d in depths]
                 for b in batches]) + "\n"
    return text + driver_tables(data)


def driver_tables(data):
    """Look-ups on the NVMe disk, the last ones by a program in the driver's completion."""
    rows = [r for r in data["lookups"] if r["device_us"] == NVME]
    depths, batches = (sorted({r[k] for r in rows}) for k in ("depth", "batch"))
    hows = [h for h in LOOKUPS if any(r["how"] == h for r in rows)]
    text = ""
    for b in batches:
        text += bench.text_table(
            ["NVMe disk, a look-up, batches of %d" % b] + ["work, depth %d" % d for d in depths] +
            ["waiting, depth %d" % depths[-1], "system calls", "wake-ups"],
            [[LOOKUPS[h]] + [at(data, h, d, b, NVME)["work"] for d in depths] + [last["instructions"] - last["work"],
                                                                                last["calls"], last["wakeups"]]
             for h in hows for last in [at(data, h, depths[-1], b, NVME)]]) + "\n"
    parts = [p for p in windows.NAMES if any(r["parts"][p] >= 20 for r in rows)]
    last = [at(data, h, depths[-1], batches[-1], NVME) for h in hows]
    return text + bench.text_table(
        ["where they go, depth %d, batches of %d" % (depths[-1], batches[-1])] + [LOOKUPS[h] for h in hows],
        [[p] + [r["parts"][p] for r in last] for p in parts])


def plot(data):
    parts = [p for p in windows.NAMES if p not in WAITING]
    return bench.bars("A hop of a chain of reads", "guest instructions, waiting apart", parts,
                      [("completion to completion", [(NAMES[r["how"]], [r["parts"][p] for p in parts])
                                                     for r in data["rows"]])])


def says(data):
    by = {r["how"]: r for r in data["rows"]}
    text = ["Against the loop through the block layer a hop takes %.2f of the work as NVMe command." % (
        by["loop-nvme"]["work"] / by["loop"]["work"])]
    if "hook" in by:
        text.append(
            "The hook takes %.2f of the work of the loop with NVMe commands where a kernel worker sends the next one, and "
            "%.2f where the interrupt does. This is without a program that decides where to go." % (
                by["hook"]["work"] / by["loop-nvme"]["work"], by["hook-now"]["work"] / by["loop-nvme"]["work"]))
    return text + says_of_lookups(data)


def verdict(value, most):
    return "%.3g, at most %.3g were wanted: %s" % (value, most, "reached" if value <= most else "**missed**")


def goal(data):
    loop, other = (at(data, how, GOAL["depth"], GOAL["batch"]) for how in ("kernel", "io_uring"))
    if not loop or not other:
        return []
    text = ["At depth %d and batches of %d the loop makes %s system calls a look-up (%s)." % (
        GOAL["depth"], GOAL["batch"], bench.number(loop["calls"]), verdict(loop["calls"], GOAL["calls"]))]
    text.append("Beside io_uring with one submit a hop its instructions are %s." % (
        verdict(loop["instructions"] / other["instructions"], GOAL["ratio"])))
    own = sum(loop["parts"][p] for p in ("engine", "BPF support", "daemon"))
    text.append(
        "Why: what block layer, io_uring, device and timers take for the reads is %.2f of all that io_uring's look-up "
        "takes; that is the floor of any loop above the block layer. The program's and the library's own %s "
        "instructions (%s of them BPF, %s a hop) come on top, where the same code by a host's compiler takes %s, and "
        "a hand-written program %s." % (
            (loop["instructions"] - own) / other["instructions"], bench.number(own),
            bench.number(loop["parts"]["engine"]), bench.number(loop["parts"]["engine"] / GOAL["depth"]),
            *(bench.number(at(data, how, GOAL["depth"], GOAL["batch"])["parts"]["daemon"]) for how in ("user", "batched"))))
    slow, theirs = (at(data, how, GOAL["depth"], GOAL["batch"], SLOW) for how in ("kernel", "io_uring"))
    text.append(
        "Wake-ups: with a device of %d us nobody sleeps (%s a look-up with io_uring, %s with the loop), as one of 16 "
        "reads is always back. With one of %d us it is %s to %s%s." % (
            FAST, bench.number(other["wakeups"]), bench.number(loop["wakeups"]), SLOW, bench.number(theirs["wakeups"]),
            bench.number(slow["wakeups"]),
            ": " + verdict(slow["wakeups"] / theirs["wakeups"], GOAL["ratio"]) if theirs["wakeups"] else ""))
    text.append(
        "Who waits for all of a batch sleeps once a level at the least, which is %.3g a look-up. The program with "
        "io_uring sleeps the less the longer it takes to submit: the first reads are back when the last one is sent." % (
            GOAL["depth"] / GOAL["batch"]))
    return text


def says_of_lookups(data):
    if not data["lookups"]:
        return []
    text = goal(data)
    for how, factor in PAPER.items():
        best = {}
        for key in ("ns", "instructions"):
            best[key] = max((at(data, how, r["depth"], r["batch"], r["device_us"])[key] / r[key], r["depth"], r["batch"])
                            for r in data["lookups"] if r["how"] == "kernel" and r["device_us"] != NVME)
        text.append(
            "The paper's hook in the driver is %.1f times %s at depth 10. The loop's best is %.2f times in the guest's "
            "time (depth %d, batches of %d) and %.2f times in instructions (depth %d, batches of %d): %s." % (
                (factor, LOOKUPS[how].split(",")[0]) + best["ns"] + best["instructions"] +
                ("reached in time only" if best["ns"][0] >= factor > best["instructions"][0] else
                 "reached" if best["instructions"][0] >= factor else "not reached",)))
    return text + [
        "The guest's clock counts instructions, one a nanosecond, and the device answers after 10 or 100 us: times are a "
        "model, in which what a batch gains is mostly that reads overlap."] + hook_that_asks(data)


def hook_that_asks(data):
    """Look-ups by a BPF program in the driver's completion, beside the paper's numbers and the goal."""
    text = []
    for how, sends in (("hook", "a kernel worker sends the next command"), ("hook-now", "the interrupt sends it")):
        for depth, batch in ((10, 1), (10, 16)):
            own, *others = (at(data, h, depth, batch, NVME) for h in (how, *PAPER))
            if not own or None in others:
                return text
            text.append(
                "A BPF program decides in the driver's completion, with the B+-tree's step, and %s: at depth %d and "
                "batches of %d a look-up is %s instructions of work and %s with the waiting. Of the work pread() takes "
                "%.2f times that, io_uring with a submit a hop %.2f times; of all %.2f and %.2f times (the paper: %.1f "
                "and %.1f)." % (
                    sends, depth, batch, bench.number(own["work"]), bench.number(own["instructions"]),
                    *(r["work"] / own["work"] for r in others),
                    *(r["instructions"] / own["instructions"] for r in others), *PAPER.values()))
    own, other = (at(data, h, GOAL["depth"], GOAL["batch"], NVME) for h in ("hook-now", "io_uring"))
    text.append(
        "That is what would reach the goal: at depth %d and batches of %d the driver that sends from its interrupt takes "
        "%.2f of the instructions of io_uring with a submit a hop (work alone: %.2f), with %s system calls and %s "
        "wake-ups a look-up." % (GOAL["depth"], GOAL["batch"], own["instructions"] / other["instructions"],
                                 own["work"] / other["work"], bench.number(own["calls"]), bench.number(own["wakeups"])))
    return text
