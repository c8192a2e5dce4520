# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Throughput as ratios, latency percentiles."""

import times

reduce, table, says = times.reduce, times.table, times.says


def plot(data):
    return times.plot(data, "IOPS on emulated NVMe")
