#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Bad input: refused with exit code, errno and hint, and nothing written.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 4 8M)
guest refuse "${members[@]}" --disk nvme:8M --disk nvme:8M,dev.logical_block_size=4096,dev.physical_block_size=4096 \
	--disk nvme:8M
