#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# New arrays whose members write zeroes: born in sync, refused, interrupted.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
# So slow that there is something to interrupt: 1024 commands for a disk, 5 s.
mapfile -t members < <(nvme 4 512M,throttling.iops-write=200)
guest zeroes "${members[@]}" --disk virtio:512M,dev.write-zeroes=off
