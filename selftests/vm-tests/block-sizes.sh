#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A member replaced by a disk of 4096-byte blocks, under md as md allows it.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t disks < <(nvme 3 16M)
guest block-sizes "${disks[@]}" --disk nvme:16M,dev.logical_block_size=4096,dev.physical_block_size=4096
