#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Members that fail: bad blocks (QEMU's blkdebug, dm-flakey) are served from
# parity and rewritten; a write error or a pulled disk costs a member, on disk
# before the acknowledgement; a second loss gives errors, never wrong data.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
bad_sector
mapfile -t members < <(nvme 4 32M)
guest errors "${members[@]}" --disk "nvme:32M,blkdebug=$dir/read" --disk "nvme:32M,blkdebug=$dir/write" \
	--timeout 900 -- "$bad"
