# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""XOR by a BPF loop, by uring_bpf_xor and natively, alone and in requests."""

import json
import os

import bench
import windows

WAYS = {"loop": "loop", "kfunc": "kfunc", "loop_copy": "copy + loop", "kfunc_copy": "copy + kfunc",
        "fused": "fused"}
NATIVE = {"loop": "loop", "avx2": "AVX2", "loop_copy": "copy + loop", "avx2_copy": "copy + AVX2",
          "avx2_fused": "AVX2, by page"}
COMPETITORS = ["bpf", "bpf-xor"]
WORKLOADS = {"randwrite-4k": "4 KiB random write", "write-stripe": "full stripe write"}
PARTS = ["engine XOR", "copies", "engine"]
XOR_GEN_SOURCES = 4  # that the kernel's xor_gen() folds in one pass


def lines(raw, *path):
    return [json.loads(line) for line in bench.read(raw.path(*path)).splitlines()]


def rates(rows):
    """GB/s of source, by point and way: of the repeats the one that was disturbed least."""
    found = {}
    for r in rows:
        at = found.setdefault((r["sources"], r["bytes"]), {})
        at[r["way"]] = max(at.get(r["way"], 0), r["rounds"] * r["sources"] * r["bytes"] / r["ns"])
    return found


def sums(window):
    return [sum(block[i] for block in window) for i in (1, 2)]


def counts(rows, found):
    """[instructions, string bytes] of a round, by point and way: of the repeats the least, as interrupts only add."""
    if rows[0]["way"] != "empty":
        raise ValueError("the first window is not the empty one")
    empty, least = sums(found[0]), {}
    for r, window in zip(rows[1:], found[1:], strict=True):
        at = least.setdefault((r["sources"], r["bytes"]), {})
        one = [(n - e) / r["rounds"] for n, e in zip(sums(window), empty)]
        at[r["way"]] = min(at.get(r["way"], one), one)
    return least


def ring_check(counted, found, symbols):
    """Instructions of a call by which the module makes sure of its ring (kfunc-patches/module/loop.h)."""
    row, window = next(pair for pair in zip(counted, found) if pair[0]["way"] == "kfunc")
    functions = windows.by_function(window, symbols)
    return sum(functions[name][0] for name in ("xa_load", "xas_load", "xas_start") if name in functions) / row["rounds"]


def requests(raw, found, symbols):
    rows = []
    for (workload, competitor), runs in bench.groups(raw.runs, "workload", "competitor").items():
        parts, totals, moved = dict.fromkeys(windows.NAMES, 0), [], 0
        for run in runs:
            functions = windows.by_function(found[run["window"]], symbols.with_run(raw.of(run, "symbols")))
            for name, (instructions, _) in functions.items():
                parts[windows.part_of(name, competitor)] += instructions / run["requests"] / len(runs)
            totals.append(sum(e[0] for e in functions.values()) / run["requests"])
            moved += sum(e[1] for e in functions.values()) / run["requests"] / len(runs)
        rows.append({"workload": workload, "competitor": competitor, "bytes": runs[0]["bytes"],
                     "depth": runs[0]["depth"], "requests": runs[0]["requests"],
                     "instructions": round(bench.mean(totals), 1), "spread": round(bench.spread(totals), 5),
                     "string_bytes": round(moved, 1), "parts": {k: round(v, 1) for k, v in parts.items()}})
    return rows


def reduce(raw):
    symbols = windows.Symbols(bench.read(raw.path("kallsyms")), bench.read(raw.path("daemon")))
    found = list(windows.read_windows(raw.path("windows")))
    counted = lines(raw, "xor.jsonl")
    rounds = counts(counted, found[:len(counted)])
    native, timed = rates(lines(raw, "native.jsonl")), rates(lines(raw, "timed", "xor.jsonl"))

    def rounded(values, digits):
        return {k: round(v, digits) for k, v in values.items()}

    return {
        "native_kernel": bench.read(raw.path("native-kernel")).strip(),
        "emulated": os.path.exists(raw.path("emulated")),
        "rows": [{"sources": s, "bytes": b,
                  "native_gb_s": rounded(native[s, b], 2), "gb_s": rounded(timed[s, b], 3),
                  "instructions": rounded({w: v[0] for w, v in at.items()}, 1),
                  "string_bytes": rounded({w: v[1] for w, v in at.items()}, 1)}
                 for (s, b), at in rounds.items()],
        "ring_check": round(ring_check(counted, found, symbols), 1),
        "requests": requests(raw, found, symbols),
    }


