#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Disks that are late, gone, read-only, copied, renamed, below a map, of another kind.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t disks < <(nvme 5 8M)
guest members "${disks[@]}" --disk virtio:8M
