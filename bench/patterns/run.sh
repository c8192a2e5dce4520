#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What do the writes that people make cost on the members?
. "${0%/*}/../lib/host.sh"
disks=()
for _ in 0 1 2 3 4 5 6 7; do disks+=(--disk nvme:144M); done
bench_guest "${disks[@]}" -- "$@"
