#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Members behind NVMe over TCP, target and two hosts in one guest: reserved, and taken over
# by the other host.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 4 16M)
guest fabrics "${members[@]}" --timeout 1500 --append nvme_core.multipath=0 \
	"${over_fabrics[@]}" --file "${RINGRAID_BUILD:?}/vm-tests/reserve:/test/reserve"
