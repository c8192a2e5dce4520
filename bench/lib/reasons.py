# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Why a target is missed: what the figures show of it, as text for the page.

Every number is computed. A reason is a function of the figures' data; targets.py
asks for it only where the target is missed.
"""

import bench


def row(data, workload, competitor):
    return next((r for r in data["rows"] if (r["workload"], r["competitor"]) == (workload, competitor)), None)


def k(x):
    return bench.number(x)


class Cost:
    """Instructions of one workload, and what ublk and io_uring take of them by themselves."""

    def __init__(self, data, workload):
        d = data["instructions"]
        self.workload, self.members = workload, data["counts"]["members"]
        self.bpf, self.user, self.md = (row(d, workload, c) for c in ("bpf", "user", "md-tuned"))
        null = {rw: row(d, "rand%s-4k" % rw, "null")["instructions"] for rw in ("read", "write")}
        linear = {rw: row(d, "rand%s-4k" % rw, "linear")["instructions"] for rw in ("read", "write")}
        self.null, self.linear = null, linear
        # What one member I/O adds to a ublk server that does nothing else.
        self.member_io = {rw: linear[rw] - null[rw] for rw in ("read", "write")}

    def engine(self, of="bpf"):
        parts = getattr(self, of)["parts"]
        return parts["engine"] + parts["engine XOR"]

    def floor(self, reads, writes):
        """A ublk server whose engine costs nothing, with so many 4 KiB member I/Os."""
        return (self.null["write" if writes else "read"] +
                reads * self.member_io["read"] + writes * self.member_io["write"])

    def part(self, of, *names):
        parts = getattr(self, of)["parts"]
        return sum(parts[n] for n in names)


def counted(data, workload, competitor, key):
    return row(data["counts"], workload, competitor)[key]


def engine_rmw(data):
    ns = {r["kind"]: r["ns"] for r in data["engine"]["requests"]}
    rmw, read = ns["write_4k_rmw"], ns["read_4k"]
    return ("A read is two SQEs in two turns, a read-modify-write six in four (docs/architecture.md): %s ns against "
            "%s, %s against %s for each SQE. The C compiler makes %s ns of the same source, so BPF is %.2f times as "
            "slow: what the C compiler inlines are calls there (each global function is verified by itself), and "
            "every access goes through the arena's base. XOR, left out here, adds %s ns." % (
                k(rmw["bpf_no_xor"]), k(read["bpf_no_xor"]), k(rmw["bpf_no_xor"] / 6), k(read["bpf_no_xor"] / 2),
                k(rmw["native"]), rmw["bpf_no_xor"] / rmw["native"], k(rmw["bpf"] - rmw["bpf_no_xor"])))


def write_instructions(data):
    c = Cost(data, "randwrite-4k")
    md, bpf = c.md["instructions"], c.bpf["instructions"]
    floor = c.floor(2, 2)
    mean = (c.member_io["read"] + c.member_io["write"]) / 2
    return [
        "A small write is two member reads and two member writes, for md as for ringraid. Through io_uring each takes "
        "%s instructions (`linear` less `null`). With ublk's own %s that makes %s, %.2f of all that tuned md takes, "
        "before the engine has done anything. Half of md's is %s: out of reach on this path, however fast the engine; "
        "`linear` with its one member I/O is at %s." % (
            k(mean), k(c.null["write"]), k(floor), floor / md, k(md / 2), k(c.linear["write"])),
        "The engine takes %s more, %s of it XOR in plain 64-bit code; with the floor that is %s of the %s measured; "
        "the copy of the payload is in the rest. Compiled as C, in user space, the engine takes %s. md's own code "
        "takes %s. So ringraid's engine is the cheaper RAID5 by %s, and pays %s for block layer and io_uring where md, "
        "which sends bios, pays %s." % (
            k(c.engine()), k(c.part("bpf", "engine XOR")), k(floor + c.engine()), k(bpf), k(c.engine("user")),
            k(c.part("md", "md")), k(c.part("md", "md") - c.engine()), k(c.part("bpf", "block layer", "io_uring")),
            k(c.part("md", "block layer", "io_uring"))),
        "What would help: member I/O that is cheaper than a read or write through io_uring (NVMe passthrough, or bios "
        "from BPF, which a stock kernel does not offer), since the floor is made of it. " + with_function(data, c),
    ]


def with_function(data, c):
    """What uring_bpf_xor does for small writes: as measured, or what it could at most."""
    fused = row(data["instructions"], c.workload, "bpf-xor")
    if not fused:
        return ("A XOR function in the kernel would save at most the XOR's %.0f %%."
                % (100 * c.part("bpf", "engine XOR") / c.bpf["instructions"]))
    return ("With `uring_bpf_xor` a write takes %s, %.2f of tuned md's: the XOR is vector code, and the copy of the "
            "payload needs no request to ublk." % (
                k(fused["instructions"]), fused["instructions"] / c.md["instructions"]))


def more_clients(data, workload):
    """What only the full level has: the ratio with more clients."""
    found = [(name, row(data["speed"], "%s-j%d" % (workload, jobs), "bpf")) for name, jobs in (("two", 2), ("four", 4))]
    found = ["%.2f with %s" % (r["to_md-tuned"], name) for name, r in found if r]
    return "With more clients the ratio is %s." % " and ".join(found) if found else \
        "The full level has runs with two and four clients."


def write_iops(data):
    c = Cost(data, "randwrite-4k")
    ratio = row(data["speed"], "randwrite-4k-qd32", "bpf")["to_md-tuned"]
    by_cost = c.md["instructions"] / c.bpf["instructions"]
    text = ("Instructions alone (below) would make it %.2f. No figure tells for certain where the other %.2f go. What "
            "differs: a client on one CPU has one ublk queue, and so one thread of ringraid's that does everything, "
            "where tuned md has workers for every CPU. %s "
            % (by_cost, by_cost - ratio, more_clients(data, "randwrite-4k-qd32")))
    text += "Per request the machine changes tasks %s times with ringraid and %s with tuned md." % tuple(
        k(counted(data, "randwrite-4k", x, "system_switches")) for x in ("bpf", "md-tuned"))
    text += " md also finds blocks in its stripe cache: %s member reads a write, ringraid %s." % tuple(
        k(counted(data, "randwrite-4k", x, "member_reads")) for x in ("md-tuned", "bpf"))
    alone = row(data["speed"], "randwrite-4k-qd1", "bpf")
    if alone and alone["to_md-tuned"] > 1:
        text += (" At depth 1, where md's threads have to be woken for each write, the ratio is %.2f."
                 % alone["to_md-tuned"])
    return text


def stripe_iops(data):
    c = Cost(data, "write-stripe")
    payload, members = c.bpf["bytes"], c.bpf["bytes"] * c.members / (c.members - 1)
    return ("Not for instructions: ringraid takes %.2f of md's. But it moves %s bytes of string copies a stripe, tuned "
            "md %s, and emulation pays for each byte. The members' memory takes %s of either; ringraid's others are "
            "its copy of the payload, %s, which tuned md leaves out by skip_copy. ringraid must copy: ublk does not "
            "promise that the client's pages stay as they are until they are written. Untuned md copies too: "
            "ringraid makes %.2f of its IOPS. And as for small writes, one queue's thread does everything." % (
                c.bpf["instructions"] / c.md["instructions"], k(c.bpf["string_bytes"]), k(c.md["string_bytes"]),
                k(members), k(payload), stripe_to_md(data)))


def stripe_to_md(data):
    at = [row(data["speed"], "write-stripe-qd8", c)["to_md-tuned"] for c in ("bpf", "md")]
    return at[0] / at[1]


def degraded_iops(data):
    c = Cost(data, "degraded-randread-4k")
    io = counted(data, "degraded-randread-4k", "bpf", "member_reads")
    floor = c.floor(io, 0)
    healthy = row(data["speed"], "randread-4k-qd32", "bpf")["to_md-tuned"]
    return ("Only one block in %d is on the lost member; the others are plain reads, where ringraid is at %.2f of "
            "tuned md's IOPS. The mean read makes %s member I/Os, which is the least (tuned md, with its stripe cache, "
            "%s). ublk and these I/Os take %s instructions, %.2f of all that tuned md takes: an engine that costs "
            "nothing would be %.2f times as fast by instructions; ringraid's takes %s and comes to %.2f." % (
                c.members, healthy, k(io), k(counted(data, "degraded-randread-4k", "md-tuned", "member_reads")),
                k(floor), floor / c.md["instructions"], c.md["instructions"] / floor, k(c.engine()),
                c.md["instructions"] / c.bpf["instructions"]))


def read_iops(data):
    c = Cost(data, "randread-4k")
    linear = row(data["instructions"], "randread-4k", "linear")
    more = c.bpf["instructions"] - linear["instructions"]
    layer = c.part("bpf", "block layer") - linear["parts"]["block layer"]
    apart = row(data["speed"], "randread-4k-qd32", "linear")["spread"]
    return ("A read takes %s instructions more than through `linear`: %s in the engine (geometry, state, counters), "
            "%s in the block layer, which also keeps requests within a stripe. By instructions the ratio is %.3f. "
            "Compiled as C the engine takes %s. What the BPF loop saves, system calls, costs little in emulation. The "
            "rounds of `linear`'s IOPS lie %.0f %% apart." % (
                k(more), k(c.engine()), k(layer), linear["instructions"] / c.bpf["instructions"], k(c.engine("user")),
                100 * apart))


def read_to_md(data):
    """Not a target, but asked for: the healthy read beside md."""
    c = Cost(data, "randread-4k")
    at = {w: row(data["speed"], w, "bpf") for w in ("randread-4k-qd1", "randread-4k-qd32")}
    return ("md remaps a read in the client's own context: ringraid makes %.2f of tuned md's IOPS at depth 1 and "
            "%.2f at depth 32, with %.2f of its instructions: %s, where ublk alone takes %s and with one member "
            "I/O %s. [Decision 0014](decisions/0014-reads-stay-on-ublk.md) is about narrowing that gap." % (
                at["randread-4k-qd1"]["to_md-tuned"], at["randread-4k-qd32"]["to_md-tuned"],
                c.bpf["instructions"] / c.md["instructions"], k(c.bpf["instructions"]), k(c.null["read"]),
                k(c.linear["read"])))
