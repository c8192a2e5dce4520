#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Members behind NVMe over TCP, each by two paths that the kernel makes one disk of: a path is
# lost, both are, and another host takes the reservations.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 4 16M)
guest multipath "${members[@]}" --timeout 1200 --append nvme_core.multipath=1 \
	"${over_fabrics[@]}" --file "${RINGRAID_BUILD:?}/vm-tests/reserve:/test/reserve"
