# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Guest instructions of a hop in a chain of dependent reads, and of a look-up."""

import json
import re

import bench
import windows

NAMES = {"pread": "pread()", "io_uring": "io_uring, program", "loop": "loop_step, block layer",
         "loop-nvme": "loop_step, NVMe command", "hook": "hook at the completion"}


# Going to sleep, waking up, interrupts and timers: how much of it there is depends
# on how long the disk takes, which emulated has nothing to do with a disk.
WAITING = ("scheduling", "other kernel")


def work(parts):
    return sum(n for name, n in parts.items() if name not in WAITING)


LOOKUPS = {"pread": "pread()", "io_uring": "io_uring, a submit a hop", "batched": "io_uring, batched",
           "user": "the loop in user space", "kernel": "the loop"}

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
        for name, (n, _) in windows.by_function(found[run["window"]], symbols).items():
            parts[windows.part_of(name, "")] += n / run["lookups"]
            if name.endswith("[bpf]"):
                name = re.sub(r"bpf_prog_[0-9a-f]+_(\w+) \[bpf\]", r"\1", name)
                program[name] = program.get(name, 0) + round(n / run["lookups"])
        row = {k: run[k] for k in ("how", "depth", "batch", "device_us")}
        row.update({k: round(run[k] / run["lookups"], 4) for k in ("calls", "switches", "wakeups")})
        row["ns"] = round(run["ns"] / run["lookups"])
        row["instructions"] = round(sum(parts.values()))
        row["parts"] = {k: round(v) for k, v in parts.items()}
        row["program"] = program
        rows.append(row)
    return rows


def reduce(raw):
    # What was loaded at some time, in places that nothing else had before or after.
    symbols = windows.Symbols("\n".join(bench.read(raw.path(name)) for name in (
        "kallsyms", "kallsyms-bpf", "kallsyms-10", "kallsyms-100")))
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


FAST, SLOW = 10, 100  # of the device, in us


def at(data, how, depth, batch, us=FAST):
    return next((r for r in data["lookups"]
                 if (r["how"], r["depth"], r["batch"], r["device_us"]) == (how, depth, batch, us)), None)


def where(data):
    """The parts of one look-up, for each way, where the goal is."""
    rows = [at(data, h, GOAL["depth"], GOAL["batch"]) for h in LOOKUPS]
    names = {"engine": "the BPF program", "daemon": "program and library", "members": "null_blk"}
    parts = sorted((p for p in windows.NAMES if any(r["parts"][p] >= 20 for r in rows)),
                   key=lambda p: -rows[-1]["parts"][p])
    return bench.text_table(["where they go, depth %d" % GOAL["depth"]] + [LOOKUPS[r["how"]] for r in rows],
                            [[names.get(p, p)] + [r["parts"][p] for r in rows] for p in parts])


def lookup_tables(data):
    """What a look-up takes at the batch of the goal, and the loop beside the others at all of them."""
    hows = [h for h in LOOKUPS if any(r["how"] == h for r in data["lookups"])]
    depths = sorted({r["depth"] for r in data["lookups"] if r["device_us"] == FAST})
    batches = sorted({r["batch"] for r in data["lookups"]})
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
    return text.rstrip("\n") + "\n"


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
            "The hook takes %.2f of the work of the loop with NVMe commands, %s instructions less. That is the most "
            "that a program at the completion could save, since this one decides nothing; and it does not save the "
            "change of threads: the command goes out from a kernel worker." % (
                by["hook"]["work"] / by["loop-nvme"]["work"],
                bench.number(by["loop-nvme"]["work"] - by["hook"]["work"])))
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
    return text


def says_of_lookups(data):
    if not data["lookups"]:
        return []
    text = goal(data)
    for how, factor in PAPER.items():
        best = {}
        for key in ("ns", "instructions"):
            best[key] = max((at(data, how, r["depth"], r["batch"], r["device_us"])[key] / r[key], r["depth"], r["batch"])
                            for r in data["lookups"] if r["how"] == "kernel")
        text.append(
            "The paper's hook in the driver is %.1f times %s at depth 10. The loop's best is %.2f times in the guest's "
            "time (depth %d, batches of %d) and %.2f times in instructions (depth %d, batches of %d): %s." % (
                (factor, LOOKUPS[how].split(",")[0]) + best["ns"] + best["instructions"] +
                ("reached in time only" if best["ns"][0] >= factor > best["instructions"][0] else
                 "reached" if best["instructions"][0] >= factor else "not reached",)))
    return text + [
        "The guest's clock counts instructions, one a nanosecond, and the device answers after 10 or 100 us: times are a "
        "model, in which what a batch gains is mostly that reads overlap."] + hook_that_asks(data)


# What of the BPF program is the loop's, and not the step's.
LOOPS_OWN = re.compile(r"bpf__|chain_(look|loop|settle)$")


def hook_that_asks(data):
    """What a look-up by a hook with a program would be made of: parts that are measured here."""
    hook = next((r for r in data["rows"] if r["how"] == "hook"), None)
    loop, *others = (at(data, how, GOAL["depth"], GOAL["batch"]) for how in ("kernel", *PAPER))
    if not hook or not loop or None in others:
        return []
    step = sum(n for name, n in loop["program"].items() if not LOOPS_OWN.match(name)) / GOAL["depth"]
    asks = hook["work"] + step
    short = asks - hook["parts"]["block layer"]
    theirs = [work(r["parts"]) / GOAL["depth"] for r in others]
    return [
        "The hook of the experimental patch is in the table of hops only: it goes on to the next block without asking "
        "a program, so it cannot take a look-up. One that asks is not built. It needs a program type of the driver's own "
        "that may run in an interrupt, the buffer given back to the processor before the program looks and to the "
        "device after, and a check of every address against what the caller may read, since no file system is asked: "
        "three things that the patch of 45 lines has none of.",
        "What its number would be made of: %s instructions of the hook, and %s of the B+-tree's step, the same that the "
        "loop runs: %s a hop at least, without those three. Waiting left out, a hop of pread()'s look-up takes %.2f times "
        "that, one of io_uring's with a submit a hop %.2f times: less than the paper's %.1f and %.1f. With the command "
        "sent from the interrupt, and not over the requeue list and a kernel worker, the block layer's %s would go too: "
        "%.2f and %.2f times. That is what would reach the paper's factors." % (
            bench.number(hook["work"]), bench.number(step), bench.number(asks), theirs[0] / asks, theirs[1] / asks,
            *PAPER.values(), bench.number(hook["parts"]["block layer"]), theirs[0] / short, theirs[1] / short)]
