#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# How do throughput and latency compare, with a real completion path?
. "${0%/*}/../lib/host.sh"
disks=()
for _ in 0 1 2 3; do disks+=(--disk nvme:160M); done
# md's partial parity log warns by itself (ppl_write_stripe_run, seen in 7.3.4).
bench_guest "${disks[@]}" --allow-dmesg 'WARNING: drivers/md/raid5-ppl' --allow-dmesg 'Call Trace:' -- "$@"
