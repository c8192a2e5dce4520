#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The process that serves: what it takes from its caller, what it prints, what it
# finds out before it writes, and a CPU that goes away under it.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 4 32M)
# The OOM killer is asked to choose, and shows its stack.
guest process "${members[@]}" --timeout 600 --allow-dmesg 'Call Trace:' \
	--file "${RINGRAID_BUILD:?}/vm-tests/ignoring:/test/ignoring"
