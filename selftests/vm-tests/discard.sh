#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Write-zeroes and discard: what is announced, what is read afterwards, healthy, degraded,
# rebuilding and killed; file systems that use them; parity by us and by md.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 5 32M)
# The sixth has no command for zeros.
guest discard "${members[@]}" --disk virtio:32M,dev.write-zeroes=off,dev.discard=off --timeout 1500