def touched(way, n):
    """Loads and stores for a byte of @n sources: all, and those that memory has to serve."""
    if way in ("loop", "loop_copy"):
        # Two sources a pass, three in the first where their number is odd; all but the first load the sum.
        passes = n // 2
        total = memory = n + (passes - 1) + passes
    elif way.startswith("avx2"):
        total = memory = n + 1
    else:
        # A copy of the first source, then xor_gen(): a page of the sum stays in the cache.
        folds = -(-(n - 1) // XOR_GEN_SOURCES)
        total, memory = 2 + (n - 1) + 2 * folds, n + 1
    if way in ("loop_copy", "kfunc_copy", "avx2_copy"):
        total, memory = total + 2 * n, memory + 2 * n
    elif way in ("fused", "avx2_fused"):
        # The copy is XORed while it is in the cache.
        total, memory = total + 2 * n, memory + n
    return total / n, memory / n


def copied(way, n):
    """Bytes that the kernel copies for a byte of source."""
    return {"kfunc": 1, "kfunc_copy": n + 1, "fused": n + 1}.get(way, 0) / n


def label(row):
    return "%d x %d KiB" % (row["sources"], row["bytes"] // 1024)


def per_kib(row, way, what="instructions"):
    return row[what][way] * 1024 / (row["sources"] * row["bytes"])


def ratio(row, way, to):
    return row["instructions"][way] / row["instructions"][to]


def touched_rows(data):
    return [["%d" % n] + ["%.2f (%.2f)" % touched(w, n) for w in list(WAYS) + ["avx2"]]
            for n in sorted({r["sources"] for r in data["rows"]})]


def instruction_rows(data):
    return [[label(r)] + [per_kib(r, w) for w in WAYS] +
            ["%.2f" % ratio(r, "kfunc", "loop"), "%.2f" % ratio(r, "fused", "loop_copy"),
             "%.2f" % ratio(r, "fused", "kfunc_copy")] for r in data["rows"]]


def request_rows(data):
    rows = []
    for workload, name in WORKLOADS.items():
        without = of(data, workload, "bpf")
        for competitor in COMPETITORS:
            r = of(data, workload, competitor)
            rows.append(["%s, %s" % (name, competitor), r["instructions"], r["string_bytes"],
                         "%.2f" % (r["instructions"] / without["instructions"])] + [r["parts"][p] for p in PARTS] +
                        ["%.2f %%" % (100 * r["spread"])])
    return rows


def of(data, workload, competitor):
    return next(r for r in data["requests"] if (r["workload"], r["competitor"]) == (workload, competitor))


def timed_title(data):
    return "GB/s of source, emulated" if data["emulated"] else "GB/s of source, in the VM"


ALONE = ["loop", "kfunc", "fused"]
RATIOS = ["kfunc / loop", "fused / (copy + loop)", "fused / (copy + kfunc)"]
TOUCHED = ["sources"] + list(WAYS.values()) + ["AVX2"]
REQUESTS = ["per request", "instructions", "string bytes", "/ bpf"] + PARTS + ["repeats within"]


def table(data):
    rows = data["rows"]
    return "\n".join([
        "Bytes touched per byte of source (those that memory serves), computed\n" +
        bench.text_table(TOUCHED, touched_rows(data)),
        bench.text_table(["GB/s of source, native"] + list(NATIVE.values()),
                         [[label(r)] + [r["native_gb_s"].get(w) for w in NATIVE] for r in rows]),
        bench.text_table(["instructions per KiB of source"] + list(WAYS.values()) + RATIOS, instruction_rows(data)),
        bench.text_table([timed_title(data)] + list(WAYS.values()),
                         [[label(r)] + [r["gb_s"].get(w) for w in WAYS] for r in rows]),
        bench.text_table(REQUESTS, request_rows(data))])


def plot(data):
    shown = [r for r in data["rows"] if r["sources"] in (2, 4, 8)]
    panels = [("%d KiB" % (size // 1024),
               [("%d x %s" % (r["sources"], WAYS[w]), [per_kib(r, w)])
                for r in shown if r["bytes"] == size for w in WAYS])
              for size in sorted({r["bytes"] for r in shown})]
    return bench.bars("XOR", "guest instructions per KiB of source, string copies apart", ["instructions"], panels)


def between(values):
    return "%.2f to %.2f" % (min(values), max(values))


def call_cost(data):
    """Instructions of a call before the first byte: a line through the two smallest sizes."""
    a, b = sorted((r for r in data["rows"] if r["sources"] == 2), key=lambda r: r["bytes"])[:2]
    slope = (b["instructions"]["kfunc"] - a["instructions"]["kfunc"]) / (b["bytes"] - a["bytes"])
    return a["instructions"]["kfunc"] - slope * a["bytes"]


def copy_error(data):
    """How far the bytes of string copies lie from the computed ones, at the largest size."""
    most = max(r["bytes"] for r in data["rows"])
    return max(abs(per_kib(r, w, "string_bytes") / 1024 / copied(w, r["sources"]) - 1)
               for r in data["rows"] if r["bytes"] == most for w in WAYS if copied(w, 2))


def distortion(data):
    """AVX2 to the BPF loop at 4 KiB, natively and in the VM: the same code in both."""
    rows = [r for r in data["rows"] if r["bytes"] == 4096]
    return [between([r[where]["avx2"] / r[where]["loop"] for r in rows]) for where in ("native_gb_s", "gb_s")]


def says(data):
    rows = data["rows"]
    large = [r for r in rows if r["bytes"] > 4096]
    cold = [r["native_gb_s"] for r in rows if r["bytes"] > 65536]
    small = [r for r in rows if r["bytes"] == 4096]
    text = [
        "Over stable buffers the function takes %s of the loop's instructions above 4 KiB, %s at 4 KiB: a call of "
        "two sources takes about %s before the first byte, %s of which only the module has, to make sure that the ring "
        "is one of the task's." % (
            between([ratio(r, "kfunc", "loop") for r in large]), between([ratio(r, "kfunc", "loop") for r in small]),
            bench.number(call_cost(data)), bench.number(data["ring_check"])),
        "Fused it takes %s of the instructions of a copy and the loop, and %s of those of its own calls for copy and "
        "sum; the bytes copied are the same." % (
            between([ratio(r, "fused", "loop_copy") for r in rows]),
            between([ratio(r, "fused", "kfunc_copy") for r in rows])),
        "An AVX instruction counts as one, and so does a string copy, whatever its length. The bytes of string copies "
        "are those computed within %.1f %% at the largest size." % (100 * copy_error(data)),
    ]
    text.append("Natively, in user space, AVX2 page by page behind the copy makes %s of the GB/s of a copy and then AVX2 "
                "above 64 KiB: what fusing saves there." % between([g["avx2_fused"] / g["avx2_copy"] for g in cold]))
    if data["emulated"]:
        text.append("AVX2 in user space, the same code, makes %s of the loop's GB/s natively and %s emulated (4 KiB): "
                    "that is how far emulated times are against vector code." % tuple(distortion(data)))
    for workload, name in WORKLOADS.items():
        a, b = (of(data, workload, c) for c in COMPETITORS)
        text.append("%s: %s instructions without the function, %s with it, %.2f." % (
            name, bench.number(a["instructions"]), bench.number(b["instructions"]),
            b["instructions"] / a["instructions"]))
    return text


def markdown(header, rows):
    cells = [header, ["---"] + ["---:"] * (len(header) - 1)]
    cells += [[r[0]] + [bench.number(c) for c in r[1:]] for r in rows]
    return "".join("| %s |\n" % " | ".join(r) for r in cells)


def insert_table(data):
    times = timed_title(data).replace(" of source", "")
    header = ["", "GB/s, native: loop", "GB/s, native: AVX2"]
    header += ["instructions/KiB: %s" % WAYS[w] for w in ALONE] + RATIOS[:2]
    header += ["%s: %s" % (times, WAYS[w]) for w in ALONE]
    return markdown(header, [
        [label(r), r["native_gb_s"]["loop"], r["native_gb_s"]["avx2"]] + [per_kib(r, w) for w in ALONE] +
        ["%.2f" % ratio(r, "kfunc", "loop"), "%.2f" % ratio(r, "fused", "loop_copy")] + [r["gb_s"][w] for w in ALONE]
        for r in data["rows"]])


EMULATED = ("The VM was emulated, by QEMU without KVM. Instructions are exact, an AVX instruction counts as one, and "
            "string copies (`rep movs`) are apart. Of the times in the VM, where the kernel was told to copy by words, "
            "only ratios mean something, and these are against vector code. No time of the function on hardware is "
            "known.")


def inserts(data):
    return {"kfunc-patches/README.md": "\n".join([
        bench.paragraph(
            "From one run of `./run bench xor`, level %s, with the function as a module on Linux %s in a VM, and Linux "
            "%s where it says native. %s" % (data["level"], data["machine"]["kernel"], data["native_kernel"],
                                             EMULATED if data["emulated"] else "")),
        bench.paragraph(
            "Bytes touched per byte of source: loads and stores, and in brackets those that memory has to serve when "
            "the ranges are larger than the caches. Computed from the algorithms, not measured. `loop` is the "
            "engine's in BPF, `fused` copies each source to a stable buffer on the way, `copy + loop` is a BPF loop "
            "that copies and then the engine's, `copy + kfunc` is calls that copy and then one that XORs:"),
        markdown(TOUCHED, touched_rows(data)),
        bench.paragraph("XOR of so many sources of such a size; GB and KiB are of source:"),
        insert_table(data),
        bench.paragraph(
            "Of the kfunc's instructions %s a call are the module's alone, which makes sure that the ring is one of "
            "the task's." % bench.number(data["ring_check"])),
        bench.paragraph(
            "Instructions of the guest per request, client and all, four members, chunks of 64 KiB; `bpf` is the stock "
            "kernel, `bpf-xor` the same with the module:"),
        markdown(REQUESTS, request_rows(data)),
    ])}
