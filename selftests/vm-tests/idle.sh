#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# An array that nobody writes to: its superblocks say clean, a power cut then costs
# nothing, and the next write finds them dirty.
. "${BASH_SOURCE[0]%/*}/lib/host.sh"
mapfile -t members < <(nvme 8 32M)
guest idle "${members[@]}" --timeout 900
