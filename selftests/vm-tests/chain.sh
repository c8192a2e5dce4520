#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Chained reads by the loop in the kernel, on ext4, XFS and the device itself, over an
# array healthy and degraded, with a writer at work; NVMe commands; kill -9; two at a time.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 3 176M)
guest chain "${members[@]}" --disk nvme:48M --file "$RINGRAID_BUILD/chain_tests:/test/chain_tests" \
	--file "$RINGRAID_BUILD/chain/chain_load:/test/chain_load" --timeout 1500
