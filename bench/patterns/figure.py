# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Member I/O per request of the patterns that people write in."""

import bench
import counters

GROUP = ("kind", "members", "chunk")
# A count of a deep queue depends on who met whom in a turn.
SLACK = 1.05


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
    """Beside tuned md: member reads and bytes, and for whole stripes the writes."""
    if md is None:
        return ""
    over = [what for what in ("reads", "read_per_byte") if ours[what] > md[what] * SLACK + 0.01]
    return "more " + " and ".join(w.replace("_", " ") for w in over) if over else "at or below md"


def table(data):
    lines = []
    for array in arrays(data):
        lines.append(["%s, %d members, %d KiB" % array] + [""] * 7)
        key = dict(zip(GROUP, array))
        for workload in dict.fromkeys(r["workload"] for r in of(data, **key)):
            rows = {r["competitor"]: r for r in of(data, **key, workload=workload)}
            ours, md = rows.get("bpf"), rows.get("md-tuned")
            if ours:
                cells = [r.get(k) if r else None for r in (md, ours) for k in ("reads", "writes", "read_per_byte")]
                lines.append(["  " + workload] + cells + [verdict(ours, md)])
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
    for r in data["rows"]:
        if r["competitor"] != "bpf":
            continue
        md = next(iter(of(data, competitor="md-tuned", **{k: r[k] for k in GROUP + ("workload",)})), None)
        said = verdict(r, md)
        if said.startswith("more"):
            lines.append("%s, %d members, %d KiB chunks, %s: %.2f reads a request, tuned md %.2f." % (
                r["kind"], r["members"], r["chunk"], r["workload"], r["reads"], md["reads"]))
    return lines
