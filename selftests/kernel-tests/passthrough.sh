#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# NVMe passthrough where the driver reports what QEMU cannot: statuses of every
# kind, and commands that never come back, by the kernel's fault injection.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 4 48M)
# The driver says what it does about a timeout.
kernel_guest patched passthrough-faults "${members[@]}" --append nvme_core.io_timeout=2 --timeout 900 \
	--allow-dmesg 'nvme nvme[0-9]: (I/O tag|Abort status|.*reset)' --allow-dmesg 'FAULT_INJECTION'
