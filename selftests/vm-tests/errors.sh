#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Members that fail: bad blocks (QEMU's blkdebug, dm-flakey) are served from
# parity and rewritten; a write error or a pulled disk costs a member, on disk
# before the acknowledgement; a second loss gives errors, never wrong data.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
# Somewhere past the superblock; the guest needs it to hold data on member 3.
bad=$((20480 + (4 * (seed % 20) + 1 + seed % 3) * 128 + 16))
for ((i = 0; i < 30; i++)); do
	printf '[inject-error]\nevent = "read_aio"\nerrno = "5"\nsector = "%d"\niotype = "read"\nonce = "on"\n' $bad
done >"$dir/read"
printf '[inject-error]\nevent = "write_aio"\nerrno = "5"\nsector = "%d"\niotype = "write"\n' $bad >"$dir/write"
mapfile -t members < <(nvme 4 32M)
guest errors "${members[@]}" --disk "nvme:32M,blkdebug=$dir/read" --disk "nvme:32M,blkdebug=$dir/write" \
	--timeout 900 -- $bad
