# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Member I/O per request of the patterns that people write in."""

import bench
import counters

GROUP = ("kind", "members", "chunk")
# A count of a deep queue depends on who met whom in a turn.
SLACK = 1.05
# Ours, and md with the same promise: a write hole, and none by a partial parity log.
PAIRS = {"bpf-ppl": "md-ppl", "bpf": "md-tuned"}
PROMISES = {"bpf-ppl": "no write hole", "bpf": "bitmap"}


def reduce(raw):
    rows = []
    for key, runs in bench.groups(raw.runs, *GROUP, "workload", "competitor").items():
        row = dict(zip(GROUP + ("workload", "competitor"), key))
        rounds = [member_io(raw, run) for run in runs]
        for name in rounds[0]:
            row[name] = round(bench.mean(r[name] for r in rounds), 4)
        rows.append(row)
    return {"rows": rows}


def member_io(raw, run):
    n = int(raw.of(run, "requests"))
    disks = {m.rsplit("/", 1)[-1] for m in raw.machine["members"]}
    before, after = (counters.disk_fields(raw.of(run, "diskstats." + w), disks) for w in ("before", "after"))
    reads, read, writes, written, flushes = (b - a for a, b in zip(before, after))
    client = n * run["bytes"]
    if run["workload"].endswith("-fsync"):
        client //= 2
    return {"reads": reads / n, "writes": writes / n, "flushes": flushes / n, "read_per_byte": read / client,
            "written_per_byte": written / client}


def of(data, **wanted):
    return [r for r in data["rows"] if all(r[k] == v for k, v in wanted.items())]


def arrays(data):
    return list(dict.fromkeys(tuple(r[k] for k in GROUP) for r in data["rows"]))


def verdict(ours, md):
    """Beside md: member reads and bytes, and for whole stripes the writes."""
    if md is None:
        return ""
    over = [what for what in ("reads", "read_per_byte") if ours[what] > md[what] * SLACK + 0.01]
    return "more " + " and ".join(w.replace("_", " ") for w in over) if over else "at or below md"


def pairs(data):
    """Each array of ours, its rows and those of the md beside it, by workload."""
    for array in arrays(data):
        key = dict(zip(GROUP, array))
        for name, other in PAIRS.items():
            ours, md = ({r["workload"]: r for r in of(data, **key, competitor=c)} for c in (name, other))
            if ours:
                yield "%s, %d members, %d KiB, %s" % (array + (PROMISES[name],)), ours, md


def table(data):
    lines = []
    for array, ours, md in pairs(data):
        lines.append([array] + [""] * 7)
        for workload, row in ours.items():
            beside = md.get(workload)
            cells = [r.get(k) if r else None for r in (beside, row) for k in ("reads", "writes", "read_per_byte")]
            lines.append(["  " + workload] + cells + [verdict(row, beside)])
    return bench.text_table(["per request", "md R", "md W", "md bytes read", "R", "W", "bytes read", "verdict"], lines)


def plot(data):
    panels = []
    for array in arrays(data):
        key = dict(zip(GROUP, array))
        rows = [("%s %s" % (r["workload"], r["competitor"]), [r["read_per_byte"], r["written_per_byte"]])
                for r in of(data, **key)]
        panels.append(("%s, %d members, %d KiB" % array, rows))
    return bench.bars("Member bytes a client byte", "read, written", ["read", "written"], panels)


def says(data):
    lines = []
    for array, ours, md in pairs(data):
        for workload, row in ours.items():
            if verdict(row, md.get(workload)).startswith("more"):
                lines.append("%s, %s: %.2f reads a request, md %.2f." % (
                    array, workload, row["reads"], md[workload]["reads"]))
    return lines
