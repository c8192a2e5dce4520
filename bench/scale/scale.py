#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""How long a rebuild takes, and how likely a year loses data: scale.py [--check] [--seed N]

A cluster has N storage nodes. An array has one member on each of n of them and bears the
loss of t (RAID5: 1). Nodes are lost for good, independently, once in MTTF hours on
average; a lost node's data is built anew on others, and until that is done it is missing.

Two ways to place arrays:
  fixed   nodes in sets of n, all arrays of a set on the same nodes. One node is rebuilt
          by the others of its set onto one: the time is what that one takes to be written.
  spread  each array on n nodes by chance, as Ceph places groups. All nodes rebuild at the
          same time, each a part; with enough arrays any t + 1 lost nodes share one.

The table's probabilities are exact for this model, from a Markov chain of the number of
missing nodes: far too rare to be seen in a simulation. So the simulation, which knows
nodes, arrays and events and nothing of chains, is run where losses are frequent, and there
the two must agree (--check). It also says what the chain leaves out: rebuilds take a
fixed time, not a random one, and a finite number of arrays does not cover every pair.

Not in the model: failures that come together (power, a bad batch, a person), and sectors
that cannot be read during a rebuild, for which there is a column of its own.
"""
import argparse
import heapq
import math
import random
import sys

HOURS_A_YEAR = 24 * 365.25


class Cluster:
    """What a row of the table is about."""

    def __init__(self, nodes, width, tolerance, spread, node_tb, rate_mb, mttf_hours):
        self.nodes, self.width, self.tolerance, self.spread = nodes, width, tolerance, spread
        self.node_tb, self.rate_mb, self.mttf = node_tb, rate_mb, mttf_hours

    def rebuild_hours(self):
        """Of one node. A node gives rate_mb, in and out alike, to rebuilding."""
        data_mb = self.node_tb * 1e6
        if not self.spread:
            # width - 1 are read at the rate at which one is written.
            return data_mb / self.rate_mb / 3600
        # Each MB costs width - tolerance reads and a write, shared by all the nodes left.
        work = data_mb * (self.width - self.tolerance + 1)
        return work / ((self.nodes - 1) * self.rate_mb) / 3600

    def sets(self):
        """Sets of nodes that fail together, and how many nodes each has."""
        return (1, self.nodes) if self.spread else (self.nodes // self.width, self.width)


def mean_time_to_loss(nodes, tolerance, fail_rate, repair_rate):
    """Hours until tolerance + 1 of @nodes are missing at once; repairs go on side by side.

    State i: i nodes are missing. up[i] is the mean time from i to i + 1:
    up[0] = 1/f0; up[i] = 1/fi + (ri/fi) * up[i-1].
    """
    total = before = 0.0
    for i in range(tolerance + 1):
        failing = (nodes - i) * fail_rate
        before = 1 / failing + (i * repair_rate / failing) * before
        total += before
    return total


def loss_a_year(c):
    count, size = c.sets()
    mttdl = mean_time_to_loss(size, c.tolerance, 1 / c.mttf, 1 / c.rebuild_hours())
    return -math.expm1(-HOURS_A_YEAR * count / mttdl)


def unreadable(c, error_bits):
    """That rebuilding one node meets a sector which cannot be read and has no other copy."""
    if c.tolerance > 1:
        return 0.0
    bits = c.node_tb * 1e12 * 8 * (c.width - 1)
    return -math.expm1(-bits / error_bits)


def place(c, arrays, rng):
    """Arrays as sorted tuples of nodes."""
    if not c.spread:
        return [tuple(range(s, s + c.width)) for s in range(0, c.nodes - c.width + 1, c.width)]
    return [tuple(sorted(rng.sample(range(c.nodes), c.width))) for _ in range(arrays)]


def hours_to_loss(c, rng, arrays, fixed_time):
    """One life of a cluster, event by event, until an array has lost too many members."""
    where = [[] for _ in range(c.nodes)]
    for index, members in enumerate(place(c, arrays, rng)):
        for node in members:
            where[node].append(index)
    missing = {}  # by array
    mean = c.rebuild_hours()
    events = [(rng.expovariate(1 / c.mttf), node, True) for node in range(c.nodes)]
    heapq.heapify(events)
    while True:
        now, node, fails = heapq.heappop(events)
        for array in where[node]:
            missing[array] = missing.get(array, 0) + (1 if fails else -1)
            if missing[array] > c.tolerance:
                return now
        wait = (mean if fixed_time else rng.expovariate(1 / mean)) if fails else rng.expovariate(1 / c.mttf)
        heapq.heappush(events, (now + wait, node, not fails))


def simulate(c, lives, seed, arrays=0, fixed_time=False):
    """Mean hours to a loss, and the standard error of that."""
    rng = random.Random(seed)
    times = [hours_to_loss(c, rng, arrays, fixed_time) for _ in range(lives)]
    mean = sum(times) / lives
    spread = math.sqrt(sum((t - mean) ** 2 for t in times) / (lives - 1) / lives)
    return mean, spread


def check(seed, lives):
    """The simulation against the chain, where nodes fail every few days."""
    bad = 0
    print("# nodes width lose place    chain_h  simulated_h  error_h  fixed_time_h")
    for nodes, width, tolerance, spread in (
        (4, 4, 1, False), (8, 4, 1, False), (16, 8, 1, False), (6, 6, 2, False),
        (12, 4, 1, True), (24, 8, 1, True), (12, 6, 2, True),
    ):
        c = Cluster(nodes, width, tolerance, spread, 4, 200, 240)
        count, size = c.sets()
        exact = mean_time_to_loss(size, tolerance, 1 / c.mttf, 1 / c.rebuild_hours()) / count
        # So many arrays that each t + 1 nodes share one.
        arrays = 40 * math.comb(nodes, tolerance + 1) // math.comb(width, tolerance + 1)
        mean, error = simulate(c, lives, seed, arrays)
        fixed, _ = simulate(c, lives, seed + 1, arrays, True)
        # Several sets begin whole, so the first loss comes a little later than the chain's rate.
        slack = 4 * error + (c.rebuild_hours() if count > 1 else 0)
        good = abs(mean - exact) <= slack
        bad += not good
        print(f"{'ok' if good else 'not ok'} {nodes:3} {width:5} {tolerance:4} "
              f"{'spread' if spread else 'fixed ':6} {exact:10.1f} {mean:12.1f} {error:8.1f} {fixed:13.1f}")
    return bad


def duration(hours):
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"


def number(p):
    return "< 1e-12" if p < 1e-12 else f"{p:.1e}"


def rows(title, clusters):
    print(f"\n{title}\n")
    print("| nodes | width | may lose | placed | rebuild rate of a node | rebuilt in | loss in a year | unreadable, a rebuild |")
    print("|---|---|---|---|---|---|---|---|")
    for c in clusters:
        print(f"| {c.nodes} | {c.width} | {c.tolerance} | {'spread' if c.spread else 'fixed'} | "
              f"{c.rate_mb} MB/s | {duration(c.rebuild_hours())} | {number(loss_a_year(c))} | "
              f"{number(unreadable(c, 1e17)) if c.tolerance == 1 else '-'} |")


def tables():
    tb, mttf = 16, 200000
    print(f"Nodes of {tb} TB that are lost once in {mttf} hours; one unreadable bit in 1e17.")
    rows("Width (RAID5, one set of nodes)",
         [Cluster(n, n, 1, False, tb, 500, mttf) for n in (4, 6, 8, 12, 16)])
    rows("Rebuild rate",
         [Cluster(4, 4, 1, False, tb, rate, mttf) for rate in (50, 100, 250, 500, 1000, 2000)])
    rows("Node count, sets of four",
         [Cluster(n, 4, 1, False, tb, 500, mttf) for n in (4, 16, 64, 256, 1024)])
    rows("Node count, four of all",
         [Cluster(n, 4, 1, True, tb, 500, mttf) for n in (16, 64, 256, 1024)])
    rows("Two may be lost",
         [Cluster(n, w, 2, s, tb, 500, mttf)
          for n, w, s in ((6, 6, False), (60, 6, False), (64, 6, True), (1024, 6, True), (1024, 10, True))])


def main():
    parser = argparse.ArgumentParser(description="Rebuild time and data loss against width, nodes and rate.")
    parser.add_argument("--check", action="store_true", help="the simulation against the closed form")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lives", type=int, default=1500, help="of --check")
    args = parser.parse_args()
    if args.check:
        return 1 if check(args.seed, args.lives) else 0
    tables()
    return 0


if __name__ == "__main__":
    sys.exit(main())
