#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# How fast are rebuild, resync and check, and what do clients get meanwhile?
. "${0%/*}/../lib/host.sh"
disks=()
for _ in 0 1 2 3; do disks+=(--disk nvme:192M); done
bench_guest "${disks[@]}" -- "$@"
