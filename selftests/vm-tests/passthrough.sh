#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# NVMe commands to the members, past the block layer: right data and parity by
# md's word, bad blocks, a lost member, kill -9; and who may not be driven so.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
bad_sector
mapfile -t members < <(nvme 4 48M)
mapfile -t large < <(nvme 3 48M,dev.logical_block_size=4096,dev.physical_block_size=4096,dev.mdts=5)
guest passthrough "${members[@]}" --disk "nvme:48M,blkdebug=$dir/read" --disk "nvme:48M,blkdebug=$dir/write" \
	"${large[@]}" --disk virtio:16M --timeout 1500 -- "$bad"
