#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# NVMe commands to the members, past the block layer: right data and parity by
# md's word, bad blocks, a lost member, kill -9; and who may not be driven so.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
# Past the superblock; the guest needs it to hold data on member 3.
bad=$((20480 + (4 * (seed % 20) + 1 + seed % 3) * 128 + 16))
for ((i = 0; i < 30; i++)); do
	printf '[inject-error]\nevent = "read_aio"\nerrno = "5"\nsector = "%d"\niotype = "read"\nonce = "on"\n' $bad
done >"$dir/read"
printf '[inject-error]\nevent = "write_aio"\nerrno = "5"\nsector = "%d"\niotype = "write"\n' $bad >"$dir/write"
mapfile -t members < <(nvme 4 48M)
guest passthrough "${members[@]}" --disk "nvme:48M,blkdebug=$dir/read" --disk "nvme:48M,blkdebug=$dir/write" \
	--disk nvme:48M,dev.logical_block_size=4096,dev.physical_block_size=4096 --disk nvme:48M,dev.logical_block_size=4096,dev.physical_block_size=4096 \
	--disk nvme:48M,dev.logical_block_size=4096,dev.physical_block_size=4096 --disk virtio:16M --timeout 1500 -- $bad
