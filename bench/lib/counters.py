# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What `counted` of guest.sh recorded of a run, per request."""

import json
import re


def hist(text):
    """The hits of a histogram trigger."""
    return sum(int(n) for n in re.findall(r"hitcount: *(\d+)", text))


def difference(raw, run, name, parse):
    return parse(raw.of(run, name + ".after")) - parse(raw.of(run, name + ".before"))


def stat_field(name):
    return lambda text: int(next(line.split()[1] for line in text.splitlines() if line.startswith(name + " ")))


def disk_fields(text, disks):
    """Reads, bytes read, writes, bytes written, flushes."""
    found = [0] * 5
    for line in text.splitlines():
        words = line.split()
        if words[2] in disks:
            reads, _, read, _, writes, _, written = (int(w) for w in words[3:10])
            flushes = int(words[18]) if len(words) > 18 else 0
            for i, v in enumerate((reads, read * 512, writes, written * 512, flushes)):
                found[i] += v
    return found


def tasks(text):
    return sum(int(line.split()[1]) for line in text.splitlines())


def per_request(raw, run):
    """One run as {name: count per request}."""
    n = int(raw.of(run, "requests"))
    disks = {m.rsplit("/", 1)[-1] for m in raw.machine["members"]}
    before, after = (disk_fields(raw.of(run, "diskstats." + w), disks) for w in ("before", "after"))
    reads, read, writes, written, flushes = ((b - a) / n for a, b in zip(before, after))
    found = {
        "requests": n, "member_reads": reads, "member_writes": writes, "member_flushes": flushes,
        "member_bytes": read + written,
        "system_switches": difference(raw, run, "stat", stat_field("ctxt")) / n,
        "interrupts": difference(raw, run, "stat", stat_field("intr")) / n,
        "daemon_switches": difference(raw, run, "tasks", tasks) / n,
        "daemon_syscalls": hist(raw.of(run, "syscalls")) / n,
        "daemon_wakeups": hist(raw.of(run, "wakeups")) / n,
    }
    if raw.of(run, "stats.after"):
        a, b = (json.loads(raw.of(run, "stats." + w)) for w in ("before", "after"))
        for key in ("xor_bytes", "copied_bytes", "sqes", "submits", "steps"):
            found[key] = (b[key] - a[key]) / n
        for key in ("xor_bytes", "copied_bytes"):
            found[key + "_per_byte"] = found[key] / run["bytes"]
        for key in ("punts", "retries"):
            found[key] = (b.get(key, 0) - a.get(key, 0)) / n
    return found


FLUSH_EVERY = 8  # in workloads with flushes: what guest.sh's `counted` is given


def least_io(workload, members):
    """The fewest member reads and writes that RAID5 needs per request (4K or less than a
    chunk in one row, or whole stripes). Degraded ones are means over all blocks: one in
    `members` of the data is lost, and one in `members` of the rows has lost its parity.
    A flush is a request too, but reads and writes nothing."""
    data = members - 1
    if workload.endswith("-flush"):
        least = least_io(workload.removesuffix("-flush"), members)
        return {k: v * (FLUSH_EVERY - 1) / FLUSH_EVERY for k, v in least.items()}
    if workload.startswith("degraded-randread"):
        return {"reads": (members - 1) / members + data / members, "writes": 0}
    if workload.startswith("degraded-randwrite"):
        # Lost: the block itself (read the other data, write parity), parity (write the block),
        # or another block (read-modify-write).
        other = (members - 2) / members
        return {"reads": (data - 1) / members + 2 * other, "writes": 1 / members + 1 / members + 2 * other}
    if "read" in workload:
        return {"reads": 1, "writes": 0}
    if workload == "write-stripe":
        return {"reads": 0, "writes": members}
    return {"reads": min(2, data - 1), "writes": 2}


def least_kib(workload, members, request_bytes):
    """The same in KiB: a member I/O is as large as the request, or one chunk of a stripe."""
    least = least_io(workload, members)
    size = request_bytes / (members - 1) if workload == "write-stripe" else request_bytes
    return (least["reads"] + least["writes"]) * size / 1024
