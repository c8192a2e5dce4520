# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Counts per request: member I/O, copies, system calls, switches, wake-ups."""

import bench
import counters

SHOWN = [("member_reads", "reads"), ("member_writes", "writes"), ("member_kib", "member KiB"),
         ("xor_bytes_per_byte", "XOR/byte"), ("copied_bytes_per_byte", "copied/byte"),
         ("daemon_syscalls", "syscalls"), ("daemon_switches", "switches"), ("daemon_wakeups", "wake-ups"),
         ("system_switches", "all switches"), ("interrupts", "interrupts")]


def reduce(raw):
    rows = []
    for (workload, competitor), runs in bench.groups(raw.runs, "workload", "competitor").items():
        rounds = [counters.per_request(raw, run) for run in runs]
        row = {"workload": workload, "competitor": competitor, "bytes": runs[0]["bytes"],
               "depth": runs[0]["depth"]}
        for key in rounds[0]:
            row[key] = round(bench.mean(r[key] for r in rounds), 4)
        row["member_kib"] = round(row.pop("member_bytes") / 1024, 3)
        rows.append(row)
    return {"rows": rows, "members": len(raw.machine["members"])}


def workloads(data):
    return list(dict.fromkeys(r["workload"] for r in data["rows"]))


def of(data, workload):
    return [r for r in data["rows"] if r["workload"] == workload]


def table(data):
    lines = []
    for w in workloads(data):
        least = counters.least_io(w, data["members"])
        rows = of(data, w)
        kib = counters.least_kib(w, data["members"], rows[0]["bytes"])
        lines.append([w, least["reads"], least["writes"], kib] + [""] * (len(SHOWN) - 3))
        for r in rows:
            lines.append(["  " + r["competitor"]] + [r.get(key) for key, _ in SHOWN])
    return bench.text_table(["per request (least that RAID5 needs)"] + [name for _, name in SHOWN], lines)


def plot(data):
    shown = ["daemon_syscalls", "daemon_switches", "daemon_wakeups", "member_reads", "member_writes"]
    panels = [(w, [(r["competitor"], [r[k] for k in shown]) for r in of(data, w)]) for w in workloads(data)]
    return bench.bars("Counts per request", "system calls, switches, wake-ups, member I/O",
                      [k.replace("_", " ") for k in shown], panels)


def says(data):
    lines = []
    for r in data["rows"]:
        if r["competitor"] != "bpf":
            continue
        least = counters.least_io(r["workload"], data["members"])
        io, want = r["member_reads"] + r["member_writes"], least["reads"] + least["writes"]
        verdict = "at the minimum" if io <= 1.03 * want else "%.0f %% above the minimum" % (100 * io / want - 100)
        kib = counters.least_kib(r["workload"], data["members"], r["bytes"])
        lines.append("%s: %.2f member I/Os, %s; %.1f KiB of %.1f; %.3f system calls and %.3f context switches of the "
                     "daemon%s." % (r["workload"], io, verdict, r["member_kib"], kib, r["daemon_syscalls"],
                                    r["daemon_switches"],
                                    ", flushes included" if r["workload"].endswith("-flush") else ""))
    return lines
