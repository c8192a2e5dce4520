#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# No member I/O is handed to a worker thread, by the kernel's own count.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 4 64M)
guest punts "${members[@]}" --file "${RINGRAID_BUILD:?}/vm-tests/vectors:/test/vectors"
