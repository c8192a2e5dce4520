#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Two hosts want the same members behind NVMe over TCP, and do and suffer what chance says,
# in steps; at no time do two write. RINGRAID_STEPS: how many. Each run has the same fight,
# whose model is known to hold; --full draws its own.
[ "${RINGRAID_LEVEL:-normal}" = full ] || : "${RINGRAID_SEED:=649788186}"
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
steps=200
! is_full || steps=2000
mapfile -t members < <(nvme 4 16M)
guest fight "${members[@]}" --timeout $((steps * 20)) --append nvme_core.multipath=0 \
	"${over_fabrics[@]}" \
	--file "${RINGRAID_BUILD:?}/vm-tests/ledger:/test/ledger" \
	--file "${RINGRAID_BUILD:?}/vm-tests/turns:/test/turns" \
	-- "${RINGRAID_STEPS:-$steps}"
