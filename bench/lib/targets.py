# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What ringraid wants to reach, and what the figures say about it."""

import bench
import counters
import reasons
import times
from reasons import row


def iops(workload, base, target):
    """The ratio; None where rounds lie so far apart that some pair of them says otherwise."""
    def value(data):
        r, other = (row(data["speed"], workload, who) for who in ("bpf", base))
        mine, theirs = r["iops_rounds"], other["iops_rounds"]
        ratios = (min(mine) / max(theirs), max(mine) / min(theirs))
        unsure = r["spread_to_" + base] > times.UNSURE and ratios[0] < target <= ratios[1]
        return None if unsure else r["to_" + base]
    return value


def iops_target(what, target, workload, base, reason):
    return "IOPS, " + what, ">=", target, iops(workload, base, target), reason


def instructions(workload, base):
    def value(data):
        d = data["instructions"]
        return row(d, workload, "bpf")["instructions"] / row(d, workload, base)["instructions"]
    return value


def member_io(workload):
    def value(data):
        d = data["counts"]
        r, least = row(d, workload, "bpf"), counters.least_io(workload, d["members"])
        return (r["member_reads"] + r["member_writes"]) / (least["reads"] + least["writes"])
    return value


def daemon(key, workload):
    return lambda data: row(data["counts"], workload, "bpf")[key]


def engine_ns(kind):
    return lambda data: next(r for r in data["engine"]["requests"] if r["kind"] == kind)["ns"]["bpf_no_xor"]


# What, at least or at most what, the value, and why it is missed where it is known to be.
TARGETS = [
    ("ns of the engine in BPF, 4 KiB read", "<=", 100, engine_ns("read_4k")),
    ("ns of the engine in BPF, 4 KiB read-modify-write, XOR apart", "<=", 250, engine_ns("write_4k_rmw"),
     reasons.engine_rmw),
    iops_target("4 KiB random write, to tuned md", 2, "randwrite-4k-qd32", "md-tuned",
                reasons.write_iops),
    iops_target("full stripe write, to tuned md", 1, "write-stripe-qd8", "md-tuned",
                reasons.stripe_iops),
    iops_target("degraded 4 KiB read, to tuned md", 2, "degraded-randread-4k-qd32", "md-tuned",
                reasons.degraded_iops),
    iops_target("4 KiB random read, to ublk's linear target", 0.95, "randread-4k-qd32", "linear",
                reasons.read_iops),
    ("instructions, 4 KiB random write, to tuned md", "<=", 0.5, instructions("randwrite-4k", "md-tuned"),
     reasons.write_instructions),
    ("member I/Os, 4 KiB random read, to the least", "<=", 1.01, member_io("randread-4k")),
    ("member I/Os, 4 KiB random write, to the least", "<=", 1.01, member_io("randwrite-4k")),
    ("member I/Os, full stripe write, to the least", "<=", 1.01, member_io("write-stripe")),
    ("system calls a 4 KiB read, depth 32", "<=", 0.1, daemon("daemon_syscalls", "randread-4k")),
    ("system calls a 4 KiB write, depth 32", "<=", 0.1, daemon("daemon_syscalls", "randwrite-4k")),
    ("context switches a 4 KiB read, depth 32", "<=", 0.1, daemon("daemon_switches", "randread-4k")),
    ("context switches a 4 KiB write, depth 32", "<=", 0.1, daemon("daemon_switches", "randwrite-4k")),
]


def verdict(data, sign, target, value, is_ratio):
    if value is None:
        return "rounds too far apart"
    if is_ratio and times.functional(data["speed"]):
        return "functional only"
    if value >= target if sign == ">=" else value <= target:
        return "met"
    return "missed, by a factor of %.2f" % (max(value, target) / min(value, target))


def page(data):
    """The section of the page, when its figures are there."""
    if not {"engine", "speed", "instructions", "counts"} <= data.keys():
        return ""
    lines = ["## Targets", "", "| what | target | measured | |", "|---|---|---|---|"]
    why = ["### Why targets are missed", ""]
    for what, sign, target, value, *reason in TARGETS:
        is_ = value(data)
        said = verdict(data, sign, target, is_, what.startswith("IOPS"))
        lines.append("| %s | %s %s | %s | %s |" % (what, sign, target, bench.number(is_), said))
        if said.startswith("missed"):
            texts = reason[0](data) if reason else "Not known: no figure tells it apart yet."
            texts = [texts] if isinstance(texts, str) else texts
            why.append(bench.paragraph("**%s.** %s" % (what, texts[0])))
            why += [bench.paragraph(t) for t in texts[1:]]
    parts = ["\n".join(lines) + "\n"]
    if len(why) > 2:
        parts.append("\n".join(why))
    parts.append("### Reads beside md\n\n" + bench.paragraph(reasons.read_to_md(data)))
    return "\n".join(parts)
