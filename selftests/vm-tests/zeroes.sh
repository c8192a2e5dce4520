#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# New arrays whose members write zeroes: born in sync, refused, interrupted.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 4 512M)
guest zeroes "${members[@]}" --disk virtio:512M,dev.write-zeroes=off
